package ldap

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/caddymfa/gateway/caddymfa/identity"
)

// clock is a time that tests move.
type clock struct{ passed atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(1e9, c.passed.Load()) }
func (c *clock) advance(d time.Duration) { c.passed.Add(int64(d)) }

// directory opens a provider of responders. What is made of m is the operator's.
func directory(t *testing.T, m Module, change func(*Settings), all ...*responder) (*provider, *clock) {
	t.Helper()
	s := Settings{BaseDN: "DC=corp,DC=example", NetBIOS: "CORP"}
	for _, r := range all {
		s.Controllers = append(s.Controllers, "ldaps://"+r.address)
		s.CA += r.ca
	}
	if change != nil {
		change(&s)
	}
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.check(); err != nil {
		t.Fatal(err)
	}
	m.logger = slog.New(slog.DiscardHandler)
	opened, err := m.Open(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	p, c := opened.(*provider), new(clock)
	p.pool.now = c.now
	return p, c
}

func TestNothingIsAskedWithoutPassword(t *testing.T) {
	r := respond(t)
	r.bind = func(string, string) (int, string) { return 0, "" } // as directories do
	p, _ := directory(t, Module{}, nil, r)
	refused(t, p, "ana@acme.example", "", "empty_password")
	refused(t, p, "ana", "right", "malformed_name")
	if n := r.connections.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

func TestConnectionsAreKept(t *testing.T) {
	r := respond(t)
	p, c := directory(t, Module{}, nil, r)
	for range 5 {
		enters(t, p, "ana@acme.example", "right")
		refused(t, p, "ana@acme.example", "wrong", "wrong_password")
	}
	if n := r.connections.Load(); n != 1 {
		t.Errorf("one after another, %d connections were made", n)
	}
	r.cut()
	enters(t, p, "ana@acme.example", "right")
	if n := r.connections.Load(); n != 2 {
		t.Errorf("after a cut, there were %d connections", n)
	}
	// A firewall forgets a connection without a word.
	r.mu.Lock()
	var forgotten atomic.Int64
	r.raw = func(net.Conn, *ber.Packet) bool { return forgotten.Add(1) == 1 }
	r.mu.Unlock()
	c.advance(fresh)
	enters(t, p, "ana@acme.example", "right")
	if n := r.connections.Load(); n != 3 {
		t.Errorf("after a silent end, there were %d connections", n)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	r := respond(t)
	p, _ := directory(t, Module{Connections: 3}, nil, r)
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			if _, err := p.CheckPassword(t.Context(), "ana@acme.example", "right"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := r.connections.Load(); n > 3 {
		t.Errorf("%d connections were made", n)
	}
}

func TestConnectionsEnd(t *testing.T) {
	before := runtime.NumGoroutine()
	r := respond(t)
	p, _ := directory(t, Module{}, nil, r)
	enters(t, p, "ana@acme.example", "right")
	p.Close()
	r.stop()
	until(t, func() bool { return runtime.NumGoroutine() <= before })
	unavailable(t, p)
}

// until waits for a condition.
func until(t *testing.T, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); !condition(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it did not come true")
		}
	}
}

func TestWrongPasswordIsAskedOnce(t *testing.T) {
	a, b := respond(t), respond(t)
	p, _ := directory(t, Module{}, nil, a, b)
	refused(t, p, "ana@acme.example", "wrong", "wrong_password")
	if a.binds.Load() != 1 || b.connections.Load() != 0 {
		t.Errorf("one wrong password was counted %d times, and asked of another controller %d times", a.binds.Load(), b.connections.Load())
	}
	// A service account that is refused is refused everywhere, and soon locked.
	p, _ = directory(t, Module{}, func(s *Settings) { s.ServiceAccount, s.ServicePassword = `CORP\reader`, "wrong" }, a, b)
	unavailable(t, p)
	if a.binds.Load() != 2 || b.connections.Load() != 0 {
		t.Errorf("a wrong service password was counted %d times", a.binds.Load()-1)
	}
}

// TestPasswordProvesTheEntry: a directory that takes some other name of somebody
// else for the name typed does not make one person of the other.
func TestPasswordProvesTheEntry(t *testing.T) {
	r := respond(t)
	r.bind = func(name, password string) (int, string) {
		if name == someone.dn {
			return ldap.LDAPResultInvalidCredentials, "data 52e, v1"
		}
		return 0, ""
	}
	p, _ := directory(t, Module{}, nil, r)
	refused(t, p, "ana@acme.example", "mallory's", "wrong_password")
	nameless := someone
	nameless.dn = ""
	r.entries = func(string) []entry { return []entry{nameless} }
	p, _ = directory(t, Module{}, nil, r)
	unavailable(t, p)
}

func TestControllersFail(t *testing.T) {
	for name, fail := range map[string]func(*responder){
		"busy": func(r *responder) {
			r.bind = func(string, string) (int, string) { return ldap.LDAPResultBusy, "" }
		},
		"going away": func(r *responder) {
			r.bind = func(string, string) (int, string) { return ldap.LDAPResultUnavailable, "" }
		},
		"silent": func(r *responder) { r.raw = func(net.Conn, *ber.Packet) bool { return true } },
		"cut":    func(r *responder) { r.raw = func(c net.Conn, _ *ber.Packet) bool { c.Close(); return true } },
		"noise": func(r *responder) {
			r.raw = func(c net.Conn, _ *ber.Packet) bool { c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")); return true }
		},
		"endless": func(r *responder) {
			r.raw = func(c net.Conn, m *ber.Packet) bool {
				flood := message(m.Children[0].Value.(int64), ldap.ApplicationSearchResultEntry, someone.encode()...)
				for range maxRead / len(flood) {
					c.Write(flood)
				}
				return false
			}
		},
		"deep": func(r *responder) {
			r.raw = func(c net.Conn, _ *ber.Packet) bool { c.Write(bytes.Repeat([]byte{0x30, 0x80}, 1000)); return true }
		},
		"huge": func(r *responder) {
			r.raw = func(c net.Conn, _ *ber.Packet) bool {
				c.Write([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x04, 0x84, 0x7f, 0xff, 0xff, 0xf0})
				return true
			}
		},
		"down": (*responder).stop,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := respond(t), respond(t)
			fail(a)
			p, c := directory(t, Module{Timeout: caddy.Duration(time.Second)}, nil, a, b)
			enters(t, p, "ana@acme.example", "right")
			if b.binds.Load() == 0 {
				t.Fatal("the second controller was not asked")
			}
			// For a while the first one is left alone.
			connections := a.connections.Load()
			enters(t, p, "ana@acme.example", "right")
			c.advance(firstPause - 1)
			enters(t, p, "ana@acme.example", "right")
			if a.connections.Load() != connections {
				t.Error("a controller that just failed was asked first")
			}
			c.advance(1)
			if order := p.pool.order(); order[0].address.String() != a.address {
				t.Errorf("after its pause, %s comes first", order[0].address)
			}
			b.stop()
			if err := unavailable(t, p); strings.Count(err.Error(), "asking controller") != 2 {
				t.Errorf("not both controllers were asked: %v", err)
			}
		})
	}
}

func TestControllersRecover(t *testing.T) {
	a, b := respond(t), respond(t)
	p, c := directory(t, Module{}, nil, a, b)
	a.stop()
	want := firstPause
	for range 10 {
		enters(t, p, "ana@acme.example", "right")
		if got := p.pool.controllers[0].pause; got != want {
			t.Fatalf("the pause is %v, want %v", got, want)
		}
		c.advance(want)
		want = min(2*want, lastPause)
	}
	a.start(t, a.address)
	enters(t, p, "ana@acme.example", "right")
	if a.binds.Load() == 0 || p.pool.controllers[0].pause != 0 {
		t.Errorf("a controller that is back was asked %d times, and has a pause of %v", a.binds.Load(), p.pool.controllers[0].pause)
	}
	// Whoever is alone is asked whatever happened before.
	a.stop()
	b.stop()
	unavailable(t, p)
	a.start(t, a.address)
	enters(t, p, "ana@acme.example", "right")
}

func TestLeavingEndsNothing(t *testing.T) {
	r := respond(t)
	arrived, answer := make(chan struct{}), make(chan struct{})
	wrong := r.bind
	r.bind = func(name, password string) (int, string) {
		arrived <- struct{}{}
		<-answer
		return wrong(name, password)
	}
	p, _ := directory(t, Module{Connections: 1}, nil, r)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := p.CheckPassword(ctx, "ana@acme.example", "wrong")
		done <- err
	}()
	<-arrived
	// All connections are in use: whoever comes now may leave without having
	// asked.
	impatient, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if _, err := p.CheckPassword(impatient, "ana@acme.example", "wrong"); !errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("waiting for a connection: %v", err)
	}
	// But the directory counts what it was asked, and so must we.
	cancel()
	close(answer)
	if err := <-done; !errors.Is(err, identity.ErrIncorrect) {
		t.Errorf("whoever asked and left got %v", err)
	}
	if r.binds.Load() != 1 {
		t.Errorf("the directory was asked %d times", r.binds.Load())
	}
}

// TestSilentListener: something listens, and never says a word.
func TestSilentListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, scheme := range []string{"ldap://", "ldaps://"} {
		p, _ := directory(t, Module{DialTimeout: caddy.Duration(50 * time.Millisecond)}, func(s *Settings) { s.Controllers = []string{scheme + l.Addr().String()} })
		unavailable(t, p)
	}
}

// TestNothingIsSentInClear: whoever answers that StartTLS is not to be had, or
// says yes and goes on in clear, learns nothing.
func TestNothingIsSentInClear(t *testing.T) {
	for name, code := range map[string]int{"refused": ldap.LDAPResultUnwillingToPerform, "feigned": 0} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			heard := make(chan []byte, 1)
			go func() {
				defer close(heard)
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				request, err := ber.ReadPacket(c)
				if err != nil {
					return
				}
				c.Write(message(request.Children[0].Value.(int64), ldap.ApplicationExtendedResponse, result(code, "")...))
				b := make([]byte, 4096)
				n, _ := c.Read(b)
				c.Write(message(2, ldap.ApplicationBindResponse, result(0, "")...))
				heard <- b[:n]
			}()
			p, _ := directory(t, Module{}, func(s *Settings) {
				s.Controllers = []string{"ldap://" + l.Addr().String()}
				s.InsecureSkipVerify = true
			})
			unavailable(t, p)
			l.Close()
			if b := <-heard; bytes.Contains(b, []byte("right")) || bytes.Contains(b, []byte("ana")) {
				t.Errorf("it heard %q", b)
			}
		})
	}
}

func TestNetworks(t *testing.T) {
	r := respond(t)
	p, _ := directory(t, Module{Networks: []string{"10.0.0.0/8", "127.0.1.0/24"}}, nil, r)
	if err := unavailable(t, p); !strings.Contains(err.Error(), "none of the networks") {
		t.Error(err)
	}
	if r.connections.Load() != 0 {
		t.Error("a controller in another network was connected to")
	}
	p, _ = directory(t, Module{Networks: []string{"127.0.0.0/8"}}, nil, r)
	enters(t, p, "ana@acme.example", "right")
}

// TestReferralsAreNotFollowed: a controller that sends us elsewhere cannot have
// passwords asked there.
func TestReferralsAreNotFollowed(t *testing.T) {
	a, elsewhere := respond(t), respond(t)
	a.raw = func(c net.Conn, m *ber.Packet) bool {
		if m.Children[1].Tag != ldap.ApplicationSearchRequest {
			return false
		}
		id := m.Children[0].Value.(int64)
		c.Write(message(id, ldap.ApplicationSearchResultReference, octets("ldaps://"+elsewhere.address+"/DC=corp,DC=example")))
		c.Write(message(id, ldap.ApplicationSearchResultDone, result(0, "")...))
		return true
	}
	p, _ := directory(t, Module{}, nil, a)
	refused(t, p, "ana@acme.example", "right", "not_selected")
	a.raw = nil
	a.bind = func(string, string) (int, string) { return ldap.LDAPResultReferral, "" }
	p, _ = directory(t, Module{}, func(s *Settings) { s.CA += elsewhere.ca }, a)
	unavailable(t, p)
	if elsewhere.connections.Load() != 0 {
		t.Error("a referral was followed")
	}
}
