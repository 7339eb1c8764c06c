package login

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	otp "github.com/pquerna/otp/totp"

	"github.com/caddymfa/gateway/caddymfa/factor"
	"github.com/caddymfa/gateway/caddymfa/factor/totp"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/internal/testkit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

const password = "correct horse battery"

// world is a service over a real store, with a clock that only the test moves.
type world struct {
	*Service
	t      *testing.T
	store  storage.Storage
	clock  *testkit.Clock
	hasher *testkit.Hasher
	mu     sync.Mutex
	events []storage.Event
}

func (w *world) now() time.Time       { return w.clock.Now() }
func (w *world) pass(d time.Duration) { w.clock.Pass(d) }

func (w *world) record(_ context.Context, e storage.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// said reports whether the audit has such a row.
func (w *world) said(action, outcome, reason string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.events, func(e storage.Event) bool {
		return e.Action == action && e.Outcome == outcome && e.Reason == reason
	})
}

func newWorld(t *testing.T) *world {
	t.Helper()
	k := testkit.New(t)
	w := &world{t: t, store: k.Store, clock: k.Clock, hasher: new(testkit.Hasher)}
	sessions, err := session.NewManager(k.Store, &session.Keyring{Store: k.Store, Box: k.Box, Now: k.Now}, k.Now, session.Limits{}, "caddymfa", 1000)
	if err != nil {
		t.Fatal(err)
	}
	w.Service = &Service{
		Store: k.Store, Facts: k.Facts, Sessions: sessions, Box: k.Box, Now: k.Now, Record: w.record,
		Passwords: NewPasswords(w.hasher, 4, time.Minute),
		Limiter:   k.Limiter,
		Factors:   map[mfa.Kind]factor.Factor{mfa.TOTP: totp.Factor{}},
		Issuer:    "Test portal", Snooze: 7 * 24 * time.Hour,
	}
	return w
}

// account adds an account.
func (w *world) account(id string, policy mfa.Policy) {
	w.t.Helper()
	if err := w.store.CreateAccount(w.t.Context(), storage.Account{ID: id, Name: "The " + id, Policy: policy, Created: w.now()}); err != nil {
		w.t.Fatal(err)
	}
}

// person adds somebody with the test's password, who belongs to the accounts.
func (w *world) person(email string, accounts ...string) storage.User {
	w.t.Helper()
	u := storage.User{ID: session.NewID(), Email: email, PasswordHash: testkit.Hashed(password), Created: w.now()}
	if err := w.store.CreateUser(w.t.Context(), u); err != nil {
		w.t.Fatal(err)
	}
	for _, a := range accounts {
		m := storage.Membership{Account: a, User: u.ID, Role: mfa.RoleMember, State: mfa.Joined, Created: w.now()}
		if err := w.store.PutMembership(w.t.Context(), m); err != nil {
			w.t.Fatal(err)
		}
	}
	return u
}

var client = Client{Network: "192.0.2.1", Browser: "Test/1"}

// signIn shows the password.
func (w *world) signIn(email string) storage.Session {
	w.t.Helper()
	s, err := w.Password(w.t.Context(), client, email, password, nil)
	if err != nil {
		w.t.Fatalf("signing in as %s: %v", email, err)
	}
	return s
}

// code is what an authenticator app shows.
func (w *world) code(secret string) string {
	w.t.Helper()
	c, err := otp.GenerateCode(secret, w.now())
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// enroll gives the session's person an authenticator app, and moves on to the
// next code.
func (w *world) enroll(s storage.Session) (next storage.Session, secret string) {
	w.t.Helper()
	prompt, err := w.BeginTOTP(w.t.Context(), &s)
	if err != nil {
		w.t.Fatalf("beginning: %v", err)
	}
	next, _, err = w.ConfirmTOTP(w.t.Context(), client, &s, w.code(prompt.Secret), "Phone")
	if err != nil {
		w.t.Fatalf("confirming: %v", err)
	}
	w.pass(30 * time.Second)
	return next, prompt.Secret
}

// decide is what the rule says of a session entering an account.
func (w *world) decide(s storage.Session, account string) mfa.Decision {
	w.t.Helper()
	row, err := w.store.Session(w.t.Context(), s.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	g, err := w.Gather(w.t.Context(), &row, account)
	if err != nil {
		w.t.Fatal(err)
	}
	return mfa.Decide(g.Facts)
}

// over reports whether a session has ended.
func (w *world) over(s storage.Session) bool {
	w.t.Helper()
	row, err := w.store.Session(w.t.Context(), s.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return !w.Sessions.Live(&row, w.now())
}
