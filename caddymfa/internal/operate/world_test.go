package operate_test

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

// newOperator returns an operator over a real store, with a clock that stands
// still.
func newOperator(t *testing.T) *operate.Operator {
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
	steps := &login.Service{
		Store: store, Facts: source, Box: box, Now: now, Record: record,
		Limiter: &limit.Limiter{Store: store, Now: now, MAC: box.MAC},
	}
	return &operate.Operator{Store: store, Login: steps, Now: now, Record: record}
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
