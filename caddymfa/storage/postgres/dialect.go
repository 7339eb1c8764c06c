package postgres

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/caddymfa/gateway/caddymfa/storage"
	"github.com/caddymfa/gateway/caddymfa/storage/sqlstore"
)

// dialect says how PostgreSQL differs. Each statement locks what it is about to
// write, so READ COMMITTED is enough, and nobody has to try again but for a
// deadlock.
func dialect(timeout time.Duration, announce func([]storage.Change) (string, string)) sqlstore.Dialect {
	return sqlstore.Dialect{
		Placeholder: func(n int) string { return fmt.Sprintf("$%d", n) },
		ForUpdate:   " FOR UPDATE",
		LockSchema:  "SELECT pg_advisory_xact_lock(" + migrating + ")",
		Begin:       begin(timeout),
		Unbound:     "SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)",
		Isolation:   sql.LevelReadCommitted,
		Snapshot:    sql.LevelRepeatableRead,
		Tables:      "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()",
		Size:        "SELECT pg_database_size(current_database())",
		Announce:    announce,
		Timeout:     timeout,
		Unprepared:  true, // pgx keeps them itself, where it may
		Exists:      func(err error) bool { return failed(err, "23505") },
		Missing:     func(err error) bool { return failed(err, "23503") },
		Again:       func(err error) bool { return failed(err, "40001") || failed(err, "40P01") },
	}
}

// migrating is the key of the advisory lock under which schemas are migrated:
// the letters "caddymfa".
const migrating = "7161115265192519265"

// begin is the statement that each write transaction begins with. It holds for
// that transaction only, so that a pooler in between may give the next one to
// somebody else.
//
// A commit is acknowledged once it has reached the disk, and the standby if
// there is a synchronous one: with less, a crash could bring a spent code back.
// Whoever has asked for more (remote_apply) gets more. And a node that dies in
// the middle must not leave its locks to the others.
func begin(timeout time.Duration) string {
	return fmt.Sprintf(`SELECT
		set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') = 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true),
		set_config('statement_timeout', '%[1]d', true),
		set_config('idle_in_transaction_session_timeout', '%[1]d', true)`, timeout.Milliseconds())
}

func failed(err error, code string) bool {
	var fault *pgconn.PgError
	return errors.As(err, &fault) && fault.Code == code
}
