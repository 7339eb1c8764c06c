package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// TakeLease implements [storage.Leases].
func (s *Store) TakeLease(ctx context.Context, name, holder string, now, until time.Time) error {
	err := s.transact(ctx, func(t *tx) error {
		return t.touch(ctx, storage.ErrConflict, `INSERT INTO leases (name, holder, until_at) VALUES (?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until_at = excluded.until_at
			WHERE leases.holder = excluded.holder OR leases.until_at <= ?`, name, holder, micros(until), micros(now))
	})
	if err != nil {
		return fmt.Errorf("taking the lease %q: %w", name, err)
	}
	return nil
}
