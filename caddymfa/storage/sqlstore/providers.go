package sqlstore

import (
	"context"
	"fmt"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

const providerColumns = `id, account_id, kind, name, issuer, settings, trust, disabled, origin, created_at,
	tested_at, tested_by, changed_at, changed_by, version`

func scanProvider(row scanner) (p storage.IdentityProvider, err error) {
	err = row.Scan(&p.ID, &p.Account, &p.Kind, &p.Name, &p.Issuer, &p.Settings, word[mfa.Trust]{&p.Trust, mfa.ParseTrust}, &p.Disabled,
		word[storage.Origin]{&p.Origin, parseOrigin}, instant{&p.Created},
		instant{&p.Tested}, &p.TestedBy, instant{&p.Changed}, &p.ChangedBy, &p.Version)
	return p, err
}

// ProvidersOf implements [storage.Domains].
func (s *Store) ProvidersOf(ctx context.Context, account string) ([]storage.IdentityProvider, error) {
	list, err := all(ctx, s.read, scanProvider,
		`SELECT `+providerColumns+` FROM identity_providers WHERE account_id = ? ORDER BY id`, account)
	if err != nil {
		return nil, fmt.Errorf("listing the identity providers of account %q: %w", account, err)
	}
	return list, nil
}

// Provider implements [storage.Domains].
func (s *Store) Provider(ctx context.Context, id string) (storage.IdentityProvider, error) {
	p, err := one(ctx, s.read, scanProvider, `SELECT `+providerColumns+` FROM identity_providers WHERE id = ?`, id)
	if err != nil {
		return storage.IdentityProvider{}, fmt.Errorf("reading identity provider %q: %w", id, err)
	}
	return p, nil
}

// ProvidersIssuing implements [storage.Domains].
func (s *Store) ProvidersIssuing(ctx context.Context, issuer string) ([]storage.IdentityProvider, error) {
	list, err := all(ctx, s.read, scanProvider,
		`SELECT `+providerColumns+` FROM identity_providers WHERE issuer = ? AND issuer <> '' ORDER BY id`, issuer)
	if err != nil {
		return nil, fmt.Errorf("listing the identity providers of an issuer: %w", err)
	}
	return list, nil
}

// PutProvider implements [storage.Domains].
func (s *Store) PutProvider(ctx context.Context, p storage.IdentityProvider) error {
	err := s.transact(ctx, func(t *tx) error {
		t.changed(storage.SubjectAccount, p.Account)
		if err := t.touch(ctx, storage.ErrConflict, `INSERT INTO identity_providers (`+providerColumns+`)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
			ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, name = excluded.name, issuer = excluded.issuer, settings = excluded.settings, trust = excluded.trust,
				disabled = excluded.disabled, origin = excluded.origin, created_at = excluded.created_at,
				tested_at = excluded.tested_at, tested_by = excluded.tested_by,
				changed_at = excluded.changed_at, changed_by = excluded.changed_by, version = identity_providers.version + 1
			WHERE identity_providers.account_id = excluded.account_id`,
			p.ID, p.Account, p.Kind, p.Name, p.Issuer, blob(p.Settings), p.Trust.String(), flag(p.Disabled), originName(p.Origin), micros(p.Created),
			micros(p.Tested), p.TestedBy, micros(p.Changed), p.ChangedBy); err != nil {
			return err
		}
		return t.endEnforcement(ctx, p)
	})
	if err != nil {
		return fmt.Errorf("putting identity provider %q into account %q: %w", p.ID, p.Account, err)
	}
	return nil
}

// endEnforcement keeps nobody waiting at the door of a provider that is disabled.
// Every domain that leads to it is written, so that whoever was about to enforce
// one by its former version is told.
func (t *tx) endEnforcement(ctx context.Context, p storage.IdentityProvider) error {
	if !p.Disabled {
		return nil
	}
	_, err := t.exec(ctx, `UPDATE domains SET enforce = 0, version = version + 1
		WHERE account_id = ? AND provider_id = ?`, p.Account, p.ID)
	return err
}

// UpdateProvider implements [storage.Domains].
func (s *Store) UpdateProvider(ctx context.Context, id string, change func(*storage.IdentityProvider) error) (storage.IdentityProvider, error) {
	return update(ctx, s, fmt.Sprintf("updating identity provider %q", id), updater[storage.IdentityProvider]{
		read: func(ctx context.Context, t *tx) (storage.IdentityProvider, error) {
			return one(ctx, t, scanProvider, `SELECT `+providerColumns+` FROM identity_providers WHERE id = ?`+t.ForUpdate, id)
		},
		write: func(ctx context.Context, t *tx, old, next storage.IdentityProvider) ([]storage.IdentityProvider, error) {
			next.ID, next.Account = old.ID, old.Account
			if err := t.endEnforcement(ctx, next); err != nil {
				return nil, err
			}
			return all(ctx, t, scanProvider, `UPDATE identity_providers
				SET kind = ?, name = ?, issuer = ?, settings = ?, trust = ?, disabled = ?, origin = ?, tested_at = ?, tested_by = ?,
					changed_at = ?, changed_by = ?, version = version + 1
				WHERE id = ? AND version = ? RETURNING `+providerColumns,
				next.Kind, next.Name, next.Issuer, blob(next.Settings), next.Trust.String(), flag(next.Disabled), originName(next.Origin),
				micros(next.Tested), next.TestedBy, micros(next.Changed), next.ChangedBy, id, old.Version)
		},
		subject: storage.SubjectAccount,
		id:      func(p storage.IdentityProvider) string { return p.Account },
	}, change)
}

// RemoveProvider implements [storage.Domains].
func (s *Store) RemoveProvider(ctx context.Context, account, id string) error {
	err := s.transact(ctx, func(t *tx) error {
		t.changed(storage.SubjectAccount, account)
		// The provider's row is locked first: a domain put at the same moment
		// is not seen yet, and would still lead to it.
		if _, err := one(ctx, t, scanText, `SELECT id FROM identity_providers WHERE account_id = ? AND id = ?`+t.ForUpdate, account, id); err != nil {
			return err
		}
		if _, err := t.exec(ctx, `UPDATE domains SET provider_id = NULL, enforce = 0, version = version + 1 WHERE account_id = ? AND provider_id = ?`, account, id); err != nil {
			return err
		}
		return t.touch(ctx, storage.ErrNotFound, `DELETE FROM identity_providers WHERE account_id = ? AND id = ?`, account, id)
	})
	if err != nil {
		return fmt.Errorf("removing identity provider %q from account %q: %w", id, account, err)
	}
	return nil
}
