package caddymfa

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// behindTheGate runs a statement on the database of the running Caddy, as
// somebody does who can write to it but has no business there.
func behindTheGate(t *testing.T, statement string) {
	t.Helper()
	active, err := caddy.ActiveContext().AppIfConfigured("mfa")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", active.(*App).life.node.location()+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func TestCommandAuditVerify(t *testing.T) {
	s := newShell(t)
	verified := func(want string, args ...string) string {
		t.Helper()
		out, errs, err := s.run(nil, append([]string{"audit", "verify"}, args...)...)
		if err != nil || !strings.HasPrefix(errs, want) {
			t.Errorf("%q: %v %s", args, err, errs)
		}
		return out
	}
	wrong := func(want string, args ...string) {
		t.Helper()
		if _, errs, err := s.run(nil, append([]string{"audit", "verify"}, args...)...); err == nil || !strings.Contains(errs, want) {
			t.Errorf("%q: expected %q, got %v %s", args, want, err, errs)
		}
	}
	for range 3 {
		s.ok("policy", "acme", "required")
	}
	verified("Verified 5 lines of 1 chains.\n", "--account", "acme")
	ends := filepath.Join(t.TempDir(), "ends")
	noted := verified("Verified ", "--ends")
	if !strings.Contains(noted, " acme\n") || !strings.Contains(noted, " -\n") {
		t.Errorf("the ends are %q", noted)
	}
	if err := os.WriteFile(ends, []byte(noted), 0o600); err != nil {
		t.Fatal(err)
	}
	s.ok("policy", "acme", "optional")
	verified("Verified ", "--against", ends)

	s.fails("", `account "nobody": not found`, "audit", "verify", "--account", "nobody")
	s.fails("", "reading the noted ends", "audit", "verify", "--against", ends+"x")
	s.fails("", "expected mfa audit", "audit", "verfy")

	behindTheGate(t, `UPDATE audit SET detail = 'was required' WHERE account_id = 'acme' AND line = 4`)
	wrong(`account "acme": line 4 was altered (row `)
	verified("Verified ", "--account", "")
	behindTheGate(t, `UPDATE audit SET detail = 'unchanged' WHERE account_id = 'acme' AND line = 4`)
	verified("Verified ")
	behindTheGate(t, `DELETE FROM audit WHERE account_id = 'acme' AND line IN (2, 3)`)
	wrong(`account "acme": lines 2 to 3 missing`)
	behindTheGate(t, `DELETE FROM audit WHERE account_id = 'acme' AND line > 1; UPDATE audit_chains
		SET (line, last_id, hash) = (SELECT line, id, hash FROM audit WHERE account_id = 'acme') WHERE account_id = 'acme'`)
	verified("Verified 1 lines", "--account", "acme") // the chain alone cannot tell
	wrong("the audit must have ")
	wrong(`account "acme": lines 2 to 5 missing`, "--against", ends)
	behindTheGate(t, `DELETE FROM audit WHERE account_id = 'acme'; DELETE FROM audit_chains WHERE account_id = 'acme'`)
	wrong(`account "acme": the whole chain is missing`, "--against", ends)
}
