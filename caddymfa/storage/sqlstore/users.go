package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

const userColumns = `id, email, name, password_hash, password_changed_at, disabled, origin, created_at, version`

func scanUser(row scanner) (u storage.User, err error) {
	err = row.Scan(&u.ID, &u.Email, &u.Name, &u.PasswordHash, instant{&u.PasswordChanged},
		&u.Disabled, word[storage.Origin]{&u.Origin, parseOrigin}, instant{&u.Created}, &u.Version)
	return u, err
}

// User implements [storage.Users].
func (s *Store) User(ctx context.Context, id string) (storage.User, error) {
	u, err := one(ctx, s.read, scanUser, `SELECT `+userColumns+` FROM users WHERE id = ?`, id)
	if err != nil {
		return storage.User{}, fmt.Errorf("reading user %q: %w", id, err)
	}
	return u, nil
}

// UserByEmail implements [storage.Users]. Its errors do not repeat the address,
// which a stranger may have typed.
func (s *Store) UserByEmail(ctx context.Context, email string) (storage.User, error) {
	u, err := one(ctx, s.read, scanUser, `SELECT `+userColumns+` FROM users WHERE email = ?`, email)
	if err != nil {
		return storage.User{}, fmt.Errorf("reading a user by e-mail: %w", err)
	}
	return u, nil
}

// Users implements [storage.Users].
func (s *Store) Users(ctx context.Context, after string, limit int) ([]storage.User, error) {
	list, err := all(ctx, s.read, scanUser,
		`SELECT `+userColumns+` FROM users WHERE email > ? ORDER BY email LIMIT ?`, after, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("listing users: %w", err)
	}
	return list, nil
}

// UsersDeclared implements [storage.Users].
func (s *Store) UsersDeclared(ctx context.Context, after string, limit int) ([]storage.User, error) {
	list, err := all(ctx, s.read, scanUser, `SELECT `+userColumns+` FROM users
		WHERE origin = 'configuration' AND disabled = 0 AND email > ? ORDER BY email LIMIT ?`, after, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("listing declared users: %w", err)
	}
	return list, nil
}

// CreateUser implements [storage.Users].
func (s *Store) CreateUser(ctx context.Context, u storage.User) error {
	err := s.transact(ctx, func(t *tx) error {
		t.changed(storage.SubjectUser, u.ID)
		_, err := t.exec(ctx, `INSERT INTO users (`+userColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)`,
			u.ID, u.Email, u.Name, u.PasswordHash, micros(u.PasswordChanged), flag(u.Disabled), originName(u.Origin), micros(u.Created))
		return err
	})
	if err != nil {
		return fmt.Errorf("creating user %q: %w", u.ID, err)
	}
	return nil
}

// UpdateUser implements [storage.Users].
func (s *Store) UpdateUser(ctx context.Context, id string, change func(*storage.User) error) (storage.User, error) {
	return update(ctx, s, fmt.Sprintf("updating user %q", id), updater[storage.User]{
		read: func(ctx context.Context, t *tx) (storage.User, error) {
			return one(ctx, t, scanUser, `SELECT `+userColumns+` FROM users WHERE id = ?`+t.ForUpdate, id)
		},
		write: func(ctx context.Context, t *tx, old, next storage.User) ([]storage.User, error) {
			rows, err := all(ctx, t, scanUser, `UPDATE users
				SET email = ?, name = ?, password_hash = ?, password_changed_at = ?, disabled = ?, origin = ?, version = version + 1
				WHERE id = ? AND version = ? RETURNING `+userColumns,
				next.Email, next.Name, next.PasswordHash, micros(next.PasswordChanged), flag(next.Disabled), originName(next.Origin),
				id, old.Version)
			if err != nil || len(rows) == 0 {
				return nil, err
			}
			return rows, t.restate(ctx, id) // the row is locked since it was read
		},
		subject: storage.SubjectUser,
		id:      func(u storage.User) string { return u.ID },
	}, change)
}

// RemoveUser implements [storage.Users]. The person is locked before the
// accounts, as wherever both are, and those in the order of their ids: of two
// who go at once, neither waits for what the other one waits for.
func (s *Store) RemoveUser(ctx context.Context, id string, farewell storage.Mail) ([]string, error) {
	var accounts []string
	err := s.transact(ctx, func(t *tx) error {
		accounts = nil
		u, err := one(ctx, t, scanUser, `SELECT `+userColumns+` FROM users WHERE id = ?`+t.ForUpdate, id)
		if err != nil {
			return err
		}
		if u.Origin == storage.FromConfig {
			return storage.ErrConflict
		}
		belongs, err := all(ctx, t, scanText, `SELECT account_id FROM memberships WHERE user_id = ? ORDER BY account_id`, id)
		if err != nil {
			return err
		}
		for _, account := range belongs {
			err := t.keepAdmin(ctx, account, id)
			if errors.Is(err, storage.ErrLastAdmin) {
				accounts = append(accounts, account)
			} else if err != nil {
				return err
			}
		}
		if len(accounts) > 0 {
			return storage.ErrLastAdmin
		}
		accounts = belongs
		sessions, err := all(ctx, t, scanText, `SELECT id FROM sessions WHERE user_id = ? AND revoked_at = 0`, id)
		if err != nil {
			return err
		}
		for _, session := range sessions {
			t.changed(storage.SubjectSession, session)
		}
		t.changed(storage.SubjectUser, id)
		t.changed(storage.SubjectMembership, id)
		if farewell.ID != "" {
			if err := t.queueMail(ctx, farewell); err != nil {
				return err
			}
		}
		return t.touch(ctx, storage.ErrNotFound, `DELETE FROM users WHERE id = ?`, id) // all else refers to the row, and goes with it
	})
	if err != nil {
		err = fmt.Errorf("removing user %q: %w", id, err)
		if !errors.Is(err, storage.ErrLastAdmin) {
			return nil, err
		}
	}
	return accounts, err
}
