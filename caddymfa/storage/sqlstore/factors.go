package sqlstore

import (
	"context"
	"fmt"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

const factorColumns = `id, user_id, kind, name, state, disabled, created_at, used_at, version`

func scanFactor(row scanner) (f storage.Factor, err error) {
	err = row.Scan(&f.ID, &f.User, word[mfa.Kind]{&f.Kind, mfa.ParseKind}, &f.Name, &f.State, &f.Disabled,
		instant{&f.Created}, instant{&f.Used}, &f.Version)
	return f, err
}

// Factor implements [storage.Factors].
func (s *Store) Factor(ctx context.Context, id string) (storage.Factor, error) {
	f, err := one(ctx, s.read, scanFactor, `SELECT `+factorColumns+` FROM factors WHERE id = ?`, id)
	if err != nil {
		return storage.Factor{}, fmt.Errorf("reading factor %q: %w", id, err)
	}
	return f, nil
}

// FactorsOf implements [storage.Factors].
func (s *Store) FactorsOf(ctx context.Context, user string) ([]storage.Factor, error) {
	list, err := all(ctx, s.read, scanFactor,
		`SELECT `+factorColumns+` FROM factors WHERE user_id = ? ORDER BY created_at, id`, user)
	if err != nil {
		return nil, fmt.Errorf("listing the factors of user %q: %w", user, err)
	}
	return list, nil
}

// CreateFactor implements [storage.Factors].
func (s *Store) CreateFactor(ctx context.Context, f storage.Factor, max int) error {
	err := s.transact(ctx, func(t *tx) error {
		t.changed(storage.SubjectUser, f.User)
		// The user's row is locked while counting: two enrolments at once would
		// otherwise each find room for one.
		return t.alter(ctx, f.User, func() error {
			n, err := one(ctx, t, scanCount, `SELECT COUNT(*) FROM factors WHERE user_id = ?`, f.User)
			if err != nil {
				return err
			}
			if n >= max {
				return storage.ErrConflict
			}
			_, err = t.exec(ctx, `INSERT INTO factors (`+factorColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)`,
				f.ID, f.User, f.Kind.String(), f.Name, blob(f.State), flag(f.Disabled), micros(f.Created), micros(f.Used))
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("creating a factor of user %q: %w", f.User, err)
	}
	return nil
}

// UpdateFactor implements [storage.Factors].
func (s *Store) UpdateFactor(ctx context.Context, id string, change func(*storage.Factor) error) (storage.Factor, error) {
	return update(ctx, s, fmt.Sprintf("updating factor %q", id), updater[storage.Factor]{
		read: func(ctx context.Context, t *tx) (storage.Factor, error) {
			return one(ctx, t, scanFactor, `SELECT `+factorColumns+` FROM factors WHERE id = ?`+t.ForUpdate, id)
		},
		write: func(ctx context.Context, t *tx, old, next storage.Factor) ([]storage.Factor, error) {
			return all(ctx, t, scanFactor, `UPDATE factors
				SET name = ?, state = ?, disabled = ?, used_at = ?, version = version + 1
				WHERE id = ? AND version = ? RETURNING `+factorColumns,
				next.Name, blob(next.State), flag(next.Disabled), micros(next.Used), id, old.Version)
		},
		subject: storage.SubjectUser,
		id:      func(f storage.Factor) string { return f.User },
	}, change)
}

// RemoveFactor implements [storage.Factors].
func (s *Store) RemoveFactor(ctx context.Context, user, id string) error {
	err := s.transact(ctx, func(t *tx) error {
		t.changed(storage.SubjectUser, user)
		return t.alter(ctx, user, func() error {
			return t.touch(ctx, storage.ErrNotFound, `DELETE FROM factors WHERE id = ? AND user_id = ?`, id, user)
		})
	})
	if err != nil {
		return fmt.Errorf("removing factor %q of user %q: %w", id, user, err)
	}
	return nil
}

// RemoveFactorsOf implements [storage.Factors].
func (s *Store) RemoveFactorsOf(ctx context.Context, user string) (int, error) {
	var n int
	err := s.transact(ctx, func(t *tx) error {
		t.changed(storage.SubjectUser, user)
		return t.alter(ctx, user, func() error {
			_, err := t.exec(ctx, `DELETE FROM recovery_codes WHERE user_id = ?`, user)
			if err != nil {
				return err
			}
			n, err = t.exec(ctx, `DELETE FROM factors WHERE user_id = ?`, user)
			return err
		})
	})
	if err != nil {
		return 0, fmt.Errorf("removing the factors of user %q: %w", user, err)
	}
	return n, nil
}
