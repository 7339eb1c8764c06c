package login

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// RequiredBy means that the person's last authenticator cannot go, since these
// accounts require one.
type RequiredBy struct{ Accounts []string }

func (r *RequiredBy) Error() string { return "required by " + strings.Join(r.Accounts, ", ") }

// RenameFactor gives one of the person's authenticators another name.
func (s *Service) RenameFactor(ctx context.Context, c Client, sess *storage.Session, id, name string) error {
	if name = shorten(strings.TrimSpace(name), 60); name == "" {
		return ErrStartAgain
	}
	if _, err := s.MayView(ctx, sess); err != nil {
		return err
	}
	_, err := s.Store.UpdateFactor(ctx, id, func(f *storage.Factor) error {
		if f.User != sess.User {
			return storage.ErrNotFound // another's authenticator does not exist here
		}
		f.Name = name
		return nil
	})
	if errors.Is(err, storage.ErrNotFound) {
		return ErrStartAgain
	}
	return err
}

// MayRemove says whether the authenticator may go: *Undecided when something
// must be proven first, *RequiredBy when it is the last one and an account of
// the person's requires one.
func (s *Service) MayRemove(ctx context.Context, sess *storage.Session, id string) (row storage.Factor, last bool, err error) {
	if _, err := s.mayChange(ctx, sess); err != nil {
		return row, false, err
	}
	rows, err := s.Store.FactorsOf(ctx, sess.User)
	if err != nil {
		return row, false, err
	}
	for _, f := range rows {
		if f.ID == id {
			row = f
		}
	}
	if row.ID == "" {
		return row, false, ErrStartAgain
	}
	if len(rows) > 1 {
		return row, false, nil
	}
	places, err := s.Places(ctx, sess.User)
	if err != nil {
		return row, true, err
	}
	var required []string
	for _, p := range places {
		if p.Policy == mfa.Required {
			required = append(required, p.Name)
		}
	}
	if len(required) > 0 {
		return row, true, &RequiredBy{required}
	}
	return row, true, nil
}

// RemoveFactor removes one of the person's authenticators. With the last one
// the recovery codes go, and what the session had proven with it.
func (s *Service) RemoveFactor(ctx context.Context, c Client, sess *storage.Session, id string) error {
	row, last, err := s.MayRemove(ctx, sess, id)
	if err != nil {
		return err
	}
	if last {
		_, err = s.Store.RemoveFactorsOf(ctx, sess.User)
	} else {
		err = s.Store.RemoveFactor(ctx, sess.User, id)
	}
	if errors.Is(err, storage.ErrNotFound) {
		return ErrStartAgain
	}
	if err != nil {
		return err
	}
	if last {
		_, err := s.Store.UpdateSession(ctx, sess.ID, func(n *storage.Session) error {
			n.Proof.Second, n.Proof.SecondBy, n.Proof.Synced = time.Time{}, 0, false
			return nil
		})
		if err != nil {
			return err
		}
	}
	e := s.event(c, sess, "remove_factor", "ok", row.Kind.String())
	e.Detail = row.Name
	s.Record(ctx, e)
	return s.endOthers(ctx, c, sess, "remove_factor")
}

// ChangePassword replaces the person's password and ends their other sessions.
func (s *Service) ChangePassword(ctx context.Context, c Client, sess *storage.Session, current, next string) error {
	if _, err := s.mayChange(ctx, sess); err != nil {
		return err
	}
	user, err := s.Store.User(ctx, sess.User)
	if err != nil {
		return err
	}
	if user.Origin == storage.FromConfig {
		return ErrReadOnly
	}
	if err := s.mayChoose(ctx, next, user); err != nil {
		return err
	}
	if right, err := s.knowsPassword(ctx, user, current); err != nil {
		return err
	} else if !right {
		s.Record(ctx, s.event(c, sess, "change_password", "refused", "wrong_password"))
		return ErrWrong
	}
	if next == current {
		return ErrPasswordSame
	}
	hash, err := s.Passwords.Hash(ctx, next)
	if err != nil {
		return err
	}
	if err := s.setPassword(ctx, user.ID, hash); err != nil {
		return err
	}
	s.Record(ctx, s.event(c, sess, "change_password", "ok", ""))
	return s.endOthers(ctx, c, sess, "change_password")
}

// knowsPassword checks the password of somebody who is signed in. It has a count
// of its own: only who holds a session of this person gets here.
func (s *Service) knowsPassword(ctx context.Context, u storage.User, password string) (bool, error) {
	if err := s.Limiter.Try(ctx, limit.KnownBrowser, u.ID, "change password"); err != nil {
		return false, err
	}
	right, err := s.Passwords.compare(ctx, u.PasswordHash, password)
	if err != nil {
		return false, errors.Join(err, s.Limiter.TakeBack(ctx, limit.KnownBrowser, u.ID, "change password"))
	}
	if !right {
		return false, nil
	}
	return true, s.Limiter.Succeeded(ctx, limit.KnownBrowser, u.ID, "change password")
}

func (s *Service) setPassword(ctx context.Context, user, hash string) error {
	_, err := s.Store.UpdateUser(ctx, user, func(u *storage.User) error {
		if u.Origin == storage.FromConfig {
			return ErrReadOnly
		}
		u.PasswordHash, u.PasswordChanged = hash, s.Now()
		return nil
	})
	return err
}

// SetUpTime is how long a set-up code is good for.
const SetUpTime = 72 * time.Hour

// CreateSetUp makes a one-time code with which a person chooses a password.
// The caller hands it over; it is stored hashed.
func (s *Service) CreateSetUp(ctx context.Context, user string) (code string, expires time.Time, err error) {
	return s.createSetUp(ctx, user, SetUpTime)
}

func (s *Service) createSetUp(ctx context.Context, user string, life time.Duration) (code string, expires time.Time, err error) {
	u, err := s.Store.User(ctx, user)
	if err != nil {
		return "", expires, err
	}
	if u.Origin == storage.FromConfig {
		return "", expires, ErrReadOnly
	}
	code = newCode()
	expires = s.Now().Add(life)
	err = s.Store.PutTicket(ctx, storage.Ticket{
		ID: s.ticketID(ticketSetUp, code), Purpose: ticketSetUp, User: user, Expires: expires,
		Data: []byte(s.Now().UTC().Format(time.RFC3339Nano)),
	})
	return code, expires, err
}

// void reports whether the person has chosen another password since a code was
// made: of several mails, one is used.
func (s *Service) void(ctx context.Context, t storage.Ticket) (bool, error) {
	made, err := time.Parse(time.RFC3339Nano, string(t.Data))
	if err != nil {
		return len(t.Data) > 0, nil // one of an earlier version does not say when
	}
	u, err := s.Store.User(ctx, t.User)
	return u.PasswordChanged.After(made), err
}

// SetUp spends a set-up code on a new password. It signs nobody in and leaves
// every authenticator in place: who has one is asked for it as always.
func (s *Service) SetUp(ctx context.Context, c Client, code, password string) error {
	id := s.ticketID(ticketSetUp, normaliseRecoveryCode(code))
	network := limit.NetworkOf(c.Network)
	if err := s.Limiter.Try(ctx, limit.Network, network); err != nil {
		return err
	}
	t, err := s.Store.Ticket(ctx, ticketSetUp, id, s.Now())
	if errors.Is(err, storage.ErrNotFound) {
		return ErrStartAgain
	}
	if err != nil {
		return err
	}
	if void, err := s.void(ctx, t); err != nil {
		return err
	} else if void {
		return ErrStartAgain
	}
	u, err := s.Store.User(ctx, t.User)
	if err != nil {
		return err
	}
	// The hash comes first, so that neither a weak password nor being busy costs
	// anybody their code.
	hash, err := s.NewHash(ctx, u, password)
	if err != nil {
		return errors.Join(err, s.Limiter.TakeBack(ctx, limit.Network, network))
	}
	t, err = s.Store.TakeTicket(ctx, ticketSetUp, id, s.Now())
	if errors.Is(err, storage.ErrSpent) {
		return ErrStartAgain
	}
	if err != nil {
		return err
	}
	if err := s.setPassword(ctx, t.User, hash); err != nil {
		return err
	}
	if _, err := s.Store.RevokeSessionsOf(ctx, t.User, "", s.Now()); err != nil {
		return err
	}
	s.Record(ctx, storage.Event{At: s.Now(), Action: "set_up", Outcome: "ok", Actor: t.User, User: t.User, Network: c.Network})
	return s.Limiter.TakeBack(ctx, limit.Network, network)
}
