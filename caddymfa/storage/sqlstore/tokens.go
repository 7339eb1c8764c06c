package sqlstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

const tokenColumns = `id, account_id, name, hash, scopes, networks, created_by, created_at, expires_at, used_at, used_from, revoked_at`

func scanToken(row scanner) (v storage.Token, err error) {
	err = row.Scan(&v.ID, &v.Account, &v.Name, &v.Hash, words{&v.Scopes}, words{&v.Networks}, &v.By,
		instant{&v.Created}, instant{&v.Expires}, instant{&v.Used}, &v.UsedFrom, instant{&v.Revoked})
	return v, err
}

// CreateToken implements [storage.Tokens].
func (s *Store) CreateToken(ctx context.Context, v storage.Token, max int) error {
	err := s.transact(ctx, func(t *tx) error {
		// The account's row is locked while counting, as in CreateFactor.
		if _, err := one(ctx, t, scanText, `SELECT id FROM accounts WHERE id = ?`+t.ForUpdate, v.Account); err != nil {
			return err
		}
		n, err := one(ctx, t, scanCount,
			`SELECT COUNT(*) FROM api_tokens WHERE account_id = ? AND revoked_at = 0 AND expires_at > ?`, v.Account, micros(v.Created))
		if err != nil {
			return err
		}
		if n >= max {
			return storage.ErrConflict
		}
		_, err = t.exec(ctx, `INSERT INTO api_tokens (`+tokenColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			v.ID, v.Account, v.Name, blob(v.Hash), strings.Join(v.Scopes, " "), strings.Join(v.Networks, " "), v.By,
			micros(v.Created), micros(v.Expires), micros(v.Used), v.UsedFrom, micros(v.Revoked))
		return err
	})
	if err != nil {
		return fmt.Errorf("creating a token of account %q: %w", v.Account, err)
	}
	return nil
}

// TokenByHash implements [storage.Tokens].
func (s *Store) TokenByHash(ctx context.Context, hash []byte) (storage.Token, error) {
	v, err := one(ctx, s.read, scanToken, `SELECT `+tokenColumns+` FROM api_tokens WHERE hash = ?`, hash)
	if err != nil {
		return storage.Token{}, fmt.Errorf("reading a token: %w", err)
	}
	return v, nil
}

// TokensOf implements [storage.Tokens].
func (s *Store) TokensOf(ctx context.Context, account, after string, limit int) ([]storage.Token, error) {
	list, err := all(ctx, s.read, scanToken,
		`SELECT `+tokenColumns+` FROM api_tokens WHERE account_id = ? AND id > ? ORDER BY id LIMIT ?`, account, after, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("listing the tokens of account %q: %w", account, err)
	}
	return list, nil
}

// UseToken implements [storage.Tokens].
func (s *Store) UseToken(ctx context.Context, id, from string, at, since time.Time) error {
	err := s.transact(ctx, func(t *tx) error {
		if err := dated(at); err != nil {
			return err
		}
		_, err := t.exec(ctx, `UPDATE api_tokens SET used_at = ?, used_from = ? WHERE id = ? AND used_at < ?`, micros(at), from, id, micros(since))
		return err
	})
	if err != nil {
		return fmt.Errorf("noting the use of token %q: %w", id, err)
	}
	return nil
}

// RevokeToken implements [storage.Tokens].
func (s *Store) RevokeToken(ctx context.Context, account, id string, at time.Time) error {
	err := s.transact(ctx, func(t *tx) error {
		if err := dated(at); err != nil {
			return err
		}
		return t.touch(ctx, storage.ErrNotFound,
			`UPDATE api_tokens SET revoked_at = ? WHERE account_id = ? AND id = ? AND revoked_at = 0`, micros(at), account, id)
	})
	if err != nil {
		return fmt.Errorf("revoking token %q: %w", id, err)
	}
	return nil
}

// SweepTokens implements [storage.Tokens].
func (s *Store) SweepTokens(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.sweep(ctx, "tokens", micros(before), limit, tokensOver...)
}
