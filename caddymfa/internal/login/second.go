package login

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/caddymfa/gateway/caddymfa/factor"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Answer is the second factor. On success the session that it returns replaces
// the one given, which is over.
func (s *Service) Answer(ctx context.Context, c Client, sess *storage.Session, kind mfa.Kind, code string) (storage.Session, error) {
	var none storage.Session
	err := s.Limiter.Try(ctx, limit.SecondFactor, sess.User, kind.String())
	if errors.Is(err, limit.ErrCapped) {
		return none, s.lock(ctx, c, sess, kind)
	}
	if err != nil {
		var wait *limit.Wait
		if errors.As(err, &wait) {
			s.Record(ctx, s.event(c, sess, "challenge", "refused", "too_many_tries"))
		}
		return none, err
	}
	if kind == mfa.Recovery {
		err = s.spendRecoveryCode(ctx, sess.User, code)
	} else {
		err = s.spendAnswer(ctx, sess.User, kind, code)
	}
	if errors.Is(err, ErrWrong) {
		s.Record(ctx, s.event(c, sess, "challenge", "refused", "wrong_"+kind.String()))
		return none, ErrWrong
	}
	if err != nil { // a fault of ours is not an attempt of theirs
		return none, errors.Join(err, s.Limiter.TakeBack(ctx, limit.SecondFactor, sess.User, kind.String()))
	}
	if err := s.Limiter.Succeeded(ctx, limit.SecondFactor, sess.User, kind.String()); err != nil {
		return none, err
	}
	next, err := s.replace(ctx, sess, func(n *storage.Session) {
		n.Proof.Second, n.Proof.SecondBy, n.Proof.Synced = s.Now(), kind, false
	})
	if err != nil {
		return none, err
	}
	s.Record(ctx, s.event(c, &next, "challenge", "ok", kind.String()))
	return next, nil
}

// spendAnswer tries an answer on each of the person's authenticators of a kind.
func (s *Service) spendAnswer(ctx context.Context, user string, kind mfa.Kind, code string) error {
	verifier := s.Factors[kind]
	if verifier == nil {
		return fmt.Errorf("no factor of kind %s is configured", kind)
	}
	rows, err := s.Store.FactorsOf(ctx, user)
	if err != nil {
		return err
	}
	now := s.Now()
	for _, row := range rows {
		if row.Kind != kind || row.Disabled {
			continue
		}
		_, err := s.Store.UpdateFactor(ctx, row.ID, func(f *storage.Factor) error {
			if f.Disabled {
				return factor.ErrIncorrect
			}
			state, err := s.Box.Open(f.State, "factors", f.ID, "state")
			if err != nil {
				return fmt.Errorf("opening authenticator %s: %w", f.ID, err)
			}
			next, err := verifier.Verify(ctx, state, factor.Response{Code: code, At: now})
			if err != nil {
				return err
			}
			f.State, f.Used = s.Box.Seal(next, "factors", f.ID, "state"), now
			return nil
		})
		switch {
		case err == nil:
			return nil
		case errors.Is(err, factor.ErrIncorrect), errors.Is(err, storage.ErrNotFound):
		default:
			return err
		}
	}
	return ErrWrong
}

func (s *Service) spendRecoveryCode(ctx context.Context, user, typed string) error {
	rows, err := s.Store.RecoveryCodesOf(ctx, user)
	if err != nil {
		return err
	}
	code := normaliseRecoveryCode(typed)
	for _, row := range rows {
		if !row.Used.IsZero() || !hmac.Equal(row.Hash, hashRecoveryCode(row.Salt, code)) {
			continue
		}
		err := s.Store.UseRecoveryCode(ctx, user, row.ID, s.Now())
		if errors.Is(err, storage.ErrSpent) || errors.Is(err, storage.ErrNotFound) {
			return ErrWrong
		}
		return err
	}
	return ErrWrong
}

// hashRecoveryCode needs no slow hash: a code holds 80 random bits.
func hashRecoveryCode(salt []byte, code string) []byte {
	h := hmac.New(sha256.New, salt)
	h.Write([]byte(code))
	return h.Sum(nil)
}

// normaliseRecoveryCode undoes what people do when they type: case, blanks and
// dashes, and the digits that base32 does not have.
func normaliseRecoveryCode(typed string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r == '0':
			return 'O'
		case r == '1':
			return 'I'
		case r >= 'A' && r <= 'Z', r >= '2' && r <= '9':
			return r
		}
		return -1
	}, typed)
}

// lock disables the person's authenticators of a kind until they are bound
// anew. They still count as enrolled, so that guessing removes no protection.
func (s *Service) lock(ctx context.Context, c Client, sess *storage.Session, kind mfa.Kind) error {
	rows, err := s.Store.FactorsOf(ctx, sess.User)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.Kind != kind || row.Disabled {
			continue
		}
		_, err := s.Store.UpdateFactor(ctx, row.ID, func(f *storage.Factor) error {
			f.Disabled = true
			return nil
		})
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		s.Record(ctx, s.event(c, sess, "lock", "ok", kind.String()))
	}
	return ErrLocked
}
