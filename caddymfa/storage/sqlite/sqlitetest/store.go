// Package sqlitetest gives tests a store of their own.
package sqlitetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/storage"
	"github.com/caddymfa/gateway/caddymfa/storage/sqlite"
)

// template is a database with the newest schema and nothing in it. Migrating is
// most of what a test of one sign-in would cost.
var template = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "sqlitetest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "mfa.db")
	store, err := sqlite.Open(context.Background(), path)
	if err != nil {
		return nil, err
	}
	err = store.Migrate(context.Background())
	if cerr := store.Close(); err == nil {
		err = cerr // which puts everything into the one file
	}
	if err != nil {
		return nil, fmt.Errorf("making an empty store: %w", err)
	}
	return os.ReadFile(path)
})

// New returns an empty store with the newest schema, which is closed when the
// test ends.
func New(t testing.TB) storage.Storage {
	t.Helper()
	return At(t, filepath.Join(t.TempDir(), "mfa.db"))
}

// At makes the same at a path.
func At(t testing.TB, path string) storage.Storage {
	t.Helper()
	empty, err := template()
	if err == nil {
		err = os.WriteFile(path, empty, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}
