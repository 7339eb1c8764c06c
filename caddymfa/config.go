package caddymfa

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"
)

// App holds everything that the gates of one Caddy share: the store, the keys,
// and the accounts and people declared in the configuration. Without any
// configuration it keeps an SQLite file in Caddy's data directory.
type App struct {
	// Where accounts, people, authenticators and sessions are kept: a module of
	// the namespace `mfa.storage`: `sqlite`, or `postgres` for several nodes.
	// Default: `{"module": "sqlite"}`, a file in Caddy's data directory.
	StorageRaw json.RawMessage `json:"storage,omitempty" caddy:"namespace=mfa.storage inline_key=module"`

	// Kinds of second factor beside codes from an app, which are always there:
	// modules of the namespace `mfa.factors`. Default: none.
	FactorsRaw caddy.ModuleMap `json:"factors,omitempty" caddy:"namespace=mfa.factors"`

	// Kinds of identity providers: modules of the namespace `mfa.identity`, with
	// what holds for every provider of the kind. Those that are built in and not
	// named here are there with their defaults.
	IdentityRaw caddy.ModuleMap `json:"identity,omitempty" caddy:"namespace=mfa.identity"`

	// The schemes and hosts by which people reach the pages, such as
	// `https://portal.example.com`. Identity providers send people back there,
	// and must know `<origin><base>/sso/callback`. Default: none, which is enough
	// for accounts without an identity provider, and for a trial on this machine
	// by `http://localhost`.
	Origins []string `json:"origins,omitempty"`

	// The key that seals secrets in the store: 32 bytes in base64, best given
	// as a placeholder such as `{env.MFA_MASTER_KEY}` or
	// `{file./run/secrets/mfa-master-key}`. All nodes of one store need the same
	// one. Default: the file `master.key` beside the SQLite file, created once with
	// mode 0600; other stores need it. Whoever backs up the database must back up this key too, to
	// another place.
	MasterKey string `json:"master_key,omitempty"`

	// Former master keys, which still open what they sealed.
	FormerMasterKeys []string `json:"former_master_keys,omitempty"`

	// What carries mails to people: a module of the namespace `mfa.notifiers`.
	// Links in mails lead to the first of the origins, so it needs one. Default:
	// none, and the pages say what to do instead.
	MailRaw json.RawMessage `json:"mail,omitempty" caddy:"namespace=mfa.notifiers inline_key=module"`

	// The path under which the gate's own pages are served. Default: `/.mfa`.
	Base string `json:"base,omitempty"`

	// The name that people see, on the pages and in their authenticator app.
	// Default: `Partner portal`.
	Name string `json:"name,omitempty"`

	// The issuer (`iss`) of the tokens. Default: `caddymfa`.
	Issuer string `json:"issuer,omitempty"`

	// The algorithm that signs tokens: `ES256` or `EdDSA`. Keys that were made
	// before it changed sign until they are rotated. Default: `ES256`.
	SigningAlgorithm string `json:"signing_algorithm,omitempty"`

	// How long a token is good for before it is renewed from the session's row.
	// Default: 5 minutes.
	TokenLifetime caddy.Duration `json:"token_lifetime,omitempty"`

	// How long a session lasts without requests. Default: 2 hours.
	SessionIdle caddy.Duration `json:"session_idle,omitempty"`

	// How long a session lasts at most. Default: 12 hours.
	SessionAbsolute caddy.Duration `json:"session_absolute,omitempty"`

	// How long "Not now" holds where an account only suggests a second factor.
	// Default: 7 days.
	Snooze caddy.Duration `json:"snooze,omitempty"`

	// The DNS server that is asked when a company proves that an e-mail domain is
	// its own: an address, with a port unless it is 53. It has to follow
	// delegations and aliases by itself, as those of providers and companies do.
	// Default: those that the system asks.
	Resolver string `json:"resolver,omitempty"`

	// The least that every account must ask of its people: `optional`,
	// `suggested` or `required`. Accounts can be stricter, and a laxer mode that
	// one was given before does not hold. Default: `optional`.
	MinimumPolicy string `json:"minimum_policy,omitempty"`

	// How many sessions are remembered in memory; more are served too, but asked
	// of the store. One takes at most 1 KiB. Default: 100000.
	RememberSessions int `json:"remember_sessions,omitempty"`

	// How long this node goes on with what it remembers when the database is
	// down: people who are signed in pass as they did when changes made on other
	// nodes last arrived. What was revoked or tightened since, on whichever node,
	// does not reach it before the database is back. At most `token_lifetime`. It
	// is warned about. Default: 0, which refuses.
	InsecureStaleFor caddy.Duration `json:"insecure_stale_for,omitempty"`

	// How many passwords are checked at once; each takes up to 64 MiB for a
	// moment. Default: the number of processors.
	PasswordsAtOnce int `json:"passwords_at_once,omitempty"`

	// Accounts as code. They are read-only on the pages and for the command
	// line, and disabled once they are no longer declared.
	Accounts []AccountConfig `json:"accounts,omitempty"`

	// People as code. They are read-only on the pages and for the command line,
	// except for their own authenticators, and disabled once they are no longer
	// declared.
	Users []UserConfig `json:"users,omitempty"`

	// Accounts and people to try the gate with, created once and then kept as
	// they are changed. Never use it for anything real: the password is known.
	Demonstration *Demonstration `json:"demonstration,omitempty"`

	life lifecycle
}

// AccountConfig declares an account.
type AccountConfig struct {
	// The account's id: lower-case letters, digits and `-`, at most 63.
	ID string `json:"id"`
	// The name that people see. Default: the id.
	Name string `json:"name,omitempty"`
	// `optional`, `suggested` or `required`.
	Policy string `json:"policy"`
	// Which kinds of second factor count: `any`, or `webauthn` for security keys
	// and passkeys only, which phishing cannot relay. Default: `any`.
	Accept string `json:"accept,omitempty"`
	// How long a second factor lasts before people are asked again. Default: as
	// long as the session.
	SecondFactorAge caddy.Duration `json:"second_factor_age,omitempty"`
	// For how long a browser that has shown a second factor may be remembered,
	// where its owner wishes so; at most a year. Default: not at all.
	Remember caddy.Duration `json:"remember,omitempty"`
	// The e-mail domains of the account's people. Declared ones count as proven.
	// A demonstration has none.
	Domains []DomainConfig `json:"domains,omitempty"`
	// The identity providers that the account's people sign in with. A
	// demonstration has none.
	Providers []ProviderConfig `json:"providers,omitempty"`
}

// DomainConfig declares that an account's people have addresses of a domain.
type DomainConfig struct {
	// The domain, such as `acme.example`.
	Name string `json:"name"`
	// The id of the account's identity provider that signs its people in.
	// Default: the one provider that the account has.
	Provider string `json:"provider,omitempty"`
	// Takes no password of ours from these people: they sign in with the provider
	// or not at all. Default: they may do either.
	Enforce bool `json:"enforce,omitempty"`
}

// ProviderConfig declares an account's identity provider.
type ProviderConfig struct {
	// What domains call it; unique within the account. Default: the kind.
	ID string `json:"id,omitempty"`
	// The kind: a module of the namespace `mfa.identity`, such as `oidc` or
	// `ldap`.
	Kind string `json:"kind"`
	// The name that people see. Default: the account's name.
	Name string `json:"name,omitempty"`
	// What a sign-in through it is worth: `precedence` (it overrides the account's
	// policy), `verify` (it does where it proved several factors itself), or
	// `stack` (the account's policy applies on top). Default: `precedence`.
	Trust string `json:"trust,omitempty"`
	// Makes people with an address of one of the account's domains members when
	// they first sign in through it. Default: only who is a member already, or
	// was invited, gets in.
	Join bool `json:"join,omitempty"`
	// Groups of the provider whose people are administrators of the account. If
	// any is given, everybody else who signs in through it is a mere member.
	Admins []string `json:"admins,omitempty"`
	// What the kind needs to know. Strings that are one placeholder are replaced.
	Settings json.RawMessage `json:"settings,omitempty"`
}

// UserConfig declares a person.
type UserConfig struct {
	// The e-mail address they sign in with.
	Email string `json:"email"`
	// Their name.
	Name string `json:"name,omitempty"`
	// The hash of their password, exactly as `caddy hash-password` prints it
	// (argon2id or bcrypt); placeholders are replaced. Empty: they have none.
	PasswordHash string `json:"password_hash,omitempty"`
	// Where they belong.
	Memberships []MembershipConfig `json:"memberships,omitempty"`
}

// MembershipConfig declares a person's place in an account.
type MembershipConfig struct {
	// The account's id; it need not be declared if it is in the store.
	Account string `json:"account"`
	// `member` or `admin`. Default: `member`.
	Role string `json:"role,omitempty"`
}

// Demonstration declares accounts and people with one known password. They are
// created in the store if they are missing, and belong to the store from then
// on, so that everything about them can be tried, changed and removed.
type Demonstration struct {
	// The password of all of them. It is printed on the console.
	Password string `json:"password"`
	// The accounts.
	Accounts []AccountConfig `json:"accounts,omitempty"`
	// The people; their password hashes are not used.
	Users []UserConfig `json:"users,omitempty"`
}

// Guard is the handler that lets a request pass, or sends the person to sign
// in, to another account, or to a second factor. Everything that it lets pass
// carries the person's identity in headers and placeholders; what a client sent
// in those headers never gets through.
type Guard struct {
	// The account being entered: an id, or a placeholder such as
	// `{http.request.host.labels.2}` or a header set by a proxy that you trust.
	// Default: the account that the person chose.
	Account string `json:"account,omitempty"`

	// Paths that anybody may reach: exact ones (`/healthz`), or everything below
	// a segment (`/assets/*`). They are compared with the path that the app will
	// see; ambiguous spellings are guarded like everything else.
	Public []string `json:"public,omitempty"`

	// How old a second factor may be here, for what deserves a fresh one. It also
	// demands one where the account's policy does not. Default: as old as the
	// session.
	SecondFactorMaxAge caddy.Duration `json:"second_factor_max_age,omitempty"`

	// Hands the session cookie to the app as well. Whoever reads it there can act
	// as the person on every site of this gate with the same host.
	InsecureForwardSessionCookie bool `json:"insecure_forward_session_cookie,omitempty"`

	life guardLife
}

// Pages is the handler that serves the gate's own pages, under the app's base
// path.
type Pages struct {
	// The account that this site is for, as for the guard.
	Account string `json:"account,omitempty"`

	life pagesLife
}
