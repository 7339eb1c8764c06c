package login

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// askTime is how long a person may take at their company's provider.
const askTime = 15 * time.Minute

// Ask is how to begin a sign-in at a provider.
type Ask struct {
	Provider    string
	RedirectURI string        // made from configuration
	Client      Client        // who asks, for the audit
	Hint        string        // the person's address; empty: not known
	Again       bool          // the provider must ask the person again
	MaxAge      time.Duration // how old the sign-in may be. Zero: any age
	After       string        // where the person wanted to go
	Test        int64         // the version of the provider's row that is only tried out; 0: a sign-in
}

// Asked is a sign-in at a provider under way. It stays, sealed, with the
// browser that began it: nobody else can finish it, and nothing is stored for
// people who never come back.
type Asked struct {
	Provider string        `json:"p"`
	State    string        `json:"s"`
	Secret   []byte        `json:"k"`
	MaxAge   time.Duration `json:"a,omitempty"`
	After    string        `json:"r,omitempty"`
	Test     int64         `json:"t,omitempty"`
	Expires  int64         `json:"x"`
}

// What an answer of a provider may lead to besides a session.
// identity.ErrUnavailable means that it could not be asked.
var (
	// ErrRefused means that a provider, or our check of what it said, refused.
	// The reason is for the audit.
	ErrRefused = errors.New("refused by the identity provider")
	// ErrNotAgain means that a new sign-in was asked for and the provider came
	// back with an old one.
	ErrNotAgain = errors.New("the identity provider did not ask again")
)

// AskCompany begins a sign-in at a provider, and returns where to send the
// browser. ErrRefused means that what the provider says of itself is refused.
func (s *Service) AskCompany(ctx context.Context, a Ask) (address string, asked Asked, err error) {
	if s.Companies == nil {
		return "", asked, errNoProvider
	}
	row, o, err := s.Companies.provider(ctx, a.Provider)
	if err != nil {
		return "", asked, err
	}
	to, ok := o.provider.(identity.Redirector)
	if !ok {
		return "", asked, fmt.Errorf("identity provider %q takes passwords and has no page to be sent to", a.Provider)
	}
	begun, err := to.Begin(ctx, identity.Request{RedirectURI: a.RedirectURI, LoginHint: a.Hint, MaxAge: a.MaxAge, Again: a.Again})
	if errors.Is(err, identity.ErrUnavailable) { // nobody's fault, and said in the log
		return "", asked, err
	}
	if err != nil {
		return "", asked, s.notVouched(ctx, a.Client, row, "", a.Hint, err)
	}
	return begun.URL, Asked{
		Provider: a.Provider, State: begun.State, Secret: begun.Secret, MaxAge: a.MaxAge, After: a.After, Test: a.Test,
		Expires: s.Now().Add(askTime).Unix(),
	}, nil
}

// AnswerCompany takes what came back from a provider, and begins a session of
// whoever the provider says it is.
func (s *Service) AnswerCompany(ctx context.Context, c Client, asked Asked, callback url.Values, old *storage.Session) (storage.Session, error) {
	if asked.Test != 0 { // a test signs nobody in, wherever it comes back
		return storage.Session{}, ErrStartAgain
	}
	row, o, who, err := s.answered(ctx, asked, callback)
	switch {
	case o == nil:
		return storage.Session{}, err
	case err != nil:
		return storage.Session{}, s.notVouched(ctx, c, row, "", who.Email, err)
	}
	return s.vouched(ctx, c, row, o.linking, who, old)
}

// answered takes what came back from a provider, once. An error without a
// provider is no answer of its.
func (s *Service) answered(ctx context.Context, asked Asked, callback url.Values) (row storage.IdentityProvider, o *opened, who identity.Identity, err error) {
	if s.Companies == nil || asked.State == "" || s.Now().Unix() >= asked.Expires {
		return row, nil, who, ErrStartAgain
	}
	// The cookie can be copied and sent again; what it names is spent here.
	if err := s.Limiter.Once(ctx, "sso", asked.Provider, asked.State); errors.Is(err, limit.ErrCapped) {
		return row, nil, who, ErrStartAgain
	} else if err != nil {
		return row, nil, who, err
	}
	row, o, err = s.Companies.provider(ctx, asked.Provider)
	if errors.Is(err, errNoProvider) {
		return row, nil, who, ErrStartAgain
	}
	if err != nil {
		return row, nil, who, err
	}
	to, ok := o.provider.(identity.Redirector)
	if !ok {
		return row, nil, who, ErrStartAgain
	}
	who, err = to.Finish(ctx, asked.Secret, callback)
	if err == nil && asked.MaxAge > 0 && s.Now().Sub(who.AuthTime) > asked.MaxAge+time.Minute {
		err = &identity.Refusal{Reason: "sign_in_too_old", Err: identity.ErrStale}
	}
	if errors.Is(err, identity.ErrStale) {
		err = errors.Join(ErrNotAgain, err)
	}
	return row, o, who, err
}

func refuse(reason string) error { return &identity.Refusal{Reason: reason} }

// notVouched tells the audit why nobody was signed in.
func (s *Service) notVouched(ctx context.Context, c Client, row storage.IdentityProvider, user, email string, err error) error {
	e := storage.Event{At: s.Now(), Action: "sign_in", Outcome: "refused", User: user, Account: row.Account, Network: c.Network, Detail: through(row)}
	if email != "" {
		e.Detail += " as " + shorten(email, 100)
	}
	var refusal *identity.Refusal
	switch {
	case errors.As(err, &refusal):
		e.Reason = refusal.Reason
		err = errors.Join(ErrRefused, err)
	case errors.Is(err, identity.ErrUnavailable):
		e.Outcome, e.Reason = "failed", "provider_unavailable"
	default:
		return err
	}
	s.Record(ctx, e)
	return err
}

func through(row storage.IdentityProvider) string { return "through " + row.ID }

// unknownAge is how old a sign-in counts as whose time the provider does not
// say: too old for anything that wants a fresh one.
const unknownAge = 30 * 24 * time.Hour

// speaker says who speaks through a provider: the issuer, or a directory itself,
// whose settings are its account's own word, and speak of nobody elsewhere.
func speaker(row storage.IdentityProvider, who identity.Identity) (string, error) {
	switch {
	case who.Subject == "":
		return "", refuse("subject_missing")
	case row.Issuer == "":
		return row.ID, nil
	case who.Issuer != row.Issuer:
		return "", refuse("issuer_mismatch")
	}
	return row.Issuer, nil
}

// vouched begins the session of somebody for whom a provider vouches.
func (s *Service) vouched(ctx context.Context, c Client, row storage.IdentityProvider, l Linking, who identity.Identity, old *storage.Session) (storage.Session, error) {
	var none storage.Session
	issuer, err := speaker(row, who)
	var user storage.User
	if err == nil {
		user, err = s.personOf(ctx, row, l, issuer, who)
	}
	if err != nil {
		return none, s.notVouched(ctx, c, row, user.ID, who.Email, err)
	}
	now := s.Now()
	first := now.Add(-unknownAge)
	switch {
	case who.AuthTime.After(now):
		first = now
	case !who.AuthTime.IsZero():
		first = who.AuthTime
	}
	proof := mfa.Proof{
		User: user.ID, First: first, FirstBy: mfa.BySSO, Provider: row.ID, Issuer: issuer, Subject: who.Subject,
		ProviderAMR: shorten(strings.Join(who.AMR, " "), 200), ProviderACR: shorten(who.ACR, 200), ProviderSession: who.Session,
	}
	if who.MFA {
		proof.ProviderSecond = first
	}
	sess, err := s.begin(ctx, c, proof, old)
	if err != nil {
		return none, err
	}
	if sess, err = s.enterCompany(ctx, sess, row.Account); err != nil {
		return none, err
	}
	if err := s.keepToken(ctx, &sess, who.Token); err != nil {
		return none, err
	}
	if err := s.Store.CountSignIn(ctx, row.ID, now, who.MFA); err != nil && !errors.Is(err, storage.ErrNotFound) {
		return none, err
	}
	e := s.event(c, &sess, "sign_in", "ok", mfa.BySSO)
	e.Detail = through(row)
	s.Record(ctx, e)
	return sess, nil
}

// enterCompany puts a session into the account through whose provider it came,
// if the person belongs there.
func (s *Service) enterCompany(ctx context.Context, sess storage.Session, account string) (storage.Session, error) {
	m, err := s.Store.Membership(ctx, account, sess.User)
	if errors.Is(err, storage.ErrNotFound) || err == nil && (m.State != mfa.Joined || sess.Account == account) {
		return sess, nil
	}
	if err != nil {
		return sess, err
	}
	return s.Store.UpdateSession(ctx, sess.ID, func(n *storage.Session) error {
		n.Account = account
		return nil
	})
}

// ErrElsewhere means that a company's page takes the person's sign-in, and we
// take no password.
var ErrElsewhere = errors.New("sign in at the company's provider")

// directoryPassword checks a password in the company's directory. An empty one
// never gets there: to a directory it is an anonymous bind, which succeeds (RFC
// 4513, section 5.1.2).
func (s *Service) directoryPassword(ctx context.Context, c Client, company Company, email, password string, old *storage.Session) (storage.Session, error) {
	var none storage.Session
	row, o, err := s.Companies.provider(ctx, company.Provider)
	if err != nil {
		return none, err
	}
	directory, ok := o.provider.(identity.PasswordChecker)
	if !ok {
		return none, fmt.Errorf("identity provider %q takes no passwords", company.Provider)
	}
	who, err := identity.Identity{}, error(identity.ErrIncorrect)
	if password != "" && len(password) <= MaxPassword {
		who, err = directory.CheckPassword(ctx, email, password)
	}
	if errors.Is(err, identity.ErrIncorrect) {
		reason := "wrong_password"
		var refusal *identity.Refusal
		if errors.As(err, &refusal) {
			reason = refusal.Reason
		}
		s.Record(ctx, storage.Event{At: s.Now(), Action: "sign_in", Outcome: "refused", Reason: reason, Account: row.Account, Network: c.Network,
			Detail: through(row)})
		return none, ErrWrong
	}
	if err != nil {
		return none, s.notVouched(ctx, c, row, "", email, err)
	}
	who.AuthTime = s.Now()
	return s.vouched(ctx, c, row, o.linking, who, old)
}
