package integration_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/caddymfa/gateway/caddymfa/identity/oidc/idptest"

	"github.com/caddymfa/gateway/caddymfa/integration/visitor"
)

// toProvider begins a sign-in of an address, and returns what its provider is
// asked for.
func (p *person) toProvider(email, path string) (provider string, asked url.Values) {
	p.t.Helper()
	pg := p.follow(p.send(p.open(path), "/.mfa/login", "email", email)).is(p.t, 200)
	links := pg.All(func(n *html.Node) bool {
		return n.Data == "a" && strings.Contains(visitor.Attr(n, "class"), "primary")
	})
	if len(links) != 1 {
		p.t.Fatalf("%s leads nowhere:\n%s", pg.path, pg.text())
	}
	u, err := url.Parse(visitor.Attr(links[0], "href"))
	if err != nil {
		p.t.Fatal(err)
	}
	return u.Scheme + "://" + u.Host, u.Query()
}

// back comes back from a provider.
func (p *person) back(callback url.Values) *page {
	p.t.Helper()
	return p.get("/.mfa/sso/callback?" + callback.Encode())
}

// TestHostileProviders lets an account's provider do its worst, over the whole
// gate: nobody gets a session, in no account, and the audit says why.
func TestHostileProviders(t *testing.T) {
	t.Parallel()
	evil, good, liar := idptest.New(t, time.Now), idptest.New(t, time.Now), idptest.New(t, time.Now)
	liar.Metadata = func(o idptest.Object) { o["issuer"] = good.URL }
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(idptest.ClientSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	const join = "join"
	g := start(t, trusting(
		accountBlock("evil", "optional", "domain evil.example {\nenforce\n}", linkTo(evil.URL, "Evil", secret, join)),
		accountBlock("good", "optional", "domain good.example {\nenforce\n}", linkTo(good.URL, "Good", secret, join)),
		accountBlock("liar", "optional", "domain liar.example {\nenforce\n}", linkTo(liar.URL, "Liar", secret, join)),
		userBlock("eve@evil.example", "evil"),
		userBlock("ana@good.example", "good"),
		userBlock("boss@elsewhere.example", "good"),
	))
	// shut fails the test unless the person is outside, and the newest row of
	// the audit tells the reason.
	shut := func(t *testing.T, p *person, pg *page, reason string) {
		t.Helper()
		pg.is(t, http.StatusForbidden, "did not let you in here")
		p.get("/orders").to(t, "/.mfa/login?return=%2Forders")
		if row := g.audit()[0]; row.Action != "sign_in" || row.Outcome != "refused" || row.Reason != reason || row.Account != "evil" {
			t.Errorf("the audit ends with %+v, want the reason %s", row, reason)
		}
	}
	claim := func(name string, value any) func() {
		return func() { evil.Claims = func(o idptest.Object) { o[name] = value } }
	}
	is := func(subject, email string) func() {
		return func() {
			evil.Claims = func(o idptest.Object) { o["sub"], o["email"] = subject, email }
		}
	}
	for _, c := range []struct {
		name   string
		change func()
		edit   func(callback url.Values)
		want   string
	}{
		{"another account's person", is("1", "ana@good.example"), nil, "email_of_another_domain"},
		{"a guest of another account", is("2", "boss@elsewhere.example"), nil, "email_of_another_domain"},
		{"an address of two domains", is("3", "ana@good.example@evil.example"), nil, "email_malformed"},
		{"an address of two domains, the other way", is("4", "ana@evil.example@good.example"), nil, "email_malformed"},
		{"a subdomain", is("5", "eve@sub.evil.example"), nil, "email_of_another_domain"},
		{"no address", is("6", ""), nil, "email_missing"},
		{"an unverified address", func() {
			evil.Claims = func(o idptest.Object) { o["email"], o["email_verified"] = "eve@evil.example", false }
		}, nil, "email_unverified"},
		{"another issuer", claim("iss", good.URL), nil, "issuer_mismatch"},
		{"another issuer's answer", nil, func(v url.Values) { v.Set("iss", good.URL) }, "issuer_mismatch"},
		{"another audience", claim("aud", "other"), nil, "audience_mismatch"},
		{"another party", claim("azp", "other"), nil, "party_mismatch"},
		{"another nonce", claim("nonce", "other"), nil, "nonce_mismatch"},
		{"an expired token", claim("exp", 1), nil, "token_expired"},
		{"an unsigned token", func() {
			evil.Token = func(token string) string { return "eyJhbGciOiJub25lIn0." + strings.Split(token, ".")[1] + "." }
		}, nil, "algorithm_refused"},
		{"another key", func() { evil.Key = idptest.NewKey() }, nil, "signature_invalid"},
		{"a made-up code", nil, func(v url.Values) { v.Set("code", "made-up") }, "code_refused"},
		{"no code", nil, func(v url.Values) { v.Del("code") }, "code_missing"},
		{"a refusal", nil, func(v url.Values) { v.Set("error", "access_denied") }, "access_denied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := evil.Key
			if c.change != nil {
				evil.Change(c.change)
			}
			defer evil.Change(func() { evil.Claims, evil.Token, evil.Key = nil, nil, before })
			p := g.person(t)
			provider, asked := p.toProvider("eve@evil.example", "/orders")
			if provider != evil.URL {
				t.Fatalf("was sent to %s", provider)
			}
			callback := evil.Approve(asked)
			if c.edit != nil {
				c.edit(callback)
			}
			shut(t, p, p.back(callback), c.want)
		})
	}

	evil.Change(is("eve", "eve@evil.example"))
	good.Change(func() {
		good.Claims = func(o idptest.Object) { o["sub"], o["email"] = "ana", "ana@good.example" }
	})
	t.Run("a provider that calls itself another", func(t *testing.T) {
		p := g.person(t)
		p.follow(p.send(p.open("/orders"), "/.mfa/login", "email", "ana@liar.example")).is(t, http.StatusForbidden, "did not let you in here")
		if row := g.audit()[0]; row.Reason != "discovery_issuer_mismatch" || row.Account != "liar" {
			t.Errorf("the audit ends with %+v", row)
		}
	})
	t.Run("the other provider's code", func(t *testing.T) {
		p, q := g.person(t), g.person(t)
		_, asked := p.toProvider("eve@evil.example", "/orders")
		_, theirs := q.toProvider("ana@good.example", "/orders")
		callback := good.Approve(theirs)
		callback.Set("state", asked.Get("state"))
		shut(t, p, p.back(callback), "code_refused")
	})
	t.Run("a stolen answer", func(t *testing.T) {
		p, q := g.person(t), g.person(t)
		_, asked := p.toProvider("eve@evil.example", "/orders")
		callback := evil.Approve(asked)
		q.toProvider("eve@evil.example", "/orders")
		q.back(callback).is(t, http.StatusBadRequest)
		q.get("/orders").to(t, "/.mfa/login?return=%2Forders")
		p.back(callback).to(t, "/orders")
		p.get("/orders").is(t, http.StatusOK, "in account evil")
	})
	t.Run("an answer used twice", func(t *testing.T) {
		p := g.person(t)
		_, asked := p.toProvider("eve@evil.example", "/orders")
		callback := evil.Approve(asked)
		p.back(callback).to(t, "/orders")
		p.back(callback).is(t, http.StatusBadRequest)
	})
	t.Run("an address given to somebody new", func(t *testing.T) {
		evil.Change(is("somebody new", "eve@evil.example"))
		defer evil.Change(is("eve", "eve@evil.example"))
		p := g.person(t)
		_, asked := p.toProvider("eve@evil.example", "/orders")
		shut(t, p, p.back(evil.Approve(asked)), "subject_changed")
	})
	t.Run("whoever comes through it has its own account only", func(t *testing.T) {
		p := g.person(t)
		_, asked := p.toProvider("eve@evil.example", "/orders")
		p.back(evil.Approve(asked)).to(t, "/orders")
		pg := p.open("/.mfa/accounts")
		if strings.Contains(pg.text(), "good") {
			t.Errorf("the accounts are %s", pg.text())
		}
		form, ok := pg.form("/.mfa/accounts/switch")
		if !ok {
			t.Fatal("there is no switch")
		}
		form.Set("account", "good")
		p.ask(http.MethodPost, "/.mfa/accounts/switch", form.Encode())
		if pg := p.get("/orders"); strings.Contains(pg.text(), "in account good") {
			t.Errorf("it entered: %s", pg.text())
		}
	})
	t.Run("nobody but eve got in", func(t *testing.T) {
		for _, row := range g.audit() {
			if row.Action == "sign_in" && row.Outcome == "ok" && row.Account != "evil" {
				t.Errorf("%+v", row)
			}
		}
	})
}

// TestLogoutTokens posts logout tokens that are none.
func TestLogoutTokens(t *testing.T) {
	t.Parallel()
	idp := idptest.New(t, time.Now)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(idptest.ClientSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	g := start(t, trusting(
		accountBlock("acme", "optional", "domain acme.example {\nenforce\n}", linkTo(idp.URL, "Acme", secret, "join")),
	))
	p := g.person(t)
	_, asked := p.toProvider("ana@acme.example", "/orders")
	p.back(idp.Approve(asked)).to(t, "/orders")
	claims := func(edit func(idptest.Object)) idptest.Object {
		now := time.Now()
		o := idptest.Object{
			"iss": idp.URL, "aud": idptest.ClientID, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": "1", "sub": "ana",
			"events": idptest.Object{"http://schemas.openid.net/event/backchannel-logout": idptest.Object{}},
		}
		edit(o)
		return o
	}
	post := func(token string) *page {
		return p.ask(http.MethodPost, "/.mfa/sso/backchannel-logout", url.Values{"logout_token": {token}}.Encode(), "Origin", "", "Sec-Fetch-Site", "")
	}
	for name, token := range map[string]string{
		"nothing":                 "",
		"no token":                "token",
		"of another issuer":       idp.Sign(claims(func(o idptest.Object) { o["iss"] = "https://evil.example" })),
		"for another client":      idp.Sign(claims(func(o idptest.Object) { o["aud"] = "other" })),
		"with a nonce":            idp.Sign(claims(func(o idptest.Object) { o["nonce"] = "n" })),
		"about nothing":           idp.Sign(claims(func(o idptest.Object) { delete(o, "events") })),
		"expired":                 idp.Sign(claims(func(o idptest.Object) { o["exp"] = 1 })),
		"signed with another key": idptest.Sign(t, "RS256", idptest.NewKey(), nil, claims(func(idptest.Object) {})),
	} {
		if pg := post(token); pg.status != http.StatusBadRequest {
			t.Errorf("a token %s answered %d", name, pg.status)
		}
	}
	p.get("/orders").is(t, http.StatusOK, "in account acme")
	good := idp.Sign(claims(func(idptest.Object) {}))
	post(good).is(t, http.StatusOK)
	p.get("/orders").to(t, "/.mfa/login?return=%2Forders")
	// What was said once ends nothing that began later.
	_, asked = p.toProvider("ana@acme.example", "/orders")
	p.back(idp.Approve(asked)).to(t, "/orders")
	post(good).is(t, http.StatusBadRequest)
	p.get("/orders").is(t, http.StatusOK, "in account acme")
}
