package admin

import (
	"context"
	"errors"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Who says whom a row's "by" means: an e-mail address, or the word that stands
// there. Who is not known any more is nobody.
func (s *Service) Who(ctx context.Context, by string) (string, error) {
	if by == "" || by == "operator" || by == "configuration" {
		return by, nil
	}
	u, err := s.Store.User(ctx, by)
	if errors.Is(err, storage.ErrNotFound) {
		return "", nil
	}
	return u.Email, err
}
