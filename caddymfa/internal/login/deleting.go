package login

import (
	"context"
	"errors"
	"strings"

	"github.com/caddymfa/gateway/caddymfa/internal/mail"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// LastAdminOf means that the person cannot go, since nobody else could administer
// these accounts.
type LastAdminOf struct{ Accounts []string }

func (l *LastAdminOf) Error() string {
	return "last administrator of " + strings.Join(l.Accounts, ", ")
}

// Deletable is what deleting the session's person takes.
type Deletable struct {
	Person   storage.User
	Password bool // theirs is to be given
}

// MayDelete says whether the session's person may delete themselves: *Undecided
// when something must be proven first, ErrReadOnly when the configuration
// declares them. A second factor shown lately is enough, as for every change of
// how they sign in. Who has none gives their password; who has no password
// either must have signed in lately.
func (s *Service) MayDelete(ctx context.Context, sess *storage.Session) (d Deletable, err error) {
	g, err := s.mayChange(ctx, sess)
	if err != nil {
		return d, err
	}
	if d.Person, err = s.Store.User(ctx, sess.User); err != nil {
		return d, err
	}
	if d.Person.Origin == storage.FromConfig {
		return d, ErrReadOnly
	}
	if g.Facts.Enrolled&mfa.Authenticators != 0 {
		return d, nil
	}
	d.Password = d.Person.PasswordHash != ""
	if !d.Password && s.Now().Sub(sess.Proof.First) > mfa.ChangeWindow {
		return d, &Undecided{mfa.Decision{Verdict: mfa.SignIn, Reason: mfa.FirstFactorTooOld}}
	}
	return d, nil
}

// Delete removes the session's person, with everything that is theirs here. Their
// sessions end with them. *LastAdminOf: accounts need them, and nothing changed.
func (s *Service) Delete(ctx context.Context, c Client, sess *storage.Session, password string) error {
	d, err := s.MayDelete(ctx, sess)
	if err != nil {
		return err
	}
	if d.Password {
		if right, err := s.knowsPassword(ctx, d.Person, password); err != nil {
			return err
		} else if !right {
			s.Record(ctx, s.event(c, sess, "delete_user", "refused", "wrong_password"))
			return ErrWrong
		}
	}
	e := s.event(c, sess, "delete_user", "ok", "")
	e.Detail = d.Person.Email // the row outlives the person, whose address nothing else would tell
	var farewell storage.Mail
	if s.Mail != nil {
		farewell, err = s.Mail.Prepare(mail.Letter{About: mail.AboutDeleted, Key: mail.AboutDeleted + " " + d.Person.ID, To: d.Person.Email,
			User: d.Person.ID, Says: mail.Says{At: e.At, Network: c.Network}})
		if err != nil {
			return err
		}
	}
	accounts, err := s.Store.RemoveUser(ctx, d.Person.ID, farewell)
	switch {
	case errors.Is(err, storage.ErrLastAdmin):
		last := new(LastAdminOf)
		for _, account := range accounts {
			e.Account, e.Outcome, e.Reason, e.Detail = account, "refused", "last_admin", ""
			s.Record(ctx, e)
			a, err := s.Store.Account(ctx, account)
			if err != nil {
				return err
			}
			last.Accounts = append(last.Accounts, a.Name)
		}
		return last
	case errors.Is(err, storage.ErrConflict):
		return ErrReadOnly
	case errors.Is(err, storage.ErrNotFound):
		return ErrSignedOut
	case err != nil:
		return err
	}
	if s.Mail != nil {
		s.Mail.Wake()
	}
	if len(accounts) == 0 {
		accounts = []string{""}
	}
	for _, account := range accounts {
		e.Account = account
		s.Record(ctx, e)
	}
	return nil
}
