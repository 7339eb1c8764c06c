package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func TestFilesAreTheOwnersAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // where modes mean nothing
	}
	folder := filepath.Join(t.TempDir(), "deep", "mfa")
	migrated(t, filepath.Join(folder, "mfa.db"))
	for name, want := range map[string]os.FileMode{
		"..":         0o700,
		".":          0o700,
		"mfa.db":     0o600,
		"mfa.db-wal": 0o600,
		"mfa.db-shm": 0o600,
	} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("expected mode %o of %s, got %o", want, name, got)
		}
	}
}

func TestOddPaths(t *testing.T) {
	for _, name := range []string{"a b.db", "100%.db", "what?.db", "a?_pragma=query_only(1)", "#1.db", "a&b=c.db", "ünï.db"} {
		path := filepath.Join(t.TempDir(), name)
		migrated(t, path)
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("the database is not in %q: %v", name, err)
		}
	}
}

func TestWhatIsNoDatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfa.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, t.TempDir(), filepath.Join(path, "mfa.db")} {
		store, err := Open(t.Context(), path)
		if err == nil {
			store.Close()
			t.Errorf("%s was opened", path)
			continue
		}
		if !strings.Contains(err.Error(), path) {
			t.Errorf("expected an error that names %s, got %v", path, err)
		}
	}
}

func TestTwoStoresOnOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfa.db")
	first, second := migrated(t, path), migrated(t, path)
	if err := first.CreateAccount(t.Context(), storage.Account{ID: "acme", Policy: mfa.Optional}); err != nil {
		t.Fatal(err)
	}
	const each = 50
	results := make(chan error)
	for i := range 2 * each {
		store := first
		if i%2 == 1 {
			store = second
		}
		go func() {
			_, err := store.UpdateAccount(t.Context(), "acme", func(a *storage.Account) error {
				a.Name += "x"
				return nil
			})
			results <- err
		}()
	}
	for range 2 * each {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	a, err := second.Account(t.Context(), "acme")
	if err != nil || len(a.Name) != 2*each {
		t.Errorf("expected %d updates, got %d, %v", 2*each, len(a.Name), err)
	}
}

func TestReadsDoNotWaitForAWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfa.db")
	store, other := migrated(t, path), opened(t, path)
	if err := store.CreateAccount(t.Context(), storage.Account{ID: "acme", Name: "before", Policy: mfa.Optional}); err != nil {
		t.Fatal(err)
	}
	_, err := store.UpdateAccount(t.Context(), "acme", func(a *storage.Account) error {
		a.Name = "after"
		for _, s := range []storage.Storage{store, other} {
			seen, err := s.Account(t.Context(), "acme")
			if err != nil || seen.Name != "before" {
				t.Errorf("expected the row as it was before the write, got %q, %v", seen.Name, err)
			}
			if err := s.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		}
		// A second writer waits for the first, for as long as its context lets it.
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := other.CreateUser(ctx, storage.User{ID: "u1", Email: "u1"}); err == nil {
			t.Error("two wrote at once")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	seen, err := other.Account(t.Context(), "acme")
	if err != nil || seen.Name != "after" {
		t.Errorf("expected the row as it was written, got %q, %v", seen.Name, err)
	}
	if err := other.CreateUser(t.Context(), storage.User{ID: "u1", Email: "u1"}); err != nil {
		t.Error(err)
	}
}

func TestReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfa.db")
	for i := range 3 {
		store, err := Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, err := store.Users(t.Context(), "", 9)
		if err != nil || len(list) != i {
			t.Errorf("expected %d users, got %d, %v", i, len(list), err)
		}
		id := strconv.Itoa(i)
		if err := store.CreateUser(t.Context(), storage.User{ID: id, Email: id}); err != nil {
			t.Fatal(err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
