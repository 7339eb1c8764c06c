package storage

import (
	"context"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// Factor is an authenticator that a person enrolled.
type Factor struct {
	ID       string // opaque and random
	User     string
	Kind     mfa.Kind
	Name     string // chosen by the person
	State    []byte // sealed; what the kind needs to verify
	Disabled bool   // by too many wrong answers; counts until re-bound
	Created  time.Time
	Used     time.Time // last accepted; zero: never
	Version  int64     // grows by one with each write
}

// Factors stores authenticators.
type Factors interface {
	Factor(ctx context.Context, id string) (Factor, error)
	// FactorsOf lists a person's authenticators, oldest first.
	FactorsOf(ctx context.Context, user string) ([]Factor, error)
	// CreateFactor adds an authenticator with Version 1. ErrNotFound: no such
	// user. ErrConflict: the person has max of them already.
	CreateFactor(ctx context.Context, f Factor, max int) error
	// UpdateFactor is how a code is spent: change sees the factor as it is and
	// edits Name, State, Disabled or Used; the write happens only if nobody
	// wrote meanwhile, else it begins again with the new row. So of many
	// answers with one code exactly one is accepted. An error from change ends
	// it without a write.
	UpdateFactor(ctx context.Context, id string, change func(*Factor) error) (Factor, error)
	// RemoveFactor ends one of the person's authenticators, or returns
	// ErrNotFound.
	RemoveFactor(ctx context.Context, user, id string) error
	// RemoveFactorsOf ends all of a person's authenticators and recovery codes
	// in one write, and says how many authenticators there were.
	RemoveFactorsOf(ctx context.Context, user string) (int, error)
}

// RecoveryCode is one code of a person's present set, hashed.
type RecoveryCode struct {
	ID   string // opaque and random
	User string
	Salt []byte // one per set
	Hash []byte
	Used time.Time // zero: still good
}

// RecoveryCodes stores recovery codes.
type RecoveryCodes interface {
	// RecoveryCodesOf lists the codes of a person's present set.
	RecoveryCodesOf(ctx context.Context, user string) ([]RecoveryCode, error)
	// ReplaceRecoveryCodes voids the person's set and stores the new one, in
	// one write. ErrNotFound: no such user.
	ReplaceRecoveryCodes(ctx context.Context, user string, codes []RecoveryCode) error
	// UseRecoveryCode spends a code. Exactly one caller succeeds, ever; the
	// others get ErrSpent.
	UseRecoveryCode(ctx context.Context, user, id string, at time.Time) error
}

// Session is what a browser holds after signing in. The row is the authority;
// the token in the cookie only saves looking at it.
type Session struct {
	ID      string // opaque and random; in the token as "sid"
	User    string
	Account string    // entered; empty: not chosen yet
	Proof   mfa.Proof // of this User; a store refuses another's
	Created time.Time
	Seen    time.Time // last renewal
	Expires time.Time // the absolute limit
	Revoked time.Time // zero: live
	Ended   Ending    // what revoked it; a store's to set
	Browser string    // what the client said it is; for the person's list only
	Network string    // the client's address; for the person's list only
	Version int64     // grows by one with each write
}

// Ending says what revoked a session.
type Ending string

// The endings.
const (
	EndedAlone     Ending = "alone"    // this one, by its person or for another's
	EndedTogether  Ending = "together" // all of the person's, or all but one
	EndedByAccount Ending = "account"  // all of the person's in one account
	EndedByIssuer  Ending = "provider" // all that came of a sign-in there
	EndedByNext    Ending = "replaced" // it goes on under another id, by the same Created
)

// Sessions stores sessions.
type Sessions interface {
	// CreateSession adds a session with Version 1, or returns ErrExists.
	// ErrNotFound: no such user or account.
	CreateSession(ctx context.Context, s Session) error
	// Session returns the row also when it is revoked or over: the caller
	// decides with its own clock.
	Session(ctx context.Context, id string) (Session, error)
	// SessionsOf lists a person's sessions that are neither revoked nor past
	// their absolute limit at now, newest first, at most 100.
	SessionsOf(ctx context.Context, user string, now time.Time) ([]Session, error)
	// PastSessionsOf lists up to limit of a person's sessions that are over,
	// newest first: revoked, past their absolute limit at now, or last seen at
	// unused or before. One that goes on under another id is not among them.
	PastSessionsOf(ctx context.Context, user string, now, unused time.Time, limit int) ([]Session, error)
	// UpdateSession works as UpdateFactor does, for sessions that are not
	// revoked; a revoked one is ErrNotFound, so that no write brings one back.
	// ID, User, Created and Version are not change's to edit.
	UpdateSession(ctx context.Context, id string, change func(*Session) error) (Session, error)
	// ReplaceSession revokes old and creates next in one write. ErrNotFound:
	// old is not live any more, and nothing was written.
	ReplaceSession(ctx context.Context, old string, next Session, at time.Time) error
	// RevokeSession ends one of the user's sessions, or returns ErrNotFound.
	RevokeSession(ctx context.Context, user, id string, at time.Time) error
	// RevokeSessionsOf ends all of a person's sessions but one ("": all), and
	// returns how many. The person's remembered browsers end in the same write,
	// and the session that goes on counts on none of them any more.
	RevokeSessionsOf(ctx context.Context, user, except string, at time.Time) (int, error)
	// RevokeSessionsThrough revokes the live sessions that came through an
	// issuer: those of a subject, of one session of the issuer's, or of both
	// together where both are named. It returns how many there were.
	RevokeSessionsThrough(ctx context.Context, issuer, subject, session string, at time.Time) (int, error)
	// SweepSessions deletes up to limit rows that were over before the given
	// time, and returns how many.
	SweepSessions(ctx context.Context, before time.Time, limit int) (int, error)
}

// Ticket is something that may be taken once: a set-up link, a pending
// enrolment, the one display of recovery codes.
type Ticket struct {
	ID      string // hash of what the holder shows
	Purpose string // tickets of one purpose are never taken for another
	User    string // whose it is
	Session string // the session it is bound to; empty: none
	Data    []byte // sealed
	Expires time.Time
}

// Tickets stores tickets.
type Tickets interface {
	// PutTicket adds a ticket, or replaces the one of the same id and purpose.
	// ErrNotFound: no such user. A ticket may be nobody's.
	PutTicket(ctx context.Context, t Ticket) error
	// Ticket looks at a ticket without taking it. ErrNotFound: there is none,
	// it was taken, or it is over at now.
	Ticket(ctx context.Context, purpose, id string, now time.Time) (Ticket, error)
	// TakeTicket takes it. Exactly one caller succeeds, ever; the others get
	// ErrSpent, as does everyone once it is over at now.
	TakeTicket(ctx context.Context, purpose, id string, now time.Time) (Ticket, error)
	// SweepTickets deletes up to limit tickets that were over before the given
	// time, and returns how many.
	SweepTickets(ctx context.Context, before time.Time, limit int) (int, error)
}
