package caddymfa

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// load runs a configuration with two servers: "plain" answers at once, "gated"
// has the gate in front of the same answer.
func load(tb testing.TB) (plain, gated *caddyhttp.Server, app *App) {
	tb.Helper()
	tb.Setenv("HOME", tb.TempDir())
	tb.Setenv("XDG_DATA_HOME", tb.TempDir())
	answer := `{"handler":"static_response","body":"ok"}`
	config := fmt.Sprintf(`{
		"admin": {"disabled": true, "config": {"persist": false}},
		"logging": {"logs": {"default": {"level": "ERROR"}}},
		"apps": {
			"mfa": {"storage": {"module": "sqlite", "path": %q},
				"accounts": [{"id": "acme", "policy": "optional"}],
				"users": [{"email": "ana@acme.example", "memberships": [{"account": "acme"}]}]},
			"http": {"servers": {
				"plain": {"listen": [%q], "automatic_https": {"disable": true}, "routes": [{"handle": [%s]}]},
				"gated": {"listen": [%q], "automatic_https": {"disable": true}, "routes": [{"handle": [{"handler": "mfa"}, %s]}]}
			}}
		}
	}`, tb.TempDir()+"/mfa.db", "unix/"+tb.TempDir()+"/plain.sock", answer, "unix/"+tb.TempDir()+"/gated.sock", answer)
	if err := caddy.Load([]byte(config), true); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			tb.Error(err)
		}
	})
	ctx := caddy.ActiveContext()
	web, err := ctx.App("http")
	if err != nil {
		tb.Fatal(err)
	}
	gate, err := ctx.App("mfa")
	if err != nil {
		tb.Fatal(err)
	}
	servers := web.(*caddyhttp.App).Servers
	return servers["plain"], servers["gated"], gate.(*App)
}

// signedIn makes a session in the store and returns its cookie.
func signedIn(tb testing.TB, app *App) string {
	tb.Helper()
	ctx := tb.Context()
	g, err := app.open(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	u, err := g.login.Store.UserByEmail(ctx, "ana@acme.example")
	if err != nil {
		tb.Fatal(err)
	}
	s := storage.Session{
		ID: session.NewID(), User: u.ID, Account: "acme", Created: now(), Seen: now(), Expires: now().Add(time.Hour),
		Proof: mfa.Proof{User: u.ID, First: now(), FirstBy: "password"},
	}
	if err := g.login.Store.CreateSession(ctx, s); err != nil {
		tb.Fatal(err)
	}
	token, err := g.login.Sessions.Token(ctx, &s, "portal.example")
	if err != nil {
		tb.Fatal(err)
	}
	return "mfa=" + token
}

// BenchmarkSignedIn compares a signed-in request with one to plain Caddy that
// carries the same cookie: what the gate costs is the difference.
func BenchmarkSignedIn(b *testing.B) {
	plain, gated, app := load(b)
	cookie := signedIn(b, app)
	for _, c := range []struct {
		name   string
		server *caddyhttp.Server
	}{{"plain", plain}, {"gated", gated}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodGet, "http://portal.example/orders", nil)
				r.Header["Cookie"] = []string{cookie}
				w := discard{header: make(http.Header, 8)}
				c.server.ServeHTTP(&w, r)
				if w.status != 0 && w.status != http.StatusOK {
					b.Fatalf("status %d", w.status)
				}
			}
		})
	}
}

// discard is a response that nobody reads.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }
