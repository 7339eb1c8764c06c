package storage

import (
	"context"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// Device is a browser in which a person showed a second factor, and that is to
// be remembered for it.
type Device struct {
	ID      string // opaque and random
	User    string
	Hash    []byte    // of the secret that the browser holds
	Shown   time.Time // when the second factor was shown; also what sessions that count on it say
	ShownBy mfa.Kind
	Expires time.Time
	Browser string // what the client said it is; for the person's list only
	Network string // the client's address then; for the person's list only
}

// Devices stores remembered browsers. A person's end together with all of the
// person's sessions, see [Sessions.RevokeSessionsOf], and then nothing that was
// entered by being remembered goes on counting.
type Devices interface {
	// CreateDevice adds one, or returns ErrExists. ErrNotFound: no such user.
	CreateDevice(ctx context.Context, d Device) error
	// Device returns one, also when it is over: the caller decides with its own
	// clock.
	Device(ctx context.Context, id string) (Device, error)
	// DevicesOf lists a person's that are not over at now, newest first.
	DevicesOf(ctx context.Context, user string, now time.Time) ([]Device, error)
	// RemoveDevice ends one of the person's, and what sessions of theirs count
	// on it, or returns ErrNotFound.
	RemoveDevice(ctx context.Context, user, id string) error
	// SweepDevices deletes up to limit that were over before the given time, and
	// returns how many.
	SweepDevices(ctx context.Context, before time.Time, limit int) (int, error)
}
