// Package audit makes the rows of the audit evidence: it chains them when they
// are written, and finds the first line that is not as it was.
//
// Each account's rows are the lines of a chain, and the rows of no account are
// those of one more. A line's hash is an HMAC under a key derived from the
// master key, over the line's number, the hash of the line before and everything
// that the row says. So whoever can write to the database, but has no master
// key, can alter, insert or remove no line unnoticed; a plain hash could be made
// anew by anybody.
//
// Two things it cannot tell by itself. Whoever has the master key, too, can make
// a chain of lies. And the last lines can be cut off, if the record of the end is
// set back with them and no other chain has grown since. Both are found out by an
// end that was noted elsewhere ([Noted]): a line that once had a hash has it for
// ever. The log mfa.audit has every line's.
package audit

import (
	"context"
	"strconv"

	"github.com/caddymfa/gateway/caddymfa/internal/seal"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Log chains what it writes.
type Log struct {
	Store storage.AuditLog
	Box   *seal.Box
}

// Append adds a row to the end of its account's chain, and returns it as it is
// stored.
func (l Log) Append(ctx context.Context, e storage.Event) (storage.Event, error) {
	return l.Store.AppendEvent(ctx, e, l.hash)
}

// purpose says what these hashes are for, and how rows are encoded. Another
// encoding must have another purpose.
const purpose = "audit line v1"

func (l Log) hash(e storage.Event) []byte { return l.Box.Sign(purpose, fields(e)...) }

func (l Log) check(e storage.Event) error { return l.Box.Check(purpose, e.Hash, fields(e)...) }

// fields is the canonical encoding of a row: everything that it says, in this
// order. Signing puts its length before each part, so that nothing can be moved
// from one part into the next.
func fields(e storage.Event) []string {
	at := "" // the zero time
	if !e.At.IsZero() {
		at = strconv.FormatInt(e.At.UnixMicro(), 10)
	}
	return []string{
		e.Account, strconv.FormatInt(e.Line, 10), string(e.Prev), strconv.FormatInt(e.ID, 10), at,
		e.Action, e.Outcome, e.Reason, e.Actor, e.User, e.Session, e.Network, e.Detail,
	}
}
