package sqlstore

import (
	"context"
	"fmt"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

func scanIdentity(row scanner) (i storage.Identity, err error) {
	err = row.Scan(&i.Issuer, &i.Subject, &i.User, instant{&i.Created})
	return i, err
}

// Identity implements [storage.Identities].
func (s *Store) Identity(ctx context.Context, issuer, subject string) (storage.Identity, error) {
	i, err := one(ctx, s.read, scanIdentity,
		`SELECT issuer, subject, user_id, created_at FROM identities WHERE issuer = ? AND subject = ?`, issuer, subject)
	if err != nil {
		return storage.Identity{}, fmt.Errorf("reading an identity: %w", err)
	}
	return i, nil
}

// IdentitiesOf implements [storage.Identities].
func (s *Store) IdentitiesOf(ctx context.Context, user string) ([]storage.Identity, error) {
	list, err := all(ctx, s.read, scanIdentity,
		`SELECT issuer, subject, user_id, created_at FROM identities WHERE user_id = ? ORDER BY issuer, subject`, user)
	if err != nil {
		return nil, fmt.Errorf("listing the identities of user %q: %w", user, err)
	}
	return list, nil
}

// CreateIdentity implements [storage.Identities].
func (s *Store) CreateIdentity(ctx context.Context, i storage.Identity) error {
	err := s.transact(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `INSERT INTO identities (issuer, subject, user_id, created_at) VALUES (?, ?, ?, ?)`,
			i.Issuer, i.Subject, i.User, micros(i.Created))
		return err
	})
	if err != nil {
		return fmt.Errorf("joining an identity to user %q: %w", i.User, err)
	}
	return nil
}
