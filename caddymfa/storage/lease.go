package storage

import (
	"context"
	"time"
)

// Lease is something that is its holder's for a while.
type Lease struct {
	Name   string
	Holder string
	Until  time.Time
}

// Leases let one node at a time do something.
type Leases interface {
	// TakeLease makes something the holder's until the given time, if at now it
	// is nobody's or the holder's already. ErrConflict: it is somebody else's.
	// An until that is not after now gives it back.
	TakeLease(ctx context.Context, name, holder string, now, until time.Time) error
	// LeasesAt lists what is somebody's at now, by name.
	LeasesAt(ctx context.Context, now time.Time) ([]Lease, error)
	// SweepLeases deletes up to limit that ended before the given time, and
	// returns how many.
	SweepLeases(ctx context.Context, before time.Time, limit int) (int, error)
}
