package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

var created = regexp.MustCompile(`(?m)^CREATE TABLE (\w+) \(`)

// tables are what the migrations make, in the order in which they make them. A
// table refers to those before it only, so they may be filled in that order.
var tables = func() (names []string) {
	for _, m := range migrations {
		for _, found := range created.FindAllStringSubmatch(m.sql, -1) {
			names = append(names, found[1])
		}
	}
	return names
}()

// version returns the version of the schema; 0: there is none of ours.
func version(ctx context.Context, db *sql.DB, d Dialect) (int, error) {
	there, err := column[string](ctx, db, d.Tables)
	if err != nil || !slices.Contains(there, "schema_migrations") {
		return 0, err
	}
	at, err := column[int](ctx, db, `SELECT COALESCE(MAX(version), 0) FROM schema_migrations`)
	if err != nil {
		return 0, err
	}
	return at[0], nil
}

// Schema implements [storage.Maintenance].
func (s *Store) Schema(ctx context.Context) (storage.Schema, error) {
	at, err := version(ctx, s.read.db, s.dialect)
	if err != nil {
		return storage.Schema{}, fmt.Errorf("reading the version of the schema: %w", err)
	}
	schema := storage.Schema{Version: at, Latest: Latest()}
	for _, m := range migrations[min(at, Latest()):] {
		schema.Pending = append(schema.Pending, m.name)
	}
	return schema, nil
}

// Tables implements [storage.Maintenance].
func (s *Store) Tables(ctx context.Context) ([]storage.Table, error) {
	list, err := tally(ctx, s.read.db, s.dialect)
	if err != nil {
		return nil, fmt.Errorf("counting rows: %w", err)
	}
	return list, nil
}

// Size implements [storage.Maintenance].
func (s *Store) Size(ctx context.Context) (int64, error) {
	size, err := column[int64](ctx, s.read.db, s.dialect.Size)
	if err != nil {
		return 0, fmt.Errorf("asking for the size of the database: %w", err)
	}
	return size[0], nil
}

// handle is a database, or a transaction on it.
type handle interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func tally(ctx context.Context, db handle, d Dialect) ([]storage.Table, error) {
	there, err := column[string](ctx, db, d.Tables)
	if err != nil {
		return nil, err
	}
	var list []storage.Table
	for _, name := range tables {
		if !slices.Contains(there, name) {
			continue
		}
		rows, err := column[int64](ctx, db, `SELECT COUNT(*) FROM `+name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		list = append(list, storage.Table{Name: name, Rows: rows[0]})
	}
	return list, nil
}

// column returns the one column of a query that may take its time: it is bounded
// by the context alone.
func column[T any](ctx context.Context, db handle, query string) ([]T, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, errors.Join(rows.Err(), rows.Close())
}
