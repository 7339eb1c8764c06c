package login

import (
	"context"
	"errors"

	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Open returns the session that a token names; nil means signed out, whatever
// the cause. renewed is a new token for the cookie, when the former was due.
// Any error is a fault: who is calling cannot be known now.
func (s *Service) Open(ctx context.Context, token, audience string) (sess *storage.Session, renewed string, err error) {
	claims, due, err := s.Sessions.Read(ctx, token, audience)
	if errors.Is(err, session.ErrToken) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	if due {
		renewed, err = s.Sessions.Renew(ctx, claims)
		if errors.Is(err, session.ErrToken) {
			return nil, "", nil
		}
		if err != nil {
			return nil, "", err
		}
	}
	sess, err = s.Facts.Session(ctx, claims.Session)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	if sess.User != claims.User || !s.Sessions.Live(sess, s.Now()) {
		return nil, "", nil
	}
	return sess, renewed, nil
}
