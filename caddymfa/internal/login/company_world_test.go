package login

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// fake is a company's identity provider that says what the test wants.
type fake struct {
	notBegun error // what Begin returns
	who      identity.Identity
	err      error
	asked    []identity.Request // sign-ins begun
	names    []string           // names whose passwords it was asked for
	out      identity.Logout
	outErr   error
	closed   atomic.Int32
}

func (f *fake) Close() error {
	f.closed.Add(1)
	return nil
}

// page is a fake with a page to be sent to.
type page struct{ *fake }

func (p page) Begin(_ context.Context, r identity.Request) (identity.Begun, error) {
	if p.notBegun != nil {
		return identity.Begun{}, p.notBegun
	}
	if errors.Is(p.err, identity.ErrUnavailable) {
		return identity.Begun{}, p.err
	}
	p.asked = append(p.asked, r)
	state := session.NewID()
	return identity.Begun{URL: "https://corp.example/authorize?state=" + state, State: state, Secret: []byte("secret of " + state)}, nil
}

func (p page) Finish(_ context.Context, secret []byte, callback url.Values) (identity.Identity, error) {
	if string(secret) != "secret of "+callback.Get("state") {
		return identity.Identity{}, errors.New("the secret is another sign-in's")
	}
	return p.who, p.err
}

func (p page) VerifyLogout(context.Context, string) (identity.Logout, error) { return p.out, p.outErr }

func (p page) LogoutURL(_ context.Context, token, returnTo string) (string, error) {
	return "https://corp.example/logout?hint=" + url.QueryEscape(token) + "&to=" + url.QueryEscape(returnTo), p.err
}

// directory is a fake that takes passwords.
type directory struct{ *fake }

func (d directory) CheckPassword(_ context.Context, name, typed string) (identity.Identity, error) {
	d.names = append(d.names, name)
	if d.err == nil && typed != password {
		return identity.Identity{}, identity.ErrIncorrect
	}
	return d.who, d.err
}

// source is a kind of fake providers, found by the name in their settings.
type source struct {
	kind  string
	fakes map[string]*fake
}

func (s source) Kind() string { return s.kind }

func (s source) Check(settings []byte) (string, error) {
	var v struct{ Name, Issuer string }
	return v.Issuer, json.Unmarshal(settings, &v)
}

func (s source) Open(_ context.Context, settings []byte) (identity.Provider, error) {
	var v struct{ Name, Issuer string }
	if err := json.Unmarshal(settings, &v); err != nil {
		return nil, err
	}
	if s.kind == "directory" {
		return directory{s.fakes[v.Name]}, nil
	}
	return page{s.fakes[v.Name]}, nil
}

// company gives an account a provider of the kind, which signs in the people of
// the account's verified domain. An empty issuer is a kind that proves none.
func (w *world) company(account, kind, issuer, domain string, enforce bool, l Linking) *fake {
	w.t.Helper()
	if w.Companies == nil {
		w.Companies = &Companies{Store: w.store, Box: w.Box, Sources: map[string]identity.Source{
			"page": source{"page", map[string]*fake{}}, "directory": source{"directory", map[string]*fake{}},
		}}
		w.t.Cleanup(func() { w.Companies.Close() })
	}
	f := &fake{who: identity.Identity{
		Issuer: issuer, Subject: "subject-1", Email: "ana@" + domain, EmailVerified: true, Name: "Ana", AuthTime: w.now(),
		AMR: []string{"pwd"}, ACR: "low", Session: "sid-1", Token: "id-token",
	}}
	id := account + "-" + kind
	w.Companies.Sources[kind].(source).fakes[id] = f
	l.Source = json.RawMessage(fmt.Sprintf(`{"Name":%q,"Issuer":%q}`, id, issuer))
	settings, err := w.Companies.Seal(id, l)
	if err != nil {
		w.t.Fatal(err)
	}
	row := storage.IdentityProvider{ID: id, Account: account, Kind: kind, Name: "Sign-in of " + account, Issuer: issuer, Settings: settings,
		Trust: mfa.Precedence, Created: w.now()}
	if err := w.store.PutProvider(w.t.Context(), row); err != nil {
		w.t.Fatal(err)
	}
	w.domain(storage.Domain{Account: account, Name: domain, Verified: true, Enforce: enforce, Provider: id})
	return f
}

func (w *world) domain(d storage.Domain) {
	w.t.Helper()
	d.Created = w.now()
	if err := w.store.PutDomain(w.t.Context(), d); err != nil {
		w.t.Fatal(err)
	}
}

// through goes to a provider and comes back.
func (w *world) through(provider string, old *storage.Session) (storage.Session, error) {
	return w.again(Ask{Provider: provider, RedirectURI: "https://portal.example/.mfa/sso/callback"}, old)
}

func (w *world) again(a Ask, old *storage.Session) (storage.Session, error) {
	w.t.Helper()
	_, asked, err := w.AskCompany(w.t.Context(), a)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.AnswerCompany(w.t.Context(), client, asked, url.Values{"state": {asked.State}, "code": {"c"}}, old)
}

// mustThrough is a sign-in through a provider that must work.
func (w *world) mustThrough(provider string, old *storage.Session) storage.Session {
	w.t.Helper()
	s, err := w.through(provider, old)
	if err != nil {
		w.t.Fatalf("signing in through %s: %v", provider, err)
	}
	return s
}

// logoutToken is a token that says it is the issuer's; nobody signed it.
func logoutToken(issuer string) string {
	body, _ := json.Marshal(map[string]string{"iss": issuer})
	return "e30." + base64.RawURLEncoding.EncodeToString(body) + ".c2ln"
}

// sessions counts somebody's live sessions.
func (w *world) sessions(user string) int {
	w.t.Helper()
	rows, err := w.store.SessionsOf(w.t.Context(), user, w.now())
	if err != nil {
		w.t.Fatal(err)
	}
	return len(rows)
}

const day = 24 * time.Hour
