package login

import (
	"context"
	"errors"

	"github.com/caddymfa/gateway/caddymfa/internal/mail"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Address completes a letter that is about to be sent: whose name it bears, and
// the link in it. mail.ErrNobody means that it is not to be sent.
func (s *Service) Address(ctx context.Context, l *mail.Letter) error {
	l.Name = s.Issuer
	if l.Account != "" {
		a, err := s.Store.Account(ctx, l.Account)
		if errors.Is(err, storage.ErrNotFound) {
			return mail.ErrNobody
		}
		if err != nil {
			return err
		}
		l.Name = a.Name
	}
	if l.About == mail.AboutForgot {
		return s.forgot(ctx, l)
	}
	l.Link = s.Pages + "/profile/security"
	return nil
}
