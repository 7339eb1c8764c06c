package admin_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/testkit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// world is an account "acme" on a real store, and a clock that tests move.
type world struct {
	*admin.Service
	t    testing.TB
	path string // of the database
	now  time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	k := testkit.New(t)
	w := &world{t: t, path: k.Path, now: k.Now()}
	now := func() time.Time { return w.now }
	steps := &login.Service{
		Store: k.Store, Facts: k.Facts, Box: k.Box, Now: now, Record: k.Record,
		Limiter: &limit.Limiter{Store: k.Store, Now: now, MAC: k.Box.MAC},
	}
	w.Service = &admin.Service{Store: k.Store, Login: steps, Now: now, Record: k.Record}
	w.must(k.Store.CreateAccount(t.Context(), storage.Account{ID: "acme", Name: "Acme", Policy: mfa.Optional, Created: w.now}))
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// person adds a member of acme with a password.
func (w *world) person(id, domain string, role mfa.Role) storage.User {
	w.t.Helper()
	u := storage.User{ID: id, Email: id + "@" + domain, Name: "Person " + id, PasswordHash: "hash", Created: w.now}
	w.must(w.Store.CreateUser(w.t.Context(), u))
	w.must(w.Store.PutMembership(w.t.Context(), storage.Membership{Account: "acme", User: id, Role: role, State: mfa.Joined, Created: w.now}))
	return u
}

// enrol gives a person an authenticator, which no code opens.
func (w *world) enrol(user string, kind mfa.Kind) {
	w.t.Helper()
	w.must(w.Store.CreateFactor(w.t.Context(), storage.Factor{ID: user + kind.String(), User: user, Kind: kind, Created: w.now}, 9))
}

// session opens a session with the given evidence.
func (w *world) session(user string, change func(*mfa.Proof)) admin.Actor {
	w.t.Helper()
	s := storage.Session{
		ID: fmt.Sprintf("session-%s-%d", user, time.Now().UnixNano()), User: user, Account: "acme",
		Proof: mfa.Proof{User: user, First: w.now, FirstBy: mfa.ByPassword}, Created: w.now, Expires: w.now.Add(time.Hour),
	}
	if change != nil {
		change(&s.Proof)
	}
	w.must(w.Store.CreateSession(w.t.Context(), s))
	return admin.Actor{Account: "acme", User: user, Session: s.ID}
}

// administrator adds an administrator with an authenticator app, and signs them
// in with it.
func (w *world) administrator(id string) admin.Actor {
	w.t.Helper()
	w.person(id, "acme.example", mfa.RoleAdmin)
	w.enrol(id, mfa.TOTP)
	return w.session(id, func(p *mfa.Proof) { p.Second, p.SecondBy = w.now, mfa.TOTP })
}

// account reads acme's row.
func (w *world) account() storage.Account {
	w.t.Helper()
	row, err := w.Store.Account(w.t.Context(), "acme")
	w.must(err)
	return row
}

// decides asks the gate's own rule about a person entering acme now.
func (w *world) decides(who admin.Actor) mfa.Decision {
	w.t.Helper()
	sess, err := w.Login.Facts.Session(w.t.Context(), who.Session)
	w.must(err)
	g, err := w.Login.Gather(w.t.Context(), sess, "acme")
	w.must(err)
	return mfa.Decide(g.Facts)
}

func asChanged(err error, to **admin.Changed) bool { return errors.As(err, to) }
