package operate_test

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

// newOperator returns an operator over a real store, with a clock that stands
// still.
func newOperator(t *testing.T) *operate.Operator {
	t.Helper()
	k := testkit.New(t)
	steps := &login.Service{Store: k.Store, Facts: k.Facts, Box: k.Box, Now: k.Now, Record: k.Record, Limiter: k.Limiter}
	return &operate.Operator{Store: k.Store, Login: steps, Now: k.Now, Record: k.Record}
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
