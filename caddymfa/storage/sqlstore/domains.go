package sqlstore

import (
	"context"
	"fmt"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

const domainColumns = `account_id, name, verified, enforce, provider_id, token, origin, created_at, checked_at`

// A domain without a provider has NULL for it; see optional.
const domainFields = `account_id, name, verified, enforce, COALESCE(provider_id, ''), token, origin, created_at, checked_at`

func scanDomain(row scanner) (d storage.Domain, err error) {
	err = row.Scan(&d.Account, &d.Name, &d.Verified, &d.Enforce, &d.Provider, &d.Token,
		word[storage.Origin]{&d.Origin, parseOrigin}, instant{&d.Created}, instant{&d.Checked})
	return d, err
}

// DomainsOf implements [storage.Domains].
func (s *Store) DomainsOf(ctx context.Context, account string) ([]storage.Domain, error) {
	list, err := all(ctx, s.read, scanDomain,
		`SELECT `+domainFields+` FROM domains WHERE account_id = ? ORDER BY name`, account)
	if err != nil {
		return nil, fmt.Errorf("listing the domains of account %q: %w", account, err)
	}
	return list, nil
}

// DomainsNamed implements [storage.Domains].
func (s *Store) DomainsNamed(ctx context.Context, name string) ([]storage.Domain, error) {
	list, err := all(ctx, s.read, scanDomain,
		`SELECT `+domainFields+` FROM domains WHERE name = ? ORDER BY account_id`, name)
	if err != nil {
		return nil, fmt.Errorf("listing the claims to domain %q: %w", name, err)
	}
	return list, nil
}

// PutDomain implements [storage.Domains]. The foreign key over account and
// provider together is what refuses another account's provider.
func (s *Store) PutDomain(ctx context.Context, d storage.Domain) error {
	err := s.transact(ctx, func(t *tx) error {
		t.changed(storage.SubjectAccount, d.Account)
		_, err := t.exec(ctx, `INSERT INTO domains (`+domainColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (account_id, name) DO UPDATE SET verified = excluded.verified, enforce = excluded.enforce,
				provider_id = excluded.provider_id, token = excluded.token, origin = excluded.origin,
				created_at = excluded.created_at, checked_at = excluded.checked_at`,
			d.Account, d.Name, flag(d.Verified), flag(d.Enforce), optional(d.Provider), d.Token, originName(d.Origin),
			micros(d.Created), micros(d.Checked))
		return err
	})
	if err != nil {
		return fmt.Errorf("putting domain %q into account %q: %w", d.Name, d.Account, err)
	}
	return nil
}

// RemoveDomain implements [storage.Domains].
func (s *Store) RemoveDomain(ctx context.Context, account, name string) error {
	err := s.transact(ctx, func(t *tx) error {
		t.changed(storage.SubjectAccount, account)
		return t.touch(ctx, storage.ErrNotFound, `DELETE FROM domains WHERE account_id = ? AND name = ?`, account, name)
	})
	if err != nil {
		return fmt.Errorf("removing domain %q from account %q: %w", name, account, err)
	}
	return nil
}

const providerColumns = `id, account_id, kind, name, issuer, settings, trust, disabled, origin, created_at`

func scanProvider(row scanner) (p storage.IdentityProvider, err error) {
	err = row.Scan(&p.ID, &p.Account, &p.Kind, &p.Name, &p.Issuer, &p.Settings, word[mfa.Trust]{&p.Trust, mfa.ParseTrust}, &p.Disabled,
		word[storage.Origin]{&p.Origin, parseOrigin}, instant{&p.Created})
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
		return t.touch(ctx, storage.ErrConflict, `INSERT INTO identity_providers (`+providerColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, name = excluded.name, issuer = excluded.issuer, settings = excluded.settings, trust = excluded.trust,
				disabled = excluded.disabled, origin = excluded.origin, created_at = excluded.created_at
			WHERE identity_providers.account_id = excluded.account_id`,
			p.ID, p.Account, p.Kind, p.Name, p.Issuer, blob(p.Settings), p.Trust.String(), flag(p.Disabled), originName(p.Origin), micros(p.Created))
	})
	if err != nil {
		return fmt.Errorf("putting identity provider %q into account %q: %w", p.ID, p.Account, err)
	}
	return nil
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
		if _, err := t.exec(ctx, `UPDATE domains SET provider_id = NULL, enforce = 0 WHERE account_id = ? AND provider_id = ?`, account, id); err != nil {
			return err
		}
		return t.touch(ctx, storage.ErrNotFound, `DELETE FROM identity_providers WHERE account_id = ? AND id = ?`, account, id)
	})
	if err != nil {
		return fmt.Errorf("removing identity provider %q from account %q: %w", id, account, err)
	}
	return nil
}
