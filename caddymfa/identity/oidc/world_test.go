package oidc

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/netip"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/identity/oidc/idptest"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

const redirectURI = "https://portal.example.com/.mfa/sso/callback"

type object = idptest.Object

// otherKey is one that no provider shows.
var otherKey = idptest.NewKey()

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

// idp is a provider, and whoever signs in there.
type idp struct {
	*idptest.Provider
	t   *testing.T
	now atomic.Pointer[time.Time]
}

func newIDP(t *testing.T) *idp {
	t.Helper()
	i := &idp{t: t}
	i.at(noon)
	i.Provider = idptest.New(t, i.clock)
	return i
}

func (i *idp) at(now time.Time) { i.now.Store(&now) }

func (i *idp) clock() time.Time { return *i.now.Load() }

// link returns a provider that asks this one.
func (i *idp) link(edits ...func(*Settings)) *provider {
	i.t.Helper()
	s := Settings{Issuer: i.URL, ClientID: idptest.ClientID, ClientSecret: idptest.ClientSecret}
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

// signIn goes the whole way.
func (i *idp) signIn(p *provider, r identity.Request) (identity.Identity, error) {
	i.t.Helper()
	begun, asked := i.begin(p, r)
	return p.Finish(i.t.Context(), begun.Secret, i.Approve(asked))
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
