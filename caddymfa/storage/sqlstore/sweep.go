package sqlstore

import (
	"context"
	"fmt"
	"strconv"
)

// expiry is one way in which rows of a table come to be over: when the time in
// this column is past.
type expiry struct {
	table, key string // the key may be of several columns, separated by commas
	column     string // it has an index
	mayBeZero  bool   // and a row that has 0 there goes on
}

// The rows that nobody needs after a while.
var (
	mailsOver      = []expiry{{"outbox", "id", "done_at", true}}
	sessionsOver   = []expiry{{"sessions", "id", "expires_at", false}, {"sessions", "id", "revoked_at", true}}
	devicesOver    = []expiry{{"devices", "id", "expires_at", false}}
	ticketsOver    = []expiry{{"tickets", "purpose, id", "expires_at", false}}
	tokensOver     = []expiry{{"api_tokens", "id", "expires_at", false}, {"api_tokens", "id", "revoked_at", true}}
	repliesOver    = []expiry{{"api_replies", "token_id, reply_key", "created_at", false}}
	attemptsOver   = []expiry{{"attempts", "attempt_key", "last_at", false}}
	leasesOver     = []expiry{{"leases", "name", "until_at", false}}
	assurancesOver = []expiry{{"assurances", "provider_id, day", "day", false}}
)

// sweep deletes up to limit rows that were over before the given time, which is
// in the column's unit. Nobody may use them any more, so there is nothing to
// tell.
func (s *Store) sweep(ctx context.Context, what string, before int64, limit int, ways ...expiry) (int, error) {
	n := 0
	err := s.transact(ctx, func(t *tx) error {
		n = 0 // it may begin again
		for _, way := range ways {
			found, err := t.exec(ctx, way.statement(t.Dialect, limit-n), before)
			if err != nil {
				return err
			}
			n += found
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("sweeping %s: %w", what, err)
	}
	return n, nil
}

// statement deletes up to limit rows that were over before its one parameter.
//
// What it costs must not grow with the table. So it asks for one column, in the
// order of that column's index, and the limit is a number that the engine knows
// while it plans: with a condition on two columns, or a limit it could only
// guess, PostgreSQL read the whole table for each few rows. The rows are locked
// as they are found, because one may have been touched while the engine waited
// for it, and is then looked at again.
func (e expiry) statement(d Dialect, limit int) string {
	over := e.column + ` < ?`
	if e.mayBeZero {
		over = e.column + ` <> 0 AND ` + over
	}
	return deletion(d, e.table, e.key, over+` ORDER BY `+e.column, limit)
}

// deletion deletes up to limit of the rows that a condition is true of.
func deletion(d Dialect, table, key, where string, limit int) string {
	return `WITH found AS MATERIALIZED (SELECT ` + key + ` FROM ` + table + ` WHERE ` + where +
		` LIMIT ` + strconv.Itoa(max(limit, 0)) + d.ForUpdate + `)
		DELETE FROM ` + table + ` WHERE (` + key + `) IN (SELECT ` + key + ` FROM found)`
}
