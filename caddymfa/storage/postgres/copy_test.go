package postgres

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
	"github.com/caddymfa/gateway/caddymfa/storage/sqlite"
)

// inhabited fills a store with rows of every kind that differs between engines:
// no bytes and many, NULL, references, and texts that are not plain.
func inhabited(t *testing.T, s storage.Storage) {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.CreateAccount(t.Context(), storage.Account{ID: "acme", Name: "Ac\u00e9 \u2603 'x'", Policy: mfa.Required, Created: now}))
	for i := range 1_234 { // several statements of full length, and a rest
		id := fmt.Sprintf("u%d", i)
		must(s.CreateUser(t.Context(), storage.User{ID: id, Email: id + "@acme.example", Created: now}))
	}
	must(s.PutMembership(t.Context(), storage.Membership{Account: "acme", User: "u1", Role: mfa.RoleAdmin, State: mfa.Joined, Created: now}))
	must(s.CreateFactor(t.Context(), storage.Factor{ID: "f1", User: "u1", Kind: mfa.TOTP, State: []byte{1, 0, 255, '\\', '\''}, Created: now}, 10))
	must(s.CreateSession(t.Context(), storage.Session{ID: "s1", User: "u1", Created: now, Expires: now.Add(time.Hour)})) // in no account: NULL
	must(s.RotateKey(t.Context(), "", storage.Key{ID: "k1", Purpose: "session", Algorithm: "ES256", Public: []byte{0}, Private: nil, Created: now}))
	for _, account := range []string{"", "acme", "acme"} {
		_, err := s.AppendEvent(t.Context(), storage.Event{At: now, Action: "x", Outcome: "ok", Account: account}, func(storage.Event) []byte { return []byte{7} })
		must(err)
	}
}

// rows returns all rows of a table, as text.
func rows(t *testing.T, db *sql.DB, table string) []string {
	t.Helper()
	found, err := db.QueryContext(t.Context(), "SELECT * FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	columns, err := found.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for found.Next() {
		row, to := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			to[i] = &row[i]
		}
		if err := found.Scan(to...); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for i, v := range row {
			if b, ok := v.([]byte); ok {
				v = fmt.Sprintf("bytes %x", b) // none and no bytes are one, NULL is another
			}
			fmt.Fprintf(&text, "%s=%T %v; ", columns[i], v, v)
		}
		list = append(list, text.String())
	}
	slices.Sort(list)
	return list
}

// raw opens a database below the store.
func raw(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func sqliteFile(t *testing.T) (storage.Storage, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mfa.db")
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store, path
}

func migratedDatabase(t *testing.T) (*Store, string) {
	t.Helper()
	dsn := empty(t)
	store := opened(t, dsn)
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store, dsn
}

// TestCopy carries a store from SQLite to PostgreSQL and back, and finds each row
// of each table as it was.
func TestCopy(t *testing.T) {
	file, path := sqliteFile(t)
	inhabited(t, file)
	database, dsn := migratedDatabase(t)
	var told []storage.Table
	if err := database.CopyFrom(t.Context(), file, func(table storage.Table) { told = append(told, table) }); err != nil {
		t.Fatal(err)
	}
	back, backPath := sqliteFile(t)
	if err := back.(storage.Copier).CopyFrom(t.Context(), database, func(storage.Table) {}); err != nil {
		t.Fatal(err)
	}
	original, copied, returned := raw(t, "sqlite", "file:"+path), raw(t, "pgx", dsn), raw(t, "sqlite", "file:"+backPath)
	want, err := file.Tables(t.Context())
	if err != nil || !slices.Equal(told, want) {
		t.Errorf("expected to be told %v, got %v, %v", want, told, err)
	}
	for _, table := range want {
		first := rows(t, original, table.Name)
		if got := rows(t, copied, table.Name); !slices.Equal(got, first) {
			t.Errorf("%s: expected %d rows in PostgreSQL as they were, got %d; the first: %.300q %.300q", table.Name, len(first), len(got), first, got)
		}
		if got := rows(t, returned, table.Name); !slices.Equal(got, first) {
			t.Errorf("%s: expected %d rows to return as they were, got %d", table.Name, len(first), len(got))
		}
	}
	// And it goes on where it was.
	e, err := database.AppendEvent(t.Context(), storage.Event{At: time.Now(), Action: "x", Outcome: "ok", Account: "acme"}, func(storage.Event) []byte { return []byte{7} })
	if err != nil || e.ID != 4 || e.Line != 3 {
		t.Errorf("expected row 4 and line 3, got %d and %d, %v", e.ID, e.Line, err)
	}
}

func TestCopyRefusesWhatIsNotEmpty(t *testing.T) {
	file, _ := sqliteFile(t)
	inhabited(t, file)
	database, _ := migratedDatabase(t)
	if err := database.CreateAccount(t.Context(), storage.Account{ID: "mine", Policy: mfa.Optional}); err != nil {
		t.Fatal(err)
	}
	err := database.CopyFrom(t.Context(), file, func(storage.Table) {})
	if !errors.Is(err, storage.ErrExists) || !strings.Contains(err.Error(), "table accounts has 1 rows") {
		t.Errorf("expected a refusal that names the table, got %v", err)
	}
	if a, err := database.Account(t.Context(), "mine"); err != nil || a.Policy != mfa.Optional {
		t.Errorf("what was there is gone: %+v, %v", a, err)
	}
}

// A copy that fails half-way has copied nothing, and the next one finds the
// target empty.
func TestCopyIsWholeOrNotAtAll(t *testing.T) {
	file, _ := sqliteFile(t)
	inhabited(t, file)
	database, _ := migratedDatabase(t)
	for name, fails := range map[string]func(storage.Table) bool{
		"the source is written to": func(table storage.Table) bool {
			_, err := file.AppendEvent(t.Context(), storage.Event{At: time.Now(), Action: "x", Outcome: "ok"}, func(storage.Event) []byte { return []byte{7} })
			if err != nil {
				t.Error(err)
			}
			return false
		},
		"the program dies": func(table storage.Table) bool { return table.Name == "sessions" },
	} {
		t.Run(name, func(t *testing.T) {
			func() {
				defer func() { recover() }()
				err := database.CopyFrom(t.Context(), file, func(table storage.Table) {
					if fails(table) {
						panic("dead")
					}
				})
				if !errors.Is(err, storage.ErrConflict) {
					t.Errorf("expected to be told that the source is in use, got %v", err)
				}
			}()
			list, err := database.Tables(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, table := range list {
				if table.Rows > 0 && table.Name != "audit_head" {
					t.Errorf("%d rows of %s stayed", table.Rows, table.Name)
				}
			}
		})
	}
	if err := database.CopyFrom(t.Context(), file, func(storage.Table) {}); err != nil {
		t.Errorf("after that: %v", err)
	}
}
