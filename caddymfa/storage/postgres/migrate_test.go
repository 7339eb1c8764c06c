package postgres

import (
	"database/sql"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
	"github.com/caddymfa/gateway/caddymfa/storage/sqlstore"
)

// rawHandle opens a database below the store.
func rawHandle(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	config, err := parse(dsn, options(dsn))
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*config)
	t.Cleanup(func() { db.Close() })
	return db
}

// column reads a query of one column of texts.
func column(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		found = append(found, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// schema describes the tables, constraints and indexes of a database.
func schema(t *testing.T, db *sql.DB) []string {
	t.Helper()
	return slices.Concat(
		column(t, db, `SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default)
			FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1`),
		column(t, db, `SELECT concat_ws(' ', conrelid::regclass, pg_get_constraintdef(oid))
			FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1`),
		column(t, db, `SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1`))
}

func TestMigrationFromEveryVersion(t *testing.T) {
	fresh := empty(t)
	if err := opened(t, fresh).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := schema(t, rawHandle(t, fresh))
	for from := range sqlstore.Latest() + 1 {
		t.Run("from "+strconv.Itoa(from), func(t *testing.T) {
			dsn := empty(t)
			db := rawHandle(t, dsn)
			if err := sqlstore.Migrate(t.Context(), db, dialect(options(dsn).Timeout, nil), from); err != nil {
				t.Fatal(err)
			}
			if from > 0 { // accounts are there from version 1
				if _, err := db.ExecContext(t.Context(), `INSERT INTO accounts
					(id, name, policy, policy_by, policy_at, disabled, origin, created_at, version)
					VALUES ('acme', 'Acme', 'required', '', 0, 0, 'store', 1, 1)`); err != nil {
					t.Fatal(err)
				}
			}
			store := opened(t, dsn)
			for range 2 { // the second time there is nothing to do
				if err := store.Migrate(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got := schema(t, db); !slices.Equal(got, want) {
				t.Errorf("expected the schema of a new database, got %q", got)
			}
			if from > 0 {
				a, err := store.Account(t.Context(), "acme")
				if err != nil || a.Policy != mfa.Required {
					t.Errorf("the account did not survive: %+v, %v", a, err)
				}
			}
		})
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	dsn := empty(t)
	store := opened(t, dsn)
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	newer := sqlstore.Latest() + 1
	if _, err := rawHandle(t, dsn).ExecContext(t.Context(), "INSERT INTO schema_migrations (version, name) VALUES ($1, 'later')", newer); err != nil {
		t.Fatal(err)
	}
	err := store.Migrate(t.Context())
	if err == nil || !strings.Contains(err.Error(), "has version "+strconv.Itoa(newer)) || !strings.Contains(err.Error(), "run the newer program") {
		t.Errorf("expected a refusal that names version %d and what to do, got %v", newer, err)
	}
}

func TestMigrationsAtOnce(t *testing.T) {
	dsn := empty(t)
	stores := []storage.Storage{opened(t, dsn), opened(t, dsn), opened(t, dsn)}
	results := make(chan error)
	for _, store := range stores {
		go func() { results <- store.Migrate(t.Context()) }()
	}
	for range stores {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	steps := column(t, rawHandle(t, dsn), "SELECT count(*)::text FROM schema_migrations")
	if want := strconv.Itoa(sqlstore.Latest()); steps[0] != want {
		t.Errorf("expected %s steps on record, got %s", want, steps[0])
	}
}
