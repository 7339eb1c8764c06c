package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

const domainColumns = `account_id, name, verified, enforce, provider_id, token, origin, created_at, checked_at,
	finding, missing_at, changed_at, changed_by, version`

// A domain without a provider has NULL for it; see optional.
const domainFields = `account_id, name, verified, enforce, COALESCE(provider_id, ''), token, origin, created_at, checked_at,
	finding, missing_at, changed_at, changed_by, version`

func scanDomain(row scanner) (d storage.Domain, err error) {
	err = row.Scan(&d.Account, &d.Name, &d.Verified, &d.Enforce, &d.Provider, &d.Token,
		word[storage.Origin]{&d.Origin, parseOrigin}, instant{&d.Created}, instant{&d.Checked},
		&d.Finding, instant{&d.Missing}, instant{&d.Changed}, &d.ChangedBy, &d.Version)
	return d, err
}

func domainValues(d storage.Domain) []any {
	return []any{d.Account, d.Name, flag(d.Verified), flag(d.Enforce), optional(d.Provider), d.Token, originName(d.Origin),
		micros(d.Created), micros(d.Checked), d.Finding, micros(d.Missing), micros(d.Changed), d.ChangedBy}
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

// DomainsDue implements [storage.Domains].
func (s *Store) DomainsDue(ctx context.Context, before time.Time, limit int) ([]storage.Domain, error) {
	list, err := all(ctx, s.read, scanDomain, `SELECT `+domainFields+` FROM domains
		WHERE verified = 1 AND token <> '' AND origin = 'store' AND checked_at < ? ORDER BY checked_at, account_id, name LIMIT ?`, micros(before), max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("listing the domains to look at again: %w", err)
	}
	return list, nil
}

// CreateDomain implements [storage.Domains]. The foreign key over account and
// provider together is what refuses another account's provider.
func (s *Store) CreateDomain(ctx context.Context, d storage.Domain) error {
	err := s.transact(ctx, func(t *tx) error {
		t.changed(storage.SubjectAccount, d.Account)
		_, err := t.exec(ctx, `INSERT INTO domains (`+domainColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`, domainValues(d)...)
		return err
	})
	if err != nil {
		return fmt.Errorf("claiming domain %q for account %q: %w", d.Name, d.Account, err)
	}
	return nil
}

// PutDomain implements [storage.Domains].
func (s *Store) PutDomain(ctx context.Context, d storage.Domain) error {
	err := s.transact(ctx, func(t *tx) error {
		t.changed(storage.SubjectAccount, d.Account)
		_, err := t.exec(ctx, `INSERT INTO domains (`+domainColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
			ON CONFLICT (account_id, name) DO UPDATE SET verified = excluded.verified, enforce = excluded.enforce,
				provider_id = excluded.provider_id, token = excluded.token, origin = excluded.origin,
				created_at = excluded.created_at, checked_at = excluded.checked_at,
				finding = excluded.finding, missing_at = excluded.missing_at,
				changed_at = excluded.changed_at, changed_by = excluded.changed_by, version = domains.version + 1`, domainValues(d)...)
		return err
	})
	if err != nil {
		return fmt.Errorf("putting domain %q into account %q: %w", d.Name, d.Account, err)
	}
	return nil
}

// UpdateDomain implements [storage.Domains].
func (s *Store) UpdateDomain(ctx context.Context, account, name string, change func(*storage.Domain) error) (storage.Domain, error) {
	return update(ctx, s, fmt.Sprintf("updating domain %q of account %q", name, account), updater[storage.Domain]{
		read: func(ctx context.Context, t *tx) (storage.Domain, error) {
			return one(ctx, t, scanDomain, `SELECT `+domainFields+` FROM domains WHERE account_id = ? AND name = ?`+t.ForUpdate, account, name)
		},
		write: func(ctx context.Context, t *tx, old, next storage.Domain) ([]storage.Domain, error) {
			return all(ctx, t, scanDomain, `UPDATE domains
				SET verified = ?, enforce = ?, provider_id = ?, token = ?, origin = ?, checked_at = ?, finding = ?, missing_at = ?,
					changed_at = ?, changed_by = ?, version = version + 1
				WHERE account_id = ? AND name = ? AND version = ? RETURNING `+domainFields,
				flag(next.Verified), flag(next.Enforce), optional(next.Provider), next.Token, originName(next.Origin),
				micros(next.Checked), next.Finding, micros(next.Missing), micros(next.Changed), next.ChangedBy, account, name, old.Version)
		},
		subject: storage.SubjectAccount,
		id:      func(d storage.Domain) string { return d.Account },
	}, change)
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
