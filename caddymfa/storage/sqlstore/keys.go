package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

const keyColumns = `id, purpose, algorithm, public_key, private_key, created_at, retired_at`

func scanKey(row scanner) (k storage.Key, err error) {
	err = row.Scan(&k.ID, &k.Purpose, &k.Algorithm, &k.Public, &k.Private, instant{&k.Created}, instant{&k.Retired})
	return k, err
}

// KeysFor implements [storage.Keys].
func (s *Store) KeysFor(ctx context.Context, purpose string) ([]storage.Key, error) {
	list, err := all(ctx, s.read, scanKey,
		`SELECT `+keyColumns+` FROM signing_keys WHERE purpose = ? ORDER BY created_at DESC, id DESC`, purpose)
	if err != nil {
		return nil, fmt.Errorf("listing the keys for %q: %w", purpose, err)
	}
	return list, nil
}

// RotateKey implements [storage.Keys]. The old key is retired at the moment the
// next one was created. That a purpose has one signing key at most is a unique
// index's to keep, so a node that believes there is none yet loses as well.
func (s *Store) RotateKey(ctx context.Context, old string, next storage.Key) error {
	err := s.transact(ctx, func(t *tx) error {
		if err := dated(next.Created); err != nil {
			return err
		}
		t.changed(storage.SubjectKeys, "")
		if old != "" {
			if err := t.touch(ctx, storage.ErrConflict,
				`UPDATE signing_keys SET retired_at = ? WHERE id = ? AND purpose = ? AND retired_at = 0`,
				micros(next.Created), old, next.Purpose); err != nil {
				return err
			}
		}
		_, err := t.exec(ctx, `INSERT INTO signing_keys (`+keyColumns+`) VALUES (?, ?, ?, ?, ?, ?, 0)`,
			next.ID, next.Purpose, next.Algorithm, blob(next.Public), blob(next.Private), micros(next.Created))
		if errors.Is(err, storage.ErrExists) {
			return storage.ErrConflict
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("rotating the key for %q: %w", next.Purpose, err)
	}
	return nil
}

// RemoveKey implements [storage.Keys].
func (s *Store) RemoveKey(ctx context.Context, id string) error {
	err := s.transact(ctx, func(t *tx) error {
		t.changed(storage.SubjectKeys, "")
		return t.touch(ctx, storage.ErrNotFound, `DELETE FROM signing_keys WHERE id = ? AND retired_at <> 0`, id)
	})
	if err != nil {
		return fmt.Errorf("removing key %q: %w", id, err)
	}
	return nil
}
