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
	ID      int64 // given by the store, growing
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
}

// EventQuery selects audit rows.
type EventQuery struct {
	Account string // empty: any
	User    string // empty: any
	Action  string // empty: any
	Before  int64  // rows with a smaller ID; 0: from the newest
	Limit   int
}

// AuditLog keeps what happened. Rows are only ever added.
type AuditLog interface {
	AppendEvent(ctx context.Context, e Event) error
	// Events lists the newest rows first.
	Events(ctx context.Context, q EventQuery) ([]Event, error)
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
