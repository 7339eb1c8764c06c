package storage

import (
	"context"
	"time"
)

// MasterKey is a key that secrets are sealed under, or were: its name, and never
// the key itself.
type MasterKey struct {
	ID      string
	Secret  []byte // what everything unforgeable is derived from, sealed under this key
	Created time.Time
	Retired time.Time // no longer seals; zero: seals
}

// Place is a column whose values are sealed.
type Place string

// Places are all of them. What is not among them is not sealed anew when the
// master key is replaced, and is lost with the former one.
const (
	PlaceFactors     Place = "factors"            // what an authenticator's kind needs
	PlaceTickets     Place = "tickets"            // what is under way; not all of it is sealed
	PlaceProviders   Place = "identity_providers" // settings
	PlaceSigningKeys Place = "signing_keys"       // the private key
)

// Places lists them.
func Places() []Place {
	return []Place{PlaceFactors, PlaceTickets, PlaceProviders, PlaceSigningKeys}
}

// Sealed is one sealed value.
type Sealed struct {
	Row   string // its id
	Value []byte
}

// Resealed is a value and another one that means the same.
type Resealed struct {
	Sealed
	Next []byte
}

// Vault keeps track of sealed values. A key's mark is what all values under it
// begin with, and nothing else does.
type Vault interface {
	// MasterKeys lists the keys, newest first.
	MasterKeys(ctx context.Context) ([]MasterKey, error)
	// ReplaceMasterKey makes next the key that seals, and retires the one named
	// old ("": there is none yet), in one write. A former key can come back.
	// ErrConflict: another node was faster, and MasterKeys has its key.
	ReplaceMasterKey(ctx context.Context, old string, next MasterKey) error
	// SealedUnder lists up to limit values of a place with this mark, by row,
	// beginning after the given one.
	SealedUnder(ctx context.Context, place Place, mark []byte, after string, limit int) ([]Sealed, error)
	// CountSealed counts the values of a place with this mark; an empty mark is
	// everybody's.
	CountSealed(ctx context.Context, place Place, mark []byte) (int64, error)
	// Reseal replaces values in one write, but those that somebody wrote
	// meanwhile. To everybody else nothing changed.
	Reseal(ctx context.Context, place Place, values []Resealed) error
}
