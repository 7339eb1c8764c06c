package oidc

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/identity/oidc/idptest"
)

// TestBegin reads what the provider is asked for.
func TestBegin(t *testing.T) {
	for name, c := range map[string]struct {
		edit    func(*Settings)
		request identity.Request
		want    map[string]string // empty: not there
	}{
		"plainly": {want: map[string]string{
			"response_type": "code", "client_id": idptest.ClientID, "redirect_uri": redirectURI, "scope": "openid email profile",
			"code_challenge_method": "S256", "prompt": "", "max_age": "", "acr_values": "", "login_hint": "", "client_secret": "",
		}},
		"as the settings say": {
			edit: func(s *Settings) {
				s.Scopes, s.ACRValues, s.Prompt, s.MaxAge = []string{"email", "openid", "groups"}, []string{"gold", "silver"}, "select_account", caddy.Duration(time.Hour)
			},
			want: map[string]string{"scope": "openid email groups", "acr_values": "gold silver", "prompt": "select_account", "max_age": "3600"},
		},
		"for somebody":            {request: identity.Request{LoginHint: "ana@acme.example"}, want: map[string]string{"login_hint": "ana@acme.example"}},
		"no older than":           {request: identity.Request{MaxAge: time.Minute}, want: map[string]string{"max_age": "60", "prompt": ""}},
		"the stricter of two":     {edit: func(s *Settings) { s.MaxAge = caddy.Duration(time.Minute) }, request: identity.Request{MaxAge: time.Hour}, want: map[string]string{"max_age": "60"}},
		"the stricter of two too": {edit: func(s *Settings) { s.MaxAge = caddy.Duration(time.Hour) }, request: identity.Request{MaxAge: time.Minute}, want: map[string]string{"max_age": "60"}},
		"again":                   {request: identity.Request{Again: true, MaxAge: time.Hour}, want: map[string]string{"prompt": "login", "max_age": "0"}},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIDP(t)
			if c.edit == nil {
				c.edit = func(*Settings) {}
			}
			begun, asked := i.begin(i.link(c.edit), c.request)
			for name, want := range c.want {
				if got := asked.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			var s secret
			if err := json.Unmarshal(begun.Secret, &s); err != nil {
				t.Fatal(err)
			}
			if asked.Get("state") != begun.State || asked.Get("nonce") != s.Nonce || len(begun.State) < 26 || len(s.Nonce) < 26 || len(s.Verifier) < 43 {
				t.Errorf("state %q, nonce %q, verifier of %d", asked.Get("state"), asked.Get("nonce"), len(s.Verifier))
			}
			if strings.Contains(begun.URL, s.Verifier) || strings.Contains(begun.URL, "secret") {
				t.Errorf("a secret is in %s", begun.URL)
			}
		})
	}
	t.Run("each its own", func(t *testing.T) {
		i := newIDP(t)
		p := i.link()
		a, first := i.begin(p, identity.Request{})
		b, second := i.begin(p, identity.Request{})
		if a.State == b.State || first.Get("nonce") == second.Get("nonce") || first.Get("code_challenge") == second.Get("code_challenge") {
			t.Error("two sign-ins share what makes them one")
		}
	})
}

// TestIdentity reads who somebody is.
func TestIdentity(t *testing.T) {
	i := newIDP(t)
	base := identity.Identity{Issuer: i.URL, Subject: "ana", Email: "ana@acme.example", EmailVerified: true, Name: "Ana", AuthTime: noon.Local()}
	for name, c := range map[string]struct {
		edit     func(*Settings)
		claims   object // nil: taken away
		userinfo object
		want     func(*identity.Identity)
	}{
		"as usual": {want: func(*identity.Identity) {}},
		"with everything": {
			edit:   func(s *Settings) { s.GroupsClaim = "roles" },
			claims: object{"roles": []string{"buyers", "", strings.Repeat("a", maxText+1)}, "amr": []string{"pwd", "otp"}, "acr": "gold", "sid": "s1"},
			want: func(w *identity.Identity) {
				w.Groups, w.AMR, w.ACR, w.Session, w.MFA = []string{"buyers"}, []string{"pwd", "otp"}, "gold", "s1", true
			},
		},
		"one group, as a text":            {edit: func(s *Settings) { s.GroupsClaim = "groups" }, claims: object{"groups": "buyers"}, want: func(w *identity.Identity) { w.Groups = []string{"buyers"} }},
		"groups that nobody asked for":    {claims: object{"groups": []string{"buyers"}}, want: func(*identity.Identity) {}},
		"verified, as a text":             {claims: object{"email_verified": "true"}, want: func(*identity.Identity) {}},
		"not verified":                    {claims: object{"email_verified": false}, want: func(w *identity.Identity) { w.EmailVerified = false }},
		"verified by a yes":               {claims: object{"email_verified": "yes"}, want: func(w *identity.Identity) { w.EmailVerified = false }},
		"verified by a list":              {claims: object{"email_verified": []bool{true}}, want: func(w *identity.Identity) { w.EmailVerified = false }},
		"nothing about verified":          {claims: object{"email_verified": nil}, want: func(w *identity.Identity) { w.EmailVerified = false }},
		"address under another spelling":  {claims: object{"EMAIL": "eve@acme.example", "Email": "eve@acme.example"}, want: func(*identity.Identity) {}},
		"verified under another spelling": {claims: object{"email_verified": false, "EMAIL_VERIFIED": true}, want: func(w *identity.Identity) { w.EmailVerified = false }},
		"a list of addresses": {claims: object{"email": []string{"ana@acme.example", "eve@acme.example"}},
			want: func(w *identity.Identity) { w.Email, w.EmailVerified = "", false }},
		"Entra ID, taken for verified": {
			edit:   func(s *Settings) { s.InsecureAssumeEmailVerified = true },
			claims: object{"email_verified": nil},
			want:   func(*identity.Identity) {},
		},
		"Entra ID, with its claim about the domain's owner": {
			edit:   func(s *Settings) { s.EmailVerifiedClaim = "xms_edov" },
			claims: object{"email_verified": nil, "xms_edov": 1},
			want:   func(*identity.Identity) {},
		},
		"Entra ID, where the domain's owner is another": {
			edit:   func(s *Settings) { s.EmailVerifiedClaim = "xms_edov" },
			claims: object{"email_verified": true, "xms_edov": "0"},
			want:   func(w *identity.Identity) { w.EmailVerified = false },
		},
		"ADFS": {
			edit: func(s *Settings) { s.EmailClaim, s.InsecureAssumeEmailVerified = "upn", true },
			claims: object{"email": nil, "email_verified": nil, "upn": "ana@acme.example",
				"amr": []string{"urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", "http://schemas.microsoft.com/claims/multipleauthn"}},
			want: func(w *identity.Identity) {
				w.AMR, w.MFA = []string{"urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", "http://schemas.microsoft.com/claims/multipleauthn"}, true
			},
		},
		"verified speaks of email only": {
			edit:   func(s *Settings) { s.EmailClaim = "upn" },
			claims: object{"upn": "eve@acme.example"},
			want:   func(w *identity.Identity) { w.Email, w.EmailVerified = "eve@acme.example", false },
		},
		"a name of one's own": {edit: func(s *Settings) { s.NameClaim = "display" }, claims: object{"display": "Ana B."}, want: func(w *identity.Identity) { w.Name = "Ana B." }},
		"described elsewhere": {
			claims:   object{"email": nil, "email_verified": nil, "name": nil},
			userinfo: object{"sub": "ana", "email": "ana@acme.example", "email_verified": true, "name": "Ana", "amr": []string{"mfa"}, "acr": "gold", "iss": "https://evil.example"},
			want:     func(*identity.Identity) {}, // but not how they signed in
		},
		"described elsewhere as somebody whom the token knows": {
			edit:     func(s *Settings) { s.GroupsClaim = "groups" },
			claims:   object{"email_verified": false},
			userinfo: object{"sub": "ana", "email": "eve@acme.example", "email_verified": true, "groups": []string{"buyers"}},
			want:     func(w *identity.Identity) { w.EmailVerified, w.Groups = false, []string{"buyers"} },
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.edit == nil {
				c.edit = func(*Settings) {}
			}
			i.Claims = func(o object) {
				maps.Copy(o, c.claims)
				maps.DeleteFunc(o, func(_ string, v any) bool { return v == nil })
			}
			i.UserInfo = c.userinfo
			who, err := i.signIn(i.link(c.edit), identity.Request{})
			if err != nil {
				t.Fatal(err)
			}
			if who.Token == "" {
				t.Error("there is nothing to sign out with")
			}
			who.Token = ""
			want := base
			c.want(&want)
			if !reflect.DeepEqual(who, want) {
				t.Errorf("got  %+v\nwant %+v", who, want)
			}
		})
	}
	t.Run("nothing to sign out with, where there is no sign-out", func(t *testing.T) {
		i := newIDP(t)
		i.Metadata = unset("end_session_endpoint")
		if who, err := i.signIn(i.link(), identity.Request{}); err != nil || who.Token != "" {
			t.Errorf("got the token %q and the error %v", who.Token, err)
		}
	})
}

// TestSeveralFactors says which methods and contexts are several factors.
func TestSeveralFactors(t *testing.T) {
	for name, c := range map[string]struct {
		methods []string
		acr     string
		want    bool
	}{
		"nothing said":            {},
		"a password":              {methods: []string{"pwd"}},
		"a password and a code":   {methods: []string{"pwd", "otp"}, want: true},
		"the provider says so":    {methods: []string{"mfa"}, want: true},
		"a password and a PIN":    {methods: []string{"pwd", "pin"}},
		"two things had":          {methods: []string{"hwk", "sms"}},
		"a key and a PIN":         {methods: []string{"pin", "hwk"}, want: true},
		"a key and a face":        {methods: []string{"swk", "face"}, want: true},
		"a key and a user":        {methods: []string{"hwk", "user"}},
		"risk, place and channel": {methods: []string{"rba", "geo", "mca", "wia"}},
		"unknown methods":         {methods: []string{"magic", "mfa2"}},
		"a context that counts":   {acr: "gold", want: true},
		"a context that does not": {acr: "silver"},
		"a context in capitals":   {acr: "GOLD"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &provider{Settings: Settings{MFAACRValues: []string{"gold"}}}
			raw, err := json.Marshal(object{"sub": "ana", "amr": c.methods, "acr": c.acr})
			if err != nil {
				t.Fatal(err)
			}
			var read claims
			if err := json.Unmarshal(raw, &read); err != nil {
				t.Fatal(err)
			}
			if got := p.identity(read).MFA; got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
	t.Run("asking for a context proves none", func(t *testing.T) {
		i := newIDP(t)
		p := i.link(func(s *Settings) { s.ACRValues, s.MFAACRValues = []string{"gold"}, []string{"gold"} })
		if who, err := i.signIn(p, identity.Request{}); err != nil || who.MFA || who.ACR != "" {
			t.Errorf("got MFA %v, acr %q and the error %v", who.MFA, who.ACR, err)
		}
		// Nor does taking it out of the question, or changing it there.
		i.Claims = set("acr", "silver")
		if who, err := i.signIn(p, identity.Request{}); err != nil || who.MFA || who.ACR != "silver" {
			t.Errorf("got MFA %v, acr %q and the error %v", who.MFA, who.ACR, err)
		}
	})
}

// TestFreshness asks for a sign-in of a certain age.
func TestFreshness(t *testing.T) {
	hour := func(s *Settings) { s.MaxAge = caddy.Duration(time.Hour) }
	at := func(d time.Duration) func(object) { return set("auth_time", noon.Add(d).Unix()) }
	for name, c := range map[string]struct {
		edit    func(*Settings)
		request identity.Request
		claims  func(object)
		want    string // empty: signed in
	}{
		"as old as it is":              {claims: at(-24 * time.Hour)},
		"no time, where none is asked": {claims: unset("auth_time")},
		"as old as it may be":          {edit: hour, claims: at(-time.Hour - leeway)},
		"older than it may be":         {edit: hour, claims: at(-time.Hour - leeway - time.Second), want: "sign_in_too_old"},
		"older than the route wants":   {request: identity.Request{MaxAge: time.Minute}, claims: at(-time.Hour), want: "sign_in_too_old"},
		"of no age":                    {edit: hour, claims: unset("auth_time"), want: "auth_time_missing"},
		"of an age in words":           {edit: hour, claims: set("auth_time", "now"), want: "auth_time_missing"},
		"again":                        {request: identity.Request{Again: true}, claims: at(0)},
		"again, and not asked again":   {request: identity.Request{Again: true}, claims: at(-leeway - time.Second), want: "sign_in_too_old"},
		"again, and no word of it":     {request: identity.Request{Again: true}, claims: unset("auth_time"), want: "auth_time_missing"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIDP(t)
			i.Claims = c.claims
			if c.edit == nil {
				c.edit = func(*Settings) {}
			}
			if _, err := i.signIn(i.link(c.edit), c.request); c.want != "" {
				refused(t, err, c.want)
				if !errors.Is(err, identity.ErrStale) {
					t.Errorf("%v does not tell that another sign-in would do", err)
				}
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestClocks lets the provider's clock be off by no more than the leeway.
func TestClocks(t *testing.T) {
	i := newIDP(t)
	i.Claims = func(o object) {
		o["iat"], o["nbf"] = noon.Add(leeway).Unix(), noon.Add(leeway).Unix()
		o["exp"] = noon.Add(-leeway + time.Second).Unix()
	}
	if _, err := i.signIn(i.link(), identity.Request{}); err != nil {
		t.Error(err)
	}
}

// TestSecretInForm authenticates the client as the provider wants it.
func TestSecretInForm(t *testing.T) {
	i := newIDP(t)
	i.Metadata = set("token_endpoint_auth_methods_supported", []string{"client_secret_post"})
	i.Serve["/token"] = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" || r.FormValue("client_secret") != idptest.ClientSecret {
			t.Errorf("the secret came as %q", r.Header.Get("Authorization"))
		}
		i.Default(w, r)
	}
	if _, err := i.signIn(i.link(), identity.Request{}); err != nil {
		t.Error(err)
	}
}

// TestMetadataIsKept asks for it once, and again after a while, when nobody
// waits for it.
func TestMetadataIsKept(t *testing.T) {
	const path = "/.well-known/openid-configuration"
	i := newIDP(t)
	p := i.link()
	for range 3 {
		i.begin(p, identity.Request{})
	}
	if n := i.Asked(path); n != 1 {
		t.Fatalf("asked %d times", n)
	}
	i.Change(func() { i.Metadata = set("authorization_endpoint", i.URL+"/elsewhere") })
	i.at(noon.Add(fresh))
	if begun, _ := i.begin(p, identity.Request{}); !strings.HasPrefix(begun.URL, i.URL+"/auth?") {
		t.Errorf("waited for %s", begun.URL)
	}
	p.background.Wait()
	if begun, _ := i.begin(p, identity.Request{}); !strings.HasPrefix(begun.URL, i.URL+"/elsewhere?") {
		t.Errorf("still %s", begun.URL)
	}
	// What can no longer be read stays as it was.
	i.Change(func() { i.Metadata = set("issuer", "https://evil.example") })
	i.at(noon.Add(2 * fresh))
	i.begin(p, identity.Request{})
	p.background.Wait()
	if _, err := i.signIn(p, identity.Request{}); err != nil || i.Asked(path) != 3 {
		t.Errorf("%v, asked %d times", err, i.Asked(path))
	}
}
