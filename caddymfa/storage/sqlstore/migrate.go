package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var files embed.FS

type migration struct {
	name string
	sql  string
}

// migrations are the steps from nothing to the newest schema; the one at index
// n leads from version n to version n+1.
var migrations = load()

// load panics if the files are not numbered 1, 2, 3 ...: then the program was
// put together wrongly.
func load() []migration {
	names, err := fs.Glob(files, "migrations/*.sql") // sorted by name
	if err != nil {
		panic(err)
	}
	var found []migration
	for i, name := range names {
		number, _, _ := strings.Cut(path.Base(name), "_")
		if n, err := strconv.Atoi(number); err != nil || n != i+1 {
			panic(fmt.Sprintf("expected migration %d, got %s", i+1, name))
		}
		text, err := files.ReadFile(name)
		if err != nil {
			panic(err)
		}
		found = append(found, migration{name: strings.TrimSuffix(path.Base(name), ".sql"), sql: string(text)})
	}
	return found
}

// Latest returns the version of the schema that this program works with.
func Latest() int { return len(migrations) }

// Migrate brings the schema to the given version, one step and one transaction
// at a time, so that what was done stays done if a later step fails. Several
// processes may call it at once. A schema that is at that version or past it is
// left alone; a schema newer than [Latest] is refused, because this program
// would not keep what the newer one promised.
func Migrate(ctx context.Context, db *sql.DB, d Dialect, to int) error {
	if to < 0 || to > Latest() {
		return fmt.Errorf("migrating to version %d: there are versions 0 to %d", to, Latest())
	}
	for {
		at, err := step(ctx, db, d, to)
		if err != nil {
			return fmt.Errorf("migrating the schema: %w", err)
		}
		if at >= to {
			return nil
		}
	}
}

// step takes the schema at most one version further and returns its version.
func step(ctx context.Context, db *sql.DB, d Dialect, to int) (int, error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: d.Isolation})
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() // does nothing once it is committed
	if d.LockSchema != "" {
		if _, err := tx.ExecContext(ctx, d.LockSchema); err != nil {
			return 0, fmt.Errorf("waiting for other migrations: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_migrations (
		version    BIGINT    NOT NULL PRIMARY KEY,
		name       TEXT      NOT NULL,
		applied_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
	)`); err != nil {
		return 0, err
	}
	var at int
	if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM schema_migrations`).Scan(&at); err != nil {
		return 0, fmt.Errorf("reading its version: %w", err)
	}
	if at > Latest() {
		return 0, fmt.Errorf("the database has version %d, and this program knows versions up to %d: run the newer program that wrote it", at, Latest())
	}
	if at >= to {
		return at, tx.Commit()
	}
	next := migrations[at]
	if _, err := tx.ExecContext(ctx, next.sql); err != nil {
		return 0, fmt.Errorf("applying %s: %w", next.name, err)
	}
	if _, err := tx.ExecContext(ctx, d.rebind(`INSERT INTO schema_migrations (version, name) VALUES (?, ?)`), at+1, next.name); err != nil {
		return 0, fmt.Errorf("recording %s: %w", next.name, err)
	}
	return at + 1, tx.Commit()
}
