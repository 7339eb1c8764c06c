// Package operatetest has an operator over a real store, for tests.
package operatetest

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/factor"
	"github.com/caddymfa/gateway/caddymfa/factor/totp"
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

// At is what the operator's clock says.
var At = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Hasher stands for the password hashes, whose cost is not tested here. Busy,
// when set, is asked before a hash is made.
type Hasher struct{ Busy func() }

// Compare implements [login.Hasher].
func (h *Hasher) Compare(hash, password []byte) (bool, error) {
	return string(hash) == "hash of "+string(password), nil
}

// Hash implements [login.Hasher].
func (h *Hasher) Hash(password []byte) ([]byte, error) {
	if h.Busy != nil {
		h.Busy()
	}
	return []byte("hash of " + string(password)), nil
}

// FakeHash implements [login.Hasher].
func (h *Hasher) FakeHash() []byte { return []byte("nobody's") }

// New returns an operator whose audit is the store's, and the hasher of its
// passwords, of which it computes one at a time without patience.
func New(tb testing.TB) (*operate.Operator, *Hasher) {
	tb.Helper()
	store, err := sqlite.Open(tb.Context(), filepath.Join(tb.TempDir(), "mfa.db"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { store.Close() })
	if err := store.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	master := make([]byte, seal.KeySize)
	rand.Read(master)
	box, err := seal.New(master)
	if err != nil {
		tb.Fatal(err)
	}
	source, err := facts.New(store, 1000)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(source.Close)
	now := func() time.Time { return At }
	keys := &session.Keyring{Store: store, Box: box, Now: now}
	sessions, err := session.NewManager(store, keys, now, session.Limits{}, "caddymfa", 1000)
	if err != nil {
		tb.Fatal(err)
	}
	record := func(ctx context.Context, e storage.Event) {
		if err := store.AppendEvent(ctx, e); err != nil {
			tb.Error(err)
		}
	}
	hasher := new(Hasher)
	steps := &login.Service{
		Store: store, Facts: source, Sessions: sessions, Box: box, Now: now, Record: record,
		Passwords: login.NewPasswords(hasher, 1, time.Nanosecond),
		Limiter:   &limit.Limiter{Store: store, Now: now, MAC: box.MAC},
		Factors:   map[mfa.Kind]factor.Factor{mfa.TOTP: totp.Factor{}},
		Issuer:    "Test portal", Snooze: 7 * 24 * time.Hour,
	}
	return &operate.Operator{Store: store, Login: steps, Now: now, Record: record}, hasher
}

// Enrol gives a person an authenticator, which no code opens.
func Enrol(tb testing.TB, op *operate.Operator, email string) {
	tb.Helper()
	u, err := op.User(tb.Context(), email)
	if err != nil {
		tb.Fatal(err)
	}
	f := storage.Factor{ID: session.NewID(), User: u.ID, Kind: mfa.TOTP, Name: "Phone", State: []byte("sealed"), Created: At}
	if err := op.Store.CreateFactor(tb.Context(), f, login.MaxFactors); err != nil {
		tb.Fatal(err)
	}
}

// SignIn gives a person a session, and returns its id.
func SignIn(tb testing.TB, op *operate.Operator, email string) string {
	tb.Helper()
	u, err := op.User(tb.Context(), email)
	if err != nil {
		tb.Fatal(err)
	}
	s := storage.Session{
		ID: session.NewID(), User: u.ID, Created: At, Seen: At, Expires: At.Add(time.Hour),
		Proof: mfa.Proof{User: u.ID, First: At, FirstBy: "password"},
	}
	if err := op.Store.CreateSession(tb.Context(), s); err != nil {
		tb.Fatal(err)
	}
	return s.ID
}
