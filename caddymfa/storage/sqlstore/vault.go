package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// sealedColumns are where the places of the contract are. Each has an index on
// its first bytes.
var sealedColumns = map[storage.Place]string{
	storage.PlaceFactors:     "state",
	storage.PlaceTickets:     "data",
	storage.PlaceProviders:   "settings",
	storage.PlaceSigningKeys: "private_key",
}

// MasterKeys implements [storage.Vault].
func (s *Store) MasterKeys(ctx context.Context) ([]storage.MasterKey, error) {
	list, err := all(ctx, s.read, func(row scanner) (k storage.MasterKey, err error) {
		err = row.Scan(&k.ID, &k.Secret, instant{&k.Created}, instant{&k.Retired})
		return k, err
	}, `SELECT id, secret, created_at, retired_at FROM master_keys ORDER BY created_at DESC, id DESC`)
	if err != nil {
		return nil, fmt.Errorf("listing the master keys: %w", err)
	}
	return list, nil
}

// ReplaceMasterKey implements [storage.Vault]. That one key seals at most is a
// unique index's to keep, so a node that believes there is none yet loses as well.
func (s *Store) ReplaceMasterKey(ctx context.Context, old string, next storage.MasterKey) error {
	err := s.transact(ctx, func(t *tx) error {
		if err := dated(next.Created); err != nil {
			return err
		}
		t.changed(storage.SubjectKeys, "")
		insert := `INSERT INTO master_keys (id, secret, created_at, retired_at) VALUES (?, ?, ?, 0)`
		if old != "" {
			insert += ` ON CONFLICT (id) DO UPDATE SET secret = excluded.secret, created_at = excluded.created_at, retired_at = 0`
			if err := t.touch(ctx, storage.ErrConflict,
				`UPDATE master_keys SET retired_at = ? WHERE id = ? AND retired_at = 0`, micros(next.Created), old); err != nil {
				return err
			}
		}
		_, err := t.exec(ctx, insert, next.ID, blob(next.Secret), micros(next.Created))
		if errors.Is(err, storage.ErrExists) {
			return storage.ErrConflict
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("replacing the master key: %w", err)
	}
	return nil
}

// SealedUnder implements [storage.Vault].
func (s *Store) SealedUnder(ctx context.Context, place storage.Place, mark []byte, after string, limit int) ([]storage.Sealed, error) {
	column := sealedColumns[place]
	list, err := all(ctx, s.read, func(row scanner) (v storage.Sealed, err error) {
		err = row.Scan(&v.Row, &v.Value)
		return v, err
	}, `SELECT id, `+column+` FROM `+string(place)+` WHERE substr(`+column+`, 1, 5) = ? AND id > ? ORDER BY id LIMIT ?`,
		blob(mark), after, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("listing what is sealed in %s: %w", place, err)
	}
	return list, nil
}

// CountSealed implements [storage.Vault].
func (s *Store) CountSealed(ctx context.Context, place storage.Place, mark []byte) (int64, error) {
	query, args := `SELECT COUNT(*) FROM `+string(place), []any(nil)
	if len(mark) > 0 {
		query, args = query+` WHERE substr(`+sealedColumns[place]+`, 1, 5) = ?`, []any{mark}
	}
	n, err := one(ctx, s.read, scanID, query, args...)
	if err != nil {
		return 0, fmt.Errorf("counting what is sealed in %s: %w", place, err)
	}
	return n, nil
}

// Reseal implements [storage.Vault]. The versions of rows stay as they are.
func (s *Store) Reseal(ctx context.Context, place storage.Place, values []storage.Resealed) error {
	column := sealedColumns[place]
	err := s.transact(ctx, func(t *tx) error {
		for _, v := range values {
			if _, err := t.exec(ctx, `UPDATE `+string(place)+` SET `+column+` = ? WHERE id = ? AND `+column+` = ?`,
				blob(v.Next), v.Row, blob(v.Value)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sealing values in %s anew: %w", place, err)
	}
	return nil
}
