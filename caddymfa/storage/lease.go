package storage

import (
	"context"
	"time"
)

// Leases let one node at a time do something.
type Leases interface {
	// TakeLease makes something the holder's until the given time, if at now it
	// is nobody's or the holder's already. ErrConflict: it is somebody else's.
	// An until that is not after now gives it back.
	TakeLease(ctx context.Context, name, holder string, now, until time.Time) error
}
