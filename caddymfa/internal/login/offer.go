package login

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/mail"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// OfferTime is how long the link is good for that people get whose company's
// sign-in ended.
const OfferTime = 7 * 24 * time.Hour

// OfferPassword has a link for choosing a password sent to somebody whose
// company's sign-in ended. An administrator asked for it, so it is not counted
// among the mails that anybody may have sent.
func (s *Service) OfferPassword(ctx context.Context, account string, u storage.User) error {
	if s.Mail == nil {
		return ErrNoMail
	}
	now := s.Now()
	return s.Mail.Queue(ctx, mail.Letter{
		About: mail.AboutOffer, Key: fmt.Sprintf("offer %s %s %d", account, u.ID, now.UnixMicro()),
		To: u.Email, User: u.ID, Account: account, Says: mail.Says{At: now},
	})
}

// offer completes that letter, if the person still has no way in.
func (s *Service) offer(ctx context.Context, l *mail.Letter) error {
	u, err := s.Store.User(ctx, l.User)
	if errors.Is(err, storage.ErrNotFound) || err == nil && (u.Disabled || u.PasswordHash != "" || u.Email != l.To) {
		return mail.ErrNobody
	}
	if err != nil {
		return err
	}
	m, err := s.Store.Membership(ctx, l.Account, u.ID)
	if errors.Is(err, storage.ErrNotFound) || err == nil && m.State != mfa.Joined {
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
		return mail.ErrNobody
	}
	code, until, err := s.createSetUp(ctx, u.ID, OfferTime)
	l.Link, l.Until = s.Pages+"/setup#"+code, until
	return err
}
