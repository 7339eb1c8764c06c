package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage/postgres/postgrestest"
)

// engine is a database that is measured.
type engine struct {
	name    string
	folder  string   // for everything that is made; removed in the end
	storage string   // the Caddyfile's line
	env     []string // what that line refers to
	driver  string   // to fill it below the store
	dsn     string
	settle  []string // statements for what the engine does by itself sooner or later
	close   func()
}

func prepare(name, dsn string) (*engine, error) {
	folder, err := os.MkdirTemp("", "caddymfa-load")
	if err != nil {
		return nil, err
	}
	e := &engine{name: name, folder: folder, close: func() { os.RemoveAll(folder) }}
	switch name {
	case "sqlite":
		file := filepath.Join(folder, "mfa.db")
		e.storage, e.driver = "sqlite "+file, "sqlite"
		e.dsn = "file:" + file + "?_pragma=synchronous(OFF)&_pragma=busy_timeout(10000)"
		return e, nil
	case "postgres":
		e.storage, e.driver, e.settle = "postgres {env.LOAD_DSN}", "pgx", []string{"VACUUM ANALYZE", "CHECKPOINT"}
		if dsn == "" {
			cluster, err := postgrestest.Start("shared_buffers=1GB", "max_wal_size=4GB")
			if err != nil {
				e.close()
				return nil, err
			}
			e.close = func() {
				cluster.Close()
				os.RemoveAll(folder)
			}
			database, err := cluster.Create()
			if err != nil {
				e.close()
				return nil, err
			}
			dsn = cluster.DSN(database)
		} else if err := loopback(dsn); err != nil {
			e.close()
			return nil, err
		}
		e.dsn, e.env = dsn, []string{"LOAD_DSN=" + dsn}
		return e, nil
	}
	e.close()
	return nil, fmt.Errorf("there is no engine %q: sqlite or postgres", name)
}

// loopback refuses to load a database that others may be using.
func loopback(dsn string) error {
	u, err := url.Parse(dsn)
	if err != nil || u.Query().Has("host") || u.Query().Has("hostaddr") || !slices.Contains([]string{"127.0.0.1", "localhost", "::1"}, u.Hostname()) {
		return fmt.Errorf("expected -dsn as postgres://user@127.0.0.1:port/database: no other host is loaded")
	}
	return nil
}

// The rows are numbered, and their ids are scattered as random ones are: an odd
// factor permutes the numbers below 2^32.
const scattered = `((i * 2654435761) % 4294967296)`

// bulk is one table's rows. In the statement {now} and {accounts} are replaced;
// it selects from n(i), the numbers of a batch.
type bulk struct {
	table, insert string
	rows          func(size) int
}

var bulks = []bulk{
	{"accounts", `INSERT INTO accounts (id, name, policy, policy_by, policy_at, disabled, origin, created_at, version)
		{n} SELECT 'a' || i, 'Account ' || i, 'optional', 'operator', {now}, 0, 'store', {now}, 1 FROM n`,
		func(s size) int { return s.accounts }},
	{"users", `INSERT INTO users (id, email, name, password_hash, password_changed_at, disabled, origin, created_at, version)
		{n} SELECT 'U' || ` + scattered + `, ` + scattered + ` || '@bulk.example', 'Person ' || i, 'none', {now}, 0, 'store', {now}, 1 FROM n`,
		func(s size) int { return s.users }},
	{"memberships", `INSERT INTO memberships (account_id, user_id, role, state, snoozed_until, origin, created_at, has_password, enrolled, domain, email, sought)
		{n} SELECT 'a' || (i % {accounts}), 'U' || ` + scattered + `, 'member', 'joined', 0, 'store', {now}, 1, 'totp', 'bulk.example',
			` + scattered + ` || '@bulk.example', ` + scattered + ` || '@bulk.example person ' || i FROM n`,
		func(s size) int { return s.users }},
	// One account is large.
	{"memberships", `INSERT INTO memberships (account_id, user_id, role, state, snoozed_until, origin, created_at, has_password, enrolled, domain, email, sought)
		{n} SELECT 'large', 'U' || ` + scattered + `, 'member', 'joined', 0, 'store', {now}, 1, 'totp', 'bulk.example',
			` + scattered + ` || '@bulk.example', ` + scattered + ` || '@bulk.example person ' || i FROM n`,
		func(s size) int { return min(s.users, 100_000) }},
	{"factors", `INSERT INTO factors (id, user_id, kind, name, state, disabled, created_at, used_at, version)
		{n} SELECT 'F' || ` + scattered + `, 'U' || ` + scattered + `, 'totp', 'Phone', {bytes}, 0, {now}, {now}, 1 FROM n`,
		func(s size) int { return s.users }},
	{"sessions", `INSERT INTO sessions (id, user_id, account_id, first_at, first_by, provider, issuer, subject, second_at, second_by,
			created_at, seen_at, expires_at, revoked_at, browser, network, version)
		{n} SELECT 'S' || ` + scattered + `, 'U' || ` + scattered + `, 'a' || (i % {accounts}), {now}, 'password', '', '', '', {now}, 'totp',
			{now}, {now}, {now} + 43200000000, 0, 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', '192.0.2.1', 1 FROM n`,
		func(s size) int { return s.users }},
	{"expired sessions", `INSERT INTO sessions (id, user_id, account_id, first_at, first_by, provider, issuer, subject, second_at, second_by,
			created_at, seen_at, expires_at, revoked_at, browser, network, version)
		{n} SELECT 'X' || ` + scattered + `, 'U' || ((i % {users} * 2654435761) % 4294967296), NULL, {old}, 'password', '', '', '', 0, 'none',
			{old}, {old}, {old}, 0, 'Mozilla/5.0', '192.0.2.1', 1 FROM n`,
		func(s size) int { return s.expired }},
}

// batch is how many rows one transaction makes.
const batch = 50_000

// fill makes the rows of everybody who does nothing but be there.
func (e *engine) fill(ctx context.Context, s size, progress io.Writer) error {
	db, err := sql.Open(e.driver, e.dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	bytes := `CAST(substr('0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123', 1, 94) AS BLOB)`
	if e.driver == "pgx" {
		bytes = strings.Replace(bytes, "BLOB", "BYTEA", 1)
	}
	now := time.Now()
	words := strings.NewReplacer("{bytes}", bytes, "{accounts}", fmt.Sprint(s.accounts), "{users}", fmt.Sprint(s.users),
		"{now}", fmt.Sprint(now.UnixMicro()), "{old}", fmt.Sprint(now.Add(-60*24*time.Hour).UnixMicro()))
	for _, b := range bulks {
		begun := time.Now()
		rows := b.rows(s)
		for from := 0; from < rows; from += batch {
			numbers := fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT CAST(%d AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < %d)`, from, min(rows, from+batch)-1)
			if _, err := db.ExecContext(ctx, strings.Replace(words.Replace(b.insert), "{n}", numbers, 1)); err != nil {
				return fmt.Errorf("making %s: %w", b.table, err)
			}
		}
		fmt.Fprintf(progress, "%s: made %d %s in %s\n", e.name, rows, b.table, time.Since(begun).Round(time.Millisecond))
	}
	for _, statement := range e.settle {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
