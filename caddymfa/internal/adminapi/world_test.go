package adminapi

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/audit"
	"github.com/caddymfa/gateway/caddymfa/internal/facts"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/operate"
	"github.com/caddymfa/gateway/caddymfa/internal/seal"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
	"github.com/caddymfa/gateway/caddymfa/storage/sqlite"
)

// clock is what the operator's clock says.
var clock = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// plainHasher stands for the password hashes, whose cost is not tested here. busy,
// when set, is asked before a hash is made.
type plainHasher struct{ busy func() }

// Compare implements [login.Hasher].
func (h *plainHasher) Compare(hash, password []byte) (bool, error) {
	return string(hash) == "hash of "+string(password), nil
}

// Hash implements [login.Hasher].
func (h *plainHasher) Hash(password []byte) ([]byte, error) {
	if h.busy != nil {
		h.busy()
	}
	return []byte("hash of " + string(password)), nil
}

// FakeHash implements [login.Hasher].
func (h *plainHasher) FakeHash() []byte { return []byte("nobody's") }

// newOperator returns an operator over a real store, whose audit is the store's, and the hasher of its
// passwords, of which it computes one at a time without patience.
func newOperator(t *testing.T) (*operate.Operator, *plainHasher) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "mfa.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	master := make([]byte, seal.KeySize)
	rand.Read(master)
	box, err := seal.New(master)
	if err != nil {
		t.Fatal(err)
	}
	source, err := facts.New(store, 1000)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(source.Close)
	now := func() time.Time { return clock }
	rows := audit.Log{Store: store, Box: box}
	record := func(ctx context.Context, e storage.Event) {
		if _, err := rows.Append(ctx, e); err != nil {
			t.Error(err)
		}
	}
	hasher := new(plainHasher)
	steps := &login.Service{
		Store: store, Facts: source, Box: box, Now: now, Record: record,
		Passwords: login.NewPasswords(hasher, 1, time.Nanosecond),
		Limiter:   &limit.Limiter{Store: store, Now: now, MAC: box.MAC},
		Sessions:  &session.Manager{Keys: &session.Keyring{Store: store, Box: box, Now: now}},
	}
	return &operate.Operator{Store: store, Login: steps, Now: now, Record: record}, hasher
}

// enrol gives a person an authenticator, which no code opens.
func enrol(t *testing.T, op *operate.Operator, email string) {
	t.Helper()
	u, err := op.User(t.Context(), email)
	if err != nil {
		t.Fatal(err)
	}
	f := storage.Factor{ID: session.NewID(), User: u.ID, Kind: mfa.TOTP, Name: "Phone", State: []byte("sealed"), Created: clock}
	if err := op.Store.CreateFactor(t.Context(), f, login.MaxFactors); err != nil {
		t.Fatal(err)
	}
}

// signIn gives a person a session, and returns its id.
func signIn(t *testing.T, op *operate.Operator, email string) string {
	t.Helper()
	u, err := op.User(t.Context(), email)
	if err != nil {
		t.Fatal(err)
	}
	s := storage.Session{
		ID: session.NewID(), User: u.ID, Created: clock, Seen: clock, Expires: clock.Add(time.Hour),
		Proof: mfa.Proof{User: u.ID, First: clock, FirstBy: "password"},
	}
	if err := op.Store.CreateSession(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return s.ID
}
