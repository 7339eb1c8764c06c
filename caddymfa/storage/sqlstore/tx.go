package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// querier runs a query whose parameters are written as "?".
type querier interface {
	query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	within(context.Context) (context.Context, context.CancelFunc)
	translate(error) error
}

// scanner is a row under a cursor.
type scanner interface {
	Scan(dest ...any) error
}

// one returns the only row of a query, or ErrNotFound. It walks to the end of
// the answer, because an engine may report a broken constraint only there.
func one[T any](ctx context.Context, q querier, scan func(scanner) (T, error), query string, args ...any) (T, error) {
	var zero T
	found, err := all(ctx, q, scan, query, args...)
	if err != nil {
		return zero, err
	}
	if len(found) == 0 {
		return zero, storage.ErrNotFound
	}
	return found[0], nil
}

// all returns every row of a query.
func all[T any](ctx context.Context, q querier, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	ctx, cancel := q.within(ctx)
	defer cancel()
	rows, err := q.query(ctx, query, args...)
	if err != nil {
		return nil, q.translate(err)
	}
	defer rows.Close()
	var found []T
	for rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, row)
	}
	if err := rows.Err(); err != nil {
		return nil, q.translate(err)
	}
	return found, nil
}

// reader reads outside of transactions, with statements that stay prepared.
type reader struct {
	Dialect
	db    *sql.DB
	ready sync.Map // query string to *sql.Stmt; as many as this package has queries
}

func (r *reader) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	args = clean(args)
	if r.Unprepared {
		return r.db.QueryContext(ctx, r.rebind(query), args...)
	}
	if stmt, ok := r.ready.Load(query); ok {
		return stmt.(*sql.Stmt).QueryContext(ctx, args...)
	}
	stmt, err := r.db.PrepareContext(ctx, r.rebind(query))
	if err != nil {
		return nil, err
	}
	if other, loaded := r.ready.LoadOrStore(query, stmt); loaded {
		stmt.Close()
		stmt = other.(*sql.Stmt)
	}
	return stmt.QueryContext(ctx, args...)
}

// close closes the handle, and with it the prepared statements.
func (r *reader) close() error {
	r.ready.Range(func(_, stmt any) bool {
		stmt.(*sql.Stmt).Close()
		return true
	})
	return r.db.Close()
}

// tx is a write transaction and what it will have changed.
type tx struct {
	Dialect
	sql     *sql.Tx
	changes []storage.Change
}

// transact runs work in one write transaction, and tells the watchers what it
// changed before it returns. Whatever ends it (an error, a panic, the context)
// leaves no transaction open. Work runs again where the engine undid it for the
// sake of another transaction.
func (s *Store) transact(ctx context.Context, work func(*tx) error) error {
	ctx, cancel := s.dialect.within(ctx)
	defer cancel()
	for n := 1; ; n++ {
		err := s.attempt(ctx, work)
		if err == nil || n == tries || s.dialect.Again == nil || !s.dialect.Again(err) {
			return err
		}
	}
}

func (s *Store) attempt(ctx context.Context, work func(*tx) error) error {
	begun, err := s.write.BeginTx(ctx, &sql.TxOptions{Isolation: s.dialect.Isolation})
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	defer begun.Rollback() // does nothing once it is committed
	t := &tx{Dialect: s.dialect, sql: begun}
	if t.Begin != "" {
		if _, err := t.exec(ctx, t.Begin); err != nil {
			return fmt.Errorf("beginning a transaction: %w", err)
		}
	}
	if err := work(t); err != nil {
		return err
	}
	if t.Announce != nil && len(t.changes) > 0 {
		query, changes := t.Announce(t.changes)
		if _, err := t.exec(ctx, query, changes); err != nil {
			return fmt.Errorf("announcing a change: %w", err)
		}
	}
	err = begun.Commit()
	// A commit that reports an error may have happened all the same, and to
	// forget too much does no harm. So this is told either way.
	s.Tell(t.changes...)
	if err != nil {
		return fmt.Errorf("committing: %w", s.dialect.translate(err))
	}
	return nil
}

func (t *tx) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.sql.QueryContext(ctx, t.rebind(query), clean(args)...)
}

// exec runs a statement and returns how many rows it touched.
func (t *tx) exec(ctx context.Context, query string, args ...any) (int, error) {
	done, err := t.sql.ExecContext(ctx, t.rebind(query), clean(args)...)
	if err != nil {
		return 0, t.translate(err)
	}
	n, err := done.RowsAffected()
	return int(n), err
}

// touch runs a statement that must touch a row; if it touches none, it returns
// the given error.
func (t *tx) touch(ctx context.Context, otherwise error, query string, args ...any) error {
	n, err := t.exec(ctx, query, args...)
	if err == nil && n == 0 {
		err = otherwise
	}
	return err
}

// changed notes what watchers must hear once the transaction is committed.
func (t *tx) changed(subject storage.Subject, id string) {
	t.changes = append(t.changes, storage.Change{Subject: subject, ID: id})
}

// lockUser holds a person's row until the transaction ends, or returns
// ErrNotFound. Whoever counts, replaces or ends several rows of one person does
// so first: rows that another transaction has made and not yet committed are not
// seen, and would outlive their own end.
func (t *tx) lockUser(ctx context.Context, id string) error {
	_, err := one(ctx, t, scanText, `SELECT id FROM users WHERE id = ?`+t.ForUpdate, id)
	return err
}

// within bounds a context by the engine's timeout.
func (d Dialect) within(ctx context.Context) (context.Context, context.CancelFunc) {
	if d.Timeout == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d.Timeout)
}

// rebind writes a query's parameters as the engine wants them. No query here
// holds a question mark in a literal.
func (d Dialect) rebind(query string) string {
	if d.Placeholder == nil {
		return query
	}
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString(d.Placeholder(n))
		query = after
	}
}

// translate turns a broken constraint into what the contract calls it.
func (d Dialect) translate(err error) error {
	switch {
	case err == nil:
		return nil
	case d.Exists(err):
		return storage.ErrExists
	case d.Missing(err):
		return storage.ErrNotFound
	}
	return err
}
