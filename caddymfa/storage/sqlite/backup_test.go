package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// A backup that is made while rows are being written has all that were there
// before it began, and is a database by itself.
func TestBackupWhileItIsWritten(t *testing.T) {
	dir := t.TempDir()
	store := migrated(t, filepath.Join(dir, "mfa.db"))
	var written atomic.Int64
	add := func() {
		n := written.Load() + 1
		if err := store.CreateAccount(t.Context(), storage.Account{ID: "a" + strconv.FormatInt(n, 10), Policy: mfa.Required}); err != nil {
			t.Error(err)
		}
		written.Store(n)
	}
	for range 20 {
		add()
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				add()
			}
		}
	}()
	before := written.Load()
	to := filepath.Join(dir, "backup.db")
	err := Backup(t.Context(), filepath.Join(dir, "mfa.db"), to)
	close(stop)
	<-done
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(to)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("expected mode 0600, got %v, %v", info.Mode(), err)
	}
	copied := opened(t, to)
	if schema, err := copied.Schema(t.Context()); err != nil || schema.Version != schema.Latest {
		t.Fatalf("expected the schema of the original, got %+v, %v", schema, err)
	}
	list, err := copied.Tables(t.Context())
	if err != nil || list[0].Name != "accounts" || list[0].Rows < before || list[0].Rows > written.Load() {
		t.Errorf("expected %d to %d accounts, got %+v, %v", before, written.Load(), list, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".mfa-backup-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestBackupReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	migrated(t, filepath.Join(dir, "mfa.db"))
	to := filepath.Join(dir, "backup.db")
	if err := os.WriteFile(to, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Backup(t.Context(), filepath.Join(dir, "mfa.db"), to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("expected that the file exists, got %v", err)
	}
	if text, _ := os.ReadFile(to); string(text) != "precious" {
		t.Error("the file was replaced")
	}
	if err := Backup(t.Context(), filepath.Join(dir, "none.db"), filepath.Join(dir, "new.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("expected that there is no such database, got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "new.db")); err == nil {
		t.Error("a backup of nothing was made")
	}
}

func TestBackupFindsDamage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mfa.db")
	store := migrated(t, path)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(text) / 2; i < len(text); i++ {
		text[i] = 0xff
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Backup(t.Context(), path, filepath.Join(dir, "backup.db")); err == nil {
		t.Error("a damaged database was backed up without a word")
	}
}
