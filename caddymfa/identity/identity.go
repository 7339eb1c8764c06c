// Package identity is the contract for kinds of identity providers: where a
// company's people sign in with what their company gave them.
//
// A kind ("oidc", "ldap") is configured once; each account's row holds the
// settings of its own provider. A provider tells who somebody is; whether that
// counts in the account being entered is for mfa.Decide to say.
//
// # Modules
//
// A kind is the Caddy module mfa.identity.<kind>, whose value is the [Source].
// What the module itself is configured with holds for every provider of the kind
// (time-outs, which networks may be reached) and is the operator's.
//
// The settings of one provider are a JSON object that the kind alone
// understands; a key that it does not know is an error. They come from pages and
// the API as well, where an account's administrator writes them: a kind replaces
// no placeholders in them and reads no file they name. In what the operator
// declares, each string that is one placeholder ({env.X}, {file.X}) was replaced
// before the kind sees it.
//
// In a Caddyfile the settings are written as "<kind> <args> { ... }" within an
// account. A kind that wants to be written so has the method
//
//	UnmarshalSettings(d *caddyfile.Dispenser) (settings any, err error)
//
// beside those of [Source]. It works as UnmarshalCaddyfile does (d.Next is its
// first call, and consumes the kind's name), on the fresh value of the module,
// and what it returns is encoded to the JSON of the settings. The options id,
// name, trust, join and admins, which all kinds share, are taken out before.
package identity

import (
	"context"
	"errors"
	"net/url"
	"time"
)

// What a provider may answer besides an identity. Any other error is a fault.
var (
	// ErrUnavailable means that the provider cannot be asked now. Nobody is
	// signed in some other way because of it.
	ErrUnavailable = errors.New("identity provider unavailable")
	// ErrIncorrect means a wrong name or password. It says no more than that;
	// a *Refusal wrapped beside it has the cause, for the audit only.
	ErrIncorrect = errors.New("incorrect")
	// ErrStale, wrapped in a *Refusal, means that a fresh sign-in was asked for,
	// and an old one came back, or one that does not say when it was.
	ErrStale = errors.New("no fresh sign-in")
)

// Refusal means that the provider, or our check of what it said, refused. The
// reason is a stable code for the audit, and holds no secret.
type Refusal struct {
	Reason string // for example "issuer_mismatch", "nonce_mismatch", "account_disabled"
	Err    error  // for the log; may be nil
}

func (r *Refusal) Error() string {
	if r.Err == nil {
		return "refused: " + r.Reason
	}
	return "refused: " + r.Reason + ": " + r.Err.Error()
}

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// Identity is who a provider says somebody is. Issuer and Subject are the
// identity (OpenID Connect Core, section 2); everything else describes it, and
// joins nothing by itself.
type Identity struct {
	Issuer        string
	Subject       string
	Email         string // as the provider spells it; empty: it did not say
	EmailVerified bool   // the provider vouches for the address
	Name          string
	Groups        []string
	// MFA says that the provider proved several factors, as the kind judges from
	// what the settings name as proof (AMR, ACR). False: it did not say so.
	MFA      bool
	AMR      []string  // RFC 8176; what the provider says it asked for
	ACR      string    // OpenID Connect Core, section 2
	AuthTime time.Time // when the provider asked; zero: it did not say
	Session  string    // the provider's own name of its session ("sid"); empty: none
	// Token is what the provider wants back at sign-out (id_token_hint); empty:
	// nothing. It is a secret.
	Token string
}

// Source is a kind of identity provider.
type Source interface {
	// Kind names it, as rows do.
	Kind() string
	// Check says what is wrong with settings, without asking the provider. It
	// returns the issuer whose signature every sign-in with these settings bears,
	// so that two accounts which link it mean the same people; "" where the
	// account's own settings say who somebody is (a directory), so that its
	// people are nobody's elsewhere.
	Check(settings []byte) (issuer string, err error)
	// Open returns the provider of one row. It makes no network request: the
	// first one is made when somebody signs in. The provider is kept and used by
	// many goroutines, until the row changes.
	Open(ctx context.Context, settings []byte) (Provider, error)
}

// Provider is one account's identity provider. What it can do is asked for by
// the interfaces below; it can do at least one of the first two.
type Provider interface {
	// Close releases what the provider holds.
	Close() error
}

// Request is how to ask for a sign-in.
type Request struct {
	// RedirectURI is where the browser comes back to, made from configuration
	// and never from what the client sent.
	RedirectURI string
	// LoginHint is the address that the person typed.
	LoginHint string
	// MaxAge asks for a sign-in no older than this. Zero: as the settings say.
	MaxAge time.Duration
	// Again asks for a new sign-in, even if the provider knows the browser.
	Again bool
}

// Begun is a sign-in that was begun.
type Begun struct {
	// URL is where to send the browser.
	URL string
	// State comes back in the callback, and names this sign-in. The caller keeps
	// it for one use, bound to the browser.
	State string
	// Secret is what Finish needs, to be kept sealed.
	Secret []byte
}

// Redirector is a provider that people are sent to (OpenID Connect).
type Redirector interface {
	Begin(ctx context.Context, r Request) (Begun, error)
	// Finish takes what came back. The caller has checked that this browser
	// began the sign-in and that it was not finished before.
	Finish(ctx context.Context, secret []byte, callback url.Values) (Identity, error)
}

// PasswordChecker is a provider that takes a name and a password (a directory).
type PasswordChecker interface {
	CheckPassword(ctx context.Context, name, password string) (Identity, error)
}

// Logout is what a provider says about an end of sign-in (OpenID Connect
// Back-Channel Logout 1.0, section 2.4).
type Logout struct {
	Issuer  string
	Subject string    // empty: Session alone names what ended
	Session string    // empty: all of the subject's
	ID      string    // "jti"; the caller accepts it once
	Expires time.Time // after which ID need not be remembered
}

// LogoutReceiver is a provider that tells us when a sign-in ended there.
type LogoutReceiver interface {
	VerifyLogout(ctx context.Context, token string) (Logout, error)
}

// LogoutRedirector is a provider where the browser can be sent to sign out
// there too (OpenID Connect RP-Initiated Logout 1.0).
type LogoutRedirector interface {
	// LogoutURL returns "" where the provider offers none.
	LogoutURL(ctx context.Context, token, returnTo string) (string, error)
}
