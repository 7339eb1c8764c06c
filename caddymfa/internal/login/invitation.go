package login

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/mail"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// InvitationTime is how long the code of an invitation is good for.
const InvitationTime = 7 * 24 * time.Hour

const ticketInvitation = "invitation"

// ErrSomebodyElse means that a code is for another person than the one who is
// signed in.
var ErrSomebodyElse = errors.New("for somebody else")

// invitation is what a code stands for.
type invitation struct {
	Made    time.Time `json:"made"`
	Account string    `json:"account"`
	Mailed  bool      `json:"mailed,omitempty"` // only who reads the person's mail has it
}

// CreateInvitation makes a code with which an invited person joins an account;
// whoever asked for it hands it over. It is stored hashed.
//
// Nobody joins without a code: an address may be known here because another
// account invited it, and whoever chose its password then need not be who this
// account means.
func (s *Service) CreateInvitation(ctx context.Context, user, account string) (code string, expires time.Time, err error) {
	return s.createInvitation(ctx, user, account, false)
}

func (s *Service) createInvitation(ctx context.Context, user, account string, mailed bool) (code string, expires time.Time, err error) {
	code, now := newCode(), s.Now()
	err = s.putTicket(ctx, storage.Ticket{Purpose: ticketInvitation, User: user}, code,
		invitation{Made: now, Account: account, Mailed: mailed}, InvitationTime)
	return code, now.Add(InvitationTime), err
}

// MailInvitation has an invited person sent such a code, in a link. By is the
// name of who invites.
func (s *Service) MailInvitation(ctx context.Context, u storage.User, account, by string) error {
	if s.Mail == nil {
		return ErrNoMail
	}
	now := s.Now()
	return s.Mail.Queue(ctx, mail.Letter{
		About: mail.AboutInvitation, Key: fmt.Sprintf("invitation %s %s %d", account, u.ID, now.UnixMicro()),
		To: u.Email, User: u.ID, Account: account, Says: mail.Says{At: now, By: by},
	})
}

// invite completes the letter to somebody who is invited, if they still are.
func (s *Service) invite(ctx context.Context, l *mail.Letter) error {
	m, err := s.Store.Membership(ctx, l.Account, l.User)
	if errors.Is(err, storage.ErrNotFound) || err == nil && m.State != mfa.Invited {
		return mail.ErrNobody
	}
	if err != nil {
		return err
	}
	code, until, err := s.createInvitation(ctx, l.User, l.Account, true)
	l.Link, l.Until = s.Pages+"/invitation#"+code, until
	return err
}

// Invitation is what the holder of a code is shown.
type Invitation struct {
	User    storage.User
	Account string
	Title   string // the account's name
	// Chooses reports whether the person has no way to sign in yet, and chooses a
	// password with the code. Everybody else signs in as always, with a second
	// factor where they have one.
	Chooses bool
	ticket  string
}

// Invitation looks at a code. ErrStartAgain: it is none, or not good any more.
func (s *Service) Invitation(ctx context.Context, c Client, code string) (Invitation, error) {
	network := limit.NetworkOf(c.Network)
	if err := s.Limiter.Try(ctx, limit.Network, network); err != nil {
		return Invitation{}, err
	}
	in, err := s.invitation(ctx, code)
	if errors.Is(err, ErrStartAgain) {
		return in, err
	}
	return in, errors.Join(err, s.Limiter.TakeBack(ctx, limit.Network, network))
}

func (s *Service) invitation(ctx context.Context, code string) (in Invitation, err error) {
	id := s.ticketID(ticketInvitation, normaliseRecoveryCode(code))
	t, err := s.Store.Ticket(ctx, ticketInvitation, id, s.Now())
	if errors.Is(err, storage.ErrNotFound) {
		return in, ErrStartAgain
	}
	if err != nil {
		return in, err
	}
	var what invitation
	if err := s.openTicket(t, &what); err != nil {
		return in, err
	}
	u, err := s.Store.User(ctx, t.User)
	if err != nil {
		return in, err
	}
	tenant, err := s.Facts.Tenant(ctx, what.Account)
	if err != nil {
		return in, err
	}
	places, err := s.Store.MembershipsOf(ctx, u.ID)
	if err != nil {
		return in, err
	}
	invited, joined := false, false
	for _, m := range places {
		joined = joined || m.State == mfa.Joined
		// A code of an invitation that was taken back is not good for the next one.
		invited = invited || m.Account == what.Account && m.State == mfa.Invited && !m.Created.After(what.Made)
	}
	if u.Disabled || tenant.Disabled || !invited {
		return in, ErrStartAgain
	}
	in = Invitation{User: u, Account: what.Account, Title: tenant.Name, ticket: id}
	in.Chooses, err = s.chooses(ctx, u, what.Mailed || !joined)
	return in, err
}

// chooses reports whether a person may choose a password with a code. Proven
// says that nobody but them can have it, or that it opens no account of others.
func (s *Service) chooses(ctx context.Context, u storage.User, proven bool) (bool, error) {
	if !proven || u.PasswordHash != "" {
		return false, nil
	}
	elsewhere, err := s.passwordElsewhere(ctx, u)
	if err != nil || elsewhere {
		return false, err
	}
	rows, err := s.Store.FactorsOf(ctx, u.ID)
	for _, f := range rows {
		if f.Kind == mfa.WebAuthn { // a passkey is a way in
			return false, nil
		}
	}
	return true, err
}

// Accept joins the account of an invitation. Who has an authenticator must have
// shown it: *Undecided otherwise.
func (s *Service) Accept(ctx context.Context, c Client, sess *storage.Session, code string) (Invitation, error) {
	in, err := s.Invitation(ctx, c, code)
	if err != nil {
		return in, err
	}
	if in.User.ID != sess.User {
		return in, ErrSomebodyElse
	}
	if _, err := s.MayView(ctx, sess); err != nil {
		return in, err
	}
	if _, err := s.Store.TakeTicket(ctx, ticketInvitation, in.ticket, s.Now()); errors.Is(err, storage.ErrSpent) {
		return in, ErrStartAgain
	} else if err != nil {
		return in, err
	}
	return in, s.accept(ctx, c, in, sess.ID)
}

// AcceptNew spends the code of an invitation on a first password, and joins. It
// signs nobody in.
func (s *Service) AcceptNew(ctx context.Context, c Client, code, password string) error {
	in, err := s.Invitation(ctx, c, code)
	if err != nil {
		return err
	}
	if !in.Chooses {
		return ErrStartAgain
	}
	// The hash comes first, so that neither a weak password nor being busy costs
	// anybody their code.
	hash, err := s.NewHash(ctx, in.User, password)
	if err != nil {
		return err
	}
	if _, err := s.Store.TakeTicket(ctx, ticketInvitation, in.ticket, s.Now()); errors.Is(err, storage.ErrSpent) {
		return ErrStartAgain
	} else if err != nil {
		return err
	}
	_, err = s.Store.UpdateUser(ctx, in.User.ID, func(u *storage.User) error {
		if u.PasswordHash != "" || u.Origin == storage.FromConfig { // chosen with another code meanwhile
			return ErrStartAgain
		}
		u.PasswordHash, u.PasswordChanged = hash, s.Now()
		return nil
	})
	if err != nil {
		return err
	}
	if _, err := s.Store.RevokeSessionsOf(ctx, in.User.ID, "", s.Now()); err != nil {
		return err
	}
	s.Record(ctx, storage.Event{At: s.Now(), Action: "set_up", Outcome: "ok", Actor: in.User.ID, User: in.User.ID, Network: c.Network})
	return s.accept(ctx, c, in, "")
}

func (s *Service) accept(ctx context.Context, c Client, in Invitation, session string) error {
	err := s.Store.AmendMember(ctx, in.Account, in.User.ID, func(m *storage.Membership) error {
		if m.State != mfa.Invited {
			return ErrStartAgain
		}
		m.State = mfa.Joined
		return nil
	})
	if errors.Is(err, storage.ErrNotFound) {
		return ErrStartAgain
	}
	if err != nil {
		return err
	}
	s.Record(ctx, storage.Event{At: s.Now(), Action: "accept_invitation", Outcome: "ok", Actor: in.User.ID, User: in.User.ID,
		Account: in.Account, Session: session, Network: c.Network})
	return nil
}
