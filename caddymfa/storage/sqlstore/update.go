package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// tries bounds how often an update begins again. With the exclusion that a
// [Dialect] promises the first try holds; the version in the statement is what
// keeps the promise should an engine be set up without it.
const tries = 20

// updater is one noun's way of being read, changed and written.
type updater[T any] struct {
	// read returns the row, locked where the engine locks rows.
	read func(context.Context, *tx) (T, error)
	// write stores next, if the row still has the version of old, and returns
	// it as it is stored now. No row: it has another version.
	write func(ctx context.Context, t *tx, old, next T) ([]T, error)
	// subject and id say what watchers must hear.
	subject storage.Subject
	id      func(T) string
}

// update keeps the promise of every Update method: change sees the row as it
// is, and the write happens only if nobody wrote meanwhile. An error from change
// is returned as it is, and nothing is written. An error of the store's own is
// put behind what was being done.
func update[T any](ctx context.Context, s *Store, doing string, u updater[T], change func(*T) error) (T, error) {
	var stored T
	var refused error
	attempt := func(t *tx) error {
		old, err := u.read(ctx, t)
		if err != nil {
			return err
		}
		next := old
		if refused = change(&next); refused != nil {
			return refused
		}
		rows, err := u.write(ctx, t, old, next)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return errMoved
		}
		stored = rows[0]
		t.changed(u.subject, u.id(stored))
		return nil
	}
	for range tries {
		err := s.transact(ctx, attempt)
		switch {
		case err == nil:
			return stored, nil
		case refused != nil:
			return *new(T), refused
		case !errors.Is(err, errMoved):
			return *new(T), fmt.Errorf("%s: %w", doing, err)
		}
	}
	return *new(T), fmt.Errorf("%s: %w", doing, storage.ErrConflict)
}

// errMoved says that the row has another version than the one that was read.
var errMoved = errors.New("the row has another version now")
