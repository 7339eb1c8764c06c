package storagetest

import (
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// telling lists every method that changes something one may have in memory, and
// what watchers must have heard when it returns. What is brand-new and held by
// nobody (a session, a ticket, a counter, an audit row) need not be told, and
// nothing that is swept either: it was over before.
var telling = []struct {
	method string
	do     func(*testing.T, storage.Storage) error
	want   []storage.Change
}{
	{"CreateAccount", func(t *testing.T, s storage.Storage) error {
		account(t, s, "new")
		return nil
	}, told(storage.SubjectAccount, "new")},
	{"UpdateAccount", func(t *testing.T, s storage.Storage) error {
		_, err := s.UpdateAccount(t.Context(), "acme", func(*storage.Account) error { return nil })
		return err
	}, told(storage.SubjectAccount, "acme")},
	{"PutDomain", func(t *testing.T, s storage.Storage) error {
		return s.PutDomain(t.Context(), storage.Domain{Account: "acme", Name: "new.example", Created: now})
	}, told(storage.SubjectAccount, "acme")},
	{"CreateDomain", func(t *testing.T, s storage.Storage) error {
		return s.CreateDomain(t.Context(), storage.Domain{Account: "acme", Name: "new.example", Created: now})
	}, told(storage.SubjectAccount, "acme")},
	{"UpdateDomain", func(t *testing.T, s storage.Storage) error {
		_, err := s.UpdateDomain(t.Context(), "acme", "example.com", func(*storage.Domain) error { return nil })
		return err
	}, told(storage.SubjectAccount, "acme")},
	{"RemoveDomain", func(t *testing.T, s storage.Storage) error {
		return s.RemoveDomain(t.Context(), "acme", "example.com")
	}, told(storage.SubjectAccount, "acme")},
	{"PutProvider", func(t *testing.T, s storage.Storage) error {
		return s.PutProvider(t.Context(), storage.IdentityProvider{ID: "new", Account: "acme", Trust: mfa.Stack, Created: now})
	}, told(storage.SubjectAccount, "acme")},
	{"UpdateProvider", func(t *testing.T, s storage.Storage) error {
		_, err := s.UpdateProvider(t.Context(), "p1", func(*storage.IdentityProvider) error { return nil })
		return err
	}, told(storage.SubjectAccount, "acme")},
	{"RemoveProvider", func(t *testing.T, s storage.Storage) error {
		return s.RemoveProvider(t.Context(), "acme", "p1")
	}, told(storage.SubjectAccount, "acme")},
	{"CreateUser", func(t *testing.T, s storage.Storage) error {
		user(t, s, "new")
		return nil
	}, told(storage.SubjectUser, "new")},
	{"UpdateUser", func(t *testing.T, s storage.Storage) error {
		_, err := s.UpdateUser(t.Context(), "u1", func(*storage.User) error { return nil })
		return err
	}, told(storage.SubjectUser, "u1")},
	{"RemoveUser", func(t *testing.T, s storage.Storage) error {
		_, err := s.RemoveUser(t.Context(), "u1", storage.Mail{})
		return err
	}, append(append(told(storage.SubjectUser, "u1"), told(storage.SubjectMembership, "u1")...), told(storage.SubjectSession, "s1", "s2", "s3")...)},
	{"CreateFactor", func(t *testing.T, s storage.Storage) error {
		factor(t, s, "u1", "new", now)
		return nil
	}, told(storage.SubjectUser, "u1")},
	{"UpdateFactor", func(t *testing.T, s storage.Storage) error {
		_, err := s.UpdateFactor(t.Context(), "f1", func(*storage.Factor) error { return nil })
		return err
	}, told(storage.SubjectUser, "u1")},
	{"RemoveFactor", func(t *testing.T, s storage.Storage) error {
		return s.RemoveFactor(t.Context(), "u1", "f1")
	}, told(storage.SubjectUser, "u1")},
	{"RemoveFactorsOf", func(t *testing.T, s storage.Storage) error {
		_, err := s.RemoveFactorsOf(t.Context(), "u1")
		return err
	}, told(storage.SubjectUser, "u1")},
	{"ReplaceRecoveryCodes", func(t *testing.T, s storage.Storage) error {
		return s.ReplaceRecoveryCodes(t.Context(), "u1", []storage.RecoveryCode{{ID: "x", User: "u1"}})
	}, told(storage.SubjectUser, "u1")},
	{"UseRecoveryCode", func(t *testing.T, s storage.Storage) error {
		return s.UseRecoveryCode(t.Context(), "u1", "c1", now)
	}, told(storage.SubjectUser, "u1")},
	{"PutMembership", func(t *testing.T, s storage.Storage) error {
		member(t, s, "acme", "u2")
		return nil
	}, told(storage.SubjectMembership, "u2")},
	{"RemoveMembership", func(t *testing.T, s storage.Storage) error {
		return s.RemoveMembership(t.Context(), "acme", "u1")
	}, told(storage.SubjectMembership, "u1")},
	{"PutMembershipKeepingAdmin", func(t *testing.T, s storage.Storage) error {
		member(t, s, "acme", "u2")
		return nil
	}, told(storage.SubjectMembership, "u2")},
	{"RemoveMembershipKeepingAdmin", func(t *testing.T, s storage.Storage) error {
		return s.RemoveMembershipKeepingAdmin(t.Context(), "acme", "u1")
	}, told(storage.SubjectMembership, "u1")},
	{"Snooze", func(t *testing.T, s storage.Storage) error {
		return s.Snooze(t.Context(), "acme", "u1", now)
	}, told(storage.SubjectMembership, "u1")},
	{"CreateMembership", func(t *testing.T, s storage.Storage) error {
		return s.CreateMembership(t.Context(), storage.Membership{Account: "acme", User: "u2", Role: mfa.RoleMember, State: mfa.Invited, Created: now})
	}, told(storage.SubjectMembership, "u2")},
	{"AmendMember", func(t *testing.T, s storage.Storage) error {
		return s.AmendMember(t.Context(), "acme", "u1", func(*storage.Membership) error { return nil })
	}, told(storage.SubjectMembership, "u1")},
	{"ResetMember", func(t *testing.T, s storage.Storage) error {
		_, err := s.ResetMember(t.Context(), "acme", "u1")
		return err
	}, told(storage.SubjectUser, "u1")},
	{"RevokeSessionsIn", func(t *testing.T, s storage.Storage) error {
		v := newSession("u1", "in", now)
		v.Account = "acme"
		if err := s.CreateSession(t.Context(), v); err != nil {
			return err
		}
		_, err := s.RevokeSessionsIn(t.Context(), "acme", "u1", now)
		return err
	}, told(storage.SubjectSession, "in")},
	{"UpdateSession", func(t *testing.T, s storage.Storage) error {
		_, err := s.UpdateSession(t.Context(), "s1", func(*storage.Session) error { return nil })
		return err
	}, told(storage.SubjectSession, "s1")},
	{"ReplaceSession", func(t *testing.T, s storage.Storage) error {
		return s.ReplaceSession(t.Context(), "s1", newSession("u1", "new", now), now)
	}, told(storage.SubjectSession, "s1")},
	{"RevokeSession", func(t *testing.T, s storage.Storage) error {
		return s.RevokeSession(t.Context(), "u1", "s1", now)
	}, told(storage.SubjectSession, "s1")},
	{"RevokeSessionsOf", func(t *testing.T, s storage.Storage) error {
		_, err := s.RevokeSessionsOf(t.Context(), "u1", "s2", now)
		return err
	}, told(storage.SubjectSession, "s1", "s3")},
	{"RotateKey", func(t *testing.T, s storage.Storage) error {
		return s.RotateKey(t.Context(), "k2", newKey("new", now))
	}, told(storage.SubjectKeys, "")},
	{"RemoveKey", func(t *testing.T, s storage.Storage) error {
		return s.RemoveKey(t.Context(), "k1")
	}, told(storage.SubjectKeys, "")},
}

// told lists changes of one subject.
func told(subject storage.Subject, names ...string) []storage.Change {
	var changes []storage.Change
	for _, id := range names {
		changes = append(changes, storage.Change{Subject: subject, ID: id})
	}
	return changes
}

// populate stores one of everything that telling changes.
func populate(t *testing.T, s storage.Storage) {
	t.Helper()
	account(t, s, "acme")
	user(t, s, "u1")
	user(t, s, "u2")
	member(t, s, "acme", "u1")
	provider(t, s, "acme", "p1")
	domain(t, s, "acme", "example.com", "p1")
	factor(t, s, "u1", "f1", now)
	codes(t, s, "u1", "c1")
	for _, id := range []string{"s1", "s2", "s3"} {
		session(t, s, "u1", id, now)
	}
	must(t, s.RotateKey(t.Context(), "", newKey("k1", now)))
	must(t, s.RotateKey(t.Context(), "k1", newKey("k2", now)))
}

// ear is a watcher that remembers.
type ear struct {
	mu    sync.Mutex
	heard map[storage.Change]int
}

func (e *ear) tell(c storage.Change) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.heard == nil {
		e.heard = make(map[storage.Change]int)
	}
	e.heard[c]++
}

func (e *ear) times(c storage.Change) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.heard[c] + e.heard[storage.Change{Subject: storage.SubjectAll}]
}

// tellingChecks checks of each method that its change is told before it returns.
func tellingChecks() []check {
	var checks []check
	for _, c := range telling {
		checks = append(checks, check{c.method, func(t *testing.T, s storage.Storage) {
			populate(t, s)
			var e ear
			defer s.Watch(e.tell)()
			must(t, c.do(t, s))
			for _, want := range c.want {
				if e.times(want) == 0 {
					t.Errorf("watchers did not hear of %+v", want)
				}
			}
		}})
	}
	return checks
}

// RunFeed checks that what one store writes is told by another one of the same
// database, within a second, whichever method wrote it. Open returns two
// migrated stores of one empty database.
func RunFeed(t *testing.T, open func(t *testing.T) (here, there storage.Storage)) {
	for _, c := range telling {
		t.Run(c.method, func(t *testing.T) {
			here, there := open(t)
			populate(t, here)
			comesToLife(t, there)
			var e ear
			defer there.Watch(e.tell)()
			must(t, c.do(t, here))
			acknowledged := time.Now()
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for _, want := range c.want {
				for e.times(want) == 0 && time.Since(acknowledged) < time.Second {
					<-tick.C
				}
				if e.times(want) == 0 && there.Live() {
					t.Errorf("another store did not hear of %+v, and believes that it hears everything", want)
				}
			}
		})
	}
}

// comesToLife waits for a feed.
func comesToLife(t *testing.T, s storage.Storage) {
	t.Helper()
	deadline := time.Now().Add(soon)
	for !s.Live() {
		if time.Now().After(deadline) {
			t.Fatal("the feed never came to life")
		}
		value(s.Accounts(t.Context(), "", 1))(t)
	}
}

var feedChecks = []check{
	{"every watcher is told", func(t *testing.T, s storage.Storage) {
		var first, second ear
		defer s.Watch(first.tell)()
		defer s.Watch(second.tell)()
		account(t, s, "acme")
		want := storage.Change{Subject: storage.SubjectAccount, ID: "acme"}
		if first.times(want) == 0 || second.times(want) == 0 {
			t.Error("a watcher was not told")
		}
	}},
	{"who stops is told no more, and the others still", func(t *testing.T, s storage.Storage) {
		var gone, there ear
		stop := s.Watch(gone.tell)
		defer s.Watch(there.tell)()
		stop()
		stop()
		account(t, s, "acme")
		want := storage.Change{Subject: storage.SubjectAccount, ID: "acme"}
		if gone.times(want) != 0 {
			t.Error("a watcher was told after it had stopped")
		}
		if there.times(want) == 0 {
			t.Error("a watcher was forgotten when another one stopped")
		}
	}},
	{"when it is told, a read finds it", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		heard := make(chan struct{}, 1)
		release := make(chan struct{})
		defer s.Watch(func(storage.Change) {
			heard <- struct{}{}
			<-release
		})()
		done := make(chan error, 1)
		go func() {
			_, err := s.UpdateAccount(t.Context(), "acme", func(a *storage.Account) error {
				a.Name = "new"
				return nil
			})
			done <- err
		}()
		select {
		case <-heard:
		case <-time.After(soon):
			t.Fatal("nothing was told")
		}
		got, err := s.Account(t.Context(), "acme")
		close(release)
		must(t, err)
		same(t, got.Name, "new")
		must(t, <-done)
	}},
	{"a store that is told of everything is live", func(t *testing.T, s storage.Storage) {
		comesToLife(t, s)
		if lag := s.Lag(); lag < 0 || lag > time.Second {
			t.Errorf("a live feed is %v behind", lag)
		}
	}},
}
