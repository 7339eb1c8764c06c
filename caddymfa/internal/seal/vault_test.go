package seal

import (
	"bytes"
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
	"github.com/caddymfa/gateway/caddymfa/storage/sqlite/sqlitetest"
)

// TestEverySealedPlaceIsResealed reads the whole program: what is sealed anywhere
// must be among the places that are sealed anew when the master key is replaced.
func TestEverySealedPlaceIsResealed(t *testing.T) {
	want := make(map[string]bool)
	for _, place := range storage.Places() {
		if columns[place] == "" {
			t.Errorf("%s has no column", place)
		}
		want[string(place)+"."+columns[place]] = true
	}
	got := make(map[string]bool)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 4 {
				return true
			}
			if name, ok := call.Fun.(*ast.SelectorExpr); !ok || name.Sel.Name != "Seal" || filepath.Dir(path) == "../../internal/seal" {
				return true
			}
			table, first := call.Args[1].(*ast.BasicLit)
			column, second := call.Args[3].(*ast.BasicLit)
			if first && table.Value == `"cookie"` {
				return true // in a browser, for minutes
			}
			if !first || !second {
				t.Errorf("%s: a place to seal for is not written out, so this test cannot tell which it is", path)
				return true
			}
			got[strings.Trim(table.Value, `"`)+"."+strings.Trim(column.Value, `"`)] = true
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(got, want) {
		t.Errorf("sealed are %v, and sealed anew are %v (storage.Places)", got, want)
	}
}

var moment = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, store storage.Storage, masters ...[]byte) *Box {
	t.Helper()
	b, err := Open(t.Context(), store, moment, masters...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func name(t *testing.T, master []byte) string {
	t.Helper()
	n, err := Name(master)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// inhabit seals a value in every place, and n authenticators.
func inhabit(t *testing.T, store storage.Storage, b *Box, n int) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(store.CreateAccount(t.Context(), storage.Account{ID: "acme", Policy: mfa.Optional}))
	must(store.CreateUser(t.Context(), storage.User{ID: "u1", Email: "ana@acme.example"}))
	for i := range n {
		id := "f" + strconv.Itoa(i)
		must(store.CreateFactor(t.Context(), storage.Factor{ID: id, User: "u1", Kind: mfa.TOTP, State: b.Seal([]byte(id), "factors", id, "state")}, n))
	}
	must(store.PutTicket(t.Context(), storage.Ticket{ID: "t1", Purpose: "p", Data: b.Seal([]byte("t1"), "tickets", "t1", "data"), Expires: moment.Add(time.Hour)}))
	must(store.PutTicket(t.Context(), storage.Ticket{ID: "t2", Purpose: "p", Data: []byte(`{"plain": true}`), Expires: moment.Add(time.Hour)}))
	must(store.PutProvider(t.Context(), storage.IdentityProvider{ID: "p1", Account: "acme", Kind: "oidc", Trust: mfa.Precedence, Settings: b.Seal([]byte("p1"), "identity_providers", "p1", "settings")}))
	must(store.RotateKey(t.Context(), "", storage.Key{ID: "k1", Purpose: "session", Private: b.Seal([]byte("k1"), "signing_keys", "k1", "private"), Created: moment}))
}

// opens reports whether everything that inhabit made opens.
func opens(t *testing.T, store storage.Storage, b *Box, n int) {
	t.Helper()
	check := func(value []byte, err error, table, row, column string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := b.Open(value, table, row, column); err != nil || string(plain) != row {
			t.Errorf("%s %s: opened as %q, %v", table, row, plain, err)
		}
	}
	for i := range n {
		f, err := store.Factor(t.Context(), "f"+strconv.Itoa(i))
		check(f.State, err, "factors", f.ID, "state")
	}
	ticket, err := store.Ticket(t.Context(), "p", "t1", moment)
	check(ticket.Data, err, "tickets", "t1", "data")
	provider, err := store.Provider(t.Context(), "p1")
	check(provider.Settings, err, "identity_providers", "p1", "settings")
	keys, err := store.KeysFor(t.Context(), "session")
	check(keys[0].Private, err, "signing_keys", "k1", "private")
	if plain, err := store.Ticket(t.Context(), "p", "t2", moment); err != nil || string(plain.Data) != `{"plain": true}` {
		t.Errorf("what was not sealed has become %q, %v", plain.Data, err)
	}
}

func TestWrongMasterKeyIsNoticedAtOnce(t *testing.T) {
	store, right, wrong := sqlitetest.New(t), newKey(t), newKey(t)
	b := open(t, store, right)
	inhabit(t, store, b, 1)
	_, err := Open(t.Context(), store, moment, wrong)
	if !errors.Is(err, ErrMaster) || !strings.Contains(err.Error(), name(t, right)) || !strings.Contains(err.Error(), name(t, wrong)) {
		t.Errorf("expected an error that names both keys, got %v", err)
	}
	opens(t, store, open(t, store, wrong, right), 1) // the store says which one seals
}

// A store that was sealed before it kept track of its keys knows them from then
// on, and a wrong key is noticed there, too.
func TestStoreFromBefore(t *testing.T) {
	store, former, present, wrong := sqlitetest.New(t), newKey(t), newKey(t), newKey(t)
	inhabit(t, store, newBox(t, former), 2)
	if _, err := Open(t.Context(), store, moment, wrong); !errors.Is(err, ErrMaster) {
		t.Errorf("expected that the key is refused, got %v", err)
	}
	b := open(t, store, present, former)
	opens(t, store, b, 2)
	if b.Sealing() != name(t, present) {
		t.Error("a store that knew no key must take the first one")
	}
	if _, err := Open(t.Context(), store, moment, present); !errors.Is(err, ErrMaster) || !strings.Contains(err.Error(), "former_master_keys") {
		t.Errorf("the former key is still needed, and got %v", err)
	}
	if _, left, err := b.Reseal(t.Context(), store, 100); err != nil || left != 0 {
		t.Fatalf("%d are left, %v", left, err)
	}
	opens(t, store, open(t, store, present), 2)
}

func TestMasterKeyIsReplaced(t *testing.T) {
	const n = 130
	store, former, next := sqlitetest.New(t), newKey(t), newKey(t)
	b := open(t, store, former)
	inhabit(t, store, b, n)
	derived, signed := b.MAC("p", "x"), b.Sign("p", "x")

	b = open(t, store, next, former)
	if b.Sealing() != name(t, former) {
		t.Fatal("a configuration alone must not change which key seals: other nodes may not know the next one")
	}
	other := open(t, store, next, former) // another node
	if err := b.Replace(t.Context(), store, name(t, next), moment.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := b.Replace(t.Context(), store, name(t, next), moment.Add(time.Minute)); !errors.Is(err, ErrNothing) {
		t.Errorf("expected that there is nothing to do, got %v", err)
	}
	if _, err := Open(t.Context(), store, moment, next); !errors.Is(err, ErrMaster) {
		t.Errorf("the former key is still needed, and got %v", err)
	}

	// It comes to an end half-way, and is taken up by another node. One that has
	// not heard yet seals under the former key meanwhile.
	done, left, err := b.Reseal(t.Context(), store, 60)
	if err != nil || done != 60 || left != n+3-60 {
		t.Fatalf("did %d and left %d, %v", done, left, err)
	}
	opens(t, store, b, n)
	opens(t, store, other, n)
	if _, err := store.UpdateFactor(t.Context(), "f0", func(f *storage.Factor) error {
		f.State = other.Seal([]byte("f0"), "factors", "f0", "state")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := other.Follow(t.Context(), store); err != nil || other.Sealing() != name(t, next) {
		t.Errorf("the other node seals under %s, %v", other.Sealing(), err)
	}
	if _, left, err = other.Reseal(t.Context(), store, 1000); err != nil || left != 0 {
		t.Fatalf("left %d, %v", left, err)
	}

	alone := open(t, store, next) // the former key is not needed any more
	opens(t, store, alone, n)
	if !bytes.Equal(alone.MAC("p", "x"), derived) || alone.Check("p", signed, "x") != nil {
		t.Error("what was derived before is worth nothing now: forms, links and the audit")
	}
	if _, err := Open(t.Context(), store, moment, former); !errors.Is(err, ErrMaster) {
		t.Errorf("the former key alone must be refused, got %v", err)
	}
	uses, err := alone.Uses(t.Context(), store)
	if err != nil || len(uses) != 2 || uses[0].Values != n+3 || !uses[0].Given || uses[1].Values != 0 || uses[1].Given {
		t.Errorf("uses are %+v, %v", uses, err)
	}
}

// A damaged value opens under no key. It is left alone, and everything else is
// sealed anew.
func TestDamagedValueHoldsNothingUp(t *testing.T) {
	store, former, next := sqlitetest.New(t), newKey(t), newKey(t)
	b := open(t, store, former)
	inhabit(t, store, b, 3)
	if _, err := store.UpdateFactor(t.Context(), "f0", func(f *storage.Factor) error {
		f.State[len(f.State)-1] ^= 1
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	b = open(t, store, next, former)
	if err := b.Replace(t.Context(), store, name(t, next), moment.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if done, left, err := b.Reseal(t.Context(), store, 1000); err != nil || done != 5 || left != 1 {
		t.Errorf("did %d and left %d, %v", done, left, err)
	}
	if done, left, err := b.Reseal(t.Context(), store, 1000); err != nil || done != 0 || left != 1 {
		t.Errorf("again did %d and left %d, %v", done, left, err)
	}
}

// Nodes that start together on an empty store agree on one secret.
func TestNodesThatStartTogether(t *testing.T) {
	store, key := sqlitetest.New(t), newKey(t)
	boxes := make(chan *Box, 8)
	for range cap(boxes) {
		go func() {
			b, err := Open(context.WithoutCancel(t.Context()), store, moment, key)
			if err != nil {
				t.Error(err)
			}
			boxes <- b
		}()
	}
	first := <-boxes
	for range cap(boxes) - 1 {
		if b := <-boxes; b == nil || !bytes.Equal(b.MAC("p"), first.MAC("p")) {
			t.Error("two nodes derive from different secrets")
		}
	}
}
