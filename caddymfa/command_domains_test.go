package caddymfa

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity/oidc"
	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// records is a DNS that knows some names.
type records map[string]string

func (r records) LookupTXT(_ context.Context, name string) ([]string, error) {
	if value, ok := r[name]; ok {
		return []string{value}, nil
	}
	return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

func TestCommandProvesADomain(t *testing.T) {
	s := newShell(t)
	known := make(records)
	operator(t).Admin.DNS = known
	out := s.ok("domain", "claim", "acme", "Acme.example")
	_, record, found := strings.Cut(out, "\n\n  ")
	name, value, _ := strings.Cut(strings.TrimSpace(record), ". TXT ")
	if !found || name != "_caddymfa-challenge.acme.example" || !strings.HasPrefix(value, `"caddymfa=`) {
		t.Fatalf("printed %q", out)
	}
	if again := s.ok("domain", "claim", "acme", "acme.example"); again != out {
		t.Errorf("claimed again, it printed %q", again)
	}
	s.fails("", "there is no such record yet", "domain", "verify", "acme", "acme.example")
	known[name+"."] = "something else"
	s.fails("", "none is the proof", "domain", "verify", "acme", "acme.example")
	known[name+"."] = strings.Trim(value, `"`)
	if got := s.ok("domain", "verify", "acme", "acme.example"); got != "acme.example is proven.\n" {
		t.Errorf("printed %q", got)
	}
	s.fails("", "cannot be enforced yet: it leads to no identity provider; nobody has signed in", "domain", "enforce", "acme", "acme.example", "on")
	s.fails("", "expected on or off", "domain", "enforce", "acme", "acme.example", "yes")
	s.fails("", "many owners", "domain", "claim", "acme", "co.uk")
	s.fails("", "anybody can have", "domain", "claim", "acme", "gmail.com")
	s.fails("", "not found", "domain", "link", "acme", "acme.example", "nowhere")

	store := operator(t).Store
	if err := store.PutProvider(t.Context(), storage.IdentityProvider{ID: "p1", Account: "acme", Kind: "ldap", Trust: mfa.Precedence, Created: now(), Tested: now()}); err != nil {
		t.Fatal(err)
	}
	sealed, err := operator(t).Login.Companies.Seal("p1", login.Linking{Source: json.RawMessage("{}")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.UpdateProvider(t.Context(), "p1", func(p *storage.IdentityProvider) error { p.Settings = sealed; return nil }); err != nil {
		t.Fatal(err)
	}
	if got := s.ok("domain", "link", "acme", "acme.example", "p1"); !strings.Contains(got, "are taken to p1") {
		t.Errorf("printed %q", got)
	}
	if got := s.ok("domain", "list", "acme"); !strings.Contains(got, "acme.example  verified  p1") {
		t.Errorf("listed\n%s", got)
	}
	if got := s.ok("provider", "trust", "acme", "p1", "stack"); got != "p1 of acme is now trusted: stack.\n" {
		t.Errorf("printed %q", got)
	}
	s.fails("", "unknown", "provider", "trust", "acme", "p1", "blindly")
	s.ok("provider", "disable", "acme", "p1")
	s.ok("provider", "enable", "acme", "p1")
	s.fails("", "not found", "provider", "remove", "fixed", "p1")
	s.ok("provider", "remove", "acme", "p1")
	if got := s.ok("domain", "list", "acme", "--json"); !strings.Contains(got, `"verified": true`) || strings.Contains(got, `"provider"`) {
		t.Errorf("listed\n%s", got)
	}
	s.ok("domain", "remove", "acme", "acme.example")
	if got := s.ok("audit", "--account", "acme", "--json"); strings.Count(got, `"actor": "operator"`) < 10 {
		t.Errorf("the audit has\n%s", got)
	}
}

// What administrators type becomes the settings of the kind, under its names.
func TestTheFormOfAProviderIsItsSettings(t *testing.T) {
	typed := admin.OIDC{
		Issuer: "https://login.acme.example", ClientID: "portal", ClientSecret: "secret", Tenants: []string{"9122040d-6c67-4c5b-b112-36a304b66dad"},
		Scopes: []string{"email"}, ACRValues: []string{"high"}, MaxAge: admin.Period(15 * time.Minute), Prompt: "login", MFAACRValues: []string{"high"},
		EmailClaim: "mail", EmailVerifiedClaim: "checked", InsecureAssumeEmailVerified: true, NameClaim: "cn", GroupsClaim: "roles",
	}
	raw, err := json.Marshal(typed)
	if err != nil {
		t.Fatal(err)
	}
	var settings oidc.Settings
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&settings); err != nil {
		t.Fatal(err)
	}
	from, to := reflect.ValueOf(typed), reflect.ValueOf(settings)
	if from.NumField() != to.NumField() {
		t.Errorf("%d fields in the form, %d settings", from.NumField(), to.NumField())
	}
	for i := range to.NumField() {
		name := to.Type().Field(i).Name
		got, want := to.Field(i), from.FieldByName(name)
		if got.IsZero() || !want.IsValid() || !reflect.DeepEqual(got.Interface(), want.Convert(got.Type()).Interface()) {
			t.Errorf("%s: typed %v, became %v", name, want, got)
		}
	}
}

func TestResolverAddress(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "192.0.2.53": "192.0.2.53:53", "192.0.2.53:5353": "192.0.2.53:5353", "2001:db8::53": "[2001:db8::53]:53", "[2001:db8::53]:5353": "[2001:db8::53]:5353",
	} {
		if got, err := resolverAddress(text); got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"dns.example.com", "192.0.2.53:", "192.0.2.53:0", "192.0.2.53:dns", "[2001:db8::53]", "https://192.0.2.53"} {
		if got, err := resolverAddress(text); err == nil {
			t.Errorf("%q is taken for %q", text, got)
		}
	}
}
