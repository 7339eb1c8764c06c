package sqlstore

import (
	"context"
	"fmt"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

const accountColumns = `id, name, policy, policy_by, policy_at, next_policy, next_at, next_by, trial_policy, trial_at,
	accept, second_factor_age, remember, disabled, origin, created_at, version`

func scanAccount(row scanner) (a storage.Account, err error) {
	err = row.Scan(&a.ID, &a.Name, word[mfa.Policy]{&a.Policy, mfa.ParsePolicy}, &a.PolicyBy, instant{&a.PolicyAt},
		word[mfa.Policy]{&a.Next, parseNoPolicy}, instant{&a.NextAt}, &a.NextBy, word[mfa.Policy]{&a.Trial, parseNoPolicy}, instant{&a.TrialAt},
		word[mfa.Kinds]{&a.Accept, mfa.ParseKinds}, span{&a.SecondFactorAge}, span{&a.Remember},
		&a.Disabled, word[storage.Origin]{&a.Origin, parseOrigin}, instant{&a.Created}, &a.Version)
	return a, err
}

// Account implements [storage.Accounts].
func (s *Store) Account(ctx context.Context, id string) (storage.Account, error) {
	a, err := one(ctx, s.read, scanAccount, `SELECT `+accountColumns+` FROM accounts WHERE id = ?`, id)
	if err != nil {
		return storage.Account{}, fmt.Errorf("reading account %q: %w", id, err)
	}
	return a, nil
}

// Accounts implements [storage.Accounts].
func (s *Store) Accounts(ctx context.Context, after string, limit int) ([]storage.Account, error) {
	list, err := all(ctx, s.read, scanAccount,
		`SELECT `+accountColumns+` FROM accounts WHERE id > ? ORDER BY id LIMIT ?`, after, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("listing accounts: %w", err)
	}
	return list, nil
}

// AccountsPlanned implements [storage.Accounts].
func (s *Store) AccountsPlanned(ctx context.Context, after string, limit int) ([]storage.Account, error) {
	list, err := all(ctx, s.read, scanAccount,
		`SELECT `+accountColumns+` FROM accounts WHERE next_policy <> '' AND id > ? ORDER BY id LIMIT ?`, after, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("listing accounts with a planned mode: %w", err)
	}
	return list, nil
}

// AccountsDeclared implements [storage.Accounts].
func (s *Store) AccountsDeclared(ctx context.Context, after string, limit int) ([]storage.Account, error) {
	list, err := all(ctx, s.read, scanAccount, `SELECT `+accountColumns+` FROM accounts
		WHERE origin = 'configuration' AND disabled = 0 AND id > ? ORDER BY id LIMIT ?`, after, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("listing declared accounts: %w", err)
	}
	return list, nil
}

// CreateAccount implements [storage.Accounts].
func (s *Store) CreateAccount(ctx context.Context, a storage.Account) error {
	err := s.transact(ctx, func(t *tx) error {
		t.changed(storage.SubjectAccount, a.ID)
		_, err := t.exec(ctx, `INSERT INTO accounts (`+accountColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`,
			a.ID, a.Name, a.Policy.String(), a.PolicyBy, micros(a.PolicyAt), noPolicy(a.Next), micros(a.NextAt), a.NextBy, noPolicy(a.Trial), micros(a.TrialAt),
			a.Accept.String(), a.SecondFactorAge.Microseconds(), a.Remember.Microseconds(), flag(a.Disabled), originName(a.Origin), micros(a.Created))
		return err
	})
	if err != nil {
		return fmt.Errorf("creating account %q: %w", a.ID, err)
	}
	return nil
}

// UpdateAccount implements [storage.Accounts].
func (s *Store) UpdateAccount(ctx context.Context, id string, change func(*storage.Account) error) (storage.Account, error) {
	return update(ctx, s, fmt.Sprintf("updating account %q", id), updater[storage.Account]{
		read: func(ctx context.Context, t *tx) (storage.Account, error) {
			return one(ctx, t, scanAccount, `SELECT `+accountColumns+` FROM accounts WHERE id = ?`+t.ForUpdate, id)
		},
		write: func(ctx context.Context, t *tx, old, next storage.Account) ([]storage.Account, error) {
			return all(ctx, t, scanAccount, `UPDATE accounts
				SET name = ?, policy = ?, policy_by = ?, policy_at = ?, next_policy = ?, next_at = ?, next_by = ?, trial_policy = ?, trial_at = ?,
					accept = ?, second_factor_age = ?, remember = ?, disabled = ?, origin = ?, version = version + 1
				WHERE id = ? AND version = ? RETURNING `+accountColumns,
				next.Name, next.Policy.String(), next.PolicyBy, micros(next.PolicyAt),
				noPolicy(next.Next), micros(next.NextAt), next.NextBy, noPolicy(next.Trial), micros(next.TrialAt),
				next.Accept.String(), next.SecondFactorAge.Microseconds(), next.Remember.Microseconds(), flag(next.Disabled), originName(next.Origin),
				id, old.Version)
		},
		subject: storage.SubjectAccount,
		id:      func(a storage.Account) string { return a.ID },
	}, change)
}
