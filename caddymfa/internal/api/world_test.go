package api_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/identity/oidc"
	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/api"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/testkit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

const base = "/.mfa" + api.Path

// world is the API over a real store, with the accounts acme and beta, each with
// the administrator ana@<account>.example, and a token of acme's for each scope.
type world struct {
	testing.TB
	api    *api.API
	admin  *admin.Service
	clock  time.Time
	faults []error
	dns    records
}

func newWorld(t testing.TB) *world {
	t.Helper()
	k := testkit.New(t)
	w := &world{TB: t, dns: make(records), clock: time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)}
	now := func() time.Time { return w.clock }
	limiter := &limit.Limiter{Store: k.Store, Now: now, MAC: k.Box.MAC}
	steps := &login.Service{Store: k.Store, Facts: k.Facts, Box: k.Box, Now: now, Record: k.Record, Limiter: limiter,
		Companies: &login.Companies{Store: k.Store, Box: k.Box, Sources: map[string]identity.Source{admin.KindOIDC: new(oidc.Module)}}}
	w.admin = &admin.Service{Store: k.Store, Login: steps, Now: now, Record: k.Record, DNS: w.dns}
	w.api = &api.API{Base: base, Admin: w.admin, Limiter: limiter, Fault: func(_ *http.Request, doing string, err error) {
		w.faults = append(w.faults, err)
	}}
	for _, account := range []string{"acme", "beta"} {
		w.must(k.Store.CreateAccount(t.Context(), storage.Account{ID: account, Name: "The " + account, Policy: mfa.Suggested, Created: w.clock}))
		w.must(k.Store.CreateUser(t.Context(), storage.User{ID: "ana-" + account, Email: "ana@" + account + ".example", Name: "Ana of " + account, Created: w.clock}))
		w.must(k.Store.PutMembership(t.Context(), storage.Membership{Account: account, User: "ana-" + account, Role: mfa.RoleAdmin, State: mfa.Joined, Created: w.clock}))
	}
	return w
}

// records is a DNS that knows some names.
type records map[string]string

func (r records) LookupTXT(_ context.Context, name string) ([]string, error) {
	if value, ok := r[name]; ok {
		return []string{value}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// actor is the administrator of an account.
func actor(account string) admin.Actor {
	return admin.Actor{Account: account, User: "ana-" + account, Session: "s-" + account, Network: "192.0.2.1"}
}

// token makes a token of an account.
func (w *world) token(account string, networks []string, scopes ...admin.Scope) (secret, id string) {
	w.Helper()
	secret, t, err := w.admin.CreateToken(w.Context(), actor(account), admin.TokenWish{Name: "Nightly job", Scopes: scopes, Networks: networks, Days: 30})
	w.must(err)
	return secret, t.ID
}

// whole makes a token of an account that may do everything.
func (w *world) whole(account string) string {
	w.Helper()
	secret, _ := w.token(account, nil, admin.Scopes...)
	return secret
}

// ask sends a request with a token ("": none), and further headers as "Name: value".
func (w *world) ask(token, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	w.Helper()
	r := httptest.NewRequest(method, base+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return w.serve(r, api.Site{Network: "192.0.2.1"})
}

func (w *world) serve(r *http.Request, site api.Site) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	w.api.ServeHTTP(answer, r, site)
	return answer
}

// ok sends a request that must succeed, and reads the answer into out.
func (w *world) ok(token, method, path, body string, out any, headers ...string) *httptest.ResponseRecorder {
	w.Helper()
	answer := w.ask(token, method, path, body, headers...)
	if answer.Code >= 300 {
		w.Fatalf("%s %s: %d %s", method, path, answer.Code, answer.Body)
	}
	if out != nil {
		w.must(json.Unmarshal(answer.Body.Bytes(), out))
	}
	return answer
}

// refused fails the test unless an answer is a problem with this status and code.
func (w *world) refused(answer *httptest.ResponseRecorder, status int, code string) {
	w.Helper()
	var p api.Problem
	err := json.Unmarshal(answer.Body.Bytes(), &p)
	if err != nil || answer.Code != status || p.Status != status || p.Code != code ||
		answer.Header().Get("Content-Type") != "application/problem+json" || p.Title != http.StatusText(status) || p.Type != "about:blank" {
		w.Errorf("expected %d %s, got %d %s", status, code, answer.Code, answer.Body)
	}
}
