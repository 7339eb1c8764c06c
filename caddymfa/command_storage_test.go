package caddymfa

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/internal/seal"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
	"github.com/caddymfa/gateway/caddymfa/storage/sqlite"
)

// stored writes a configuration whose store is a database in a folder of its own.
func stored(t *testing.T) (config, database string) {
	t.Helper()
	dir := t.TempDir()
	config, database = filepath.Join(dir, "Caddyfile"), filepath.Join(dir, "data", "mfa.db")
	text := fmt.Sprintf("{\n\tmfa {\n\t\tstorage sqlite %s\n\t\tmaster_key {env.MASTER_KEY_OF_TESTS}\n\t}\n}\n", database)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config, database
}

// words is a text without its alignment.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }

func TestStorageCommandsNeedNoCaddy(t *testing.T) {
	s := &shell{t: t}
	config, database := stored(t)
	s.fails("", "there is no database", "storage", "status", "--config", config)
	if _, err := os.Stat(filepath.Dir(database)); err == nil {
		t.Error("a mere look made the folder of the database")
	}
	if out := s.ok("storage", "migrate", "--config", config); !strings.Contains(out, "applied 0001_people\n") {
		t.Errorf("migrate said %s", out)
	}
	if out := s.ok("storage", "migrate", "--config", config); strings.Contains(out, "applied") || !strings.Contains(out, "the newest") {
		t.Errorf("migrate said %s when there was nothing to do", out)
	}
	out := s.ok("storage", "status", "--config", config)
	for _, want := range []string{"engine sqlite where " + database, "(up to date)", "accounts 0 users 0"} {
		if !strings.Contains(words(out), want) {
			t.Errorf("status printed\n%s\nwithout %q", out, want)
		}
	}
	var status storeStatus
	if err := json.Unmarshal([]byte(s.ok("storage", "status", "--json", "--config", config)), &status); err != nil || status.Schema != status.Program || status.Bytes == 0 {
		t.Errorf("expected JSON that says so, too: %+v, %v", status, err)
	}
	s.fails("", "--config", "storage", "status") // there is no Caddyfile in this folder
}

func TestStorageStatusAndMigrateOfANewerSchema(t *testing.T) {
	s := &shell{t: t}
	config, database := stored(t)
	s.ok("storage", "migrate", "--config", config)
	db, err := sql.Open("sqlite", "file:"+database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "INSERT INTO schema_migrations (version, name) VALUES (9999, '9999_future')"); err != nil {
		t.Fatal(err)
	}
	if out := s.ok("storage", "status", "--config", config); !strings.Contains(out, "9999; this program knows up to") || !strings.Contains(out, "newer than this program") {
		t.Errorf("status said %s", out)
	}
	s.fails("", "run the newer program that wrote it", "storage", "migrate", "--config", config)
}

func TestStorageBackupAndCopy(t *testing.T) {
	s := &shell{t: t}
	config, database := stored(t)
	s.ok("storage", "migrate", "--config", config)
	store, err := sqlite.Open(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.CreateAccount(t.Context(), storage.Account{ID: "acme", Policy: mfa.Required}); err != nil {
		t.Fatal(err)
	}

	to := filepath.Join(t.TempDir(), "backup.db")
	if out := s.ok("storage", "backup", to, "--config", config); !strings.Contains(out, to) || !strings.Contains(out, "master key is not in it") {
		t.Errorf("backup said %s", out)
	}
	s.fails("", "file already exists", "storage", "backup", to, "--config", config)

	other, otherDatabase := stored(t)
	t.Setenv("MASTER_KEY_OF_TESTS", "bm90IGEgc2VjcmV0LCBvbmx5IHVzZWQgYnkgdGVzdHM=")
	if _, err := seal.Open(t.Context(), store, now(), make([]byte, seal.KeySize)); err != nil {
		t.Fatal(err)
	}
	s.fails("", "this is not the master key of this store", "storage", "copy", "--config", config, "--to", other)
	t.Setenv("MASTER_KEY_OF_TESTS", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	s.fails("", "the same store", "storage", "copy", "--config", config, "--to", config)
	out, errs, err := s.run(strings.NewReader(""), "storage", "copy", "--config", config, "--to", other)
	if err != nil || !strings.Contains(errs, "accounts: 1\n") || !strings.Contains(out, "Copied 3 rows from "+database+" to "+otherDatabase) {
		t.Errorf("copy said %s %s, %v", out, errs, err)
	}
	s.fails("", "is not empty", "storage", "copy", "--config", config, "--to", other)
	if out := s.ok("storage", "status", "--config", other); !strings.Contains(words(out), "accounts 1 users 0") {
		t.Errorf("the copy holds %s", out)
	}
}
