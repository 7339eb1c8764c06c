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

// LeasesAt implements [storage.Leases].
func (s *Store) LeasesAt(ctx context.Context, now time.Time) ([]storage.Lease, error) {
	list, err := all(ctx, s.read, func(row scanner) (l storage.Lease, err error) {
		err = row.Scan(&l.Name, &l.Holder, instant{&l.Until})
		return l, err
	}, `SELECT name, holder, until_at FROM leases WHERE until_at > ? ORDER BY name`, micros(now))
	if err != nil {
		return nil, fmt.Errorf("listing leases: %w", err)
	}
	return list, nil
}

// SweepLeases implements [storage.Leases].
func (s *Store) SweepLeases(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.sweep(ctx, "leases", micros(before), limit, leasesOver...)
}
