package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// sql returns the store itself, also where it is embedded in another one.
func (s *Store) sql() *Store { return s }

// CopyFrom implements [storage.Copier], for sources that are SQL databases, too.
// Rows are copied as they are, whatever they mean, so nothing can be forgotten
// by a copy that knows the nouns.
func (s *Store) CopyFrom(ctx context.Context, from storage.Storage, tell func(storage.Table)) error {
	other, ok := from.(interface{ sql() *Store })
	if !ok {
		return fmt.Errorf("copying a store: %T is no SQL database", from)
	}
	source := other.sql()
	for _, side := range []*Store{source, s} {
		schema, err := side.Schema(ctx)
		if err != nil {
			return err
		}
		if schema.Version != schema.Latest {
			return fmt.Errorf("copying a store: a schema has version %d, expected %d on both sides", schema.Version, schema.Latest)
		}
	}
	snapshot, err := source.read.db.BeginTx(ctx, &sql.TxOptions{Isolation: source.dialect.Snapshot})
	if err != nil {
		return fmt.Errorf("reading the store to be copied: %w", err)
	}
	defer snapshot.Rollback() // it has nothing to commit
	into, err := s.write.BeginTx(ctx, &sql.TxOptions{Isolation: s.dialect.Isolation})
	if err != nil {
		return fmt.Errorf("writing the copy: %w", err)
	}
	defer into.Rollback() // does nothing once it is committed
	c := transfer{source: source, snapshot: snapshot, target: s, into: into}
	if err := c.run(ctx, tell); err != nil {
		return fmt.Errorf("copying a store: %w", err)
	}
	if err := into.Commit(); err != nil {
		return fmt.Errorf("committing the copy: %w", err)
	}
	s.Tell(storage.Change{Subject: storage.SubjectAll})
	return nil
}

// transfer is a copy under way: all that is read is of one moment, and all that
// is written becomes visible at one.
type transfer struct {
	source, target *Store
	snapshot, into *sql.Tx
}

func (c transfer) run(ctx context.Context, tell func(storage.Table)) error {
	d := c.target.dialect
	// Nodes that start on the target meanwhile wait to migrate it.
	for _, statement := range []string{d.Begin, d.Unbound, d.LockSchema} {
		if statement == "" {
			continue
		}
		if _, err := c.into.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("beginning: %w", err)
		}
	}
	if err := c.empty(ctx); err != nil {
		return err
	}
	for _, name := range tables {
		rows, err := c.table(ctx, name)
		if err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
		tell(storage.Table{Name: name, Rows: rows})
	}
	return c.verify(ctx)
}

// empty refuses a target that holds anything, and takes away the one row that the
// migrations put there.
func (c transfer) empty(ctx context.Context) error {
	list, err := tally(ctx, c.into, c.target.dialect)
	if err != nil {
		return err
	}
	for _, t := range list {
		if t.Rows > 0 && t.Name != "audit_head" {
			return fmt.Errorf("the store to copy into is not empty, table %s has %d rows: %w", t.Name, t.Rows, storage.ErrExists)
		}
	}
	_, err = c.into.ExecContext(ctx, `DELETE FROM audit_head`)
	return err
}

// How many rows and parameters one statement inserts at most. SQLite takes 32766
// parameters, PostgreSQL 65535.
const (
	maxRows       = 500
	maxParameters = 30_000
)

func (c transfer) table(ctx context.Context, name string) (copied int64, err error) {
	rows, err := c.snapshot.QueryContext(ctx, `SELECT * FROM `+name)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	each := min(maxRows, maxParameters/len(columns))
	insert := inserts{into: c.into, dialect: c.target.dialect, table: name, columns: columns}
	var batch []any
	for rows.Next() {
		row := make([]any, len(columns))
		to := make([]any, len(columns))
		for i := range row {
			to[i] = &row[i]
		}
		if err := rows.Scan(to...); err != nil {
			return 0, err
		}
		for i, v := range row {
			if b, ok := v.([]byte); ok {
				row[i] = blob(b) // no bytes are a value, and not NULL
			}
		}
		if batch = append(batch, row...); len(batch) == each*len(columns) {
			if err := insert.all(ctx, batch); err != nil {
				return 0, err
			}
			copied += int64(each)
			batch = batch[:0]
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return 0, err
	}
	return copied + int64(len(batch)/len(columns)), insert.all(ctx, batch)
}

// verify compares how many rows there are on both sides, and makes sure that
// nobody goes on writing where nothing will be read any more. All that matters
// leaves a row in the audit.
func (c transfer) verify(ctx context.Context) error {
	want, err := tally(ctx, c.snapshot, c.source.dialect)
	if err != nil {
		return err
	}
	got, err := tally(ctx, c.into, c.target.dialect)
	if err != nil {
		return err
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("expected as many rows as there were, %v, got %v", want, got)
	}
	const end = `SELECT last_id FROM audit_head`
	then, err := column[int64](ctx, c.snapshot, end)
	if err != nil {
		return err
	}
	now, err := column[int64](ctx, c.source.read.db, end)
	if err != nil {
		return err
	}
	if !slices.Equal(then, now) {
		return fmt.Errorf("the store that is copied is in use, stop its Caddy first: %w", storage.ErrConflict)
	}
	return nil
}

// inserts adds rows to one table.
type inserts struct {
	into    *sql.Tx
	dialect Dialect
	table   string
	columns []string
	full    *sql.Stmt // for as many rows as came first
	rows    int
}

// all inserts rows, given as the values of one after the other.
func (i *inserts) all(ctx context.Context, values []any) error {
	n := len(values) / len(i.columns)
	if n == 0 {
		return nil
	}
	if i.full == nil {
		var err error
		if i.full, err = i.into.PrepareContext(ctx, i.statement(n)); err != nil {
			return err
		}
		i.rows = n
	}
	var err error
	if n == i.rows {
		_, err = i.full.ExecContext(ctx, values...)
	} else {
		_, err = i.into.ExecContext(ctx, i.statement(n), values...)
	}
	return err
}

func (i *inserts) statement(rows int) string {
	return i.dialect.rebind(`INSERT INTO ` + i.table + ` (` + strings.Join(i.columns, ", ") + `) VALUES ` + tuples(rows, len(i.columns)))
}
