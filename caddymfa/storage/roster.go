package storage

import (
	"context"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// Coverage says how somebody stands with a second factor in an account. Each
// member has exactly one.
type Coverage string

// The ways to stand. The first that is true of a member is theirs.
const (
	CoverageInvited  Coverage = "invited"  // has not joined yet
	CoverageOff      Coverage = "off"      // was switched off
	CoverageEnrolled Coverage = "enrolled" // has an authenticator
	CoverageProvider Coverage = "provider" // has none, and last came through an identity provider of the account
	CoverageMissing  Coverage = "missing"  // has none, and came with a password or never
)

// Rostered is a member of an account, with what the account's list of people
// shows of them.
type Rostered struct {
	Membership
	Coverage     Coverage
	Email        string
	Name         string
	UserDisabled bool
	UserOrigin   Origin
	Password     bool      // has one
	Enrolled     mfa.Kinds // authenticators, and recovery codes that are left
	Since        time.Time // when the oldest authenticator was added; zero: there is none
	Used         time.Time // when one was last accepted; zero: never
	SignedIn     time.Time // the last sign-in into this account; zero: never
	Provider     string    // the account's identity provider that it came through; empty: none
	ProviderAMR  string    // what the provider said about it
	ProviderACR  string
	Alone        bool // joined no other account
}

// RosterQuery selects members of an account.
type RosterQuery struct {
	Account  string
	Coverage Coverage // empty: any
	Admins   bool     // administrators only
	Search   string   // stands anywhere in the address or the name, whatever the case
	After    string   // an e-mail address: those that come after it
	Limit    int
}

// Adoption is how many members of an account stood how, from a day on.
type Adoption struct {
	Day    time.Time // its beginning, in UTC
	Counts map[Coverage]int
}

// Roster tells an account's administrators about its people. Every method but
// NoteAdoption takes one account; there is no query across accounts.
type Roster interface {
	// Roster lists members by e-mail address.
	Roster(ctx context.Context, q RosterQuery) ([]Rostered, error)
	// Member returns one member, or ErrNotFound.
	Member(ctx context.Context, account, user string) (Rostered, error)
	// CountRoster says how many members stand how.
	CountRoster(ctx context.Context, account string) (map[Coverage]int, error)
	// AmendMember changes the role or the state of a membership: change sees it
	// as it is, and no other amendment of the account's memberships comes between.
	// An error from change ends it without a write. ErrLastAdmin: as
	// PutMembershipKeepingAdmin. ErrNotFound: no such membership.
	AmendMember(ctx context.Context, account, user string, change func(*Membership) error) error
	// ResetMember ends all authenticators and recovery codes of a joined member
	// who has joined no other account, in one write, and says how many
	// authenticators there were. ErrConflict: they have joined another one.
	// ErrNotFound: no such joined member.
	ResetMember(ctx context.Context, account, user string) (int, error)
	// RevokeSessionsIn ends a person's sessions that have entered the account,
	// and returns how many.
	RevokeSessionsIn(ctx context.Context, account, user string, at time.Time) (int, error)
	// NoteAdoption keeps, for the day of the given time, how the members of up to
	// limit accounts after the given one stand, where that has changed since it
	// was last noted. It returns the last account that it looked at; empty: there
	// are no more.
	NoteAdoption(ctx context.Context, at time.Time, after string, limit int) (last string, err error)
	// AdoptionOf lists what was noted for an account, oldest first: up to limit
	// changes, the newest ones.
	AdoptionOf(ctx context.Context, account string, limit int) ([]Adoption, error)
}
