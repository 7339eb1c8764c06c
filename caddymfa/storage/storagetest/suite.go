// Package storagetest is the other half of the contract in package storage: a
// suite of named checks, one for each promise, that every store passes.
//
// A store's own test calls [Run]:
//
//	func TestStore(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) storage.Storage { ... })
//	}
package storagetest

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// check is one promise and how it is tested, on a store of its own.
type check struct {
	name string
	test func(*testing.T, storage.Storage)
}

// Run checks a store against the contract. Open is called once for every check
// and returns a migrated empty store; closing it is open's business, through
// t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) storage.Storage) {
	groups := []struct {
		name   string
		checks []check
	}{
		{"accounts", accountChecks},
		{"users", userChecks},
		{"memberships", membershipChecks},
		{"roster", rosterChecks},
		{"census", censusChecks},
		{"trials", trialChecks},
		{"devices", deviceChecks},
		{"domains", domainChecks},
		{"providers", providerChecks},
		{"identities", identityChecks},
		{"assurances", assuranceChecks},
		{"factors", factorChecks},
		{"recovery codes", recoveryChecks},
		{"sessions", sessionChecks},
		{"ends of sessions", revocationChecks},
		{"tickets", ticketChecks},
		{"attempts", attemptChecks},
		{"outbox", outboxChecks},
		{"audit", auditChecks},
		{"keys", keyChecks},
		{"tokens", tokenChecks},
		{"replies", replyChecks},
		{"values", valueChecks},
		{"transactions", transactionChecks},
		{"maintenance", maintenanceChecks},
		{"leases", leaseChecks},
		{"vault", vaultChecks},
		{"feed", feedChecks},
		{"told before return", tellingChecks()},
	}
	for _, group := range groups {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.checks {
				t.Run(c.name, func(t *testing.T) {
					c.test(t, open(t))
				})
			}
		})
	}
}

// now is the moment the checks happen at: it has microseconds, and nothing below.
var now = time.Date(2026, time.March, 4, 5, 6, 7, 891_234_000, time.UTC)

// rivals is how many goroutines want what one may have.
const rivals = 50

// must ends the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// value ends the test on an error and returns what came with none.
func value[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		must(t, err)
		return v
	}
}

// refuses fails the test unless the error is the one the contract names.
func refuses(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("expected error %q, got %v", want, err)
	}
}

// same fails the test unless two values are deeply equal.
func same(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("expected %+v, got %+v", want, got)
	}
}

// race has many goroutines do the same at once, and returns their errors.
func race(n int, do func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var done sync.WaitGroup
	for i := range n {
		done.Go(func() {
			<-start
			errs[i] = do(i)
		})
	}
	close(start)
	done.Wait()
	return errs
}

// oneWins fails the test unless exactly one had success and all others the
// given error.
func oneWins(t *testing.T, errs []error, loss error) {
	t.Helper()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		refuses(t, err, loss)
	}
	if won != 1 {
		t.Errorf("expected exactly one of %d to win, got %d", len(errs), won)
	}
}

// errChange is what a change function says that does not want to go on.
var errChange = errors.New("the change was thought better of")

// account makes an account with its id for a name.
func account(t *testing.T, s storage.Storage, id string) storage.Account {
	t.Helper()
	a := storage.Account{ID: id, Name: "Account " + id, Policy: mfa.Suggested, PolicyBy: "operator", PolicyAt: now.Add(-time.Hour), Created: now}
	must(t, s.CreateAccount(t.Context(), a))
	a.Version = 1
	return a
}

// user makes a user with an address of its own.
func user(t *testing.T, s storage.Storage, id string) storage.User {
	t.Helper()
	u := storage.User{ID: id, Email: id + "@example.com", Name: "User " + id, PasswordHash: "$argon2id$" + id, PasswordChanged: now, Created: now}
	must(t, s.CreateUser(t.Context(), u))
	u.Version = 1
	return u
}

// member makes a user a member of an account.
func member(t *testing.T, s storage.Storage, account, user string) storage.Membership {
	t.Helper()
	m := storage.Membership{Account: account, User: user, Role: mfa.RoleMember, State: mfa.Joined, Created: now}
	must(t, s.PutMembership(t.Context(), m))
	return m
}

// factor enrols a user.
func factor(t *testing.T, s storage.Storage, user, id string, created time.Time) storage.Factor {
	t.Helper()
	f := storage.Factor{ID: id, User: user, Kind: mfa.TOTP, Name: "Phone", State: []byte("sealed " + id), Created: created}
	must(t, s.CreateFactor(t.Context(), f, 100))
	f.Version = 1
	return f
}

// newSession is a session that lives for twelve hours from its creation.
func newSession(user, id string, created time.Time) storage.Session {
	return storage.Session{
		ID: id, User: user,
		Proof:   mfa.Proof{User: user, First: created, FirstBy: "password"},
		Created: created, Seen: created, Expires: created.Add(12 * time.Hour),
		Browser: "Firefox", Network: "192.0.2.1",
	}
}

// session signs a user in.
func session(t *testing.T, s storage.Storage, user, id string, created time.Time) storage.Session {
	t.Helper()
	v := newSession(user, id, created)
	must(t, s.CreateSession(t.Context(), v))
	v.Version = 1
	return v
}

// ids returns what identifies each row of a list.
func ids[T any](list []T, id func(T) string) []string {
	found := make([]string, 0, len(list))
	for _, row := range list {
		found = append(found, id(row))
	}
	return found
}

// pages reads a list page by page, each beginning after the last row seen.
func pages[T any](t *testing.T, id func(T) string, page func(ctx context.Context, after string) ([]T, error)) []string {
	t.Helper()
	var found []string
	after := ""
	for {
		list, err := page(t.Context(), after)
		must(t, err)
		if len(list) == 0 {
			return found
		}
		found = append(found, ids(list, id)...)
		after = found[len(found)-1]
	}
}
