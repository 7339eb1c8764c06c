package login

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/mail"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// ForgotTime is how long the link is good for that who forgot their password
// gets.
const ForgotTime = time.Hour

// ErrNoMail means that nothing carries mails.
var ErrNoMail = errors.New("no mail is configured")

// ErrNoAddress means that what was typed is no e-mail address.
var ErrNoAddress = errors.New("not an e-mail address")

// Forgot has a link for choosing another password sent to an address. It does
// the same for every address, and takes as long: who it belongs to is looked up
// when the mail is written. A *limit.Wait is about the caller's network; that an
// address has had its mails is not told.
func (s *Service) Forgot(ctx context.Context, c Client, typed string) error {
	if s.Mail == nil {
		return ErrNoMail
	}
	email, err := storage.NormaliseEmail(typed)
	if err != nil {
		return ErrNoAddress
	}
	if err := s.Limiter.Try(ctx, limit.Network, limit.NetworkOf(c.Network)); err != nil {
		return err
	}
	var wait *limit.Wait
	if err := s.Limiter.Try(ctx, limit.Mailed, email); errors.As(err, &wait) {
		return nil
	} else if err != nil {
		return err
	}
	now := s.Now()
	who := base64.RawURLEncoding.EncodeToString(s.Box.MAC("forgot", email)[:18])
	return s.Mail.Queue(ctx, mail.Letter{
		About: mail.AboutForgot, Key: fmt.Sprintf("forgot %s %d", who, now.UnixMicro()), To: email, Expires: now.Add(ForgotTime),
		Says: mail.Says{At: now, Network: c.Network},
	})
}

// forgot completes the letter to somebody who forgot their password: with a
// link, or with where else their password is looked after.
func (s *Service) forgot(ctx context.Context, l *mail.Letter) error {
	u, err := s.Store.UserByEmail(ctx, l.To)
	if errors.Is(err, storage.ErrNotFound) || err == nil && u.Disabled {
		return mail.ErrNobody
	}
	if err != nil {
		return err
	}
	elsewhere, err := s.passwordElsewhere(ctx, u)
	if err != nil {
		return err
	}
	if elsewhere {
		l.About, l.Link = mail.AboutElsewhere, s.Pages+"/login"
		return nil
	}
	code, until, err := s.createSetUp(ctx, u.ID, ForgotTime)
	if err != nil {
		return err
	}
	l.Link, l.Until = s.Pages+"/setup#"+code, until
	return nil
}

// passwordElsewhere reports whether a person's password is not ours to replace:
// the configuration declares them, or an account sends their domain to its
// identity provider.
func (s *Service) passwordElsewhere(ctx context.Context, u storage.User) (bool, error) {
	if u.Origin == storage.FromConfig {
		return true, nil
	}
	claims, err := s.Store.DomainsNamed(ctx, storage.DomainOf(u.Email))
	if err != nil {
		return false, err
	}
	for _, d := range claims {
		if d.Verified && d.Enforce {
			return true, nil
		}
	}
	return false, nil
}
