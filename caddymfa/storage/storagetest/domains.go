package storagetest

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func provider(t *testing.T, s storage.Storage, account, id string) storage.IdentityProvider {
	t.Helper()
	p := storage.IdentityProvider{ID: id, Account: account, Kind: "oidc", Name: "Entra " + id, Issuer: "https://login.example/" + account, Settings: []byte("sealed"), Trust: mfa.Precedence, Created: now}
	must(t, s.PutProvider(t.Context(), p))
	p.Version = 1
	return p
}

func domain(t *testing.T, s storage.Storage, account, name, provider string) storage.Domain {
	t.Helper()
	d := storage.Domain{Account: account, Name: name, Verified: true, Enforce: provider != "", Provider: provider, Token: "token", Created: now, Checked: now}
	must(t, s.PutDomain(t.Context(), d))
	d.Version = 1
	return d
}

var domainChecks = []check{
	{"what was put is read back", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		provider(t, s, "acme", "p1")
		want := storage.Domain{
			Account: "acme", Name: "example.com", Verified: true, Enforce: true, Provider: "p1", Token: "t0ken",
			Origin: storage.FromConfig, Created: now, Checked: now.Add(time.Minute), Finding: "absent", Missing: now.Add(time.Hour),
			Changed: now.Add(2 * time.Hour), ChangedBy: "u1",
		}
		must(t, s.PutDomain(t.Context(), want))
		want.Version = 1
		same(t, value(s.DomainsOf(t.Context(), "acme"))(t), []storage.Domain{want})
		same(t, value(s.DomainsNamed(t.Context(), "example.com"))(t), []storage.Domain{want})
	}},
	{"to put it again replaces it", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		provider(t, s, "acme", "p1")
		domain(t, s, "acme", "example.com", "p1")
		want := storage.Domain{Account: "acme", Name: "example.com", Token: "new", Origin: storage.FromConfig, Created: now.Add(time.Hour)}
		must(t, s.PutDomain(t.Context(), want))
		want.Version = 2
		same(t, value(s.DomainsOf(t.Context(), "acme"))(t), []storage.Domain{want})
	}},
	{"the account must be there", func(t *testing.T, s storage.Storage) {
		d := storage.Domain{Account: "acme", Name: "example.com", Created: now}
		refuses(t, s.PutDomain(t.Context(), d), storage.ErrNotFound)
		refuses(t, s.CreateDomain(t.Context(), d), storage.ErrNotFound)
	}},
	{"of many who claim a domain for an account, one does", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "other")
		oneWins(t, race(rivals, func(i int) error {
			return s.CreateDomain(t.Context(), storage.Domain{Account: "acme", Name: "example.com", Token: "token " + strconv.Itoa(i), Created: now})
		}), storage.ErrExists)
		must(t, s.CreateDomain(t.Context(), storage.Domain{Account: "other", Name: "example.com", Token: "another", Created: now}))
		same(t, value(s.DomainsNamed(t.Context(), "example.com"))(t)[0].Version, int64(1))
	}},
	{"an update edits everything but what the claim is", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "other")
		provider(t, s, "acme", "p1")
		want := domain(t, s, "acme", "example.com", "")
		kept := domain(t, s, "other", "example.com", "")
		got, err := s.UpdateDomain(t.Context(), "acme", "example.com", func(d *storage.Domain) error {
			same(t, *d, want)
			d.Account, d.Name, d.Created, d.Version = "other", "other.example", now.Add(time.Hour), 99
			d.Verified, d.Enforce, d.Provider, d.Token, d.Origin = false, true, "p1", "new", storage.FromConfig
			d.Checked, d.Finding, d.Missing = now.Add(time.Minute), "absent", now.Add(2*time.Minute)
			d.Changed, d.ChangedBy = now.Add(3*time.Minute), "u1"
			return nil
		})
		must(t, err)
		want.Verified, want.Enforce, want.Provider, want.Token, want.Origin = false, true, "p1", "new", storage.FromConfig
		want.Checked, want.Finding, want.Missing = now.Add(time.Minute), "absent", now.Add(2*time.Minute)
		want.Changed, want.ChangedBy, want.Version = now.Add(3*time.Minute), "u1", 2
		same(t, got, want)
		same(t, value(s.DomainsNamed(t.Context(), "example.com"))(t), []storage.Domain{want, kept})
	}},
	{"an update keeps to this account's providers, and to what change says", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "other")
		provider(t, s, "other", "p1")
		want := domain(t, s, "acme", "example.com", "")
		_, err := s.UpdateDomain(t.Context(), "acme", "example.com", func(d *storage.Domain) error { d.Provider = "p1"; return nil })
		refuses(t, err, storage.ErrNotFound)
		_, err = s.UpdateDomain(t.Context(), "acme", "example.com", func(d *storage.Domain) error { d.Verified = false; return errChange })
		refuses(t, err, errChange)
		_, err = s.UpdateDomain(t.Context(), "other", "example.com", func(*storage.Domain) error {
			t.Error("change was called for a claim that is not there")
			return nil
		})
		refuses(t, err, storage.ErrNotFound)
		same(t, value(s.DomainsOf(t.Context(), "acme"))(t), []storage.Domain{want})
	}},
	{"no update is lost", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		domain(t, s, "acme", "example.com", "")
		for _, err := range race(rivals, func(int) error {
			_, err := s.UpdateDomain(t.Context(), "acme", "example.com", func(d *storage.Domain) error { d.Finding += "x"; return nil })
			return err
		}) {
			must(t, err)
		}
		got := value(s.DomainsOf(t.Context(), "acme"))(t)[0]
		same(t, len(got.Finding), rivals)
		same(t, got.Version, int64(1+rivals))
	}},
	{"those to look at again are verified by a token, the longest ago first", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "other")
		put := func(account, name string, checked time.Time, change func(*storage.Domain)) storage.Domain {
			d := storage.Domain{Account: account, Name: name, Verified: true, Token: "token", Created: now, Checked: checked}
			change(&d)
			must(t, s.PutDomain(t.Context(), d))
			d.Version = 1
			return d
		}
		as := func(*storage.Domain) {}
		b := put("acme", "b.example", now.Add(-2*time.Hour), as)
		a := put("other", "a.example", now.Add(-3*time.Hour), as)
		c := put("other", "b.example", now.Add(-2*time.Hour), as)
		put("acme", "now.example", now, as)
		put("acme", "pending.example", now.Add(-9*time.Hour), func(d *storage.Domain) { d.Verified = false })
		put("acme", "declared.example", now.Add(-9*time.Hour), func(d *storage.Domain) { d.Origin = storage.FromConfig })
		put("acme", "vouched.example", now.Add(-9*time.Hour), func(d *storage.Domain) { d.Token = "" })
		same(t, value(s.DomainsDue(t.Context(), now, 9))(t), []storage.Domain{a, b, c})
		same(t, value(s.DomainsDue(t.Context(), now, 2))(t), []storage.Domain{a, b})
		same(t, len(value(s.DomainsDue(t.Context(), now, 0))(t)), 0)
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
			Tested: now.Add(time.Minute), TestedBy: "u1", Changed: now.Add(time.Hour), ChangedBy: "u2",
		}
		must(t, s.PutProvider(t.Context(), b))
		b.Version = 1
		a := provider(t, s, "acme", "a")
		c := provider(t, s, "other", "c")
		same(t, value(s.ProvidersOf(t.Context(), "acme"))(t), []storage.IdentityProvider{a, b})
		same(t, value(s.ProvidersOf(t.Context(), "other"))(t), []storage.IdentityProvider{c})
	}},
	{"to put it again replaces it", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		want := provider(t, s, "acme", "p1")
		want.Kind, want.Name, want.Settings, want.Trust, want.Disabled, want.Origin = "ldap", "AD", []byte("new"), mfa.Verify, true, storage.FromConfig
		want.Tested, want.TestedBy, want.Changed, want.ChangedBy = now, "u1", now, "u2"
		must(t, s.PutProvider(t.Context(), want))
		want.Version = 2
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
		led.Provider, led.Enforce, led.Version = "", false, 2
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
	{"when one is disabled, domains that lead to it are no longer enforced", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		a, b := provider(t, s, "acme", "a"), provider(t, s, "acme", "b")
		first, second := domain(t, s, "acme", "a.example", "a"), domain(t, s, "acme", "b.example", "b")
		kept := domain(t, s, "acme", "c.example", provider(t, s, "acme", "c").ID)
		a.Disabled = true
		must(t, s.PutProvider(t.Context(), a))
		_, err := s.UpdateProvider(t.Context(), "b", func(p *storage.IdentityProvider) error { p.Disabled = true; return nil })
		must(t, err)
		b.Disabled, b.Version = true, 2
		same(t, value(s.Provider(t.Context(), "b"))(t), b)
		first.Enforce, first.Version, second.Enforce, second.Version = false, 2, false, 2
		same(t, value(s.DomainsOf(t.Context(), "acme"))(t), []storage.Domain{first, second, kept})
	}},
	{"an update edits everything but whose it is", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "other")
		want := provider(t, s, "acme", "p1")
		got, err := s.UpdateProvider(t.Context(), "p1", func(p *storage.IdentityProvider) error {
			same(t, *p, want)
			p.ID, p.Account, p.Created, p.Version = "p2", "other", now.Add(time.Hour), 99
			p.Kind, p.Name, p.Issuer, p.Settings, p.Origin = "ldap", "AD", "https://new.example", []byte("new"), storage.FromConfig
			p.Tested, p.TestedBy, p.Changed, p.ChangedBy = now, "u1", now.Add(time.Minute), "u2"
			return nil
		})
		must(t, err)
		want.Kind, want.Name, want.Issuer, want.Settings, want.Origin = "ldap", "AD", "https://new.example", []byte("new"), storage.FromConfig
		want.Tested, want.TestedBy, want.Changed, want.ChangedBy, want.Version = now, "u1", now.Add(time.Minute), "u2", 2
		same(t, got, want)
		same(t, value(s.ProvidersOf(t.Context(), "acme"))(t), []storage.IdentityProvider{want})
		_, err = s.UpdateProvider(t.Context(), "p2", func(*storage.IdentityProvider) error {
			t.Error("change was called for a provider that is not there")
			return nil
		})
		refuses(t, err, storage.ErrNotFound)
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
