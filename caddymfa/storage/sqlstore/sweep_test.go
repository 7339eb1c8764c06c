package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage/postgres"
	"github.com/caddymfa/gateway/caddymfa/storage/postgres/postgrestest"
	"github.com/caddymfa/gateway/caddymfa/storage/sqlite"
)

// many is how many rows each table gets; half of them are over, and few of these
// are swept at once. With less between the two, PostgreSQL would be right to read
// all of them.
const (
	many = 10_000
	few  = 5
)

// crowd fills a table with made-up rows, whose numbers are 1, 2, 3 …
func crowd(t *testing.T, db *sql.Conn, table string) {
	t.Helper()
	found, err := db.QueryContext(t.Context(), `SELECT * FROM `+table+` LIMIT 0`)
	if err != nil {
		t.Fatal(err)
	}
	columns, err := found.ColumnTypes()
	found.Close()
	if err != nil {
		t.Fatal(err)
	}
	var names, values []string
	for _, c := range columns {
		value := map[string]string{"TEXT": `'x' || i`, "BYTEA": `CAST('x' || i AS BYTEA)`, "BIGINT": `i`, "INT8": `i`}[strings.ToUpper(c.DatabaseTypeName())]
		if value == "" {
			value = `1` // small numbers are yes or no
		}
		names, values = append(names, c.Name()), append(values, value)
	}
	if _, err := db.ExecContext(t.Context(), fmt.Sprintf(`INSERT INTO %s (%s)
		WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT %s FROM n`,
		table, strings.Join(names, ", "), many, strings.Join(values, ", "))); err != nil {
		t.Fatal(err)
	}
}

// alone returns one connection to a database, below the store.
func alone(t *testing.T, driver, dsn string) *sql.Conn {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func run(t *testing.T, db *sql.Conn, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// plan returns what an EXPLAIN says, in lines.
func plan(ctx context.Context, t *testing.T, db *sql.Conn, statement string, args ...any) (lines []string) {
	t.Helper()
	rows, err := db.QueryContext(ctx, statement, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		to := make([]any, len(columns))
		for i := range to {
			to[i] = new(any)
		}
		if err := rows.Scan(to...); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprint(*to[len(to)-1].(*any))) // SQLite numbers its lines
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// uses fails the test unless one of the lines has each of these words.
func uses(t *testing.T, lines []string, words ...string) {
	t.Helper()
	if !slices.ContainsFunc(lines, func(line string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
	}) {
		t.Errorf("expected a line with %q in\n%s", words, strings.Join(lines, "\n"))
	}
}

// avoids fails the test if one of the lines has one of these words.
func avoids(t *testing.T, lines []string, words ...string) {
	t.Helper()
	for _, w := range words {
		if strings.Contains(strings.Join(lines, "\n"), w) {
			t.Errorf("expected nothing of %q in\n%s", w, strings.Join(lines, "\n"))
		}
	}
}

// What housekeeping costs must not grow with the store: a sweep finds what is
// over along an index, stops after a few rows, and deletes those by their key.
func TestSweepsWalkAlongAnIndex(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "mfa.db")
		store, err := sqlite.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		if err := store.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		db := alone(t, "sqlite", "file:"+path)
		for _, s := range store.Dialect().Sweeps(few) {
			t.Run(s.Table+" "+s.Column, func(t *testing.T) {
				lines := plan(t.Context(), t, db, `EXPLAIN QUERY PLAN `+s.Statement, many/2)
				uses(t, lines, "SEARCH "+s.Table+" USING", "INDEX", s.Column)
				uses(t, lines, "SEARCH "+s.Table+" USING", "("+strings.Split(s.Key, ", ")[0]+"=?")
				avoids(t, lines, "SCAN "+s.Table, "TEMP B-TREE")
			})
		}
	})
	t.Run("postgres", func(t *testing.T) {
		cluster, err := postgrestest.Start("fsync=off")
		if err != nil {
			t.Fatal(err)
		}
		defer cluster.Close()
		name, err := cluster.Create()
		if err != nil {
			t.Fatal(err)
		}
		store, err := postgres.Open(t.Context(), postgres.Options{DSN: cluster.DSN(name), Connections: 2,
			ConnectTimeout: 10 * time.Second, Timeout: 20 * time.Second, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		if err := store.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		db := alone(t, "pgx", cluster.DSN(name))
		run(t, db, `SET session_replication_role = replica`) // no foreign keys
		sweeps := store.Dialect().Sweeps(few)
		for i, s := range sweeps {
			if i == 0 || s.Table != sweeps[i-1].Table {
				crowd(t, db, s.Table)
			}
		}
		run(t, db, `ANALYZE`)
		for _, s := range sweeps {
			t.Run(s.Table+" "+s.Column, func(t *testing.T) {
				run(t, db, `PREPARE swept (BIGINT) AS `+s.Statement)
				defer run(t, db, `DEALLOCATE swept`)
				// As planned for this moment, and for any.
				for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
					run(t, db, `SET plan_cache_mode = `+mode)
					lines := plan(t.Context(), t, db, fmt.Sprintf(`EXPLAIN (COSTS OFF) EXECUTE swept (%d)`, many/2))
					uses(t, lines, "Index Cond: ("+s.Column+" < ")
					uses(t, lines, "Index Cond: ", " = found.")
					avoids(t, lines, "Seq Scan", "Sort", "Bitmap")
				}
			})
		}
	})
}
