package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Dialect says what an engine does differently.
type Dialect struct {
	// Placeholder writes the parameter of the given number, counted from 1.
	// Default: "?" for each.
	Placeholder func(n int) string
	// ForUpdate is put behind a SELECT whose row the transaction is about to
	// write, as in " FOR UPDATE". Default: nothing, for an engine whose write
	// transactions exclude each other from their beginning.
	ForUpdate string
	// LockSchema is a statement that lets one transaction at a time go on with
	// a migration. Default: none, for an engine as under ForUpdate.
	LockSchema string
	// Begin is the statement that every write transaction begins with. Default:
	// none.
	Begin string
	// Unbound is a statement that takes back what Begin bounds in time, for a
	// transaction that is long by nature. Default: none.
	Unbound string
	// Isolation is what write transactions ask for. Default: what the engine
	// does by itself.
	Isolation sql.IsolationLevel
	// Snapshot is what a transaction asks for that reads everything as it was at
	// one moment. Default: what the engine does by itself.
	Snapshot sql.IsolationLevel
	// Tables is a query that lists the names of the tables there are.
	Tables string
	// Size is a query for how many bytes the database takes.
	Size string
	// Announce returns the statement, and its parameter, by which a transaction
	// has the engine tell other processes of its changes once it is committed.
	// Default: none, where no other process has the database.
	Announce func([]storage.Change) (query, changes string)
	// Timeout bounds each read and each write transaction. Default: only the
	// caller's context does.
	Timeout time.Duration
	// Unprepared says that statements are not to be kept prepared, because the
	// driver does that itself or a pooler in between forbids it.
	Unprepared bool
	// Exists reports whether a statement failed because a primary key or a
	// unique index holds these values already.
	Exists func(error) bool
	// Missing reports whether a statement failed because a foreign key leads
	// nowhere.
	Missing func(error) bool
	// Again reports whether a transaction was undone for the sake of another
	// one, as in a deadlock, and is to begin again. Default: never.
	Again func(error) bool
}

// Store keeps everything in an SQL database.
type Store struct {
	*Feed
	dialect Dialect
	write   *sql.DB
	read    *reader
	appends *appends
}

// New returns a store that takes ownership of two handles to one database:
// write for transactions that change something, which must have the row locks or
// the exclusion that d promises, and read for everything else. They may be the
// same handle. A read that begins after a write was committed must see it.
func New(write, read *sql.DB, d Dialect) *Store {
	return &Store{Feed: new(Feed), dialect: d, write: write, read: &reader{Dialect: d, db: read},
		appends: &appends{turn: make(chan struct{}, 1)}}
}

// Migrate brings the schema up to date. It refuses a schema that is newer than
// this program.
func (s *Store) Migrate(ctx context.Context) error {
	return Migrate(ctx, s.write, s.dialect, Latest())
}

// Ping says whether the database answers. It reads a row of ours: a database
// whose file was lost or damaged may still answer a mere greeting. It does not
// write, so that a store busy with a long write is not reported as gone.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := s.dialect.within(ctx)
	defer cancel()
	var id string
	err := s.read.db.QueryRowContext(ctx, "SELECT id FROM accounts LIMIT 1").Scan(&id)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("asking the database for an answer: %w", err)
	}
	return nil
}

// Close releases both handles. The one that writes is closed last, because
// SQLite tidies its journal away when the last connection goes, and that is a
// write.
func (s *Store) Close() error {
	err := s.read.close()
	if s.write != s.read.db {
		err = errors.Join(err, s.write.Close())
	}
	if err != nil {
		return fmt.Errorf("closing the database: %w", err)
	}
	return nil
}

// Interface guards
var (
	_ storage.Storage = (*Store)(nil)
	_ storage.Copier  = (*Store)(nil)
)
