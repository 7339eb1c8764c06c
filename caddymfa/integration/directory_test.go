package integration_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/identity/ldap/sambatest"
)

// TestActiveDirectory signs people in with the password that they have in a real
// directory: it takes precedence in one account, and in another one the policy
// applies on top.
func TestActiveDirectory(t *testing.T) {
	t.Parallel()
	dc := sambatest.Start(t, "127.0.78.1")
	dc.Set(t, sambatest.Base, "pwdProperties", "0") // takes passwords of words
	ana := sambatest.Person{Account: "ana", Principal: "ana@acme.example", Name: "Ana Martins", Password: password}
	bea := sambatest.Person{Account: "bea", Principal: "bea@corp.example", Mail: "Bea@acme.example", Password: password}
	gil := sambatest.Person{Account: "gil", Principal: "gil@globex.example", Password: password}
	reader := sambatest.Person{Account: "reader", Password: "Reads-only-9"}
	dc.Add(t, ana, bea, gil, reader)
	dc.AddGroup(t, "Portal Admins", bea.DN())

	folder := t.TempDir()
	for name, content := range map[string]string{"ca.pem": dc.CA, "reader": reader.Password + "\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	account := func(id, more string) string {
		return fmt.Sprintf(`
		account %[1]s {
			policy required
			domain %[1]s.example {
				enforce
			}
			ldap ldaps://127.0.78.1 {
				base_dn %[2]s
				ca {file.%[3]s/ca.pem}
				service_account CORP\reader {file.%[3]s/reader}
				join
				%[4]s
			}
		}
`, id, sambatest.Base, folder, more)
	}
	g := start(t, replace("\n\t\tdemonstration {", account("acme", `admins "`+sambatest.DN("Portal Admins")+`"`)+account("globex", "trust stack")+
		"\n\t\tuser old@acme.example {\n\t\t\tpassword {env.OLD}\n\t\t\taccount acme\n\t\t}\n\n\t\tdemonstration {"),
		replace("{env.OLD}", "$2a$14$AWPslLsZh39On/5qS4mEhewb0Y0PDiyGwTiXHLhCjKZRnPvq6q6ui"))
	g.secret(reader.Password)

	// The directory takes precedence over "required".
	pg := g.person(t).signIn("ana@acme.example", "/orders").is(t, 200, "Signed in as ana@acme.example in account acme with role member")
	if pg.path != "GET /orders" {
		t.Errorf("signed in to %s", pg.path)
	}
	// By the address, which is not her principal name; and her group says what she
	// may do.
	g.person(t).signIn("bea@acme.example", "/").is(t, 200, "Signed in as bea@acme.example in account acme with role admin")

	// The policy applies on top.
	gil1 := g.person(t)
	pg = gil1.signIn("gil@globex.example", "/orders").is(t, 200)
	if !strings.HasPrefix(pg.path, "GET /.mfa/enroll/totp") {
		t.Fatalf("with the directory's password alone, they came to %s", pg.path)
	}
	gil1.enroll(pg)
	gil1.open("/orders").is(t, 200, "Signed in as gil@globex.example in account globex")
	gil2 := g.person(t)
	gil2.totp = gil1.totp
	pg = gil2.signIn("gil@globex.example", "/orders").is(t, 200)
	gil2.follow(gil2.answer(pg)).is(t, 200, "Signed in as gil@globex.example")

	// One that is connected while Caddy runs is tested with a password, and goes
	// over to the second controller: nobody listens at the first one.
	settings := filepath.Join(folder, "settings.json")
	raw, err := json.Marshal(map[string]any{"controllers": []string{"ldaps://127.0.78.2", "ldaps://127.0.78.1"}, "base_dn": sambatest.Base, "ca": dc.CA})
	if err == nil {
		err = os.WriteFile(settings, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	live := strings.TrimSpace(g.mfa("provider", "add", "aurora", "ldap", "--settings", settings))
	for typed, want := range map[string]string{"not hers": "wrong_password", password: "email_of_another_domain"} { // whose domain aurora has not proven
		cmd := g.command("mfa", "provider", "test", "aurora", live, "ana@acme.example", "--stdin", "--address", g.admin)
		cmd.Stdin = strings.NewReader(typed + "\n")
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
			t.Errorf("tested with %q, it says %s", typed, out)
		}
	}

	// Whoever is refused reads the same, whatever the reason.
	dc.Set(t, ana.DN(), "userAccountControl", "514")
	wrong := g.person(t).signIn("nobody@acme.example", "/").is(t, 401).byID("problem")
	for _, email := range []string{"ana@acme.example", "old@acme.example"} {
		if got := g.person(t).signIn(email, "/").is(t, 401).byID("problem"); got != wrong {
			t.Errorf("%s reads %q, and nobody %q", email, got, wrong)
		}
	}
	audit := g.mfa("audit")
	for _, reason := range []string{"account_disabled", "wrong_password"} {
		if !strings.Contains(audit, reason) {
			t.Errorf("the audit does not tell of %s:\n%s", reason, audit)
		}
	}

	// Nobody gets in some other way while the directory is down.
	dc.Stop()
	g.person(t).signIn("bea@acme.example", "/").is(t, 502, "did not answer")
	if audit := g.mfa("audit"); !strings.Contains(audit, "provider_unavailable") {
		t.Errorf("the audit does not tell that the directory is down:\n%s", audit)
	}
	g.person(t).signIn("member@aurora.example", "/").is(t, 200, "Signed in as member@aurora.example")
}
