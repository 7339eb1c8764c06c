package storagetest

import (
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

var assuranceChecks = []check{
	{"sign-ins add up by provider, from a day on", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		provider(t, s, "acme", "a")
		provider(t, s, "acme", "b")
		day := 24 * time.Hour
		for _, c := range []struct {
			provider string
			ago      time.Duration
			mfa      bool
		}{{"a", 0, true}, {"a", 0, false}, {"a", 0, true}, {"a", 29 * day, true}, {"a", 31 * day, false}, {"b", 0, false}} {
			must(t, s.CountSignIn(t.Context(), c.provider, now.Add(-c.ago), c.mfa))
		}
		since := now.Add(-30 * day)
		same(t, value(s.AssuranceOf(t.Context(), "a", since))(t), storage.Assurance{SignIns: 4, WithMFA: 3})
		same(t, value(s.AssuranceOf(t.Context(), "b", since))(t), storage.Assurance{SignIns: 1})
		same(t, value(s.AssuranceOf(t.Context(), "nobody", since))(t), storage.Assurance{})
		same(t, value(s.AssuranceOf(t.Context(), "a", now.Add(-60*day)))(t), storage.Assurance{SignIns: 5, WithMFA: 3})
	}},
	{"a provider that is gone is not counted, and nothing of it is left", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		provider(t, s, "acme", "a")
		refuses(t, s.CountSignIn(t.Context(), "b", now, true), storage.ErrNotFound)
		must(t, s.CountSignIn(t.Context(), "a", now, true))
		must(t, s.RemoveProvider(t.Context(), "acme", "a"))
		provider(t, s, "acme", "a")
		same(t, value(s.AssuranceOf(t.Context(), "a", now))(t), storage.Assurance{})
	}},
	{"days that are over are swept, a few at a time", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		provider(t, s, "acme", "a")
		for ago := range 4 {
			must(t, s.CountSignIn(t.Context(), "a", now.AddDate(0, 0, -ago), false))
		}
		same(t, value(s.SweepAssurances(t.Context(), now.AddDate(0, 0, -1), 1))(t), 1)
		same(t, value(s.SweepAssurances(t.Context(), now.AddDate(0, 0, -1), 5))(t), 1)
		same(t, value(s.AssuranceOf(t.Context(), "a", now.AddDate(0, 0, -9)))(t), storage.Assurance{SignIns: 2})
	}},
}
