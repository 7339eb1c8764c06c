package caddymfa

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// The key file is replaced while Caddy runs: the next one waits beside it, and is
// in its place in the end.
func TestSealRotateReplacesTheKeyFile(t *testing.T) {
	s := newShell(t)
	app, err := caddy.ActiveContext().AppIfConfigured("mfa")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(app.(*App).life.node.opener.(hasFolder).Folder(), "master.key")
	key := func() string {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	former := key()
	s.ok("keys", "rotate") // so that something is sealed
	if out := s.ok("seal", "list"); strings.Count(out, "seals") != 1 || strings.Contains(out, "retired") {
		t.Errorf("seal list said %s", out)
	}
	// A node that is there was not given the next key, which is only made now.
	store := app.(*App).life.node.store
	if err := store.TakeLease(t.Context(), "node elsewhere", "0badc0de", now(), now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, errs, err := s.run(strings.NewReader(""), "seal", "rotate"); err == nil || !strings.Contains(errs, "elsewhere") || !strings.Contains(errs, "--leave-nodes-behind") {
		t.Errorf("expected a refusal that names the node, got %s, %v", errs, err)
	}
	if out := s.ok("seal", "list"); strings.Contains(out, "retired") || key() != former {
		t.Errorf("the master key was replaced all the same: %s", out)
	}
	out, errs, err := s.run(strings.NewReader(""), "seal", "rotate", "--leave-nodes-behind")
	if err != nil || !strings.Contains(errs, "left: 0\n") || !strings.Contains(out, "Everything is sealed under the master key ") {
		t.Fatalf("seal rotate said %s %s, %v", out, errs, err)
	}
	if key() == former {
		t.Error("the former key is still in its place")
	}
	if _, err := os.Stat(path + ".next"); err == nil {
		t.Error("the next key still waits")
	}
	if out := s.ok("seal", "list"); strings.Count(out, "retired") != 1 {
		t.Errorf("seal list said %s", out)
	}
	if out := s.ok("audit"); !strings.Contains(out, "replace_master_key") {
		t.Errorf("the audit says %s", out)
	}
	if _, errs, err := s.run(strings.NewReader(""), "audit", "verify"); err != nil {
		t.Errorf("the audit is not whole any more: %s", errs)
	}
	for _, secret := range []string{strings.TrimSpace(former), strings.TrimSpace(key())} {
		if strings.Contains(s.said.String(), secret) {
			t.Error("a command printed a master key")
		}
	}
}
