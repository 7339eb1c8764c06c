package storagetest

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

var accountChecks = []check{
	{"one that is not there is not found", func(t *testing.T, s storage.Storage) {
		_, err := s.Account(t.Context(), "acme")
		refuses(t, err, storage.ErrNotFound)
	}},
	{"what was created is read back with version 1", func(t *testing.T, s storage.Storage) {
		want := storage.Account{
			ID: "acme", Name: "Acme", Policy: mfa.Required, PolicyBy: "u1", PolicyAt: now.Add(-time.Hour),
			Next: mfa.Suggested, NextAt: now.Add(time.Hour), NextBy: "u2", Trial: mfa.Required, TrialAt: now,
			Accept: mfa.KindsOf(mfa.WebAuthn), SecondFactorAge: time.Hour, Remember: 30 * 24 * time.Hour,
			Disabled: true, Origin: storage.FromConfig, Created: now, Version: 7,
		}
		must(t, s.CreateAccount(t.Context(), want))
		want.Version = 1
		same(t, value(s.Account(t.Context(), "acme"))(t), want)
	}},
	{"declared ones that are not disabled are listed apart, in pages", func(t *testing.T, s storage.Storage) {
		for _, a := range []storage.Account{
			{ID: "c", Origin: storage.FromConfig}, {ID: "a", Origin: storage.FromConfig}, {ID: "b"},
			{ID: "d", Origin: storage.FromConfig, Disabled: true}, {ID: "e", Origin: storage.FromConfig},
		} {
			a.Policy = mfa.Required
			must(t, s.CreateAccount(t.Context(), a))
		}
		got := pages(t, func(a storage.Account) string { return a.ID }, func(ctx context.Context, after string) ([]storage.Account, error) {
			return s.AccountsDeclared(ctx, after, 2)
		})
		same(t, got, []string{"a", "c", "e"})
	}},
	{"an id is taken once", func(t *testing.T, s storage.Storage) {
		a := account(t, s, "acme")
		refuses(t, s.CreateAccount(t.Context(), a), storage.ErrExists)
	}},
	{"without a policy there is no account", func(t *testing.T, s storage.Storage) {
		if s.CreateAccount(t.Context(), storage.Account{ID: "acme", Created: now}) == nil {
			t.Error("an account without a policy was created")
		}
	}},
	{"an update changes what may change, and the version", func(t *testing.T, s storage.Storage) {
		want := account(t, s, "acme")
		got, err := s.UpdateAccount(t.Context(), "acme", func(a *storage.Account) error {
			same(t, *a, want)
			a.Name, a.Policy, a.PolicyBy, a.PolicyAt = "Acme Ltd", mfa.Required, "u1", now.Add(time.Minute)
			a.Next, a.NextAt, a.NextBy, a.Trial, a.TrialAt = mfa.Required, now.Add(time.Hour), "u2", mfa.Suggested, now
			a.Accept, a.SecondFactorAge, a.Remember = mfa.KindsOf(mfa.WebAuthn), time.Minute, time.Hour
			a.Disabled, a.Origin = true, storage.FromConfig
			return nil
		})
		must(t, err)
		want.Name, want.Policy, want.PolicyBy, want.PolicyAt = "Acme Ltd", mfa.Required, "u1", now.Add(time.Minute)
		want.Next, want.NextAt, want.NextBy, want.Trial, want.TrialAt = mfa.Required, now.Add(time.Hour), "u2", mfa.Suggested, now
		want.Accept, want.SecondFactorAge, want.Remember = mfa.KindsOf(mfa.WebAuthn), time.Minute, time.Hour
		want.Disabled, want.Origin, want.Version = true, storage.FromConfig, 2
		same(t, got, want)
		same(t, value(s.Account(t.Context(), "acme"))(t), want)
	}},
	{"an update does not change identity", func(t *testing.T, s storage.Storage) {
		want := account(t, s, "acme")
		got, err := s.UpdateAccount(t.Context(), "acme", func(a *storage.Account) error {
			a.ID, a.Created, a.Version = "other", now.Add(time.Hour), 99
			return nil
		})
		must(t, err)
		want.Version = 2
		same(t, got, want)
		_, err = s.Account(t.Context(), "other")
		refuses(t, err, storage.ErrNotFound)
	}},
	{"an update that change refuses writes nothing", func(t *testing.T, s storage.Storage) {
		want := account(t, s, "acme")
		_, err := s.UpdateAccount(t.Context(), "acme", func(a *storage.Account) error {
			a.Policy = mfa.Optional
			return errChange
		})
		refuses(t, err, errChange)
		same(t, value(s.Account(t.Context(), "acme"))(t), want)
	}},
	{"one that is not there cannot be updated", func(t *testing.T, s storage.Storage) {
		_, err := s.UpdateAccount(t.Context(), "acme", func(*storage.Account) error {
			t.Error("change was called for an account that is not there")
			return nil
		})
		refuses(t, err, storage.ErrNotFound)
	}},
	{"no update is lost", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		for _, err := range race(rivals, func(int) error {
			_, err := s.UpdateAccount(t.Context(), "acme", func(a *storage.Account) error {
				a.Name += "x"
				return nil
			})
			return err
		}) {
			must(t, err)
		}
		got := value(s.Account(t.Context(), "acme"))(t)
		same(t, len(got.Name), len("Account acme")+rivals)
		same(t, got.Version, int64(1+rivals))
	}},
	{"a list has pages, by id", func(t *testing.T, s storage.Storage) {
		var want []string
		for i := 6; i >= 0; i-- {
			account(t, s, "a"+strconv.Itoa(i))
		}
		for i := range 7 {
			want = append(want, "a"+strconv.Itoa(i))
		}
		got := pages(t, func(a storage.Account) string { return a.ID }, func(ctx context.Context, after string) ([]storage.Account, error) {
			return s.Accounts(ctx, after, 3)
		})
		same(t, got, want)
	}},
	{"a limit of none lists none", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		for _, limit := range []int{0, -1} {
			same(t, len(value(s.Accounts(t.Context(), "", limit))(t)), 0)
		}
	}},
}
