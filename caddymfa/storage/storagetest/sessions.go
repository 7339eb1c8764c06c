package storagetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func sessionID(v storage.Session) string { return v.ID }

var sessionChecks = []check{
	{"what was created is read back with version 1", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		user(t, s, "u1")
		want := storage.Session{
			ID: "s1", User: "u1", Account: "acme",
			Proof: mfa.Proof{
				User: "u1", First: now.Add(-time.Minute), FirstBy: "sso", Provider: "p1", Issuer: "https://idp.example", Subject: "sub",
				Second: now.Add(-time.Second), SecondBy: mfa.WebAuthn,
			},
			Created: now, Seen: now.Add(time.Second), Expires: now.Add(time.Hour),
			Browser: "Firefox", Network: "2001:db8::1", Version: 8,
		}
		must(t, s.CreateSession(t.Context(), want))
		want.Version = 1
		same(t, value(s.Session(t.Context(), "s1"))(t), want)
	}},
	{"one in no account and without a second factor is read back", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		want := session(t, s, "u1", "s1", now)
		same(t, value(s.Session(t.Context(), "s1"))(t), want)
	}},
	{"one that is not there is not found", func(t *testing.T, s storage.Storage) {
		_, err := s.Session(t.Context(), "s1")
		refuses(t, err, storage.ErrNotFound)
		_, err = s.UpdateSession(t.Context(), "s1", func(*storage.Session) error { return nil })
		refuses(t, err, storage.ErrNotFound)
	}},
	{"an id is taken once", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		v := session(t, s, "u1", "s1", now)
		refuses(t, s.CreateSession(t.Context(), v), storage.ErrExists)
	}},
	{"user and account must be there", func(t *testing.T, s storage.Storage) {
		refuses(t, s.CreateSession(t.Context(), newSession("u1", "s1", now)), storage.ErrNotFound)
		user(t, s, "u1")
		v := newSession("u1", "s1", now)
		v.Account = "acme"
		refuses(t, s.CreateSession(t.Context(), v), storage.ErrNotFound)
	}},
	{"another person's proof is refused", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		user(t, s, "u2")
		v := newSession("u1", "s1", now)
		v.Proof.User = "u2"
		if s.CreateSession(t.Context(), v) == nil {
			t.Error("a session was created with another's proof")
		}
		want := session(t, s, "u1", "s2", now)
		if _, err := s.UpdateSession(t.Context(), "s2", func(v *storage.Session) error {
			v.Proof.User = "u2"
			return nil
		}); err == nil {
			t.Error("a session was given another's proof")
		}
		same(t, value(s.Session(t.Context(), "s2"))(t), want)
	}},
	{"an update changes what may change, and the version", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		user(t, s, "u1")
		user(t, s, "u2")
		want := session(t, s, "u1", "s1", now)
		got, err := s.UpdateSession(t.Context(), "s1", func(v *storage.Session) error {
			same(t, *v, want)
			v.Account, v.Seen, v.Expires = "acme", now.Add(time.Minute), now.Add(time.Hour)
			v.Proof.Second, v.Proof.SecondBy = now, mfa.Recovery
			v.Proof.ProviderSecond, v.Proof.BreakGlass, v.Proof.Remembered, v.Proof.RememberedBy = now, "acme", now.Add(-time.Hour), mfa.TOTP
			v.Browser, v.Network = "Safari", "198.51.100.1"
			v.ID, v.User, v.Created, v.Version = "other", "u2", time.Time{}, 99
			return nil
		})
		must(t, err)
		want.Account, want.Seen, want.Expires = "acme", now.Add(time.Minute), now.Add(time.Hour)
		want.Proof.Second, want.Proof.SecondBy = now, mfa.Recovery
		want.Proof.ProviderSecond, want.Proof.BreakGlass, want.Proof.Remembered, want.Proof.RememberedBy = now, "acme", now.Add(-time.Hour), mfa.TOTP
		want.Browser, want.Network, want.Version = "Safari", "198.51.100.1", 2
		same(t, got, want)
		same(t, value(s.Session(t.Context(), "s1"))(t), want)
	}},
	{"an update that change refuses writes nothing", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		want := session(t, s, "u1", "s1", now)
		_, err := s.UpdateSession(t.Context(), "s1", func(v *storage.Session) error {
			v.Proof.Second, v.Proof.SecondBy = now, mfa.TOTP
			return errChange
		})
		refuses(t, err, errChange)
		same(t, value(s.Session(t.Context(), "s1"))(t), want)
	}},
	{"a person's list holds their live sessions, newest first", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		user(t, s, "u2")
		session(t, s, "u1", "old", now)
		session(t, s, "u1", "new", now.Add(time.Minute))
		session(t, s, "u1", "over", now.Add(-12*time.Hour)) // its limit is now
		session(t, s, "u1", "revoked", now)
		session(t, s, "u2", "other", now)
		must(t, s.RevokeSession(t.Context(), "u1", "revoked", now))
		same(t, ids(value(s.SessionsOf(t.Context(), "u1", now))(t), sessionID), []string{"new", "old"})
	}},
	{"a person's list ends at a hundred", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		for i := range 103 {
			session(t, s, "u1", fmt.Sprintf("s%03d", i), now.Add(time.Duration(i)*time.Second))
		}
		got := value(s.SessionsOf(t.Context(), "u1", now))(t)
		same(t, len(got), 100)
		same(t, got[0].ID, "s102")
		same(t, got[99].ID, "s003")
	}},
	{"a person's past holds what is over, newest first, and says what ended it", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		user(t, s, "u1")
		user(t, s, "u2")
		at := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
		for i, id := range []string{"alone", "all", "in", "through", "first"} {
			v := newSession("u1", id, at(i))
			switch id {
			case "in":
				v.Account = "acme"
			case "through":
				v.Proof.Issuer, v.Proof.Subject = "https://idp.example", "ann"
			}
			must(t, s.CreateSession(t.Context(), v))
		}
		must(t, s.RevokeSession(t.Context(), "u1", "alone", at(10)))
		same(t, value(s.RevokeSessionsIn(t.Context(), "acme", "u1", at(10)))(t), 1)
		same(t, value(s.RevokeSessionsThrough(t.Context(), "https://idp.example", "ann", "", at(10)))(t), 1)
		second := newSession("u1", "second", at(4))
		must(t, s.ReplaceSession(t.Context(), "first", second, at(10)))
		must(t, s.ReplaceSession(t.Context(), "second", newSession("u2", "another's", at(11)), at(11)))
		same(t, value(s.RevokeSessionsOf(t.Context(), "u1", "", at(12)))(t), 1)
		session(t, s, "u1", "over", now.Add(-12*time.Hour)) // its limit is now
		session(t, s, "u1", "unused", at(-60))
		session(t, s, "u1", "live", at(-59))
		session(t, s, "u2", "other", at(-70))
		var got []string
		list := value(s.PastSessionsOf(t.Context(), "u1", now, at(-60), 9))(t)
		for _, v := range list {
			got = append(got, v.ID+" "+string(v.Ended))
		}
		same(t, got, []string{"second alone", "through provider", "in account", "all together", "alone alone", "unused ", "over "})
		same(t, value(s.Session(t.Context(), "first"))(t).Ended, storage.EndedByNext)
		same(t, value(s.PastSessionsOf(t.Context(), "u1", now, at(-60), 2))(t), list[:2])
		same(t, len(value(s.PastSessionsOf(t.Context(), "u1", now, at(-60), 0))(t)), 0)
	}},
	{"one that is over is still read, for the caller to decide", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		want := session(t, s, "u1", "s1", now.Add(-48*time.Hour))
		same(t, value(s.Session(t.Context(), "s1"))(t), want)
	}},
}

var revocationChecks = []check{
	{"a revoked session stays to be seen", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		want := session(t, s, "u1", "s1", now)
		must(t, s.RevokeSession(t.Context(), "u1", "s1", now.Add(time.Minute)))
		want.Revoked, want.Ended, want.Version = now.Add(time.Minute), storage.EndedAlone, 2
		same(t, value(s.Session(t.Context(), "s1"))(t), want)
	}},
	{"only its owner's can be revoked, once", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		user(t, s, "u2")
		session(t, s, "u1", "s1", now)
		refuses(t, s.RevokeSession(t.Context(), "u2", "s1", now), storage.ErrNotFound)
		refuses(t, s.RevokeSession(t.Context(), "u1", "s2", now), storage.ErrNotFound)
		must(t, s.RevokeSession(t.Context(), "u1", "s1", now))
		refuses(t, s.RevokeSession(t.Context(), "u1", "s1", now.Add(time.Hour)), storage.ErrNotFound)
		same(t, value(s.Session(t.Context(), "s1"))(t).Revoked, now)
	}},
	{"no update brings one back", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		session(t, s, "u1", "s1", now)
		must(t, s.RevokeSession(t.Context(), "u1", "s1", now))
		_, err := s.UpdateSession(t.Context(), "s1", func(v *storage.Session) error {
			t.Error("change was called for a revoked session")
			v.Revoked = time.Time{}
			return nil
		})
		refuses(t, err, storage.ErrNotFound)
		same(t, value(s.Session(t.Context(), "s1"))(t).Revoked, now)
	}},
	{"no update brings one back while both happen at once", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		session(t, s, "u1", "s1", now)
		errs := race(rivals, func(i int) error {
			if i == rivals/2 {
				return s.RevokeSession(t.Context(), "u1", "s1", now)
			}
			_, err := s.UpdateSession(t.Context(), "s1", func(v *storage.Session) error {
				v.Seen = now.Add(time.Duration(i) * time.Second)
				return nil
			})
			return err
		})
		must(t, errs[rivals/2])
		for _, err := range errs {
			if err != nil {
				refuses(t, err, storage.ErrNotFound)
			}
		}
		same(t, value(s.Session(t.Context(), "s1"))(t).Revoked, now)
	}},
	{"to replace one revokes it and creates the next", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		old := session(t, s, "u1", "s1", now)
		next := newSession("u1", "s2", now.Add(time.Minute))
		must(t, s.ReplaceSession(t.Context(), "s1", next, now.Add(time.Minute)))
		old.Revoked, old.Ended, old.Version, next.Version = now.Add(time.Minute), storage.EndedAlone, 2, 1
		same(t, value(s.Session(t.Context(), "s1"))(t), old)
		same(t, value(s.Session(t.Context(), "s2"))(t), next)
	}},
	{"one that is not live cannot be replaced", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		session(t, s, "u1", "revoked", now)
		must(t, s.RevokeSession(t.Context(), "u1", "revoked", now))
		session(t, s, "u1", "over", now.Add(-12*time.Hour)) // its limit is now
		for _, old := range []string{"revoked", "over", "never was"} {
			refuses(t, s.ReplaceSession(t.Context(), old, newSession("u1", "next", now), now), storage.ErrNotFound)
			_, err := s.Session(t.Context(), "next")
			refuses(t, err, storage.ErrNotFound)
		}
	}},
	{"a replacement that cannot be created leaves the old one live", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		want := session(t, s, "u1", "s1", now)
		session(t, s, "u1", "s2", now)
		refuses(t, s.ReplaceSession(t.Context(), "s1", newSession("u1", "s2", now), now), storage.ErrExists)
		same(t, value(s.Session(t.Context(), "s1"))(t), want)
	}},
	{"of many who replace one session one succeeds", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		session(t, s, "u1", "s1", now)
		oneWins(t, race(rivals, func(i int) error {
			return s.ReplaceSession(t.Context(), "s1", newSession("u1", fmt.Sprintf("next%d", i), now), now)
		}), storage.ErrNotFound)
		same(t, len(value(s.SessionsOf(t.Context(), "u1", now))(t)), 1)
	}},
	{"none outlives the end of all by being replaced meanwhile", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		const chains, links = 10, 5
		for i := range chains {
			session(t, s, "u1", fmt.Sprintf("%d-0", i), now)
		}
		for _, err := range race(chains+1, func(i int) error {
			if i == chains {
				_, err := s.RevokeSessionsOf(t.Context(), "u1", "", now)
				return err
			}
			for n := range links {
				err := s.ReplaceSession(t.Context(), fmt.Sprintf("%d-%d", i, n), newSession("u1", fmt.Sprintf("%d-%d", i, n+1), now), now)
				if errors.Is(err, storage.ErrNotFound) {
					return nil // ended before
				}
				if err != nil {
					return err
				}
			}
			return nil
		}) {
			must(t, err)
		}
		// Chains that were through before the end are ended, too, and the others
		// could not go on.
		same(t, ids(value(s.SessionsOf(t.Context(), "u1", now))(t), sessionID), []string{})
	}},
	{"none outlives the end of its provider's by being replaced meanwhile", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		through := func(id string) storage.Session {
			v := newSession("u1", id, now)
			v.Proof.Issuer, v.Proof.Subject = "https://idp.example", "ann"
			return v
		}
		const chains, links = 10, 5
		for i := range chains {
			must(t, s.CreateSession(t.Context(), through(fmt.Sprintf("%d-0", i))))
		}
		for _, err := range race(chains+1, func(i int) error {
			if i == chains {
				_, err := s.RevokeSessionsThrough(t.Context(), "https://idp.example", "ann", "", now)
				return err
			}
			for n := range links {
				err := s.ReplaceSession(t.Context(), fmt.Sprintf("%d-%d", i, n), through(fmt.Sprintf("%d-%d", i, n+1)), now)
				if errors.Is(err, storage.ErrNotFound) {
					return nil
				}
				if err != nil {
					return err
				}
			}
			return nil
		}) {
			must(t, err)
		}
		same(t, ids(value(s.SessionsOf(t.Context(), "u1", now))(t), sessionID), []string{})
	}},
	{"all of a person's end but one, counted", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		user(t, s, "u2")
		for _, id := range []string{"a", "b", "c", "d"} {
			session(t, s, "u1", id, now)
		}
		session(t, s, "u2", "other", now)
		must(t, s.RevokeSession(t.Context(), "u1", "d", now.Add(-time.Minute)))
		same(t, value(s.RevokeSessionsOf(t.Context(), "u1", "b", now))(t), 2)
		same(t, ids(value(s.SessionsOf(t.Context(), "u1", now))(t), sessionID), []string{"b"})
		same(t, value(s.Session(t.Context(), "d"))(t).Revoked, now.Add(-time.Minute))
		same(t, value(s.RevokeSessionsOf(t.Context(), "u1", "", now))(t), 1)
		same(t, value(s.RevokeSessionsOf(t.Context(), "u1", "", now))(t), 0)
		same(t, len(value(s.SessionsOf(t.Context(), "u2", now))(t)), 1)
	}},
	{"one revoked at no time would live, and that is refused", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		session(t, s, "u1", "s1", now)
		if s.RevokeSession(t.Context(), "u1", "s1", time.Time{}) == nil {
			t.Error("RevokeSession took the zero time")
		}
		if _, err := s.RevokeSessionsOf(t.Context(), "u1", "", time.Time{}); err == nil {
			t.Error("RevokeSessionsOf took the zero time")
		}
		if s.ReplaceSession(t.Context(), "s1", newSession("u1", "s2", now), time.Time{}) == nil {
			t.Error("ReplaceSession took the zero time")
		}
	}},
	{"a sweep takes what was over, up to its limit, and nothing else", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		for i := range 3 {
			session(t, s, "u1", fmt.Sprintf("over%d", i), now.Add(-13*time.Hour))
		}
		session(t, s, "u1", "revoked", now)
		must(t, s.RevokeSession(t.Context(), "u1", "revoked", now.Add(-time.Minute)))
		session(t, s, "u1", "just revoked", now)
		must(t, s.RevokeSession(t.Context(), "u1", "just revoked", now))
		session(t, s, "u1", "just over", now.Add(-12*time.Hour))
		session(t, s, "u1", "live", now)
		same(t, value(s.SweepSessions(t.Context(), now, 0))(t), 0)
		same(t, value(s.SweepSessions(t.Context(), now, 3))(t), 3)
		same(t, value(s.SweepSessions(t.Context(), now, 3))(t), 1)
		same(t, value(s.SweepSessions(t.Context(), now, 3))(t), 0)
		for _, id := range []string{"just revoked", "just over", "live"} {
			value(s.Session(t.Context(), id))(t)
		}
	}},
}
