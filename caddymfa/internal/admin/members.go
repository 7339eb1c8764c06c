package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Why a person is not invited, or not changed.
var (
	// ErrAddress means that what was typed is no e-mail address.
	ErrAddress = errors.New("not an e-mail address")
	// ErrRole means that no role was named.
	ErrRole = errors.New("a role is needed: member or admin")
	// ErrMember means that the person has joined the account already.
	ErrMember = errors.New("a member of the account already")
	// ErrInvited means that the person is invited already.
	ErrInvited = errors.New("invited already")
	// ErrSelf means that an administrator was about to do to themselves what only
	// another one can take back.
	ErrSelf = errors.New("another administrator must do that")
	// ErrNoMail means that a program cannot invite, since its answer would hold
	// what lets somebody in.
	ErrNoMail = errors.New("nothing carries mails: invite on the page for administrators, which shows a code to hand over")
	// ErrElsewhere means that the person belongs to other accounts, too, whose
	// protection would go as well.
	ErrElsewhere = errors.New("the person belongs to other accounts, too")
)

// Invited is how somebody who was invited gets to know.
type Invited struct {
	User    string
	Email   string
	Mailed  bool      // a link is on its way to their address
	Code    string    // where no mail can be sent: what the administrator hands over
	Expires time.Time // of the code
}

// Invite invites somebody to the account. The answer is the same whether or not
// other accounts know the address.
func (s *Service) Invite(ctx context.Context, a Actor, typed string, role mfa.Role) (Invited, error) {
	email, err := storage.NormaliseEmail(typed)
	if err != nil {
		return Invited{}, ErrAddress
	}
	if role != mfa.RoleMember && role != mfa.RoleAdmin {
		return Invited{}, ErrRole
	}
	if err := s.maySend(a); err != nil {
		return Invited{}, err
	}
	u, err := s.Store.UserByEmail(ctx, email)
	if errors.Is(err, storage.ErrNotFound) {
		u = storage.User{ID: session.NewID(), Email: email, Created: s.Now()}
		if err = s.Store.CreateUser(ctx, u); errors.Is(err, storage.ErrExists) { // invited by somebody else meanwhile
			u, err = s.Store.UserByEmail(ctx, email)
		}
	}
	if err != nil {
		return Invited{}, err
	}
	m, err := s.Store.Membership(ctx, a.Account, u.ID)
	switch {
	case err == nil && m.State == mfa.Joined:
		return Invited{User: u.ID}, ErrMember
	case err == nil:
		return Invited{User: u.ID}, ErrInvited
	case !errors.Is(err, storage.ErrNotFound):
		return Invited{}, err
	}
	if err := s.Login.Limiter.Try(ctx, limit.Invitations, a.Account); err != nil {
		return Invited{}, err
	}
	err = s.Store.CreateMembership(ctx, storage.Membership{Account: a.Account, User: u.ID, Role: role, State: mfa.Invited, Created: s.Now()})
	if errors.Is(err, storage.ErrExists) {
		return Invited{User: u.ID}, ErrInvited
	}
	if err != nil {
		return Invited{}, err
	}
	in, err := s.invitation(ctx, a, u)
	if err != nil {
		return in, err
	}
	s.record(ctx, a, storage.Event{Action: "invite", Outcome: "ok", Reason: role.String(), User: u.ID})
	return in, nil
}

// maySend refuses what only a page could answer.
func (s *Service) maySend(a Actor) error {
	if a.Session == "" && !s.Mails() {
		return ErrNoMail
	}
	return nil
}

// Resend invites somebody again who has not joined yet. ErrMember: they have.
func (s *Service) Resend(ctx context.Context, a Actor, user string) (Invited, error) {
	m, err := s.Store.Membership(ctx, a.Account, user)
	if err != nil {
		return Invited{}, err
	}
	if m.State != mfa.Invited {
		return Invited{}, ErrMember
	}
	if err := s.maySend(a); err != nil {
		return Invited{}, err
	}
	u, err := s.Store.User(ctx, user)
	if err != nil {
		return Invited{}, err
	}
	// Nobody's mailbox is to be filled with them.
	if err := s.Login.Limiter.Try(ctx, limit.Mailed, "invitation", a.Account, u.ID); err != nil {
		return Invited{}, err
	}
	in, err := s.invitation(ctx, a, u)
	if err != nil {
		return in, err
	}
	s.record(ctx, a, storage.Event{Action: "invite_again", Outcome: "ok", User: u.ID})
	return in, nil
}

// invitation mails a link or, where nothing can be mailed, makes a code.
func (s *Service) invitation(ctx context.Context, a Actor, u storage.User) (in Invited, err error) {
	in = Invited{User: u.ID, Email: u.Email, Mailed: s.Mails(), Expires: s.Now().Add(login.InvitationTime)}
	if !in.Mailed {
		in.Code, in.Expires, err = s.Login.CreateInvitation(ctx, u.ID, a.Account)
		return in, err
	}
	by := ""
	if a.Session != "" {
		who, err := s.Store.User(ctx, a.User)
		if err != nil {
			return in, err
		}
		by = partyOf(who)
	}
	return in, s.Login.MailInvitation(ctx, u, a.Account, by)
}

// partyOf is how a person is called in what others read.
func partyOf(u storage.User) string {
	if u.Name == "" {
		return u.Email
	}
	return u.Name + " (" + u.Email + ")"
}

// other refuses what nobody does to themselves.
func other(a Actor, user string) error {
	if user == a.User {
		return ErrSelf
	}
	return nil
}

// refused records that the account's last administrator was to go.
func (s *Service) refused(ctx context.Context, a Actor, action, user string, err error) error {
	if errors.Is(err, storage.ErrLastAdmin) {
		s.record(ctx, a, storage.Event{Action: action, Outcome: "refused", Reason: "last_admin", User: user})
	}
	return err
}

// SetRole makes one of the account's people an administrator, or a member again.
func (s *Service) SetRole(ctx context.Context, a Actor, user string, role mfa.Role) error {
	if role != mfa.RoleMember && role != mfa.RoleAdmin {
		return ErrRole
	}
	if err := other(a, user); err != nil {
		return err
	}
	changed := false
	err := s.Store.AmendMember(ctx, a.Account, user, func(m *storage.Membership) error {
		if m.Origin == storage.FromConfig {
			return login.ErrReadOnly
		}
		changed, m.Role = m.Role != role, role
		return nil
	})
	if err != nil {
		return s.refused(ctx, a, "set_role", user, err)
	}
	if changed {
		s.record(ctx, a, storage.Event{Action: "set_role", Outcome: "ok", Reason: role.String(), User: user})
	}
	return nil
}

// RemoveMember ends a membership, or an invitation. The person is out on their
// next request, and stays what they are in other accounts.
func (s *Service) RemoveMember(ctx context.Context, a Actor, user string) error {
	if err := other(a, user); err != nil {
		return err
	}
	m, err := s.Store.Membership(ctx, a.Account, user)
	if err != nil {
		return err
	}
	if m.Origin == storage.FromConfig {
		return login.ErrReadOnly
	}
	if err := s.Store.RemoveMembershipKeepingAdmin(ctx, a.Account, user); err != nil {
		return s.refused(ctx, a, "remove_member", user, err)
	}
	if _, err := s.Store.RevokeSessionsIn(ctx, a.Account, user, s.Now()); err != nil {
		return err
	}
	s.record(ctx, a, storage.Event{Action: "remove_member", Outcome: "ok", User: user})
	return nil
}

// ResetFactors removes all authenticators and recovery codes of somebody who has
// joined this account and no other, and ends their sessions; it says how many
// authenticators there were. Who belongs elsewhere, too, uses a recovery code, or
// the operator helps: no administrator takes another account's protection away.
func (s *Service) ResetFactors(ctx context.Context, a Actor, user string) (int, error) {
	if err := other(a, user); err != nil {
		return 0, err
	}
	n, err := s.Store.ResetMember(ctx, a.Account, user)
	if errors.Is(err, storage.ErrConflict) {
		s.record(ctx, a, storage.Event{Action: "reset_factors", Outcome: "refused", Reason: "other_accounts", User: user})
		return 0, ErrElsewhere
	}
	if err != nil {
		return 0, err
	}
	// What a session had proven with an authenticator that is gone ends with it.
	if _, err := s.Store.RevokeSessionsOf(ctx, user, "", s.Now()); err != nil {
		return n, err
	}
	for _, kind := range []mfa.Kind{mfa.TOTP, mfa.Recovery} {
		if err := s.Login.Limiter.Forget(ctx, limit.SecondFactor, user, kind.String()); err != nil {
			return n, err
		}
	}
	s.record(ctx, a, storage.Event{Action: "reset_factors", Outcome: "ok", User: user, Detail: fmt.Sprintf("%d authenticators", n)})
	return n, nil
}

// EndSessions signs somebody out: of this account, and of everything if they
// belong to no other. It says how many sessions ended.
func (s *Service) EndSessions(ctx context.Context, a Actor, user string) (int, error) {
	row, err := s.Store.Member(ctx, a.Account, user)
	if err != nil {
		return 0, err
	}
	if row.State != mfa.Joined {
		return 0, storage.ErrNotFound // what they do in other accounts is not this one's
	}
	n := 0
	if row.Alone {
		n, err = s.Store.RevokeSessionsOf(ctx, user, "", s.Now())
	} else {
		n, err = s.Store.RevokeSessionsIn(ctx, a.Account, user, s.Now())
	}
	if err != nil {
		return 0, err
	}
	s.record(ctx, a, storage.Event{Action: "revoke_sessions", Outcome: "ok", User: user, Detail: fmt.Sprintf("%d sessions", n)})
	return n, nil
}
