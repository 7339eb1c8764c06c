package operate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/operate"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// paper is a kind of identity provider that only has settings.
type paper struct{}

func (paper) Kind() string { return "paper" }

func (paper) Check(settings []byte) (string, error) {
	var v struct{ Issuer string }
	if err := json.Unmarshal(settings, &v); err != nil || v.Issuer == "" {
		return "", errors.New("expected an issuer")
	}
	return v.Issuer, nil
}

func (paper) Open(context.Context, []byte) (identity.Provider, error) {
	return nil, errors.New("paper")
}

func withPaper(t *testing.T) *operate.Operator {
	t.Helper()
	op := newOperator(t)
	op.Login.Companies = &login.Companies{Store: op.Store, Box: op.Login.Box, Sources: map[string]identity.Source{"paper": paper{}}}
	return op
}

func paperOf(id, settings string) operate.DeclaredProvider {
	return operate.DeclaredProvider{ID: id, Kind: "paper", Name: "Paper", Trust: mfa.Precedence, Linking: login.Linking{Source: json.RawMessage(settings)}}
}

func TestDeclaredCompanies(t *testing.T) {
	op := withPaper(t)
	ctx := t.Context()
	account := operate.DeclaredAccount{
		ID: "acme", Name: "Acme", Policy: mfa.Optional,
		Providers: []operate.DeclaredProvider{paperOf("acme/paper", `{"Issuer":"https://a.example","Secret":"hush"}`)},
		Domains:   []storage.Domain{{Name: "acme.example", Enforce: true, Provider: "acme/paper"}},
	}
	declare := func() int {
		t.Helper()
		before := audited(t, op)
		must(t, op.Declare(ctx, operate.Declaration{Accounts: []operate.DeclaredAccount{account}}))
		return audited(t, op) - before
	}
	declare()
	provider, err := op.Store.Provider(ctx, "acme/paper")
	if err != nil || provider.Account != "acme" || provider.Issuer != "https://a.example" || provider.Trust != mfa.Precedence || provider.Origin != storage.FromConfig {
		t.Fatalf("got %+v, %v", provider, err)
	}
	if bytes.Contains(provider.Settings, []byte("hush")) {
		t.Error("the settings are not sealed")
	}
	domains, err := op.Store.DomainsOf(ctx, "acme")
	if err != nil || len(domains) != 1 || !domains[0].Verified || !domains[0].Enforce || domains[0].Provider != "acme/paper" || domains[0].Origin != storage.FromConfig {
		t.Fatalf("got %+v, %v", domains, err)
	}
	// The same again writes nothing: nobody has to sign in anew, no provider is
	// opened anew.
	if n := declare(); n != 0 {
		t.Errorf("the same declaration made %d audit rows", n)
	}
	if again, err := op.Store.Provider(ctx, "acme/paper"); err != nil || string(again.Settings) != string(provider.Settings) {
		t.Errorf("the settings were sealed anew: %v", err)
	}
	// What administrators added stays; what is no longer declared goes.
	must(t, op.Store.PutDomain(ctx, storage.Domain{Account: "acme", Name: "own.example", Created: clock}))
	must(t, op.Store.PutProvider(ctx, storage.IdentityProvider{ID: "own", Account: "acme", Kind: "paper", Settings: []byte("x"), Trust: mfa.Precedence, Created: clock}))
	account.Providers[0].Linking.Join, account.Providers[0].Trust = true, mfa.Stack
	if n := declare(); n != 1 {
		t.Errorf("a changed provider made %d audit rows", n)
	}
	if row, err := op.Store.Provider(ctx, "acme/paper"); err != nil || row.Trust != mfa.Stack || !row.Created.Equal(provider.Created) {
		t.Errorf("got %+v, %v", row, err)
	}
	account.Providers, account.Domains = nil, nil
	declare()
	if _, err := op.Store.Provider(ctx, "acme/paper"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("the provider is still there: %v", err)
	}
	domains, err = op.Store.DomainsOf(ctx, "acme")
	if _, own := op.Store.Provider(ctx, "own"); err != nil || own != nil || len(domains) != 1 || domains[0].Name != "own.example" {
		t.Errorf("left are %+v, %v, %v", domains, err, own)
	}
}

func audited(t *testing.T, op *operate.Operator) int {
	t.Helper()
	events, err := op.Store.Events(t.Context(), storage.EventQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return len(events)
}

func TestDeclaredCompaniesThatCannotBe(t *testing.T) {
	op := withPaper(t)
	for name, p := range map[string]operate.DeclaredProvider{
		"settings that are wrong": paperOf("acme/paper", `{}`),
		"an unknown kind":         {ID: "acme/stone", Kind: "stone", Trust: mfa.Precedence},
	} {
		err := op.Declare(t.Context(), operate.Declaration{Accounts: []operate.DeclaredAccount{
			{ID: "acme", Name: "Acme", Policy: mfa.Optional, Providers: []operate.DeclaredProvider{p}},
		}})
		if err == nil {
			t.Errorf("%s were declared", name)
		}
	}
}

func TestBreakGlassIsIssuedLoudly(t *testing.T) {
	op := peopled(t)
	ctx := t.Context()
	if _, _, err := op.CreateBreakGlass(ctx, ana, "acme", time.Hour); !errors.Is(err, operate.ErrInvalid) {
		t.Errorf("without an authenticator: %v", err)
	}
	enrol(t, op, ana)
	if _, _, err := op.CreateBreakGlass(ctx, ana, "acme", 48*time.Hour); !errors.Is(err, operate.ErrInvalid) {
		t.Errorf("for two days: %v", err)
	}
	if _, _, err := op.CreateBreakGlass(ctx, ana, "beta", time.Hour); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("for an account that is not there: %v", err)
	}
	if _, _, err := op.CreateBreakGlass(ctx, "eve@acme.example", "acme", time.Hour); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("for somebody who is not there: %v", err)
	}
	code, _, err := op.CreateBreakGlass(ctx, ana, "acme", time.Hour)
	must(t, err)
	events, err := op.Store.Events(ctx, storage.EventQuery{Action: "break_glass", Limit: 10})
	must(t, err)
	if len(events) != 3 || events[0].Outcome != "ok" || events[0].Actor != "operator" || events[0].Account != "acme" || events[1].Outcome != "refused" {
		t.Errorf("the audit has %+v", events)
	}
	for _, e := range events {
		if e.Detail == code || e.Reason == code {
			t.Error("the audit has the code")
		}
	}
}

// rival is a store in which another node puts a provider a moment before this one.
type rival struct {
	storage.Storage
	first bool
}

func (r *rival) PutProvider(ctx context.Context, p storage.IdentityProvider) error {
	err := r.Storage.PutProvider(ctx, p)
	if err == nil && !r.first {
		r.first = true
		return fmt.Errorf("putting it: %w", storage.ErrExists)
	}
	return err
}

// TestNodesDeclareTogether: nodes that start at the same moment find each other's
// rows, and start all the same.
func TestNodesDeclareTogether(t *testing.T) {
	op := withPaper(t)
	other := &rival{Storage: op.Store}
	op.Store = other
	must(t, op.Declare(t.Context(), operate.Declaration{Accounts: []operate.DeclaredAccount{{
		ID: "acme", Name: "Acme", Policy: mfa.Optional,
		Providers: []operate.DeclaredProvider{paperOf("acme/paper", `{"Issuer":"https://a.example"}`)},
		Domains:   []storage.Domain{{Name: "acme.example", Enforce: true, Provider: "acme/paper"}},
	}}}))
	if domains, err := op.Store.DomainsOf(t.Context(), "acme"); err != nil || len(domains) != 1 || !other.first {
		t.Errorf("got %+v, %v", domains, err)
	}
}
