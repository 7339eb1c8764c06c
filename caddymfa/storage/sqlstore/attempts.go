package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

func scanAttempt(row scanner) (a storage.Attempt, err error) {
	err = row.Scan(&a.Key, &a.Consecutive, instant{&a.Window}, &a.Rolling, instant{&a.Last}, instant{&a.Blocked})
	return a, err
}

// UpdateAttempt implements [storage.Attempts]. One statement makes the row or
// locks it, because a row that is not there cannot be locked against others who
// want to make it, nor one that was there against who sweeps it. An error from
// change undoes that.
func (s *Store) UpdateAttempt(ctx context.Context, key string, change func(*storage.Attempt) error) error {
	var refused error
	err := s.transact(ctx, func(t *tx) error {
		a, err := one(ctx, t, scanAttempt, `INSERT INTO attempts (attempt_key, consecutive, window_at, rolling, last_at, blocked_until)
			VALUES (?, 0, 0, 0, 0, 0) ON CONFLICT (attempt_key) DO UPDATE SET last_at = attempts.last_at
			RETURNING attempt_key, consecutive, window_at, rolling, last_at, blocked_until`, key)
		if err != nil {
			return err
		}
		if refused = change(&a); refused != nil {
			return refused
		}
		_, err = t.exec(ctx, `UPDATE attempts SET consecutive = ?, window_at = ?, rolling = ?, last_at = ?, blocked_until = ?
			WHERE attempt_key = ?`, a.Consecutive, micros(a.Window), a.Rolling, micros(a.Last), micros(a.Blocked), key)
		return err
	})
	if refused != nil {
		return refused
	}
	if err != nil {
		return fmt.Errorf("counting an attempt: %w", err)
	}
	return nil
}

// SweepAttempts implements [storage.Attempts].
func (s *Store) SweepAttempts(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.sweep(ctx, "attempts", micros(before), limit, attemptsOver...)
}
