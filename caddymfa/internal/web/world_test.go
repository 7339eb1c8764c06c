package web

import (
	"context"
	"encoding/json"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/internal/testkit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

const (
	portal   = "https://portal.example"
	issuer   = "https://login.acme.example"
	password = "correct horse battery"
)

// provider is a company's identity provider that says what the test wants. It is
// its own kind and its own settings.
type provider struct {
	who   identity.Identity
	err   error
	down  error // what beginning fails with
	asked identity.Request
	out   identity.Logout
}

func (p *provider) Kind() string                                            { return "fake" }
func (p *provider) Check([]byte) (string, error)                            { return issuer, nil }
func (p *provider) Close() error                                            { return nil }
func (p *provider) Open(context.Context, []byte) (identity.Provider, error) { return p, nil }

func (p *provider) Begin(_ context.Context, r identity.Request) (identity.Begun, error) {
	if p.down != nil {
		return identity.Begun{}, p.down
	}
	p.asked = r
	state := session.NewID()
	return identity.Begun{URL: issuer + "/authorize?state=" + state, State: state, Secret: []byte("kept")}, nil
}

func (p *provider) Finish(context.Context, []byte, url.Values) (identity.Identity, error) {
	return p.who, p.err
}

func (p *provider) VerifyLogout(context.Context, string) (identity.Logout, error) {
	return p.out, p.err
}

func (p *provider) LogoutURL(_ context.Context, token, returnTo string) (string, error) {
	return issuer + "/logout?" + url.Values{"id_token_hint": {token}, "post_logout_redirect_uri": {returnTo}}.Encode(), nil
}

// world is a server over a real store, with a clock that only the test moves.
// The account acme enforces the domain acme.example, whose people its provider
// signs in.
type world struct {
	*Server
	t      *testing.T
	corp   *provider
	store  storage.Storage
	clock  *testkit.Clock
	faults []string
}

func (w *world) now() time.Time       { return w.clock.Now() }
func (w *world) pass(d time.Duration) { w.clock.Pass(d) }

func newWorld(t *testing.T) *world {
	t.Helper()
	k := testkit.New(t)
	store := k.Store
	w := &world{t: t, store: store, clock: k.Clock}
	sessions, err := session.NewManager(store, &session.Keyring{Store: store, Box: k.Box, Now: w.now}, w.now, session.Limits{}, "caddymfa", 1000)
	if err != nil {
		t.Fatal(err)
	}
	w.corp = &provider{who: identity.Identity{
		Issuer: issuer, Subject: "subject-1", Email: "ana@acme.example", EmailVerified: true, AuthTime: w.now(), AMR: []string{"pwd"}, Token: "id-token",
	}}
	steps := &login.Service{
		Store: store, Facts: k.Facts, Sessions: sessions, Box: k.Box, Now: w.now, Snooze: 7 * 24 * time.Hour,
		Record:    func(context.Context, storage.Event) {},
		Passwords: login.NewPasswords(new(testkit.Hasher), 4, time.Minute),
		Limiter:   k.Limiter,
		Companies: &login.Companies{Store: store, Box: k.Box, Sources: map[string]identity.Source{"fake": w.corp}},
	}
	w.Server = &Server{
		Base: "/.mfa", Origins: []string{portal}, Login: steps, Pages: newRenderer(t),
		Fault: func(_ *http.Request, doing string, err error) { w.faults = append(w.faults, doing+": "+err.Error()) },
	}
	settings, err := steps.Companies.Seal("corp", login.Linking{Join: true, Source: json.RawMessage("{}")})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		store.CreateAccount(t.Context(), storage.Account{ID: "acme", Name: "Acme", Policy: mfa.Optional, Created: w.now()}),
		store.PutProvider(t.Context(), storage.IdentityProvider{ID: "corp", Account: "acme", Kind: "fake", Name: "Acme's sign-in", Issuer: issuer,
			Settings: settings, Trust: mfa.Precedence, Created: w.now()}),
		store.PutDomain(t.Context(), storage.Domain{Account: "acme", Name: "acme.example", Verified: true, Enforce: true, Provider: "corp", Created: w.now()}),
		store.CreateUser(t.Context(), storage.User{ID: "u-bea", Email: "bea@acme.example", PasswordHash: testkit.Hashed(password), Created: w.now()}),
	); err != nil {
		t.Fatal(err)
	}
	return w
}

// enforce sets whether acme.example is enforced.
func (w *world) enforce(on bool) {
	w.t.Helper()
	if err := w.store.PutDomain(w.t.Context(), storage.Domain{
		Account: "acme", Name: "acme.example", Verified: true, Enforce: on, Provider: "corp", Created: w.now(),
	}); err != nil {
		w.t.Fatal(err)
	}
}

// browser keeps cookies, and what the last page was.
type browser struct {
	w       *world
	origin  string
	cookies map[string]string
	site    Site
	page    string
}

func (w *world) browser() *browser {
	return &browser{w: w, origin: portal, cookies: map[string]string{}, site: Site{Network: "192.0.2.1"}}
}

// serve makes one request, as the handler of the pages does.
func (b *browser) serve(r *http.Request) *http.Response {
	b.w.t.Helper()
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	rec := httptest.NewRecorder()
	b.w.ServeHTTP(rec, r, b.site)
	resp := rec.Result()
	for _, c := range resp.Cookies() {
		if len(c.Name)+len(c.Value) > 4096 {
			b.w.t.Errorf("cookie %s has %d bytes: browsers drop it", c.Name, len(c.Value))
		}
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	b.page = html.UnescapeString(string(body))
	return resp
}

func (b *browser) get(path string) *http.Response {
	b.w.t.Helper()
	r := httptest.NewRequest("GET", b.origin+path, nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site") // a callback comes from elsewhere
	return b.serve(r)
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// post sends a form with the token of the last page.
func (b *browser) post(path string, form url.Values) *http.Response {
	b.w.t.Helper()
	if token := csrfField.FindStringSubmatch(b.page); token != nil {
		form.Set("csrf", token[1])
	}
	r := httptest.NewRequest("POST", b.origin+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.serve(r)
}

// sent expects to be sent to a path.
func (b *browser) sent(resp *http.Response, want string) {
	b.w.t.Helper()
	if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || got != want {
		b.w.t.Fatalf("got %d, to %q, want %q; faults: %q", resp.StatusCode, got, want, b.w.faults)
	}
}

var leaving = regexp.MustCompile(`href="(` + regexp.QuoteMeta(issuer) + `/authorize\?state=([^"]+))"`)

// left expects the page that leads to the provider, and returns the state.
func (b *browser) left(resp *http.Response) string {
	b.w.t.Helper()
	found := leaving.FindStringSubmatch(b.page)
	if resp.StatusCode != http.StatusOK || found == nil {
		b.w.t.Fatalf("got %d, without a way to the provider; faults: %q\n%s", resp.StatusCode, b.w.faults, b.page)
	}
	return found[2]
}

// signedIn says who is, and through what.
func (b *browser) signedIn() (storage.Session, bool) {
	b.w.t.Helper()
	sess, _, err := b.w.Login.Open(b.w.t.Context(), b.cookies["__Host-mfa"], session.Audience(strings.TrimPrefix(b.origin, "https://")))
	if err != nil {
		b.w.t.Fatal(err)
	}
	if sess == nil {
		return storage.Session{}, false
	}
	return *sess, true
}

// typed goes through the first page.
func (b *browser) typed(email, returnTo string) *http.Response {
	b.w.t.Helper()
	b.get("/.mfa/login?return=" + url.QueryEscape(returnTo))
	return b.post("/.mfa/login", url.Values{"email": {email}, "return": {returnTo}})
}

// throughCompany is a whole sign-in at the provider.
func (b *browser) throughCompany() storage.Session {
	b.w.t.Helper()
	b.sent(b.typed("ana@acme.example", "/orders"), "/.mfa/sso/start?return=%2Forders")
	state := b.left(b.get("/.mfa/sso/start?return=%2Forders"))
	b.sent(b.get("/.mfa/sso/callback?code=c&state="+state), "/orders")
	s, ok := b.signedIn()
	if !ok {
		b.w.t.Fatal("nobody is signed in")
	}
	return s
}
