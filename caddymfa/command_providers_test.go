package caddymfa

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// An operator connects a provider while Caddy runs; what is secret in its
// settings is never an argument, and never shown.
func TestCommandConnectsProviders(t *testing.T) {
	s := newShell(t)
	const hush = "hush-hush-hush"
	settings := filepath.Join(t.TempDir(), "oidc.json")
	if err := os.WriteFile(settings, []byte(`{"issuer":"https://login.acme.example","client_id":"portal","client_secret":"`+hush+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(s.ok("provider", "add", "acme", "oidc", "--name", "Acme sign-in", "--join", "--admins", "Portal Admins", "--settings", settings))
	store, companies := operator(t).Store, operator(t).Login.Companies
	row, err := store.Provider(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	l, err := companies.Unseal(row)
	if err != nil || row.Account != "acme" || row.Kind != "oidc" || row.Name != "Acme sign-in" || row.Issuer != "https://login.acme.example" ||
		row.Origin != storage.FromStore || !row.Tested.IsZero() || !l.Join || strings.Join(l.Admins, ",") != "Portal Admins" || !strings.Contains(string(l.Source), hush) {
		t.Errorf("stored %+v with %+v, %v", row, l, err)
	}
	if strings.Contains(string(row.Settings), hush) {
		t.Error("the secret is not sealed")
	}
	out, errs, err := s.run(strings.NewReader(`{"controllers":["ldaps://127.0.0.1:1"],"base_dn":"DC=corp,DC=example"}`), "provider", "add", "acme", "ldap", "--trust", "stack", "--settings", "-")
	if err != nil {
		t.Fatalf("%v %s", err, errs)
	}
	directory := strings.TrimSpace(out)
	if got := s.ok("providers", "acme"); !strings.Contains(got, id+"  oidc  Acme sign-in  precedence") || !strings.Contains(got, directory+"  ldap  ldap          stack") {
		t.Errorf("listed\n%s", got)
	}
	// What was never tested leads nobody anywhere.
	s.ok("domain", "claim", "acme", "acme.example")
	s.fails("", "nobody has signed in through the identity provider as a test", "domain", "link", "acme", "acme.example", directory)
	s.fails("her password", "could not be asked", "provider", "test", "acme", directory, "ana@acme.example", "--stdin")
	s.fails("her password", "takes no passwords", "provider", "test", "acme", id, "ana@acme.example", "--stdin")
	s.fails("", "there is no terminal", "provider", "test", "acme", directory, "ana@acme.example")
	s.fails("her password", "not found", "provider", "test", "fixed", directory, "ana@acme.example", "--stdin")

	s.fails("{}", "is no address", "provider", "add", "acme", "oidc", "--settings", "-")
	s.fails(`{"client_secret": "`+hush, "they are no JSON", "provider", "add", "acme", "oidc", "--settings", "-")
	s.fails(strings.Repeat(" ", maxSettings+1), "more than", "provider", "add", "acme", "oidc", "--settings", "-")
	s.fails("", "no such file", "provider", "add", "acme", "oidc", "--settings", settings+".none")
	s.fails("{}", "no kind of identity provider", "provider", "add", "acme", "carrier-pigeon", "--settings", "-")
	s.fails("{}", "unknown", "provider", "add", "acme", "oidc", "--trust", "blindly", "--settings", "-")
	s.fails("{}", "not found", "provider", "add", "nowhere", "oidc", "--settings", "-")
	s.fails("", `required flag(s) "settings" not set`, "provider", "add", "acme", "oidc")
	if got := s.ok("audit", "--account", "acme"); strings.Count(got, "add_provider") != 2 || !strings.Contains(got, "provider_unavailable") {
		t.Errorf("the audit has\n%s", got)
	}
	for _, secret := range []string{hush, "her password"} {
		if strings.Contains(s.said.String(), secret) {
			t.Errorf("%q was printed", secret)
		}
	}
	s.ok("provider", "remove", "acme", id)
	s.fails("", "not found", "provider", "remove", "acme", id)
}
