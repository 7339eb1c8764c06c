package adminapi

import (
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/operate"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/internal/testkit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// clock is what the operator's clock says.
var clock = testkit.Start

// newOperator returns an operator over a real store, whose audit is the store's, and the hasher of its
// passwords, of which it computes one at a time without patience.
func newOperator(t *testing.T) (*operate.Operator, *testkit.Hasher) {
	t.Helper()
	k := testkit.New(t)
	hasher := new(testkit.Hasher)
	steps := &login.Service{
		Store: k.Store, Facts: k.Facts, Box: k.Box, Now: k.Now, Record: k.Record, Limiter: k.Limiter,
		Passwords: login.NewPasswords(hasher, 1, time.Nanosecond),
		Sessions:  &session.Manager{Keys: &session.Keyring{Store: k.Store, Box: k.Box, Now: k.Now}},
	}
	return &operate.Operator{Store: k.Store, Login: steps, Now: k.Now, Record: k.Record}, hasher
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
