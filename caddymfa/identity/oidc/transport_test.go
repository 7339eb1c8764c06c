package oidc

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/identity/oidc/idptest"
)

// TestGuard says which addresses a provider may be at.
func TestGuard(t *testing.T) {
	everything := guard{private: prefixes("0.0.0.0/0", "::/0")}
	for _, text := range []string{"93.184.215.14", "2606:2800:220:1::1", "::ffff:93.184.215.14"} {
		if !(guard{}).admits(netip.MustParseAddr(text)) {
			t.Errorf("%s is refused", text)
		}
	}
	for _, text := range []string{
		"127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
		"198.18.0.1", "fc00::1", "fd12::1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:1::1", "::127.0.0.1", "fec0::1",
	} {
		a := netip.MustParseAddr(text)
		if (guard{}).admits(a) {
			t.Errorf("%s is reached", text)
		}
		if !everything.admits(a) {
			t.Errorf("%s is refused although it is named", text)
		}
	}
	for _, text := range []string{
		"169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "fe80::1%eth0", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255",
		"240.0.0.1", "ff02::1", "fd00:ec2::254", "100.100.100.200", "192.0.0.192",
	} {
		if everything.admits(netip.MustParseAddr(text)) {
			t.Errorf("%s is reached", text)
		}
	}
	if (guard{private: prefixes("10.20.0.0/16")}).admits(netip.MustParseAddr("10.21.0.1")) {
		t.Error("a neighbour of the named network is reached")
	}
}

// TestForbiddenAddresses links providers that point at what only this machine
// can reach.
func TestForbiddenAddresses(t *testing.T) {
	t.Run("the provider itself", func(t *testing.T) {
		i := newIDP(t)
		p := open(Settings{Issuer: i.URL, ClientID: idptest.ClientID}, guard{}, i.clock)
		defer p.Close()
		_, err := p.Begin(t.Context(), identity.Request{RedirectURI: redirectURI})
		refused(t, err, "address_refused")
	})
	t.Run("by name", func(t *testing.T) {
		i := newIDP(t)
		p := open(Settings{Issuer: strings.Replace(i.URL, "127.0.0.1", "localhost", 1), ClientID: idptest.ClientID}, guard{}, i.clock)
		defer p.Close()
		_, err := p.Begin(t.Context(), identity.Request{RedirectURI: redirectURI})
		refused(t, err, "address_refused")
	})
	for name, address := range map[string]string{
		"metadata of the cloud": "https://169.254.169.254/latest", "in disguise": "https://[::ffff:169.254.169.254]/latest", "the neighbourhood": "https://10.0.0.1/keys",
	} {
		t.Run(name, func(t *testing.T) {
			i := newIDP(t)
			i.Metadata = set("jwks_uri", address)
			_, err := i.signIn(i.link(), identity.Request{})
			refused(t, err, "address_refused")
		})
	}
	t.Run("the token endpoint", func(t *testing.T) {
		i := newIDP(t)
		i.Metadata = set("token_endpoint", "https://192.168.0.1/token")
		_, err := i.signIn(i.link(), identity.Request{})
		refused(t, err, "address_refused")
	})
}

// TestOutage holds up nobody for a provider that is down, and nobody gets in
// without it.
func TestOutage(t *testing.T) {
	const path = "/.well-known/openid-configuration"
	ask := func(t *testing.T, p *provider) error {
		t.Helper()
		_, err := p.Begin(t.Context(), identity.Request{RedirectURI: redirectURI})
		return err
	}
	t.Run("nobody listens", func(t *testing.T) {
		i := newIDP(t)
		i.Close()
		p := i.link()
		unavailable(t, ask(t, p))
	})
	t.Run("slow", func(t *testing.T) {
		i := newIDP(t)
		leave := make(chan struct{})
		i.Serve[path] = func(_ http.ResponseWriter, r *http.Request) { <-leave }
		p := i.link()
		p.wire.patience = 50 * time.Millisecond
		unavailable(t, ask(t, p))
		for range 10 {
			unavailable(t, ask(t, p))
		}
		if n := i.Asked(path); n != 1 {
			t.Errorf("asked %d times while it was down", n)
		}
		close(leave)
		i.Change(func() { delete(i.Serve, path) })
		unavailable(t, ask(t, p))
		i.at(noon.Add(outage))
		p.wire.patience = patience
		if err := ask(t, p); err != nil {
			t.Errorf("it is back, and %v", err)
		}
	})
	t.Run("while it trickles", func(t *testing.T) {
		i := newIDP(t)
		leave := make(chan struct{})
		i.Serve["/keys"] = func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte("{"))
			w.(http.Flusher).Flush()
			<-leave
		}
		p := i.link()
		begun, asked := i.begin(p, identity.Request{})
		p.wire.patience = 200 * time.Millisecond
		_, err := p.Finish(t.Context(), begun.Secret, i.Approve(asked))
		close(leave)
		unavailable(t, err)
	})
	t.Run("says so", func(t *testing.T) {
		i := newIDP(t)
		p := i.link()
		begun, asked := i.begin(p, identity.Request{})
		callback := i.Approve(asked)
		callback.Set("error", "temporarily_unavailable")
		_, err := p.Finish(t.Context(), begun.Secret, callback)
		unavailable(t, err)
	})
	t.Run("closed", func(t *testing.T) {
		i := newIDP(t)
		p := i.link()
		i.begin(p, identity.Request{})
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}
