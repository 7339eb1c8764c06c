package storagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func provider(t *testing.T, s storage.Storage, account, id string) storage.IdentityProvider {
	t.Helper()
	p := storage.IdentityProvider{ID: id, Account: account, Kind: "oidc", Name: "Entra " + id, Issuer: "https://login.example/" + account, Settings: []byte("sealed"), Trust: mfa.Precedence, Created: now}
	must(t, s.PutProvider(t.Context(), p))
	return p
}

func domain(t *testing.T, s storage.Storage, account, name, provider string) storage.Domain {
	t.Helper()
	d := storage.Domain{Account: account, Name: name, Verified: true, Enforce: provider != "", Provider: provider, Token: "token", Created: now, Checked: now}
	must(t, s.PutDomain(t.Context(), d))
	return d
}

var domainChecks = []check{
	{"what was put is read back", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		provider(t, s, "acme", "p1")
		want := storage.Domain{
			Account: "acme", Name: "example.com", Verified: true, Enforce: true, Provider: "p1", Token: "t0ken",
			Origin: storage.FromConfig, Created: now, Checked: now.Add(time.Minute),
		}
		must(t, s.PutDomain(t.Context(), want))
		same(t, value(s.DomainsOf(t.Context(), "acme"))(t), []storage.Domain{want})
		same(t, value(s.DomainsNamed(t.Context(), "example.com"))(t), []storage.Domain{want})
	}},
	{"to put it again replaces it", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		provider(t, s, "acme", "p1")
		domain(t, s, "acme", "example.com", "p1")
		want := storage.Domain{Account: "acme", Name: "example.com", Token: "new", Origin: storage.FromConfig, Created: now.Add(time.Hour)}
		must(t, s.PutDomain(t.Context(), want))
		same(t, value(s.DomainsOf(t.Context(), "acme"))(t), []storage.Domain{want})
	}},
	{"the account must be there", func(t *testing.T, s storage.Storage) {
		refuses(t, s.PutDomain(t.Context(), storage.Domain{Account: "acme", Name: "example.com", Created: now}), storage.ErrNotFound)
	}},
	{"the provider must be this account's", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "other")
		provider(t, s, "other", "p1")
		want := domain(t, s, "acme", "example.com", "")
		for _, id := range []string{"p1", "p2"} {
			d := want
			d.Provider, d.Enforce = id, true
			refuses(t, s.PutDomain(t.Context(), d), storage.ErrNotFound)
		}
		same(t, value(s.DomainsOf(t.Context(), "acme"))(t), []storage.Domain{want})
	}},
	{"an account's list is by name, and holds no other account's", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "other")
		c := domain(t, s, "acme", "c.example", "")
		a := domain(t, s, "acme", "a.example", "")
		b := domain(t, s, "other", "b.example", "")
		same(t, value(s.DomainsOf(t.Context(), "acme"))(t), []storage.Domain{a, c})
		same(t, value(s.DomainsOf(t.Context(), "other"))(t), []storage.Domain{b})
	}},
	{"several accounts may claim a domain, listed by account", func(t *testing.T, s storage.Storage) {
		account(t, s, "b")
		account(t, s, "a")
		b := domain(t, s, "b", "example.com", "")
		a := domain(t, s, "a", "example.com", "")
		domain(t, s, "a", "sub.example.com", "")
		same(t, value(s.DomainsNamed(t.Context(), "example.com"))(t), []storage.Domain{a, b})
	}},
	{"what was removed is gone, and only that", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "other")
		domain(t, s, "acme", "example.com", "")
		kept := domain(t, s, "other", "example.com", "")
		must(t, s.RemoveDomain(t.Context(), "acme", "example.com"))
		same(t, value(s.DomainsNamed(t.Context(), "example.com"))(t), []storage.Domain{kept})
		refuses(t, s.RemoveDomain(t.Context(), "acme", "example.com"), storage.ErrNotFound)
	}},
}

var providerChecks = []check{
	{"what was put is read back, by id, and no other account's", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "other")
		b := storage.IdentityProvider{
			ID: "b", Account: "acme", Kind: "ldap", Name: "AD", Settings: []byte{0, 1, 255}, Trust: mfa.Stack, Disabled: true, Origin: storage.FromConfig, Created: now,
		}
		must(t, s.PutProvider(t.Context(), b))
		a := provider(t, s, "acme", "a")
		c := provider(t, s, "other", "c")
		same(t, value(s.ProvidersOf(t.Context(), "acme"))(t), []storage.IdentityProvider{a, b})
		same(t, value(s.ProvidersOf(t.Context(), "other"))(t), []storage.IdentityProvider{c})
	}},
	{"to put it again replaces it", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		want := provider(t, s, "acme", "p1")
		want.Kind, want.Name, want.Settings, want.Trust, want.Disabled, want.Origin = "ldap", "AD", []byte("new"), mfa.Verify, true, storage.FromConfig
		must(t, s.PutProvider(t.Context(), want))
		same(t, value(s.ProvidersOf(t.Context(), "acme"))(t), []storage.IdentityProvider{want})
	}},
	{"one never changes its account", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "other")
		want := provider(t, s, "acme", "p1")
		stolen := want
		stolen.Account, stolen.Settings = "other", []byte("mine")
		refuses(t, s.PutProvider(t.Context(), stolen), storage.ErrConflict)
		same(t, value(s.ProvidersOf(t.Context(), "acme"))(t), []storage.IdentityProvider{want})
		same(t, len(value(s.ProvidersOf(t.Context(), "other"))(t)), 0)
	}},
	{"the account must be there", func(t *testing.T, s storage.Storage) {
		refuses(t, s.PutProvider(t.Context(), storage.IdentityProvider{ID: "p1", Account: "acme", Kind: "oidc", Trust: mfa.Stack, Created: now}), storage.ErrNotFound)
	}},
	{"one that nobody said how far to trust is refused", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		if s.PutProvider(t.Context(), storage.IdentityProvider{ID: "p1", Account: "acme", Kind: "oidc", Created: now}) == nil {
			t.Error("a provider without trust was stored")
		}
	}},
	{"when one is removed, domains that led to it are no longer enforced", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		provider(t, s, "acme", "p1")
		provider(t, s, "acme", "p2")
		led := domain(t, s, "acme", "a.example", "p1")
		kept := domain(t, s, "acme", "b.example", "p2")
		must(t, s.RemoveProvider(t.Context(), "acme", "p1"))
		led.Provider, led.Enforce = "", false
		same(t, value(s.DomainsOf(t.Context(), "acme"))(t), []storage.Domain{led, kept})
		same(t, ids(value(s.ProvidersOf(t.Context(), "acme"))(t), func(p storage.IdentityProvider) string { return p.ID }), []string{"p2"})
	}},
	{"when one is removed, no domain comes to lead to it at the same moment", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		provider(t, s, "acme", "p1")
		errs := race(rivals, func(i int) error {
			if i == rivals/2 {
				return s.RemoveProvider(t.Context(), "acme", "p1")
			}
			return s.PutDomain(t.Context(), storage.Domain{
				Account: "acme", Name: fmt.Sprintf("d%d.example", i), Verified: true, Enforce: true, Provider: "p1", Created: now,
			})
		})
		must(t, errs[rivals/2])
		for _, err := range errs {
			if err != nil {
				refuses(t, err, storage.ErrNotFound)
			}
		}
		for _, d := range value(s.DomainsOf(t.Context(), "acme"))(t) {
			if d.Provider != "" || d.Enforce {
				t.Errorf("a domain leads to what was removed: %+v", d)
			}
		}
	}},
	{"another account's cannot be removed", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "other")
		provider(t, s, "acme", "p1")
		want := domain(t, s, "acme", "a.example", "p1")
		refuses(t, s.RemoveProvider(t.Context(), "other", "p1"), storage.ErrNotFound)
		refuses(t, s.RemoveProvider(t.Context(), "acme", "p2"), storage.ErrNotFound)
		same(t, value(s.DomainsOf(t.Context(), "acme"))(t), []storage.Domain{want})
	}},
}
