package login

import (
	"context"
	"errors"

	"github.com/caddymfa/gateway/caddymfa/internal/facts"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Place is an account that a person may enter.
type Place struct {
	Account string
	Name    string
	Role    mfa.Role
	Policy  mfa.Policy
}

// Places lists the accounts that a person may enter, by id.
func (s *Service) Places(ctx context.Context, user string) ([]Place, error) {
	rows, err := s.Store.MembershipsOf(ctx, user)
	if err != nil {
		return nil, err
	}
	var places []Place
	for _, row := range rows {
		if row.State != mfa.Joined {
			continue
		}
		t, err := s.Facts.Tenant(ctx, row.Account)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !t.Disabled {
			places = append(places, Place{Account: t.ID, Name: t.Name, Role: row.Role, Policy: t.Mode(s.Now())})
		}
	}
	return places, nil
}

// Switch enters another account. What the session has proven stays proven; the
// other account's policy judges it on the next request.
func (s *Service) Switch(ctx context.Context, c Client, sess *storage.Session, account string) (storage.Session, error) {
	belongs, err := s.Facts.Memberships(ctx, sess.User)
	if err != nil {
		return storage.Session{}, err
	}
	if belongs[account].State != mfa.Joined {
		e := s.event(c, sess, "switch_account", "refused", string(mfa.NotMember))
		e.Detail = shorten(account, 64)
		s.Record(ctx, e)
		return storage.Session{}, ErrNotMember
	}
	next, err := s.Store.UpdateSession(ctx, sess.ID, func(n *storage.Session) error {
		n.Account = account
		return nil
	})
	if errors.Is(err, storage.ErrNotFound) {
		return next, ErrSignedOut
	}
	if err != nil {
		return next, err
	}
	s.Record(ctx, s.event(c, &next, "switch_account", "ok", ""))
	return next, nil
}

// Later is "Not now": the account does not invite this person again for a
// while. Only an invitation can be put off.
func (s *Service) Later(ctx context.Context, c Client, sess *storage.Session, account string) error {
	g, err := s.Gather(ctx, sess, account)
	if err != nil {
		return err
	}
	switch d := mfa.Decide(g.Facts); d.Verdict {
	case mfa.Allow: // put off already, in another tab
		return nil
	case mfa.Suggest:
	default:
		return &Undecided{d}
	}
	if err := s.Store.Snooze(ctx, account, sess.User, s.Now().Add(s.Snooze)); err != nil {
		return err
	}
	e := s.event(c, sess, "snooze", "ok", "")
	e.Account = account
	s.Record(ctx, e)
	return nil
}

// SignOut ends the session, or all of the person's.
func (s *Service) SignOut(ctx context.Context, c Client, sess *storage.Session, everywhere bool) error {
	if everywhere {
		if _, err := s.Store.RevokeSessionsOf(ctx, sess.User, "", s.Now()); err != nil {
			return err
		}
		s.Record(ctx, s.event(c, sess, "sign_out", "ok", "everywhere"))
		return nil
	}
	err := s.Store.RevokeSession(ctx, sess.User, sess.ID, s.Now())
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	s.Record(ctx, s.event(c, sess, "sign_out", "ok", ""))
	return nil
}

// EndSession ends one of the person's own sessions, or, with "", all but the
// present one.
func (s *Service) EndSession(ctx context.Context, c Client, sess *storage.Session, id string) error {
	if id == "" {
		return s.endOthers(ctx, c, sess, "by_person")
	}
	err := s.Store.RevokeSession(ctx, sess.User, id, s.Now())
	if errors.Is(err, storage.ErrNotFound) {
		return nil // over already, or not theirs: nothing to tell apart
	}
	if err != nil {
		return err
	}
	e := s.event(c, sess, "revoke_session", "ok", "by_person")
	e.Detail = id
	s.Record(ctx, e)
	return nil
}

// MayView asks the rule whether the session's person may look at their own
// pages: someone who knows only the password of a person with an authenticator
// may not.
func (s *Service) MayView(ctx context.Context, sess *storage.Session) (facts.Gathered, error) {
	g, err := s.Gather(ctx, sess, "")
	if err != nil {
		return g, err
	}
	if d := mfa.DecideProfile(g.Facts); d.Verdict != mfa.Allow {
		return g, &Undecided{d}
	}
	return g, nil
}
