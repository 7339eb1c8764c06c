package oidc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
)

const (
	// patience is how long a provider may take for one answer, all of it.
	patience = 5 * time.Second
	// outage is how long a provider that did not answer is not asked again: one
	// that is down must not hold everybody who tries to sign in.
	outage = 5 * time.Second
	// maxAnswer is the longest answer that is read, in bytes. Key sets with
	// certificates and metadata have some ten thousand.
	maxAnswer = 512 << 10
	// keyPause is how long a key set is not asked for again, whatever keys the
	// tokens name that somebody sends us.
	keyPause = 5 * time.Second
)

// wire is how a provider is asked: within limits of time and size, and without
// a second try while it is down. What it reads is read to the end, so that no
// error is met later, where it could not be told from a wrong answer.
type wire struct {
	base     http.RoundTripper
	now      func() time.Time
	patience time.Duration

	mu   sync.Mutex
	down map[string]time.Time // until when a host is not asked
}

// newWire returns a wire that dials what the guard admits.
func newWire(g guard, now func() time.Time) *wire {
	dialer := &net.Dialer{Timeout: patience, ControlContext: g.control}
	return &wire{now: now, patience: patience, down: make(map[string]time.Time), base: &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: patience, MaxIdleConns: 4, IdleConnTimeout: time.Minute,
		MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true, DisableCompression: true,
	}}
}

// client returns a client that follows no redirects: no endpoint of a provider
// needs them, and they would carry codes and secrets elsewhere.
func client(t http.RoundTripper) *http.Client {
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// RoundTrip implements [http.RoundTripper]. Its errors wrap
// identity.ErrUnavailable, or are an *identity.Refusal.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	host := r.URL.Host
	w.mu.Lock()
	until := w.down[host]
	w.mu.Unlock()
	if w.now().Before(until) {
		return nil, fmt.Errorf("%w: %s did not answer a moment ago", identity.ErrUnavailable, host)
	}
	res, err := w.ask(r)
	var refusal *identity.Refusal
	if errors.As(err, &refusal) {
		return nil, refusal
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		if r.Context().Err() == nil { // else it was the caller who left
			w.down[host] = w.now().Add(outage)
		}
		return nil, fmt.Errorf("%w: %w", identity.ErrUnavailable, err)
	}
	delete(w.down, host)
	return res, nil
}

// ask asks once, and returns an answer that has been read.
func (w *wire) ask(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), w.patience)
	defer cancel()
	res, err := w.base.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the answer of %s: %w", r.URL.Host, err)
	case len(body) > maxAnswer:
		return nil, refuse("answer_too_large", "%s answered with more than %d bytes", r.URL.Host, maxAnswer)
	case res.StatusCode >= http.StatusInternalServerError, res.StatusCode == http.StatusTooManyRequests,
		r.Method == http.MethodGet && res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answered %s to %s %s", r.URL.Host, res.Status, r.Method, r.URL.Path)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

func (w *wire) close() {
	if t, ok := w.base.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

// seldom repeats an answer for a while instead of asking again.
type seldom struct {
	next http.RoundTripper
	now  func() time.Time

	mu    sync.Mutex
	at    time.Time
	last  http.Response
	bytes []byte
}

// RoundTrip implements [http.RoundTripper].
func (s *seldom) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at.IsZero() || s.now().Sub(s.at) >= keyPause {
		res, err := s.next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, err
		}
		s.at, s.last, s.bytes = s.now(), *res, body
	}
	again := s.last
	again.Request, again.Body = r, io.NopCloser(bytes.NewReader(s.bytes))
	return &again, nil
}

// guard says which addresses may be dialled. Whoever administers an account
// names the address of its provider, and must not reach through it what only
// this machine can reach (server-side request forgery). It judges the address
// that is dialled, whatever name led there.
type guard struct {
	private []netip.Prefix // what may be reached besides the Internet
}

// never lists what no provider is at: link-local addresses, where clouds keep
// their metadata, and those services' other addresses.
var never = prefixes("169.254.0.0/16", "fe80::/10", "0.0.0.0/32", "::/128", "224.0.0.0/3", "ff00::/8",
	"fd00:ec2::254/128", "100.100.100.200/32", "192.0.0.192/32")

// local lists what is not the Internet, with the prefixes that hide an IPv4
// address in an IPv6 one (IANA special-purpose address registries). So is
// every IPv6 address outside global.
var (
	local = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
	global = netip.MustParsePrefix("2000::/3")
)

func prefixes(list ...string) []netip.Prefix {
	parsed := make([]netip.Prefix, len(list))
	for i, text := range list {
		parsed[i] = netip.MustParsePrefix(text)
	}
	return parsed
}

func within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// admits reports whether an address may be dialled.
func (g guard) admits(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	inside := within(local, a) || a.Is6() && !global.Contains(a)
	return a.IsValid() && !within(never, a) && (!inside || within(g.private, a))
}

// control implements [net.Dialer.ControlContext].
func (g guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !g.admits(at.Addr()) {
		return refuse("address_refused", "%s is no address of the Internet, nor in private_networks", address)
	}
	return nil
}
