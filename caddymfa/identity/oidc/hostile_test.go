package oidc

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/identity/oidc/idptest"
)

// set returns an edit of claims, metadata or an answer.
func set(name string, value any) func(object) {
	return func(o object) { o[name] = value }
}

func unset(name string) func(object) { return func(o object) { delete(o, name) } }

// TestHostileTokens asks providers that answer with a token which is not what
// was asked for. Nobody is signed in, and the reason is told.
func TestHostileTokens(t *testing.T) {
	rsaKey := newIDP(t).Key
	der, err := x509.MarshalPKIXPublicKey(rsaKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	claimsOf := func(id string) object {
		c := make(jwt.MapClaims)
		if _, _, err := jwt.NewParser().ParseUnverified(id, c); err != nil {
			t.Error(err)
		}
		return object(c)
	}
	resigned := func(algorithm string, key any, header object) func(string) string {
		return func(id string) string { return idptest.Sign(t, algorithm, key, header, claimsOf(id)) }
	}
	for name, c := range map[string]struct {
		claims func(object)
		header object
		token  func(string) string
		want   string
	}{
		"issued by another provider":        {claims: set("iss", "https://evil.example"), want: "issuer_mismatch"},
		"issued by a namesake":              {claims: func(c object) { c["iss"] = c["iss"].(string) + "/" }, want: "issuer_mismatch"},
		"issued by nobody":                  {claims: unset("iss"), want: "issuer_mismatch"},
		"issuer of the wrong type":          {claims: set("iss", 7), want: "token_malformed"},
		"for another client":                {claims: set("aud", "other"), want: "audience_mismatch"},
		"for nobody":                        {claims: unset("aud"), want: "audience_mismatch"},
		"for another client of that name":   {claims: set("aud", "Gate"), want: "audience_mismatch"},
		"for several, and no party":         {claims: set("aud", []string{idptest.ClientID, "other"}), want: "party_mismatch"},
		"for another party":                 {claims: set("azp", "other"), want: "party_mismatch"},
		"for a party of the wrong type":     {claims: set("azp", []string{idptest.ClientID}), want: "party_mismatch"},
		"for several, and another party":    {claims: func(c object) { c["aud"], c["azp"] = []string{idptest.ClientID, "other"}, "other" }, want: "party_mismatch"},
		"nonce of another sign-in":          {claims: set("nonce", "other"), want: "nonce_mismatch"},
		"no nonce":                          {claims: unset("nonce"), want: "nonce_mismatch"},
		"nonce under another spelling":      {claims: func(c object) { c["NONCE"] = c["nonce"]; delete(c, "nonce") }, want: "nonce_mismatch"},
		"expired":                           {claims: set("exp", noon.Add(-leeway).Unix()), want: "token_expired"},
		"never expires":                     {claims: unset("exp"), want: "token_expired"},
		"expiry beyond all time":            {claims: set("exp", 1e300), want: "token_expired"},
		"expiry of the wrong type":          {claims: set("exp", "2099"), want: "token_expired"},
		"issued in the future":              {claims: set("iat", noon.Add(leeway+time.Second).Unix()), want: "token_not_yet_valid"},
		"issued at no time":                 {claims: unset("iat"), want: "token_not_yet_valid"},
		"valid in the future":               {claims: set("nbf", noon.Add(leeway+time.Second).Unix()), want: "token_not_yet_valid"},
		"about nobody":                      {claims: unset("sub"), want: "subject_missing"},
		"about somebody without end":        {claims: set("sub", strings.Repeat("a", 256)), want: "subject_missing"},
		"hash of another access token":      {claims: set("at_hash", "b3RoZXIgaGFzaCBvZiAxNg"), want: "access_token_mismatch"},
		"unsigned":                          {token: resigned("none", jwt.UnsafeAllowNoneSignatureType, nil), want: "algorithm_refused"},
		"unsigned, in capitals":             {header: object{"alg": "NONE"}, want: "algorithm_refused"},
		"signed with the public key":        {token: resigned("HS256", public, nil), want: "algorithm_refused"},
		"signed with the client's secret":   {token: resigned("HS256", []byte(idptest.ClientSecret), nil), want: "algorithm_refused"},
		"signed with an unlisted method":    {token: resigned("RS384", rsaKey, nil), want: "algorithm_refused"},
		"signed with another key":           {token: resigned("RS256", otherKey, nil), want: "signature_invalid"},
		"signed with an unknown key":        {token: resigned("RS256", otherKey, object{"kid": "other"}), want: "signature_invalid"},
		"signed with a key of another kind": {token: resigned("ES256", newEC(t), nil), want: "signature_invalid"},
		"signed with a key that it brings along": {token: resigned("RS256", otherKey, object{"jwk": object{
			"kty": "RSA", "kid": "key", "e": "AQAB", "n": base64.RawURLEncoding.EncodeToString(otherKey.N.Bytes())}}), want: "signature_invalid"},
		"key elsewhere":                  {token: resigned("RS256", otherKey, object{"jku": "https://evil.example/keys"}), want: "signature_invalid"},
		"header that must be understood": {header: object{"crit": []string{"b64"}, "b64": false}, want: "signature_invalid"},
		"payload exchanged": {token: func(id string) string {
			p := strings.Split(id, ".")
			return p[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"eve"}`)) + "." + p[2]
		}, want: "signature_invalid"},
		"signature cut off":     {token: func(id string) string { return id[:strings.LastIndex(id, ".")+1] }, want: "signature_invalid"},
		"no token at all":       {token: func(string) string { return "token" }, want: "token_malformed"},
		"signed twice, as JSON": {token: func(id string) string { return `{"payload":"","signatures":[]}` }, want: "token_malformed"},
		"a logout token":        {header: object{"typ": "logout+jwt"}, want: "token_type"},
		"an access token":       {header: object{"typ": "at+jwt"}, want: "token_type"},
		"without end":           {claims: set("padding", strings.Repeat("a", maxToken)), want: "token_too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIDP(t)
			i.Claims, i.Header, i.Token = c.claims, c.header, c.token
			who, err := i.signIn(i.link(), identity.Request{})
			refused(t, err, c.want)
			if who.Subject != "" {
				t.Fatalf("the refused %q has an identity", who.Subject)
			}
		})
	}
}

// TestHostileCallbacks comes back from the provider in ways that it would not.
func TestHostileCallbacks(t *testing.T) {
	issues := set("authorization_response_iss_parameter_supported", true)
	for name, c := range map[string]struct {
		metadata func(object)
		edit     func(i *idp, v url.Values)
		want     string
	}{
		"from another provider":                                 {edit: func(_ *idp, v url.Values) { v.Set("iss", "https://evil.example") }, want: "issuer_mismatch"},
		"from nobody, where the provider names itself":          {metadata: issues, edit: func(*idp, url.Values) {}, want: "issuer_missing"},
		"an error from nobody, where the provider names itself": {metadata: issues, edit: func(_ *idp, v url.Values) { v.Del("code"); v.Set("error", "access_denied") }, want: "issuer_missing"},
		"an error from another provider": {edit: func(_ *idp, v url.Values) {
			v.Set("iss", "https://evil.example")
			v.Set("error", "temporarily_unavailable")
		}, want: "issuer_mismatch"},
		"from two providers":      {edit: func(i *idp, v url.Values) { v["iss"] = []string{i.URL, "https://evil.example"} }, want: "callback_malformed"},
		"with two codes":          {edit: func(_ *idp, v url.Values) { v.Add("code", "other") }, want: "callback_malformed"},
		"with an endless code":    {edit: func(_ *idp, v url.Values) { v.Set("code", strings.Repeat("a", maxParameter+1)) }, want: "callback_malformed"},
		"with nothing":            {edit: func(_ *idp, v url.Values) { v.Del("code") }, want: "code_missing"},
		"refused by the person":   {edit: func(_ *idp, v url.Values) { v.Set("error", "access_denied") }, want: "access_denied"},
		"refused by the provider": {edit: func(_ *idp, v url.Values) { v.Set("error", "interaction_required") }, want: "provider_refused"},
		"with a made-up code":     {edit: func(_ *idp, v url.Values) { v.Set("code", "made up") }, want: "code_refused"},
		"with the code of another browser": {edit: func(i *idp, v url.Values) {
			_, asked := i.begin(i.link(), identity.Request{})
			v.Set("code", i.Approve(asked).Get("code"))
		}, want: "code_refused"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIDP(t)
			i.Metadata = c.metadata
			p := i.link()
			begun, asked := i.begin(p, identity.Request{})
			callback := i.Approve(asked)
			c.edit(i, callback)
			_, err := p.Finish(t.Context(), begun.Secret, callback)
			refused(t, err, c.want)
		})
	}
	t.Run("replayed", func(t *testing.T) {
		i := newIDP(t)
		p := i.link()
		begun, asked := i.begin(p, identity.Request{})
		callback := i.Approve(asked)
		if _, err := p.Finish(t.Context(), begun.Secret, callback); err != nil {
			t.Fatal(err)
		}
		_, err := p.Finish(t.Context(), begun.Secret, callback)
		refused(t, err, "code_refused")
	})
	t.Run("with the token of another sign-in", func(t *testing.T) {
		i := newIDP(t)
		p := i.link()
		_, first := i.begin(p, identity.Request{})
		begun, second := i.begin(p, identity.Request{})
		// The provider is made to answer the first sign-in's question.
		first.Set("code_challenge", second.Get("code_challenge"))
		_, err := p.Finish(t.Context(), begun.Secret, i.Approve(first))
		refused(t, err, "nonce_mismatch")
	})
}

// TestHostileMetadata links providers that say about themselves what must not
// be believed.
func TestHostileMetadata(t *testing.T) {
	for name, c := range map[string]struct {
		metadata func(object)
		want     string
	}{
		"another issuer":            {set("issuer", "https://evil.example"), "discovery_issuer_mismatch"},
		"an issuer for all tenants": {set("issuer", "https://login.example/{tenantid}/v2.0"), "tenants_missing"},
		"no issuer":                 {unset("issuer"), "discovery_issuer_mismatch"},
		"no keys":                   {unset("jwks_uri"), "metadata_malformed"},
		"nowhere to go":             {unset("authorization_endpoint"), "metadata_malformed"},
		"a script to go to":         {set("authorization_endpoint", "javascript:alert(1)"), "metadata_malformed"},
		"codes sent in the clear":   {set("token_endpoint", "http://login.example/token"), "metadata_malformed"},
		"keys from a file":          {set("jwks_uri", "file:///etc/passwd"), "metadata_malformed"},
		"sign-out in the clear":     {set("end_session_endpoint", "http://login.example/end"), "metadata_malformed"},
		"a list for an address":     {set("token_endpoint", []string{"https://login.example/token"}), "metadata_malformed"},
		"without end":               {set("padding", strings.Repeat("a", maxAnswer)), "answer_too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIDP(t)
			i.Metadata = c.metadata
			_, err := i.link().Begin(t.Context(), identity.Request{RedirectURI: redirectURI})
			refused(t, err, c.want)
		})
	}
}

// TestHostileEndpoints asks providers whose endpoints answer with what they
// should not.
func TestHostileEndpoints(t *testing.T) {
	endless := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for range maxAnswer/1024 + 1 {
			w.Write([]byte(strings.Repeat(" ", 1024)))
		}
	}
	page := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte("<h1>Maintenance</h1>"))
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("followed a redirect: %s %s", r.Method, r.URL.Path)
	}))
	defer elsewhere.Close()
	moved := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}
	failing := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	for name, c := range map[string]struct {
		path  string
		serve http.HandlerFunc
		want  string // empty: an outage
	}{
		"keys without end":    {"/keys", endless, "answer_too_large"},
		"a page for keys":     {"/keys", page, "signature_invalid"},
		"no keys":             {"/keys", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"keys":[]}`)) }, "signature_invalid"},
		"keys moved":          {"/keys", moved, ""},
		"keys failing":        {"/keys", failing, ""},
		"a token without end": {"/token", endless, "answer_too_large"},
		"a page for a token":  {"/token", page, "token_malformed"},
		"a token moved":       {"/token", moved, "token_refused"},
		"a token failing":     {"/token", failing, ""},
		"cut off in the middle": {"/token", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("{"))
		}, ""},
		"no answer":                {"/token", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ""},
		"a page about the person":  {"/userinfo", page, "userinfo_malformed"},
		"a person without end":     {"/userinfo", endless, "answer_too_large"},
		"nothing about the person": {"/userinfo", failing, ""},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIDP(t)
			i.Serve[c.path] = c.serve
			i.Claims = unset("email") // which makes us ask for it
			i.UserInfo = object{"sub": "ana"}
			_, err := i.signIn(i.link(), identity.Request{})
			if c.want == "" {
				unavailable(t, err)
			} else {
				refused(t, err, c.want)
			}
		})
	}
	t.Run("no ID token", func(t *testing.T) {
		i := newIDP(t)
		i.Answer = unset("id_token")
		_, err := i.signIn(i.link(), identity.Request{})
		refused(t, err, "token_missing")
	})
	t.Run("an ID token of the wrong type", func(t *testing.T) {
		i := newIDP(t)
		i.Answer = set("id_token", []string{"a"})
		_, err := i.signIn(i.link(), identity.Request{})
		refused(t, err, "token_missing")
	})
	t.Run("somebody else described", func(t *testing.T) {
		i := newIDP(t)
		i.Claims = unset("email")
		i.UserInfo = object{"sub": "eve", "email": "eve@acme.example", "email_verified": true}
		_, err := i.signIn(i.link(), identity.Request{})
		refused(t, err, "userinfo_subject_mismatch")
	})
	t.Run("a secret that the provider does not know", func(t *testing.T) {
		i := newIDP(t)
		_, err := i.signIn(i.link(func(s *Settings) { s.ClientSecret = "other" }), identity.Request{})
		refused(t, err, "client_refused")
		if strings.Contains(err.Error(), "other") {
			t.Errorf("the secret is in the error: %v", err)
		}
	})
}

// TestHostileTenants shares an issuer with other tenants, whose administrators
// choose the addresses of their people.
func TestHostileTenants(t *testing.T) {
	const ours, second, theirs = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222", "99999999-9999-4999-8999-999999999999"
	shared := func(t *testing.T) *idp {
		i := newIDP(t)
		i.Metadata = func(m object) { m["issuer"] = i.URL + "/{tenantid}/v2.0" }
		return i
	}
	linked := func(i *idp) *provider { return i.link(func(s *Settings) { s.Tenants = []string{ours, second} }) }
	issued := func(i *idp, issuer, tenant any) func(object) {
		return func(c object) {
			c["iss"], c["tid"] = issuer, tenant
			if text, ok := issuer.(string); ok {
				c["iss"] = i.URL + "/" + text + "/v2.0"
			}
		}
	}
	for name, c := range map[string]struct {
		issuer, tenant any
		want           string
	}{
		"another tenant":                   {theirs, theirs, "tenant_refused"},
		"no tenant":                        {ours, nil, "tenant_refused"},
		"a tenant of the wrong type":       {ours, 7, "tenant_refused"},
		"another tenant under our name":    {theirs, ours, "issuer_mismatch"},
		"one of our tenants for the other": {second, ours, "issuer_mismatch"},
		"the placeholder itself":           {"{tenantid}", "{tenantid}", "tenant_refused"},
	} {
		t.Run(name, func(t *testing.T) {
			i := shared(t)
			i.Claims = issued(i, c.issuer, c.tenant)
			_, err := i.signIn(linked(i), identity.Request{})
			refused(t, err, c.want)
		})
	}
	t.Run("both of ours", func(t *testing.T) {
		i := shared(t)
		p := linked(i)
		for _, tenant := range []string{ours, second} {
			i.Claims = issued(i, tenant, tenant)
			who, err := i.signIn(p, identity.Request{})
			if err != nil || who.Issuer != i.URL+"/"+tenant+"/v2.0" {
				t.Errorf("got the issuer %q and the error %v", who.Issuer, err)
			}
		}
	})
	t.Run("a callback of another tenant", func(t *testing.T) {
		i := shared(t)
		p := linked(i)
		begun, asked := i.begin(p, identity.Request{})
		callback := i.Approve(asked)
		callback.Set("iss", i.URL+"/"+theirs+"/v2.0")
		_, err := p.Finish(t.Context(), begun.Secret, callback)
		refused(t, err, "issuer_mismatch")
	})
	t.Run("an issuer elsewhere", func(t *testing.T) {
		i := newIDP(t)
		i.Metadata = set("issuer", "https://evil.example/{tenantid}/v2.0")
		_, err := linked(i).Begin(t.Context(), identity.Request{RedirectURI: redirectURI})
		refused(t, err, "discovery_issuer_mismatch")
	})
}

// TestKeys rotates keys, as providers do and as attackers would like.
func TestKeys(t *testing.T) {
	for algorithm, key := range map[string]crypto.Signer{oidc.RS256: otherKey, oidc.PS256: otherKey, oidc.ES256: newEC(t), oidc.EdDSA: newEd(t)} {
		t.Run(algorithm, func(t *testing.T) {
			i := newIDP(t)
			i.Key, i.Algorithm = key, algorithm
			i.Publish()
			if who, err := i.signIn(i.link(), identity.Request{}); err != nil || who.Subject != "ana" {
				t.Errorf("got %q, %v", who.Subject, err)
			}
		})
	}
	t.Run("rotated", func(t *testing.T) {
		i := newIDP(t)
		p := i.link()
		if _, err := i.signIn(p, identity.Request{}); err != nil {
			t.Fatal(err)
		}
		first := i.Key
		i.Key, i.Header = otherKey, object{"kid": "next"}
		i.Publish()
		i.Published[0].KeyID = "next"
		i.at(noon.Add(keyPause))
		// The library remembers new keys a moment after it has used them, and
		// until then does not ask again.
		var err error
		for tries := 0; tries < 1000; tries++ {
			if _, err = i.signIn(p, identity.Request{}); err == nil {
				break
			}
		}
		if err != nil {
			t.Fatalf("the new key is not taken: %v", err)
		}
		i.Key, i.Header = first, nil
		i.at(noon.Add(2 * keyPause))
		for tries := 0; err == nil && tries < 1000; tries++ {
			_, err = i.signIn(p, identity.Request{})
		}
		refused(t, err, "signature_invalid") // the old key is gone
	})
	t.Run("asked for seldom", func(t *testing.T) {
		i := newIDP(t)
		p := i.link()
		i.Header = object{"kid": "unknown"}
		for range 20 {
			_, err := i.signIn(p, identity.Request{})
			refused(t, err, "signature_invalid")
		}
		if n := i.Asked("/keys"); n != 1 {
			t.Errorf("the keys were asked for %d times", n)
		}
	})
}
