package sqlite

import (
	"testing"

	"github.com/caddymfa/gateway/caddymfa/storage/sqlstore"
)

// opened opens a database that is closed when the test ends.
func opened(t *testing.T, path string) *sqlstore.Store {
	t.Helper()
	store, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// migrated opens a database and brings its schema up to date.
func migrated(t *testing.T, path string) *sqlstore.Store {
	t.Helper()
	store := opened(t, path)
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store
}
