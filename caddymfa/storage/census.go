package storage

import (
	"context"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// Standing is all that the decision looks at in a member of an account, apart
// from a session. It can be compared.
type Standing struct {
	State    mfa.MemberState
	Role     mfa.Role
	Disabled bool // the person was switched off
	Password bool // the person has one here
	// Enrolled holds the kinds of second factor that the person can answer with,
	// as in the decision's facts: Recovery while unused codes are left.
	Enrolled mfa.Kinds
	Domain   string // of the e-mail address
	Snoozed  bool   // "Not now" holds
}

// Alike says how many members of an account have the same standing.
type Alike struct {
	Standing
	People int
}

// Person is whom a list of members names.
type Person struct {
	ID    string
	Email string
	Name  string
}

// Census tells how an account's members stand. Its cost hardly grows with their
// number: what their memberships repeat of them is kept up to date by every
// write that changes it.
type Census interface {
	// Census counts an account's members by their standing at now.
	Census(ctx context.Context, account string, now time.Time) ([]Alike, error)
	// PeopleAlike lists up to limit members of one standing at now, by user id,
	// beginning after the given one.
	PeopleAlike(ctx context.Context, account string, s Standing, now time.Time, after string, limit int) ([]Person, error)
}
