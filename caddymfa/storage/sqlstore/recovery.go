package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

const recoveryColumns = `id, user_id, salt, hash, used_at`

func scanRecoveryCode(row scanner) (c storage.RecoveryCode, err error) {
	err = row.Scan(&c.ID, &c.User, &c.Salt, &c.Hash, instant{&c.Used})
	return c, err
}

// RecoveryCodesOf implements [storage.RecoveryCodes].
func (s *Store) RecoveryCodesOf(ctx context.Context, user string) ([]storage.RecoveryCode, error) {
	list, err := all(ctx, s.read, scanRecoveryCode,
		`SELECT `+recoveryColumns+` FROM recovery_codes WHERE user_id = ? ORDER BY id`, user)
	if err != nil {
		return nil, fmt.Errorf("listing the recovery codes of user %q: %w", user, err)
	}
	return list, nil
}

// ReplaceRecoveryCodes implements [storage.RecoveryCodes]. The codes become the
// named user's, whatever they say. ErrNotFound: no such user.
func (s *Store) ReplaceRecoveryCodes(ctx context.Context, user string, codes []storage.RecoveryCode) error {
	err := s.transact(ctx, func(t *tx) error {
		t.changed(storage.SubjectUser, user)
		// The user's row is locked first: two sets stored at once would
		// otherwise void only what was there before them, and both stay.
		if err := t.lockUser(ctx, user); err != nil {
			return err
		}
		return t.alter(ctx, user, func() error {
			if _, err := t.exec(ctx, `DELETE FROM recovery_codes WHERE user_id = ?`, user); err != nil {
				return err
			}
			for _, c := range codes {
				if _, err := t.exec(ctx, `INSERT INTO recovery_codes (`+recoveryColumns+`) VALUES (?, ?, ?, ?, ?)`,
					c.ID, user, blob(c.Salt), blob(c.Hash), micros(c.Used)); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("replacing the recovery codes of user %q: %w", user, err)
	}
	return nil
}

// UseRecoveryCode implements [storage.RecoveryCodes]. A code that is not in the
// present set is as spent as a used one.
func (s *Store) UseRecoveryCode(ctx context.Context, user, id string, at time.Time) error {
	err := s.transact(ctx, func(t *tx) error {
		if err := dated(at); err != nil {
			return err
		}
		t.changed(storage.SubjectUser, user)
		return t.alter(ctx, user, func() error {
			return t.touch(ctx, storage.ErrSpent,
				`UPDATE recovery_codes SET used_at = ? WHERE id = ? AND user_id = ? AND used_at = 0`, micros(at), id, user)
		})
	})
	if err != nil {
		return fmt.Errorf("using a recovery code of user %q: %w", user, err)
	}
	return nil
}
