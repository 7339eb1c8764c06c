// Package sqlite keeps everything in one SQLite file, through sqlstore.
//
// The file belongs to one process at a time. Several stores on it keep every
// promise about what is written, but a store hears only of its own changes, so
// another process would serve from memory what was changed behind its back. For
// several nodes there must be a store whose feed reaches them all.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/caddymfa/gateway/caddymfa/storage/sqlstore"
)

// What every connection is set to. A writer waits up to ten seconds for another
// process's. In WAL mode readers and the writer do not wait for each other, and
// synchronous(FULL) has each commit reach the disk before it is acknowledged:
// with less, a power loss could bring a spent code back.
var (
	writing = []string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)"}
	reading = []string{"busy_timeout(10000)", "query_only(ON)"}
)

// Open opens the database file, and creates it if there is none: for the owner's
// eyes only (0600), in a folder that is so as well (0700) if it has to be made.
// The permissions of what is there already are left alone. The schema is
// Migrate's business.
func Open(ctx context.Context, path string) (*sqlstore.Store, error) {
	store, err := open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	return store, nil
}

func open(ctx context.Context, path string) (*sqlstore.Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := create(path); err != nil {
		return nil, err
	}
	write, read, err := handles(path)
	if err != nil {
		return nil, err
	}
	store := sqlstore.New(write, read, dialect)
	// The writer comes first: it switches the file to WAL, which a connection
	// that may only read cannot do.
	if err := write.PingContext(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	if err := read.PingContext(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return store, nil
}

// create makes the file before SQLite would, because SQLite would make it
// readable by everyone whom the umask allows. The journals take the mode of the
// file they belong to.
func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

// handles returns a handle of a single connection, whose transactions lock the
// database from their beginning, and one of several that can only read. In the
// first, writers of this process queue in Go, where a context ends their wait,
// and never fail because another one upgraded its lock before them.
func handles(path string) (write, read *sql.DB, err error) {
	write, err = sql.Open("sqlite", dsn(path, "immediate", writing))
	if err != nil {
		return nil, nil, err
	}
	write.SetMaxOpenConns(1)
	read, err = sql.Open("sqlite", dsn(path, "deferred", reading))
	if err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	readers := max(4, runtime.GOMAXPROCS(0))
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return write, read, nil
}

// dsn escapes the path, so that a "?" or "%" in it is part of the name.
func dsn(path, lock string, pragmas []string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // a drive letter
	}
	file := url.URL{
		Scheme:   "file",
		OmitHost: true,
		Path:     path,
		RawQuery: url.Values{"_txlock": {lock}, "_pragma": pragmas}.Encode(),
	}
	return file.String()
}

// dialect needs no locks on rows: a transaction that writes has the whole
// database to itself from its beginning.
var dialect = sqlstore.Dialect{
	Exists: func(err error) bool {
		return failed(err, sqlite3.SQLITE_CONSTRAINT_UNIQUE) || failed(err, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
	},
	Missing: func(err error) bool { return failed(err, sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY) },
	Tables:  "SELECT name FROM sqlite_schema WHERE type = 'table'",
	Size:    "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
}

func failed(err error, code int) bool {
	var fault *sqlite.Error
	return errors.As(err, &fault) && fault.Code() == code
}
