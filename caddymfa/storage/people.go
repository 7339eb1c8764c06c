package storage

import (
	"context"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// Origin says who owns a row.
type Origin uint8

const (
	// FromStore: made and changed through pages, the command line or the API.
	FromStore Origin = iota
	// FromConfig: declared in the configuration, and read-only everywhere else.
	FromConfig
)

// Account is a partner's tenant.
type Account struct {
	ID       string // chosen by the operator: lower-case letters, digits, "-"
	Name     string // what people see
	Policy   mfa.Policy
	PolicyBy string     // user id, or "operator", or "configuration"
	PolicyAt time.Time  // when the account's rules were last changed
	Next     mfa.Policy // a stricter mode that begins at NextAt; zero: none is planned
	NextAt   time.Time
	NextBy   string     // who planned it, as PolicyBy
	Trial    mfa.Policy // a mode that is tried and reported on, not enforced; zero: none
	TrialAt  time.Time  // since when
	Accept   mfa.Kinds  // the kinds of second factor that count; zero: all
	// SecondFactorAge is how long a second factor lasts; zero: the session.
	SecondFactorAge time.Duration
	// Remember is for how long a browser may be remembered; zero: not at all.
	Remember time.Duration
	Disabled bool
	Origin   Origin
	Created  time.Time
	Version  int64 // grows by one with each write
}

// Accounts stores accounts.
type Accounts interface {
	Account(ctx context.Context, id string) (Account, error)
	// Accounts lists up to limit accounts by id, beginning after the given one.
	Accounts(ctx context.Context, after string, limit int) ([]Account, error)
	// AccountsPlanned lists, likewise, accounts that a stricter mode is planned
	// for.
	AccountsPlanned(ctx context.Context, after string, limit int) ([]Account, error)
	// AccountsDeclared lists, likewise, accounts that a configuration declared
	// and that are not disabled.
	AccountsDeclared(ctx context.Context, after string, limit int) ([]Account, error)
	// CreateAccount adds an account with Version 1, or returns ErrExists.
	CreateAccount(ctx context.Context, a Account) error
	// UpdateAccount reads the account, lets change edit it, and writes it if
	// nobody else did meanwhile; if somebody did, it begins again, so change
	// may run more than once. An error from change ends it without a write.
	// ID, Created and Version are not change's to edit.
	UpdateAccount(ctx context.Context, id string, change func(*Account) error) (Account, error)
}

// User is a person. Their credentials are theirs, whatever the account.
type User struct {
	ID              string // opaque and random
	Email           string // normalised by [NormaliseEmail]; unique
	Name            string
	PasswordHash    string // argon2id or bcrypt; empty: has no password
	PasswordChanged time.Time
	Disabled        bool
	Origin          Origin
	Created         time.Time
	Version         int64 // grows by one with each write
}

// Users stores people.
type Users interface {
	User(ctx context.Context, id string) (User, error)
	UserByEmail(ctx context.Context, email string) (User, error)
	// Users lists up to limit people by e-mail, beginning after the given one.
	Users(ctx context.Context, after string, limit int) ([]User, error)
	// UsersDeclared lists, likewise, people whom a configuration declared and who
	// are not disabled.
	UsersDeclared(ctx context.Context, after string, limit int) ([]User, error)
	// CreateUser adds a person with Version 1, or returns ErrExists when the id
	// or the e-mail is taken.
	CreateUser(ctx context.Context, u User) error
	// UpdateUser works as UpdateAccount does. Taking another's e-mail is
	// ErrExists.
	UpdateUser(ctx context.Context, id string, change func(*User) error) (User, error)
	// RemoveUser deletes a person with everything that is theirs, and queues the
	// mail that tells them, unless it has no ID: both happen, or neither. It
	// returns the accounts that they belonged to, by id. ErrLastAdmin: the accounts
	// that it returns would keep no administrator who can sign in, see
	// PutMembershipKeepingAdmin. ErrConflict: a configuration declares the person.
	RemoveUser(ctx context.Context, id string, farewell Mail) (accounts []string, err error)
}

// Membership is a person's place in an account.
type Membership struct {
	Account      string
	User         string
	Role         mfa.Role
	State        mfa.MemberState
	SnoozedUntil time.Time // zero: "Not now" was never said
	Origin       Origin
	Created      time.Time
}

// Memberships stores who belongs where. Account and user are always both named:
// there is no query across accounts but the person's own list.
type Memberships interface {
	Membership(ctx context.Context, account, user string) (Membership, error)
	// MembershipsOf lists a person's memberships, by account id.
	MembershipsOf(ctx context.Context, user string) ([]Membership, error)
	// Members lists up to limit memberships of an account by user id, beginning
	// after the given one.
	Members(ctx context.Context, account, after string, limit int) ([]Membership, error)
	// Administrators lists the joined administrators of an account who are not
	// disabled, by e-mail.
	Administrators(ctx context.Context, account string) ([]User, error)
	// WithoutPassword lists up to limit joined members of an account who have an
	// address of the domain and no password, by e-mail, beginning after the given
	// one.
	WithoutPassword(ctx context.Context, account, domain, after string, limit int) ([]User, error)
	// CreateMembership adds a membership, or returns ErrExists: the one that is
	// there stays as it is. ErrNotFound: no such account or user.
	CreateMembership(ctx context.Context, m Membership) error
	// PutMembership adds a membership, or changes role, state and origin of the
	// one that is there; the snooze stays. ErrNotFound: no such account or user.
	PutMembership(ctx context.Context, m Membership) error
	// RemoveMembership ends a membership, or returns ErrNotFound.
	RemoveMembership(ctx context.Context, account, user string) error
	// PutMembershipKeepingAdmin works as PutMembership does, but returns
	// ErrLastAdmin where an administrator would no longer be one, and no other is
	// left who can sign in: joined, not disabled, and with a password, a passkey,
	// or an address whose domain leads to an identity provider. Of two
	// administrators who go at the same moment, on any nodes, one stays.
	PutMembershipKeepingAdmin(ctx context.Context, m Membership) error
	// RemoveMembershipKeepingAdmin is RemoveMembership under the same condition.
	RemoveMembershipKeepingAdmin(ctx context.Context, account, user string) error
	// Snooze records "Not now" until the given time, or returns ErrNotFound.
	Snooze(ctx context.Context, account, user string, until time.Time) error
}

// Domain is an e-mail domain that an account has claimed.
type Domain struct {
	Account  string
	Name     string // lower-case, without "@"
	Verified bool
	Enforce  bool
	Provider string // id of the account's identity provider; empty: none yet
	Token    string // to be published in DNS as proof; empty: somebody else vouched
	Origin   Origin
	Created  time.Time
	Checked  time.Time // when the proof was last looked for
	Finding  string    // what was found then: a stable code; empty: nobody looked
	// Missing is since when the proof of a verified domain has not been found.
	// Zero: it was there.
	Missing   time.Time
	Changed   time.Time // by a person; what a look at DNS writes does not count
	ChangedBy string    // user id, or "operator", or "configuration"
	Version   int64     // grows by one with each write
}

// IdentityProvider is where an account's people sign in.
type IdentityProvider struct {
	ID       string // opaque and random
	Account  string
	Kind     string    // "oidc", "ldap"
	Name     string    // what people see
	Issuer   string    // who it says it is, where its kind proves that; else empty
	Settings []byte    // the kind's own, sealed where secret
	Trust    mfa.Trust // what the account makes of a sign-in through it
	Disabled bool
	Origin   Origin
	Created  time.Time
	// Tested is when somebody signed in through it to see that its settings work.
	// Zero: not since they changed.
	Tested    time.Time
	TestedBy  string // user id
	Changed   time.Time
	ChangedBy string // user id, or "operator", or "configuration"
	Version   int64  // grows by one with each write
}

// Domains stores domains and the identity providers they lead to.
type Domains interface {
	// DomainsOf lists an account's domains by name.
	DomainsOf(ctx context.Context, account string) ([]Domain, error)
	// DomainsNamed lists every account's claim to one domain, by account id.
	DomainsNamed(ctx context.Context, name string) ([]Domain, error)
	// CreateDomain adds an account's claim with Version 1, or returns ErrExists.
	// ErrNotFound: no such account, or a provider that is not this account's.
	CreateDomain(ctx context.Context, d Domain) error
	// PutDomain adds or replaces an account's claim.
	PutDomain(ctx context.Context, d Domain) error
	// UpdateDomain works as UpdateAccount does. Account, Name, Created and
	// Version are not change's to edit.
	UpdateDomain(ctx context.Context, account, name string, change func(*Domain) error) (Domain, error)
	// DomainsDue lists up to limit verified domains with a token, but declared
	// ones, whose proof was last looked for before the given time, the longest ago
	// first.
	DomainsDue(ctx context.Context, before time.Time, limit int) ([]Domain, error)
	// RemoveDomain ends a claim, or returns ErrNotFound.
	RemoveDomain(ctx context.Context, account, name string) error
	// ProvidersOf lists an account's identity providers by id.
	ProvidersOf(ctx context.Context, account string) ([]IdentityProvider, error)
	// Provider returns one, whichever account it is of.
	Provider(ctx context.Context, id string) (IdentityProvider, error)
	// ProvidersIssuing lists every account's providers of one issuer, by id.
	ProvidersIssuing(ctx context.Context, issuer string) ([]IdentityProvider, error)
	// PutProvider adds or replaces a provider; a provider never changes its
	// account (ErrConflict). Domains that lead to a disabled one are no longer
	// enforced.
	PutProvider(ctx context.Context, p IdentityProvider) error
	// UpdateProvider works as UpdateAccount does, with the same end of
	// enforcement. ID, Account, Created and Version are not change's to edit.
	UpdateProvider(ctx context.Context, id string, change func(*IdentityProvider) error) (IdentityProvider, error)
	// RemoveProvider ends one, or returns ErrNotFound. Domains that led to it
	// are no longer enforced.
	RemoveProvider(ctx context.Context, account, id string) error
}

// Identity says who somebody is here whom an issuer calls Subject (OpenID
// Connect Core, section 2). Nothing else that a provider says joins people.
type Identity struct {
	Issuer  string
	Subject string
	User    string
	Created time.Time
}

// Identities stores who is who.
type Identities interface {
	Identity(ctx context.Context, issuer, subject string) (Identity, error)
	// IdentitiesOf lists a person's, by issuer and subject.
	IdentitiesOf(ctx context.Context, user string) ([]Identity, error)
	// CreateIdentity adds one, or returns ErrExists. ErrNotFound: no such user.
	CreateIdentity(ctx context.Context, i Identity) error
}

// Assurance is what an identity provider said of the sign-ins it vouched for.
type Assurance struct {
	SignIns int
	WithMFA int // of them, how many carried proof of several factors
}

// Assurances counts what identity providers say, by day (UTC).
type Assurances interface {
	// CountSignIn adds one sign-in, or returns ErrNotFound: no such provider.
	CountSignIn(ctx context.Context, provider string, at time.Time, withMFA bool) error
	// AssuranceOf adds up the days from that of since on.
	AssuranceOf(ctx context.Context, provider string, since time.Time) (Assurance, error)
	// SweepAssurances deletes up to limit days that were over before the given
	// time, and returns how many.
	SweepAssurances(ctx context.Context, before time.Time, limit int) (int, error)
}
