package storage

import (
	"context"
	"time"
)

// Attempt is how often something was tried. What the numbers mean is
// internal/limit's business.
type Attempt struct {
	Key         string    // what is counted: hashed, so that no name is readable
	Consecutive int       // since the last success
	Window      time.Time // when the rolling count began
	Rolling     int       // since Window
	Last        time.Time
	Blocked     time.Time // no try before this
}

// Attempts counts tries.
type Attempts interface {
	// UpdateAttempt reads the counter (zero with its Key when there is none),
	// lets change edit it and writes it, in one transaction that no other
	// writer of that key can interleave with. An error from change ends it
	// without a write and is returned as it is.
	UpdateAttempt(ctx context.Context, key string, change func(*Attempt) error) error
	// SweepAttempts deletes up to limit counters last touched before the given
	// time, and returns how many.
	SweepAttempts(ctx context.Context, before time.Time, limit int) (int, error)
}

// Event is one row of the audit.
type Event struct {
	ID      int64 // given by the store, growing by one
	At      time.Time
	Action  string // "sign_in", "challenge", "enrol", ...
	Outcome string // "ok", "refused", "failed"
	Reason  string // a stable code; empty: none
	Actor   string // user id, "operator", "configuration"; empty: nobody known
	User    string // whom it is about; empty: nobody known
	Account string // in which account; empty: none
	Session string // session id; empty: none
	Network string // the client's address
	Detail  string // for people; holds no secret

	// The rows of an account are the lines of its chain; so are the rows of no
	// account. Each line's Hash covers that of the line before.
	Line int64  // given by the store, from 1; 0: older than the chain
	Prev []byte // the Hash of the line before; empty: there is none
	Hash []byte // empty: older than the chain
}

// EventQuery selects audit rows.
type EventQuery struct {
	Account string    // empty: any
	User    string    // empty: any
	Person  string    // whom it is about, or who did it; empty: anybody
	Action  string    // empty: any
	Outcome string    // empty: any
	Since   time.Time // rows of this moment and later; zero: of any time
	Until   time.Time // rows before this moment; zero: of any time
	Before  int64     // rows with a smaller ID; 0: from the newest
	Limit   int
}

// Chain is the end of an account's part of the audit.
type Chain struct {
	Account string // empty: the rows of no account
	Line    int64  // of the last row; 0: there is none
	ID      int64  // of the last row
	Hash    []byte // of the last row
}

// Extent is how much of an audit there must be.
type Extent struct {
	Last      int64 // the ID given last; IDs are given without gaps
	Unchained int64 // rows up to this ID are older than the chains
}

// AuditLog keeps what happened. Rows are only ever added.
type AuditLog interface {
	// AppendEvent adds a line to its account's chain and returns it as it is
	// stored. hash is given the row with its ID, Line and Prev, and its answer
	// becomes the row's Hash. Row and end of the chain are one write; hash runs
	// inside of it and must not call the store. A row without a hash is refused.
	AppendEvent(ctx context.Context, e Event, hash func(Event) []byte) (Event, error)
	// Events lists the newest rows first.
	Events(ctx context.Context, q EventQuery) ([]Event, error)
	// Lines lists the rows of one account, or of none, from an ID on, the
	// oldest first; those that are older than the chain, too.
	Lines(ctx context.Context, account string, from int64, limit int) ([]Event, error)
	// Chain returns the end of one account's chain, or of that of no account.
	// A chain that was never begun ends at line 0.
	Chain(ctx context.Context, account string) (Chain, error)
	// Chains lists the chains of accounts by account, after the given one.
	Chains(ctx context.Context, after string, limit int) ([]Chain, error)
	// Extent returns how much of an audit there must be.
	Extent(ctx context.Context) (Extent, error)
}

// Key is a signing key of this installation.
type Key struct {
	ID        string // the "kid"
	Purpose   string // "session", "assertion", ...
	Algorithm string // "ES256", "EdDSA"
	Public    []byte // PKIX, DER
	Private   []byte // sealed
	Created   time.Time
	Retired   time.Time // no longer signs; zero: signs
}

// Keys stores signing keys.
type Keys interface {
	// KeysFor lists a purpose's keys, newest first.
	KeysFor(ctx context.Context, purpose string) ([]Key, error)
	// RotateKey makes next the purpose's signing key and retires the one named
	// old ("": there is none yet), in one write. ErrConflict: another node was
	// faster, and KeysFor has its key.
	RotateKey(ctx context.Context, old string, next Key) error
	// RemoveKey deletes a retired key, or returns ErrNotFound.
	RemoveKey(ctx context.Context, id string) error
}
