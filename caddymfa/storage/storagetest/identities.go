package storagetest

import (
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func identity(t *testing.T, s storage.Storage, issuer, subject, user string) storage.Identity {
	t.Helper()
	i := storage.Identity{Issuer: issuer, Subject: subject, User: user, Created: now}
	must(t, s.CreateIdentity(t.Context(), i))
	return i
}

var identityChecks = []check{
	{"issuer and subject together name a person", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		user(t, s, "u2")
		a := identity(t, s, "https://a.example", "sub", "u1")
		b := identity(t, s, "https://b.example", "sub", "u2")
		c := identity(t, s, "https://a.example", "other", "u2")
		for _, want := range []storage.Identity{a, b, c} {
			same(t, value(s.Identity(t.Context(), want.Issuer, want.Subject))(t), want)
		}
		same(t, value(s.IdentitiesOf(t.Context(), "u2"))(t), []storage.Identity{c, b})
		_, err := s.Identity(t.Context(), "https://b.example", "other")
		refuses(t, err, storage.ErrNotFound)
	}},
	{"one is joined once, and stays with its person", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		user(t, s, "u2")
		want := identity(t, s, "https://a.example", "sub", "u1")
		stolen := want
		stolen.User = "u2"
		refuses(t, s.CreateIdentity(t.Context(), stolen), storage.ErrExists)
		same(t, value(s.Identity(t.Context(), want.Issuer, want.Subject))(t), want)
	}},
	{"the person must be there", func(t *testing.T, s storage.Storage) {
		refuses(t, s.CreateIdentity(t.Context(), storage.Identity{Issuer: "i", Subject: "s", User: "nobody", Created: now}), storage.ErrNotFound)
	}},
	{"a provider is found by id and by issuer, whichever account it is of", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "other")
		a := provider(t, s, "acme", "a")
		b := provider(t, s, "other", "b")
		silent := storage.IdentityProvider{ID: "c", Account: "acme", Kind: "ldap", Settings: []byte{}, Trust: mfa.Verify, Created: now}
		must(t, s.PutProvider(t.Context(), silent))
		same(t, value(s.Provider(t.Context(), "b"))(t), b)
		_, err := s.Provider(t.Context(), "d")
		refuses(t, err, storage.ErrNotFound)
		same(t, value(s.ProvidersIssuing(t.Context(), a.Issuer))(t), []storage.IdentityProvider{a})
		same(t, len(value(s.ProvidersIssuing(t.Context(), ""))(t)), 0)
	}},
	{"sessions through an issuer end by subject, by its session, or by both", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		add := func(id, issuer, subject, sid string) {
			v := newSession("u1", id, now)
			v.Proof.Issuer, v.Proof.Subject, v.Proof.ProviderSession, v.Proof.ProviderAMR, v.Proof.ProviderACR = issuer, subject, sid, "pwd mfa", "high"
			must(t, s.CreateSession(t.Context(), v))
			v.Version = 1
			same(t, value(s.Session(t.Context(), id))(t), v)
		}
		add("a1", "https://a.example", "sub", "x")
		add("a2", "https://a.example", "sub", "y")
		add("a3", "https://a.example", "other", "x")
		add("b1", "https://b.example", "sub", "x")
		add("local", "", "", "")
		live := func() []string {
			return ids(value(s.SessionsOf(t.Context(), "u1", now))(t), sessionID)
		}
		for _, c := range []struct {
			issuer, subject, sid string
			ended                int
			left                 []string
		}{
			{"https://a.example", "sub", "y", 1, []string{"local", "b1", "a3", "a1"}},
			{"https://a.example", "sub", "y", 0, []string{"local", "b1", "a3", "a1"}},
			{"https://a.example", "", "x", 2, []string{"local", "b1"}},
			{"https://b.example", "sub", "", 1, []string{"local"}},
		} {
			same(t, value(s.RevokeSessionsThrough(t.Context(), c.issuer, c.subject, c.sid, now.Add(time.Second)))(t), c.ended)
			same(t, live(), c.left)
		}
		for _, c := range [][3]string{{"", "", ""}, {"", "sub", ""}, {"https://a.example", "", ""}} {
			if _, err := s.RevokeSessionsThrough(t.Context(), c[0], c[1], c[2], now); err == nil {
				t.Errorf("sessions were revoked through %q", c)
			}
		}
		same(t, live(), []string{"local"})
	}},
}
