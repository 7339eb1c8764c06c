// Package idptest is an OpenID provider for tests, which does what it is told,
// however wrong: what a provider may do to those who trust it.
package idptest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/golang-jwt/jwt/v5"
)

// The client that every provider knows.
const (
	ClientID     = "gate"
	ClientSecret = "a secret of both"
)

// Object is a JSON object: claims, metadata, an answer.
type Object = map[string]any

// Provider is a running provider. Its fields are changed by Change only while
// it may be asked.
type Provider struct {
	URL string // also its issuer

	// Now is its clock.
	Now func() time.Time
	// Key signs with Algorithm; Published are the keys that it shows.
	Key       crypto.Signer
	Algorithm string
	Published []oidctest.PublicKey

	Metadata func(Object)                // edits what it says about itself
	Claims   func(Object)                // edits the claims of an ID token
	Header   Object                      // replaces parts of a token's header
	Token    func(token string) string   // replaces an ID token
	Answer   func(Object)                // edits what the token endpoint says
	UserInfo Object                      // what it says about a person there; nil: nothing
	Serve    map[string]http.HandlerFunc // replaces endpoints, by path

	t      testing.TB
	server *httptest.Server
	mu     sync.Mutex
	codes  map[string]url.Values // what each was asked for with
	asked  map[string]int        // by path
}

// key signs for all providers, since RSA keys take long to make.
var key = sync.OnceValue(NewKey)

// NewKey makes an RSA key.
func NewKey() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

// New starts a provider on the loopback, which ends with the test.
func New(t testing.TB, now func() time.Time) *Provider {
	t.Helper()
	p := &Provider{
		Now: now, Key: key(), Algorithm: oidc.RS256, Serve: make(map[string]http.HandlerFunc),
		t: t, codes: make(map[string]url.Values), asked: make(map[string]int),
	}
	p.Publish()
	p.server = httptest.NewServer(p)
	p.URL = p.server.URL
	t.Cleanup(p.server.Close)
	return p
}

// Close ends it: nobody listens any more.
func (p *Provider) Close() { p.server.Close() }

// Change changes its fields between two requests.
func (p *Provider) Change(edit func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	edit()
}

// Publish makes the present key the only one that it shows.
func (p *Provider) Publish() {
	p.Published = []oidctest.PublicKey{{PublicKey: p.Key.Public(), KeyID: "key", Algorithm: p.Algorithm}}
}

// Asked returns how often a path was asked for.
func (p *Provider) Asked(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[path]
}

// Approve signs somebody in who came with these parameters, and returns those
// with which their browser goes back.
func (p *Provider) Approve(asked url.Values) url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	code := rand.Text()
	p.codes[code] = asked
	return url.Values{"code": {code}, "state": {asked.Get("state")}}
}

// Sign makes a token.
func (p *Provider) Sign(claims Object) string {
	return Sign(p.t, p.Algorithm, p.Key, p.Header, claims)
}

// Sign makes a token with any key and header.
func Sign(t testing.TB, algorithm string, key any, header, claims Object) string {
	token := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), jwt.MapClaims(claims))
	token.Header["kid"] = "key"
	maps.Copy(token.Header, header)
	text, err := token.SignedString(key)
	if err != nil {
		t.Errorf("signing a token: %v", err)
	}
	return text
}

// ServeHTTP implements [http.Handler].
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked[r.URL.Path]++
	serve := p.Serve[r.URL.Path]
	p.mu.Unlock()
	if serve == nil {
		serve = p.Default
	}
	serve(w, r)
}

// Default answers as a provider does.
func (p *Provider) Default(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	library := &oidctest.Server{PublicKeys: p.Published, Algorithms: []string{p.Algorithm}}
	library.SetIssuer(p.URL)
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		p.describe(w, r, library)
	case "/token":
		p.exchange(w, r)
	case "/userinfo":
		if r.Header.Get("Authorization") != "Bearer access" || p.UserInfo == nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		p.write(w, http.StatusOK, p.UserInfo)
	default:
		library.ServeHTTP(w, r)
	}
}

// describe serves the library's metadata, with what it leaves out.
func (p *Provider) describe(w http.ResponseWriter, r *http.Request, library http.Handler) {
	recorded := httptest.NewRecorder()
	library.ServeHTTP(recorded, r)
	m := make(Object)
	if err := json.Unmarshal(recorded.Body.Bytes(), &m); err != nil {
		p.t.Errorf("reading the metadata: %v", err)
	}
	m["userinfo_endpoint"] = p.URL + "/userinfo"
	m["end_session_endpoint"] = p.URL + "/end?theme=plain"
	if p.Metadata != nil {
		p.Metadata(m)
	}
	p.write(w, http.StatusOK, m)
}

func (p *Provider) write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		p.t.Errorf("answering: %v", err)
	}
}

// exchange is the token endpoint (RFC 6749, section 4.1.3, and RFC 7636).
func (p *Provider) exchange(w http.ResponseWriter, r *http.Request) {
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.FormValue("client_id"), r.FormValue("client_secret")
	} else if decoded, err := url.QueryUnescape(secret); err == nil {
		secret = decoded
	}
	if id != ClientID || secret != ClientSecret {
		p.write(w, http.StatusUnauthorized, Object{"error": "invalid_client"})
		return
	}
	asked, ok := p.codes[r.FormValue("code")]
	delete(p.codes, r.FormValue("code"))
	hash := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !ok || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(hash[:]) ||
		asked.Get("redirect_uri") != r.FormValue("redirect_uri") {
		p.write(w, http.StatusBadRequest, Object{"error": "invalid_grant", "error_description": "no such code"})
		return
	}
	now := p.Now()
	claims := Object{
		"iss": p.URL, "sub": "ana", "aud": ClientID, "nonce": asked.Get("nonce"),
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "auth_time": now.Unix(),
		"email": "ana@acme.example", "email_verified": true, "name": "Ana",
	}
	if p.Claims != nil {
		p.Claims(claims)
	}
	token := p.Sign(claims)
	if p.Token != nil {
		token = p.Token(token)
	}
	answer := Object{"access_token": "access", "token_type": "Bearer", "expires_in": 300, "id_token": token}
	if p.Answer != nil {
		p.Answer(answer)
	}
	p.write(w, http.StatusOK, answer)
}
