package web

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func TestCompanyJourney(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	s := b.throughCompany()
	if s.Proof.Provider != "corp" || s.Account != "acme" {
		t.Errorf("session %+v", s)
	}
	if w.corp.asked.RedirectURI != portal+"/.mfa/sso/callback" || w.corp.asked.LoginHint != "ana@acme.example" {
		t.Errorf("asked %+v", w.corp.asked)
	}
	// Known, unknown and with a password of ours: the domain alone decides.
	for _, email := range []string{"bea@acme.example", "nobody@acme.example"} {
		b := w.browser()
		b.sent(b.typed(email, "/x"), "/.mfa/sso/start?return=%2Fx")
	}
	other := w.browser()
	other.sent(other.typed("gus@guest.example", "/x"), "/.mfa/login/password?return=%2Fx")
}

// Whoever came through a company's sign-in reads so, on their own pages.
func TestPagesNameTheCompany(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.throughCompany()
	for path, also := range map[string]string{
		"/.mfa/profile": "", "/.mfa/profile/security": "", "/.mfa/profile/sessions": "<code>pwd</code>", "/.mfa/profile/accounts": "", "/.mfa/accounts": "",
	} {
		if b.get(path); !strings.Contains(b.page, "Acme's sign-in") || !strings.Contains(b.page, also) {
			t.Errorf("%s does not name it:\n%s", path, b.page)
		}
	}
}

func TestCompanyTakesNoPassword(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.typed("bea@acme.example", "/x")
	b.get("/.mfa/login/password?return=%2Fx")
	b.sent(b.post("/.mfa/login/password", url.Values{"password": {password}, "return": {"/x"}}), "/.mfa/sso/start?return=%2Fx")
	if _, ok := b.signedIn(); ok {
		t.Error("a password opened a session")
	}
	// Where nothing is enforced, both ways are open.
	w.enforce(false)
	b.sent(b.typed("bea@acme.example", "/x"), "/.mfa/login/password?return=%2Fx")
	b.get("/.mfa/login/password?return=%2Fx")
	if !strings.Contains(b.page, "/.mfa/sso/start?return=%2Fx") || !strings.Contains(b.page, "Acme's sign-in") {
		t.Errorf("the company's sign-in is not offered:\n%s", b.page)
	}
	if b.post("/.mfa/login/password", url.Values{"password": {password}, "return": {"/x"}}); b.cookies["__Host-mfa"] == "" {
		t.Error("the password opened no session")
	}
}

// An answer counts once, and in the browser that asked.
func TestCallbackIsBound(t *testing.T) {
	w := newWorld(t)
	b, other := w.browser(), w.browser()
	b.typed("ana@acme.example", "/orders")
	state := b.left(b.get("/.mfa/sso/start"))
	stolen := b.cookies["__Host-mfa-flow"]
	for name, visit := range map[string]func() *http.Response{
		"another browser": func() *http.Response { return other.get("/.mfa/sso/callback?code=c&state=" + state) },
		"another browser with a flow of its own": func() *http.Response {
			other.typed("ana@acme.example", "/")
			other.left(other.get("/.mfa/sso/start"))
			return other.get("/.mfa/sso/callback?code=c&state=" + state)
		},
		"no state":      func() *http.Response { return other.get("/.mfa/sso/callback?code=c") },
		"another state": func() *http.Response { return other.get("/.mfa/sso/callback?code=c&state=x") },
	} {
		if resp := visit(); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: got %d", name, resp.StatusCode)
		}
		if _, ok := other.signedIn(); ok {
			t.Fatalf("%s: somebody is signed in", name)
		}
	}
	b.sent(b.get("/.mfa/sso/callback?code=c&state="+state), "/orders")
	other.cookies["__Host-mfa-flow"] = stolen
	if resp := other.get("/.mfa/sso/callback?code=c&state=" + state); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("the same answer again: got %d", resp.StatusCode)
	}
	if _, ok := other.signedIn(); ok {
		t.Error("the same answer signed in twice")
	}
}

func TestSeveralTabsAskAtOnce(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	long := "/orders?q=" + strings.Repeat("x", maxReturn-20)
	b.typed("ana@acme.example", long)
	first := b.left(b.get("/.mfa/sso/start?return=" + url.QueryEscape("/a")))
	var last string
	for range maxAsked - 1 {
		last = b.left(b.get("/.mfa/sso/start?return=" + url.QueryEscape("/b")))
	}
	b.sent(b.get("/.mfa/sso/callback?code=c&state="+first), "/a")
	other := w.browser()
	other.typed("ana@acme.example", "/")
	for range 3 {
		last = other.left(other.get("/.mfa/sso/start?return=" + url.QueryEscape(long)))
	}
	resp := other.get("/.mfa/sso/callback?code=c&state=" + last)
	if _, ok := other.signedIn(); !ok {
		t.Errorf("after long addresses: got %d", resp.StatusCode)
	}
}

// What a client says its host is goes into no redirect URI.
func TestRedirectURIComesFromConfiguration(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name, origin string
		configured   []string
		want         string
	}{
		{"configured", portal, []string{"https://other.example", portal}, portal},
		{"in another spelling", "https://PORTAL.example", []string{portal}, portal},
		{"another host", "https://evil.example", []string{portal}, ""},
		{"another port", "https://portal.example:8443", []string{portal}, ""},
		{"nothing configured", portal, nil, ""},
		{"this machine, for a trial", "http://localhost:8080", nil, "http://localhost:8080"},
		{"this machine, not configured", "http://localhost:8080", []string{portal}, ""},
		{"a name that begins like this machine", "http://localhost.evil.example", nil, ""},
		{"plain HTTP behind a proxy", "http://portal.example", []string{portal}, portal},
	} {
		w.Origins, w.faults = c.configured, nil
		b := w.browser()
		b.origin = c.origin
		b.typed("ana@acme.example", "/")
		resp := b.get("/.mfa/sso/start")
		if c.want == "" {
			if resp.StatusCode != http.StatusServiceUnavailable || len(w.faults) != 1 || !strings.Contains(w.faults[0], "origin") {
				t.Errorf("%s: got %d, %q", c.name, resp.StatusCode, w.faults)
			}
			continue
		}
		b.left(resp)
		if got := w.corp.asked.RedirectURI; got != c.want+"/.mfa/sso/callback" {
			t.Errorf("%s: the redirect URI is %q", c.name, got)
		}
	}
}

func TestOutagePage(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.typed("ana@acme.example", "/orders")
	w.corp.down = errors.Join(identity.ErrUnavailable, errors.New("dial tcp 10.0.0.7: connection refused"))
	resp := b.get("/.mfa/sso/start?return=%2Forders")
	if resp.StatusCode != http.StatusBadGateway || strings.Contains(b.page, "10.0.0.7") ||
		!strings.Contains(b.page, `href="/.mfa/sso/start?return=%2Forders"`) || !strings.Contains(b.page, `href="/.mfa/breakglass?return=%2Forders"`) {
		t.Errorf("got %d:\n%s", resp.StatusCode, b.page)
	}
	w.corp.down = nil
	state := b.left(b.get("/.mfa/sso/start?return=%2Forders")) // "try again" does
	w.corp.err = identity.ErrUnavailable
	if resp := b.get("/.mfa/sso/callback?code=c&state=" + state); resp.StatusCode != http.StatusBadGateway {
		t.Errorf("on the way back: got %d", resp.StatusCode)
	}
	if _, ok := b.signedIn(); ok {
		t.Error("somebody is signed in")
	}
}

func TestRefusedPageSaysNothingOfTheReason(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.typed("ana@acme.example", "/orders")
	state := b.left(b.get("/.mfa/sso/start"))
	w.corp.err = &identity.Refusal{Reason: "nonce_mismatch", Err: errors.New("expected n, got m")}
	resp := b.get("/.mfa/sso/callback?code=c&state=" + state)
	if resp.StatusCode != http.StatusForbidden || strings.Contains(b.page, "nonce") || !strings.Contains(b.page, "/.mfa/login?return=%2Forders") {
		t.Errorf("got %d:\n%s", resp.StatusCode, b.page)
	}
	if _, ok := b.signedIn(); ok {
		t.Error("somebody is signed in")
	}
}

// A route that wants a fresh sign-in goes back to the provider, and whatever the
// provider does, the browser does not go round in circles.
func TestStepUpAtTheProvider(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	s := b.throughCompany()
	w.pass(time.Hour)
	guarded := b.site
	guarded.Target, guarded.MaxAge = "/vault", 15*time.Minute
	r := httptest.NewRequest("GET", portal+"/vault", nil)
	r.Header.Set("Accept", "text/html")
	rec := httptest.NewRecorder()
	w.Refuse(rec, r, guarded, &s, mfa.Decision{Verdict: mfa.SSO, Reason: mfa.ProviderTooOld, Provider: "corp"})
	b.sent(rec.Result(), "/.mfa/sso?return=%2Fvault&fresh=900")

	state := b.left(b.get("/.mfa/sso?return=%2Fvault&fresh=900"))
	if a := w.corp.asked; !a.Again || a.MaxAge != mfa.ChangeWindow {
		t.Errorf("asked %+v", a)
	}
	resp := b.get("/.mfa/sso/callback?code=c&state=" + state) // with the sign-in from an hour ago
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(b.page, `href="/.mfa/sso?return=%2Fvault"`) {
		t.Errorf("an old sign-in: got %d to %q\n%s", resp.StatusCode, resp.Header.Get("Location"), b.page)
	}
	if now, ok := b.signedIn(); !ok || now.ID != s.ID {
		t.Error("the session that was there is gone")
	}
	state = b.left(b.get("/.mfa/sso?return=%2Fvault&fresh=900"))
	w.corp.who.AuthTime = w.now()
	b.sent(b.get("/.mfa/sso/callback?code=c&state="+state), "/vault")
	// With nothing to be asked for, the page leads on.
	b.sent(b.get("/.mfa/sso?return=%2Fvault&fresh=900"), "/vault")
	b.sent(b.get("/.mfa/sso?return=%2Fvault&fresh=nonsense"), "/vault")
}

func TestAPasswordSessionGoesToTheProvider(t *testing.T) {
	w := newWorld(t)
	w.enforce(false)
	if err := w.store.PutMembership(t.Context(), storage.Membership{Account: "acme", User: "u-bea", Role: mfa.RoleAdmin, State: mfa.Joined, Created: w.now()}); err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	b.typed("bea@acme.example", "/orders")
	b.get("/.mfa/login/password")
	b.sent(b.post("/.mfa/login/password", url.Values{"password": {password}, "return": {"/orders"}}), "/orders")
	// An administrator tries a provider out, of the own account only.
	b.left(b.get("/.mfa/sso?provider=corp&return=%2F.mfa%2Fprofile"))
	b.sent(b.get("/.mfa/sso?provider=other&return=%2Forders"), "/orders")
	w.enforce(true)
	state := b.left(b.get("/.mfa/sso?return=%2Forders"))
	if w.corp.asked.LoginHint != "bea@acme.example" {
		t.Errorf("asked %+v", w.corp.asked)
	}
	// Who comes back is somebody else: then that is who is signed in, and nothing
	// of the former session is left.
	old := b.cookies["__Host-mfa"]
	b.sent(b.get("/.mfa/sso/callback?code=c&state="+state), "/orders")
	if s, ok := b.signedIn(); !ok || s.User == "u-bea" {
		t.Errorf("signed in as %+v", s)
	}
	b.cookies["__Host-mfa"] = old
	if _, ok := b.signedIn(); ok {
		t.Error("the former session lives on")
	}
}

func TestSigningOutGoesOnAtTheProvider(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.throughCompany()
	b.get("/.mfa/profile")
	b.sent(b.post("/.mfa/logout", url.Values{}), "/.mfa/signed-out")
	if _, ok := b.signedIn(); ok {
		t.Fatal("the session did not end first")
	}
	b.get("/.mfa/signed-out")
	want := issuer + "/logout?" + url.Values{"id_token_hint": {"id-token"}, "post_logout_redirect_uri": {portal + "/.mfa/signed-out"}}.Encode()
	if !strings.Contains(b.page, `href="`+want+`"`) {
		t.Errorf("no way on to %s:\n%s", want, b.page)
	}
	if b.get("/.mfa/signed-out"); strings.Contains(b.page, issuer) {
		t.Error("the way on is offered for ever")
	}
}

func TestBreakGlassPage(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if err := errors.Join(
		w.store.PutMembership(ctx, storage.Membership{Account: "acme", User: "u-bea", Role: mfa.RoleAdmin, State: mfa.Joined, Created: w.now()}),
		w.store.CreateFactor(ctx, storage.Factor{ID: "f", User: "u-bea", Kind: mfa.TOTP, Name: "Phone", State: []byte("sealed"), Created: w.now()}, 10),
	); err != nil {
		t.Fatal(err)
	}
	code, _, err := w.Login.CreateBreakGlass(ctx, "u-bea", "acme", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	b.get("/.mfa/breakglass?return=%2Forders")
	if resp := b.post("/.mfa/breakglass", url.Values{"ticket": {"WRONG"}, "return": {"/orders"}}); resp.StatusCode != http.StatusGone {
		t.Errorf("a wrong code: got %d", resp.StatusCode)
	}
	b.get("/.mfa/breakglass?return=%2Forders")
	b.sent(b.post("/.mfa/breakglass", url.Values{"ticket": {strings.ToLower(code)}, "return": {"/orders"}}), "/.mfa/challenge?return=%2Forders")
	b.get("/.mfa/breakglass")
	if resp := b.post("/.mfa/breakglass", url.Values{"ticket": {code}}); resp.StatusCode != http.StatusGone {
		t.Errorf("a used code: got %d", resp.StatusCode)
	}
}

// A provider posts without cookies, tokens or an origin of ours.
func TestBackChannelLogoutEndpoint(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.throughCompany()
	claims, err := json.Marshal(map[string]string{"iss": issuer})
	if err != nil {
		t.Fatal(err)
	}
	token := "e30." + base64.RawURLEncoding.EncodeToString(claims) + ".c2ln"
	post := func(body string) *http.Response {
		t.Helper()
		r := httptest.NewRequest("POST", portal+"/.mfa/sso/backchannel-logout", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Origin", issuer)
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r, Site{Network: "198.51.100.9"})
		resp := rec.Result()
		if resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%.40q: Cache-Control is %q", body, resp.Header.Get("Cache-Control"))
		}
		if resp.StatusCode != http.StatusOK {
			var said struct{ Error string }
			if err := json.NewDecoder(resp.Body).Decode(&said); err != nil || said.Error == "" || strings.Contains(said.Error, "subject") {
				t.Errorf("%.40q: said %+v, %v", body, said, err)
			}
		}
		return resp
	}
	form := url.Values{"logout_token": {token}}.Encode()
	w.corp.err = &identity.Refusal{Reason: "bad_signature"}
	for body, want := range map[string]int{
		"": http.StatusBadRequest, "logout_token=": http.StatusBadRequest, "logout_token=a&logout_token=b": http.StatusBadRequest,
		"%zz": http.StatusBadRequest, form: http.StatusBadRequest, "logout_token=" + strings.Repeat("x", MaxForm): http.StatusRequestEntityTooLarge,
	} {
		if resp := post(body); resp.StatusCode != want {
			t.Errorf("%.40q: got %d, want %d", body, resp.StatusCode, want)
		}
	}
	if _, ok := b.signedIn(); !ok {
		t.Fatal("a refused token ended the session")
	}
	w.corp.err, w.corp.out = identity.ErrUnavailable, identity.Logout{Issuer: issuer, Subject: "subject-1", ID: "jti-1"}
	if resp := post(form); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("while keys cannot be had: got %d", resp.StatusCode)
	}
	w.corp.err = nil
	if resp := post(form); resp.StatusCode != http.StatusOK || resp.Header.Get("Connection") != "" {
		t.Errorf("got %d, Connection %q", resp.StatusCode, resp.Header.Get("Connection"))
	}
	if _, ok := b.signedIn(); ok {
		t.Error("the session did not end")
	}
	if resp := post(form); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("the same token again: got %d", resp.StatusCode)
	}
	if resp := b.get("/.mfa/sso/backchannel-logout"); resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "POST" {
		t.Errorf("GET: got %d", resp.StatusCode)
	}
}
