// Package postgres keeps everything in a PostgreSQL database, through sqlstore,
// and lets several nodes share it: what one of them writes is told to the others
// by the database itself (LISTEN and NOTIFY), in the transaction that writes it.
//
// It relies on what PostgreSQL promises: row locks, unique indexes and foreign
// keys at isolation level READ COMMITTED; that a notification is delivered once
// its transaction is committed, in the order of commits, to every connection
// that listens and lives; and that there is one primary at a time.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/caddymfa/gateway/caddymfa/storage"
	"github.com/caddymfa/gateway/caddymfa/storage/sqlstore"
)

// Options are where the database is and how it is spoken to.
type Options struct {
	// DSN leads to the database: a URL or keywords and values, as PostgreSQL's
	// own programs take them.
	DSN string
	// ListenDSN leads to the same database without a pooler in between. Empty:
	// DSN does. If it is given, no statement is left prepared through DSN.
	ListenDSN string
	// Connections is how many there are at most, beside the one that listens.
	Connections int
	// ConnectTimeout bounds connecting to one host.
	ConnectTimeout time.Duration
	// Timeout bounds each read and each write.
	Timeout time.Duration
	// Log hears when the feed goes down and comes back.
	Log *slog.Logger
}

// Store is an open database.
type Store struct {
	*sqlstore.Store
	feed *feed
}

// Open connects to the database and begins to listen. The schema is Migrate's
// business. No error of it holds a password.
func Open(ctx context.Context, o Options) (*Store, error) {
	direct := o.DSN
	if o.ListenDSN != "" {
		direct = o.ListenDSN
	}
	listening, err := parse(direct, o)
	if err != nil {
		return nil, err
	}
	listening.DefaultQueryExecMode = pgx.QueryExecModeExec
	config, err := parse(o.DSN, o)
	if err != nil {
		return nil, err
	}
	if o.ListenDSN != "" {
		config.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	db := sql.OpenDB(&connector{Connector: stdlib.GetConnector(*config), now: time.Now})
	db.SetMaxOpenConns(o.Connections)
	db.SetMaxIdleConns(o.Connections)
	db.SetConnMaxLifetime(time.Hour) // so that moved hosts and new passwords are found
	if err := check(ctx, db, o.Timeout); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the database %s: %w", location(config), err), db.Close())
	}
	feed := newFeed(listening, o)
	store := &Store{Store: sqlstore.New(db, db, dialect(o.Timeout, feed.announce)), feed: feed}
	feed.start(store.Tell, func() {
		// What took the feed's connection may have taken these, too, and to find
		// that out for one after the other takes a timeout each.
		db.SetMaxIdleConns(0)
		db.SetMaxIdleConns(o.Connections)
	})
	return store, nil
}

// check makes sure that somebody answers with whom all texts are safe.
func check(ctx context.Context, db *sql.DB, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var encoding string
	if err := db.QueryRowContext(ctx, `SELECT current_setting('server_encoding')`).Scan(&encoding); err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("its encoding is %s: create it with ENCODING 'UTF8'", encoding)
	}
	return nil
}

// parse reads a DSN. Its errors repeat nothing of it: it holds a password.
func parse(dsn string, o Options) (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("reading the address of the database: expected postgres://user:password@host/database, or keywords and values such as host=db dbname=mfa")
	}
	if c.ConnectTimeout == 0 || c.ConnectTimeout > o.ConnectTimeout {
		c.ConnectTimeout = o.ConnectTimeout
	}
	// A host that is gone answers nothing, and not even with a refusal.
	alive := net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}
	c.DialFunc = (&net.Dialer{KeepAliveConfig: alive}).DialContext
	// A standby is behind the primary, and what is read there may be over.
	if c.ValidateConnect == nil {
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "caddymfa"
	}
	return c, nil
}

// location says where the database is, for people to read.
func location(c *pgx.ConnConfig) string {
	at := fmt.Sprintf("%s on %s port %d", c.Database, c.Host, c.Port)
	seen := map[string]bool{at: true}
	for _, f := range c.Fallbacks {
		next := fmt.Sprintf("%s port %d", f.Host, f.Port)
		if full := c.Database + " on " + next; !seen[full] {
			seen[full] = true
			at += " or " + next
		}
	}
	return at
}

// Live implements [storage.Feed].
func (s *Store) Live() bool { return s.feed.Live() }

// Lag implements [storage.Feed].
func (s *Store) Lag() time.Duration { return s.feed.Lag() }

// Close ends the listening and releases all connections.
func (s *Store) Close() error {
	s.feed.close()
	return s.Store.Close()
}

// Interface guard
var _ storage.Storage = (*Store)(nil)
