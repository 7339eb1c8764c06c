package storage

import (
	"context"
	"errors"
	"time"
)

// What a store answers when it understood but must say no. Any other error is
// a fault.
var (
	// ErrNotFound means that there is no such row.
	ErrNotFound = errors.New("not found")
	// ErrExists means that a row with this identity is there already.
	ErrExists = errors.New("exists already")
	// ErrConflict means that the row changed since it was read.
	ErrConflict = errors.New("changed by someone else meanwhile")
	// ErrSpent means that something good for one use was used before, or has
	// expired.
	ErrSpent = errors.New("used before or expired")
	// ErrLastAdmin means that an account would be left without an administrator
	// who can sign in.
	ErrLastAdmin = errors.New("the account's last administrator who can sign in")
)

// Storage is everything the gate remembers. Consumers ask for the small
// interface that they need. All methods are safe for concurrent use.
type Storage interface {
	Accounts
	Users
	Memberships
	Roster
	Census
	Trials
	Domains
	Identities
	Assurances
	Factors
	RecoveryCodes
	Sessions
	Devices
	Tickets
	Attempts
	Outbox
	AuditLog
	Tokens
	Replies
	Keys
	Vault
	Feed
	Leases
	Maintenance
	// Migrate brings the schema up to date. It is called once before the first
	// use, and refuses a schema newer than it knows.
	Migrate(ctx context.Context) error
	// Ping says whether the store, once migrated, answers.
	Ping(ctx context.Context) error
	// Close releases the store. Nothing may be called after it.
	Close() error
}

// Opener is what a guest in the namespace mfa.storage offers, once provisioned.
type Opener interface {
	// Key names the database: two openers with one key share one open store.
	Key() string
	// Open opens the database, and creates an empty one if that is in the
	// store's hands. It does not touch the schema; that is Migrate's.
	Open(ctx context.Context) (Storage, error)
}

// Subject tells what kind of thing a change is about.
type Subject uint8

// The subjects of changes.
const (
	SubjectAccount    Subject = iota + 1 // ID: the account; its domains and identity providers, too
	SubjectUser                          // ID: the user; their factors and recovery codes, too
	SubjectMembership                    // ID: the user; every membership of theirs is to be read again
	SubjectSession                       // ID: the session
	SubjectKeys                          // the signing keys
	SubjectAll                           // changes may have been missed: forget everything
)

// Change says that something was written, so that nothing older than it may be
// served from memory.
type Change struct {
	Subject Subject
	ID      string
}

// Feed tells what was written, on this node or another one.
type Feed interface {
	// Watch calls tell for every change until stop is called. Changes made
	// through this store are told before the method that made them returns.
	// tell must be quick and must not call the store.
	Watch(tell func(Change)) (stop func())
	// Live says whether changes made elsewhere arrive now. While they do not,
	// nothing may be served from memory. It is asked several times for each
	// request, and shares no lock.
	Live() bool
	// Lag is how long ago every change made elsewhere was certainly told.
	Lag() time.Duration
}
