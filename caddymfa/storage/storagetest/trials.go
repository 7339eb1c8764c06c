package storagetest

import (
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// trying starts the trial of a mode.
func trying(t *testing.T, s storage.Storage, account string, begun time.Time) {
	t.Helper()
	value(s.UpdateAccount(t.Context(), account, func(a *storage.Account) error {
		a.Trial, a.TrialAt = mfa.Required, begun
		return nil
	}))(t)
}

var trialChecks = []check{
	{"each person and outcome is noted once, with the first time", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "borealis")
		for _, id := range []string{"u1", "u2", "u3"} {
			user(t, s, id)
		}
		member(t, s, "acme", "u1")
		member(t, s, "acme", "u2")
		member(t, s, "borealis", "u1")
		trying(t, s, "acme", now)
		note := func(user string, o mfa.Outcome, first time.Time) storage.TrialNote {
			return storage.TrialNote{Account: "acme", User: user, Begun: now, Outcome: o, First: first}
		}
		must(t, s.NoteTrial(t.Context(), []storage.TrialNote{
			note("u1", mfa.MustEnroll, now.Add(time.Second)),
			note("u2", mfa.Asked, now.Add(2*time.Second)),
			note("u3", mfa.Asked, now), // no member
		}))
		must(t, s.NoteTrial(t.Context(), []storage.TrialNote{
			note("u1", mfa.MustEnroll, now.Add(3*time.Second)),
			note("u1", mfa.Asked, now.Add(4*time.Second)),
			{Account: "acme", User: "u1", Begun: now.Add(-time.Hour), Outcome: mfa.Vouched, First: now},
			{Account: "borealis", User: "u1", Begun: now, Outcome: mfa.Free, First: now},
		}))
		same(t, value(s.TrialCounts(t.Context(), "acme", now))(t), map[mfa.Outcome]int{mfa.MustEnroll: 1, mfa.Asked: 2})
		people := value(s.TrialPeople(t.Context(), "acme", now, "", 9))(t)
		if len(people) != 2 || people[0].ID != "u1" || people[0].Email == "" || people[1].ID != "u2" {
			t.Fatalf("expected u1 and u2, got %+v", people)
		}
		same(t, people[0].Outcomes, map[mfa.Outcome]time.Time{mfa.MustEnroll: now.Add(time.Second), mfa.Asked: now.Add(4 * time.Second)})
		same(t, len(value(s.TrialPeople(t.Context(), "acme", now, "u1", 9))(t)), 1)
		same(t, len(value(s.TrialPeople(t.Context(), "acme", now, "", 1))(t)), 1)
	}},
	{"what is noted goes with the membership, and with the trial", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		for _, id := range []string{"u1", "u2"} {
			user(t, s, id)
			member(t, s, "acme", id)
		}
		trying(t, s, "acme", now)
		must(t, s.NoteTrial(t.Context(), []storage.TrialNote{
			{Account: "acme", User: "u1", Begun: now, Outcome: mfa.Asked, First: now},
			{Account: "acme", User: "u2", Begun: now, Outcome: mfa.Asked, First: now},
		}))
		must(t, s.RemoveMembership(t.Context(), "acme", "u1"))
		same(t, value(s.TrialCounts(t.Context(), "acme", now))(t), map[mfa.Outcome]int{mfa.Asked: 1})
		same(t, value(s.SweepTrials(t.Context(), 9))(t), 0)
		trying(t, s, "acme", now.Add(time.Hour))
		same(t, value(s.SweepTrials(t.Context(), 9))(t), 1)
		same(t, value(s.TrialCounts(t.Context(), "acme", now))(t), map[mfa.Outcome]int{})
	}},
}
