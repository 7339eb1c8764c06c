package fleet_test

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/seal"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
	"github.com/caddymfa/gateway/caddymfa/storage/postgres"
)

// formerMaster sealed the store until master takes its place.
const formerMaster = "dGhlIGZvcm1lciBrZXksIG9ubHkgZm9yIHRlc3RzISE="

// sealedStore makes a store that is sealed under the former master key and has so
// many authenticators.
func sealedStore(t *testing.T, dsn string, authenticators int) {
	t.Helper()
	store, err := postgres.Open(t.Context(), postgres.Options{DSN: dsn, Connections: 4, ConnectTimeout: soon, Timeout: soon, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	key, err := base64.StdEncoding.DecodeString(formerMaster)
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.Open(t.Context(), store, time.Now(), key)
	if err != nil {
		t.Fatal(err)
	}
	const each = 20 // authenticators of one person
	for i := range authenticators {
		id, user := fmt.Sprintf("factor%d", i), fmt.Sprintf("user%d", i/each)
		if i%each == 0 {
			if err := store.CreateUser(t.Context(), storage.User{ID: user, Email: user + "@example.com", Created: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
		f := storage.Factor{ID: id, User: user, Kind: mfa.TOTP, State: box.Seal([]byte("{}"), "factors", id, "state"), Created: time.Now()}
		if err := store.CreateFactor(t.Context(), f, each); err != nil {
			t.Fatal(err)
		}
	}
}

// step asks a node for a step of the replacement, and returns how much is left.
func (f *fleet) step(node int, path string) (left float64, err error) {
	answer, err := f.try(node, "POST", path, "")
	if err != nil {
		return 0, err
	}
	return answer["left"].(float64), nil
}

// TestMasterKeyIsReplacedWhileANodeDies replaces the master key on two nodes, kills
// one of them in the middle, and goes on with the other. People sign in before,
// in the middle and after, and in the end the former key is not needed.
func TestMasterKeyIsReplacedWhileANodeDies(t *testing.T) {
	c, name := database(t, "fsync=off")
	dsn := c.DSN(name)
	sealedStore(t, dsn, 3500) // more than two steps
	file := filepath.Join(t.TempDir(), "former.key")
	if err := os.WriteFile(file, []byte(formerMaster), 0o600); err != nil {
		t.Fatal(err)
	}
	f := newFleet(t, "5s", "former_master_keys {file."+file+"}", way{dsn: dsn}, way{dsn: dsn})
	f.account("acme", "required")
	people := make(map[string]*person)
	for _, email := range []string{"mid@acme.example", "after@acme.example"} {
		f.user(email, "acme")
		p := f.person()
		if err := p.signIn(f.nodes[0].address, email); err != nil {
			t.Fatal(err)
		}
		steady()
		if _, err := p.enroll(f.nodes[0].address); err != nil {
			t.Fatal(err)
		}
		people[email] = p
	}
	// again is somebody who signs in anew, with both factors, and enters.
	again := func(f *fleet, n *node, email string) {
		t.Helper()
		p := f.person()
		p.Secret = people[email].Secret
		if err := p.signIn(n.address, email); err != nil {
			t.Fatal(err)
		}
		steady()
		if err := p.answer(n.address); err != nil {
			t.Fatalf("%s: %v", email, err)
		}
		if ok, a := p.entered(n.address); !ok {
			t.Errorf("%s did not enter: %d to %q", email, a.Status, a.Location)
		}
	}

	formerOnly := `{
	admin ADMIN
	default_bind 127.0.0.1
	mfa {
		storage postgres {env.DATABASE_URL}
		master_key {file.` + file + `}
	}
}
http://:PORT {
	mfa
}
`
	lacking := run(t, "node that was not given the next key", formerOnly, "DATABASE_URL="+dsn)
	lacking.untilItServes(t)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.step(0, "seal/rotate"); err == nil || !strings.Contains(err.Error(), "were not given the master key") || !strings.Contains(err.Error(), host) {
		t.Fatalf("a node was not given the next key, and it said %v", err)
	}
	lacking.process.End(syscall.SIGTERM) // it says that it goes

	left, err := f.step(0, "seal/rotate")
	if err != nil || left < 2000 {
		t.Fatalf("expected to be in the middle, %v are left, %v", left, err)
	}
	died := make(chan struct{})
	go func() {
		defer close(died)
		f.step(0, "seal/reseal") // whatever becomes of it
	}()
	f.nodes[0].process.End(syscall.SIGKILL)
	<-died
	survivor := f.nodes[1]
	again(f, survivor, "mid@acme.example")
	if ok, a := people["after@acme.example"].entered(survivor.address); !ok {
		t.Errorf("a session from before does not enter: %d to %q", a.Status, a.Location)
	}

	if left, err = f.step(1, "seal/rotate"); err != nil || left == 0 {
		t.Fatalf("expected it to go on in the middle, %v are left, %v", left, err)
	}
	for left > 0 {
		if left, err = f.step(1, "seal/reseal"); err != nil {
			t.Fatal(err)
		}
	}
	f.nodes[1].process.End(syscall.SIGTERM)

	only := newFleet(t, "5s", "", way{dsn: dsn}) // without the former key
	again(only, only.nodes[0], "after@acme.example")
	if ok, a := people["after@acme.example"].entered(only.nodes[0].address); !ok {
		t.Errorf("a session from before does not enter: %d to %q", a.Status, a.Location)
	}
	if _, err := only.step(0, "seal/rotate"); err == nil || !strings.Contains(err.Error(), "former_master_keys") {
		t.Errorf("there is no further key, and it said %v", err)
	}

	refused := run(t, "node with the former key", formerOnly, "DATABASE_URL="+dsn)
	<-refused.process.Ended
	if text := refused.log.String(); !strings.Contains(text, "this is not the master key of this store") {
		t.Errorf("expected Caddy to say why it does not start:\n%s", text)
	}
}
