package storagetest

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

var valueChecks = []check{
	{"times come back in UTC, to the microsecond", func(t *testing.T, s storage.Storage) {
		zone := time.FixedZone("far away", 13*3600+1800)
		for i, want := range []time.Time{
			now,
			now.In(zone),
			time.Date(2026, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
			time.Date(1969, 7, 20, 20, 17, 40, 123_456_000, time.UTC),
			time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		} {
			id := string(rune('a' + i))
			must(t, s.CreateAccount(t.Context(), storage.Account{ID: id, Policy: mfa.Optional, Created: want, PolicyAt: want.Add(789 * time.Nanosecond)}))
			got := value(s.Account(t.Context(), id))(t)
			same(t, got.Created, want.UTC())
			same(t, got.PolicyAt, want.UTC())
		}
	}},
	{"what an update returns is what is stored", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		got, err := s.UpdateAccount(t.Context(), "acme", func(a *storage.Account) error {
			a.PolicyAt = now.Add(789 * time.Nanosecond).In(time.FixedZone("far away", 3600))
			return nil
		})
		must(t, err)
		same(t, got, value(s.Account(t.Context(), "acme"))(t))
	}},
	{"zero times stay zero", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		user(t, s, "u1")
		member(t, s, "acme", "u1")
		if at := value(s.Membership(t.Context(), "acme", "u1"))(t).SnoozedUntil; !at.IsZero() {
			t.Errorf("a snooze that never was has a time: %v", at)
		}
		factor(t, s, "u1", "f1", now)
		if at := value(s.Factor(t.Context(), "f1"))(t).Used; !at.IsZero() {
			t.Errorf("a factor never used has a time of use: %v", at)
		}
		session(t, s, "u1", "s1", now)
		v := value(s.Session(t.Context(), "s1"))(t)
		if !v.Revoked.IsZero() || !v.Proof.Second.IsZero() {
			t.Errorf("times that never were: revoked %v, second factor %v", v.Revoked, v.Proof.Second)
		}
	}},
	{"long and odd strings come back as they were", func(t *testing.T, s storage.Storage) {
		for i, odd := range []string{
			`'; DROP TABLE users; --`,
			`"quoted" \ %_ ? $1 :name @p {braces}`,
			"Zoë 名前 🔑 \u202e e\u0301 é",
			" leading, trailing and\nbroken\tlines \r\n",
			strings.Repeat("long ", 20_000),
		} {
			want := storage.User{ID: odd, Email: odd, Name: odd, PasswordHash: odd, Created: now, Version: 1}
			must(t, s.CreateUser(t.Context(), want))
			same(t, value(s.User(t.Context(), odd))(t), want)
			same(t, value(s.UserByEmail(t.Context(), odd))(t), want)
			same(t, len(value(s.Users(t.Context(), "", 100))(t)), i+1)
		}
	}},
	{"what is no text is a name that nobody has, and no fault", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		user(t, s, "u1")
		for _, odd := range []string{"acme\x00", "\x00", "acme\xff", "\xc3\x28", "u1\x00"} {
			_, err := s.Account(t.Context(), odd)
			refuses(t, err, storage.ErrNotFound)
			_, err = s.UserByEmail(t.Context(), odd)
			refuses(t, err, storage.ErrNotFound)
			_, err = s.Membership(t.Context(), odd, "u1")
			refuses(t, err, storage.ErrNotFound)
			_, err = s.Session(t.Context(), odd)
			refuses(t, err, storage.ErrNotFound)
			_, err = s.TakeTicket(t.Context(), "enrol", odd, now)
			refuses(t, err, storage.ErrSpent)
			same(t, len(value(s.DomainsNamed(t.Context(), odd))(t)), 0)
			same(t, attempt(t, s, "odd "+odd).Consecutive, 0)
			e := happen(t, s, storage.Event{At: now, Account: odd, Detail: odd})[0]
			same(t, string(e.Hash), string(sum(e)))
			same(t, value(s.Events(t.Context(), storage.EventQuery{Limit: 1}))(t), []storage.Event{e})
			v := newSession("u1", "s"+strconv.Quote(odd), now)
			v.Browser = "Browser " + odd
			must(t, s.CreateSession(t.Context(), v))
		}
	}},
	{"bytes come back as they were", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		every := make([]byte, 256)
		for i := range every {
			every[i] = byte(i)
		}
		want := storage.Factor{ID: "f1", User: "u1", Kind: mfa.TOTP, State: every, Created: now, Version: 1}
		must(t, s.CreateFactor(t.Context(), want, 9))
		same(t, value(s.Factor(t.Context(), "f1"))(t), want)
		must(t, s.CreateFactor(t.Context(), storage.Factor{ID: "f2", User: "u1", Kind: mfa.TOTP, Created: now}, 9))
		same(t, len(value(s.Factor(t.Context(), "f2"))(t).State), 0)
	}},
	{"names that differ in case differ", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		_, err := s.User(t.Context(), "U1")
		refuses(t, err, storage.ErrNotFound)
	}},
}

// soon bounds how long a store may take to answer when nothing is in its way.
const soon = 20 * time.Second

var transactionChecks = []check{
	{"migrating again changes nothing", func(t *testing.T, s storage.Storage) {
		want := account(t, s, "acme")
		must(t, s.Migrate(t.Context()))
		same(t, value(s.Account(t.Context(), "acme"))(t), want)
	}},
	{"the store answers", func(t *testing.T, s storage.Storage) {
		must(t, s.Ping(t.Context()))
	}},
	{"a context that ends in an update undoes it and leaves nothing open", func(t *testing.T, s storage.Storage) {
		want := account(t, s, "acme")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := s.UpdateAccount(ctx, "acme", func(a *storage.Account) error {
			a.Name = "lost"
			cancel()
			return nil
		})
		refuses(t, err, context.Canceled)
		goesOn(t, s, want)
	}},
	{"a panic in an update undoes it and leaves nothing open", func(t *testing.T, s storage.Storage) {
		want := account(t, s, "acme")
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_, _ = s.UpdateAccount(t.Context(), "acme", func(*storage.Account) error { panic("change") })
		}()
		goesOn(t, s, want)
	}},
	{"a context that has ended does nothing", func(t *testing.T, s storage.Storage) {
		want := account(t, s, "acme")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.Account(ctx, "acme")
		refuses(t, err, context.Canceled)
		refuses(t, s.CreateUser(ctx, storage.User{ID: "u1", Created: now}), context.Canceled)
		goesOn(t, s, want)
		_, err = s.User(t.Context(), "u1")
		refuses(t, err, storage.ErrNotFound)
	}},
	{"a write is seen by the next read", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		for _, err := range race(rivals, func(i int) error {
			id := string(rune('A' + i))
			if err := s.CreateUser(t.Context(), storage.User{ID: id, Email: id, Created: now}); err != nil {
				return err
			}
			_, err := s.User(t.Context(), id)
			return err
		}) {
			must(t, err)
		}
	}},
}

// goesOn checks that an account is as it was and can still be written.
func goesOn(t *testing.T, s storage.Storage, want storage.Account) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	same(t, value(s.Account(ctx, want.ID))(t), want)
	_, err := s.UpdateAccount(ctx, want.ID, func(*storage.Account) error { return nil })
	must(t, err)
}
