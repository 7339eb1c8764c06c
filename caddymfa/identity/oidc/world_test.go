package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddymfa/gateway/caddymfa/identity"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

const (
	clientID     = "gate"
	clientSecret = "a secret of both"
	redirectURI  = "https://portal.example.com/.mfa/sso/callback"
)

// The keys of all providers, since RSA keys take long to make.
var rsaKey, otherKey = newRSA(), newRSA()

func newRSA() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

func newEC(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newEd(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

type object = map[string]any

// idp is a provider of ours, which does what it is told, however wrong. Its
// fields are set before the step that they are for.
type idp struct {
	t      *testing.T
	server *httptest.Server
	now    atomic.Pointer[time.Time]
	asked  sync.Map // path to *atomic.Int64

	mu        sync.Mutex
	published []oidctest.PublicKey
	key       crypto.Signer
	algorithm string
	codes     map[string]url.Values // code to what it was asked for with

	metadata func(object)                // edits what it says about itself
	claims   func(object)                // edits the claims of an ID token
	header   object                      // replaces parts of a token's header
	token    func(id string) string      // replaces an ID token
	answer   func(object)                // edits what the token endpoint says
	userinfo object                      // what it says about the person there
	serve    map[string]http.HandlerFunc // replaces endpoints
}

func newIDP(t *testing.T) *idp {
	t.Helper()
	i := &idp{t: t, key: rsaKey, algorithm: oidc.RS256, codes: make(map[string]url.Values), serve: make(map[string]http.HandlerFunc)}
	i.at(noon)
	i.publish()
	i.server = httptest.NewServer(http.HandlerFunc(i.ServeHTTP))
	t.Cleanup(i.server.Close)
	return i
}

func (i *idp) at(now time.Time) { i.now.Store(&now) }

func (i *idp) clock() time.Time { return *i.now.Load() }

// publish makes the present key the only one that the provider shows.
func (i *idp) publish() {
	i.published = []oidctest.PublicKey{{PublicKey: i.key.Public(), KeyID: "key", Algorithm: i.algorithm}}
}

// count returns how often a path was asked for.
func (i *idp) count(path string) int64 {
	n, _ := i.asked.LoadOrStore(path, new(atomic.Int64))
	return n.(*atomic.Int64).Load()
}

func (i *idp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.count(r.URL.Path)
	n, _ := i.asked.Load(r.URL.Path)
	n.(*atomic.Int64).Add(1)
	i.mu.Lock()
	defer i.mu.Unlock()
	if serve := i.serve[r.URL.Path]; serve != nil {
		serve(w, r)
		return
	}
	library := &oidctest.Server{PublicKeys: i.published, Algorithms: []string{i.algorithm}}
	library.SetIssuer(i.server.URL)
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		recorded := httptest.NewRecorder()
		library.ServeHTTP(recorded, r)
		m := make(object)
		if err := json.Unmarshal(recorded.Body.Bytes(), &m); err != nil {
			i.t.Error(err)
		}
		m["userinfo_endpoint"] = i.server.URL + "/userinfo"
		m["end_session_endpoint"] = i.server.URL + "/end?theme=plain"
		if i.metadata != nil {
			i.metadata(m)
		}
		i.write(w, http.StatusOK, m)
	case "/token":
		i.exchange(w, r)
	case "/userinfo":
		if r.Header.Get("Authorization") != "Bearer access" || i.userinfo == nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		i.write(w, http.StatusOK, i.userinfo)
	default:
		library.ServeHTTP(w, r)
	}
}

func (i *idp) write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		i.t.Error(err)
	}
}

// exchange is the token endpoint (RFC 6749, section 4.1.3, and RFC 7636).
func (i *idp) exchange(w http.ResponseWriter, r *http.Request) {
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.FormValue("client_id"), r.FormValue("client_secret")
	}
	if secret, _ = url.QueryUnescape(secret); id != clientID || secret != clientSecret {
		i.write(w, http.StatusUnauthorized, object{"error": "invalid_client"})
		return
	}
	asked, ok := i.codes[r.FormValue("code")]
	delete(i.codes, r.FormValue("code"))
	hash := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !ok || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(hash[:]) ||
		asked.Get("redirect_uri") != r.FormValue("redirect_uri") {
		i.write(w, http.StatusBadRequest, object{"error": "invalid_grant", "error_description": "no such code"})
		return
	}
	c := object{
		"iss": i.server.URL, "sub": "ana", "aud": clientID, "nonce": asked.Get("nonce"),
		"iat": i.clock().Unix(), "exp": i.clock().Add(5 * time.Minute).Unix(), "auth_time": i.clock().Unix(),
		"email": "ana@acme.example", "email_verified": true, "name": "Ana",
	}
	if i.claims != nil {
		i.claims(c)
	}
	idToken := i.sign(c)
	if i.token != nil {
		idToken = i.token(idToken)
	}
	answer := object{"access_token": "access", "token_type": "Bearer", "expires_in": 300, "id_token": idToken}
	if i.answer != nil {
		i.answer(answer)
	}
	i.write(w, http.StatusOK, answer)
}

// sign makes a token.
func (i *idp) sign(c object) string {
	i.t.Helper()
	return sign(i.t, i.algorithm, i.key, i.header, c)
}

func sign(t *testing.T, algorithm string, key any, header, c object) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), jwt.MapClaims(c))
	token.Header["kid"] = "key"
	maps.Copy(token.Header, header)
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// link returns a provider that asks this one.
func (i *idp) link(edits ...func(*Settings)) *provider {
	i.t.Helper()
	s := Settings{Issuer: i.server.URL, ClientID: clientID, ClientSecret: clientSecret}
	for _, edit := range edits {
		edit(&s)
	}
	if err := s.check(); err != nil {
		i.t.Fatal(err)
	}
	p := open(s, guard{private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, i.clock)
	i.t.Cleanup(func() { p.Close() })
	return p
}

// begin begins a sign-in, and returns what the provider was asked.
func (i *idp) begin(p *provider, r identity.Request) (identity.Begun, url.Values) {
	i.t.Helper()
	if r.RedirectURI == "" {
		r.RedirectURI = redirectURI
	}
	begun, err := p.Begin(i.t.Context(), r)
	if err != nil {
		i.t.Fatal(err)
	}
	u, err := url.Parse(begun.URL)
	if err != nil {
		i.t.Fatal(err)
	}
	return begun, u.Query()
}

// approve signs somebody in at the provider, and returns how the browser comes
// back.
func (i *idp) approve(asked url.Values) url.Values {
	i.mu.Lock()
	defer i.mu.Unlock()
	code := "code-" + strconv.Itoa(len(i.codes)) + rand.Text()
	i.codes[code] = asked
	return url.Values{"code": {code}, "state": {asked.Get("state")}}
}

// signIn goes the whole way.
func (i *idp) signIn(p *provider, r identity.Request) (identity.Identity, error) {
	i.t.Helper()
	begun, asked := i.begin(p, r)
	return p.Finish(i.t.Context(), begun.Secret, i.approve(asked))
}

// refused fails the test unless the error is a refusal with this reason.
func refused(t *testing.T, err error, reason string) {
	t.Helper()
	var refusal *identity.Refusal
	if !errors.As(err, &refusal) || refusal.Reason != reason {
		t.Fatalf("got the error %v, want a refusal with the reason %s", err, reason)
	}
	if errors.Is(err, identity.ErrUnavailable) {
		t.Fatalf("%v is a refusal and an outage", err)
	}
}

// unavailable fails the test unless the error is an outage.
func unavailable(t *testing.T, err error) {
	t.Helper()
	var refusal *identity.Refusal
	if !errors.Is(err, identity.ErrUnavailable) || errors.As(err, &refusal) {
		t.Fatalf("got the error %v, want an outage", err)
	}
}
