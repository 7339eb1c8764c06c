package storagetest

import (
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func rosteredID(r storage.Rostered) string { return r.User }

// rosterOf lists the ids of an account's members that a query selects.
func rosterOf(t *testing.T, s storage.Storage, q storage.RosterQuery) []string {
	t.Helper()
	q.Account = "acme"
	if q.Limit == 0 {
		q.Limit = 100
	}
	return ids(value(s.Roster(t.Context(), q))(t), rosteredID)
}

// enters signs a user in to acme, through a provider if one is named.
func enters(t *testing.T, s storage.Storage, user, provider string, at time.Time) storage.Session {
	t.Helper()
	v := newSession(user, user+" at "+at.Format(time.RFC3339), at)
	v.Account = "acme"
	if provider != "" {
		v.Proof.FirstBy, v.Proof.Provider, v.Proof.ProviderAMR, v.Proof.ProviderACR = "sso", provider, "pwd,mfa", "high"
	}
	must(t, s.CreateSession(t.Context(), v))
	return v
}

// crew fills acme with one member of each standing, and another account.
func crew(t *testing.T, s storage.Storage) {
	t.Helper()
	account(t, s, "acme")
	account(t, s, "other")
	for _, id := range []string{"dora", "ben", "ana", "carl", "eve"} {
		user(t, s, id)
	}
	for _, id := range []string{"dora", "ben", "ana"} {
		member(t, s, "acme", id)
	}
	member(t, s, "other", "eve")
	must(t, s.PutMembership(t.Context(), storage.Membership{Account: "acme", User: "carl", Role: mfa.RoleMember, State: mfa.Invited, Created: now}))
	user(t, s, "off")
	member(t, s, "acme", "off")
	value(s.UpdateUser(t.Context(), "off", func(u *storage.User) error {
		u.Disabled = true
		return nil
	}))(t)
	provider(t, s, "acme", "p1")
	provider(t, s, "other", "p2")
	factor(t, s, "ana", "f1", now)
	enters(t, s, "ben", "p1", now)
}

var rosterChecks = []check{
	{"members are listed by address, page by page, and nobody else's", func(t *testing.T, s storage.Storage) {
		crew(t, s)
		same(t, rosterOf(t, s, storage.RosterQuery{Limit: 2}), []string{"ana", "ben"})
		same(t, rosterOf(t, s, storage.RosterQuery{Limit: 2, After: "ben@example.com"}), []string{"carl", "dora"})
		same(t, rosterOf(t, s, storage.RosterQuery{After: "dora@example.com"}), []string{"off"})
		same(t, rosterOf(t, s, storage.RosterQuery{After: "off@example.com"}), []string{})
		same(t, len(value(s.Roster(t.Context(), storage.RosterQuery{Account: "acme"}))(t)), 0)
	}},
	{"each stands in one way, and is counted and found by it", func(t *testing.T, s storage.Storage) {
		crew(t, s)
		for coverage, who := range map[storage.Coverage]string{
			storage.CoverageEnrolled: "ana", storage.CoverageProvider: "ben", storage.CoverageInvited: "carl", storage.CoverageMissing: "dora", storage.CoverageOff: "off",
		} {
			same(t, rosterOf(t, s, storage.RosterQuery{Coverage: coverage}), []string{who})
			same(t, value(s.Member(t.Context(), "acme", who))(t).Coverage, coverage)
			same(t, value(s.CountRoster(t.Context(), "acme"))(t)[coverage], 1)
		}
		same(t, value(s.CountRoster(t.Context(), "other"))(t), map[storage.Coverage]int{storage.CoverageMissing: 1})
		same(t, value(s.CountRoster(t.Context(), "none"))(t), map[storage.Coverage]int{})
	}},
	{"a member is told with what they have", func(t *testing.T, s storage.Storage) {
		crew(t, s)
		second := factor(t, s, "ana", "f2", now.Add(time.Hour))
		value(s.UpdateFactor(t.Context(), second.ID, func(f *storage.Factor) error {
			f.Used = now.Add(2 * time.Hour)
			return nil
		}))(t)
		enters(t, s, "ana", "", now.Add(time.Minute))
		want := storage.Rostered{
			Membership: storage.Membership{Account: "acme", User: "ana", Role: mfa.RoleMember, State: mfa.Joined, Created: now},
			Coverage:   storage.CoverageEnrolled, Email: "ana@example.com", Name: "User ana", Password: true,
			Enrolled: mfa.KindsOf(mfa.TOTP), Since: now, Used: now.Add(2 * time.Hour), SignedIn: now.Add(time.Minute), Alone: true,
		}
		same(t, value(s.Member(t.Context(), "acme", "ana"))(t), want)
		ben := value(s.Member(t.Context(), "acme", "ben"))(t)
		same(t, []string{ben.Provider, ben.ProviderAMR, ben.ProviderACR}, []string{"p1", "pwd,mfa", "high"})
		_, err := s.Member(t.Context(), "acme", "eve")
		refuses(t, err, storage.ErrNotFound)
	}},
	{"the last sign-in counts, and outlives its session", func(t *testing.T, s storage.Storage) {
		crew(t, s)
		enters(t, s, "ben", "", now.Add(time.Hour))
		same(t, value(s.Member(t.Context(), "acme", "ben"))(t).Coverage, storage.CoverageMissing)
		enters(t, s, "ben", "p1", now.Add(-time.Hour)) // an older one, told late
		same(t, value(s.Member(t.Context(), "acme", "ben"))(t).SignedIn, now.Add(time.Hour))
		value(s.SweepSessions(t.Context(), now.Add(1000*time.Hour), 10))(t)
		same(t, value(s.Member(t.Context(), "acme", "ben"))(t).SignedIn, now.Add(time.Hour))
	}},
	{"another account's provider says nothing here, unless both linked one issuer", func(t *testing.T, s storage.Storage) {
		crew(t, s)
		through := func(issuer string, at time.Time) storage.Rostered {
			v := newSession("dora", "dora through "+issuer, at)
			v.Account, v.Proof.FirstBy, v.Proof.Provider, v.Proof.Issuer, v.Proof.ProviderAMR, v.Proof.ProviderACR = "acme", "sso", "p2", issuer, "mfa", "high"
			must(t, s.CreateSession(t.Context(), v))
			return value(s.Member(t.Context(), "acme", "dora"))(t)
		}
		got := through("https://login.example/other", now)
		same(t, []any{got.Coverage, got.Provider, got.ProviderAMR, got.ProviderACR, got.SignedIn}, []any{storage.CoverageMissing, "", "", "", now})
		got = through("https://login.example/acme", now.Add(time.Hour))
		same(t, []any{got.Coverage, got.Provider, got.ProviderAMR}, []any{storage.CoverageProvider, "p1", "mfa"})
	}},
	{"entering an account later counts there", func(t *testing.T, s storage.Storage) {
		crew(t, s)
		session(t, s, "dora", "s1", now)
		same(t, value(s.Member(t.Context(), "acme", "dora"))(t).SignedIn, time.Time{})
		value(s.UpdateSession(t.Context(), "s1", func(v *storage.Session) error {
			v.Account = "acme"
			return nil
		}))(t)
		same(t, value(s.Member(t.Context(), "acme", "dora"))(t).SignedIn, now)
	}},
	{"a search finds text anywhere in address and name, as it stands", func(t *testing.T, s storage.Storage) {
		crew(t, s)
		value(s.UpdateUser(t.Context(), "dora", func(u *storage.User) error {
			u.Name = `Dóra 100%_!\`
			return nil
		}))(t)
		for text, want := range map[string][]string{
			"NA@ex": {"ana"}, "dÓR": {"dora"}, "100%_": {"dora"}, `_!\`: {"dora"}, "_xa": {}, "%": {"dora"}, "nobody": {}, "eve": {}, "example": {"ana", "ben", "carl", "dora", "off"},
		} {
			same(t, rosterOf(t, s, storage.RosterQuery{Search: text}), want)
		}
	}},
	{"administrators are found", func(t *testing.T, s storage.Storage) {
		crew(t, s)
		must(t, s.PutMembership(t.Context(), storage.Membership{Account: "acme", User: "dora", Role: mfa.RoleAdmin, State: mfa.Joined, Created: now}))
		same(t, rosterOf(t, s, storage.RosterQuery{Admins: true}), []string{"dora"})
	}},
	{"an amendment sees a membership as it is, and changes role and state", func(t *testing.T, s storage.Storage) {
		crew(t, s)
		must(t, s.AmendMember(t.Context(), "acme", "carl", func(m *storage.Membership) error {
			same(t, []any{m.Role, m.State}, []any{mfa.RoleMember, mfa.Invited})
			m.Role, m.State = mfa.RoleAdmin, mfa.Joined
			return nil
		}))
		got := value(s.Membership(t.Context(), "acme", "carl"))(t)
		same(t, []any{got.Role, got.State}, []any{mfa.RoleAdmin, mfa.Joined})
		refuses(t, s.AmendMember(t.Context(), "acme", "eve", func(*storage.Membership) error { return nil }), storage.ErrNotFound)
		refuses(t, s.AmendMember(t.Context(), "acme", "ana", func(m *storage.Membership) error {
			m.Role = mfa.RoleAdmin
			return errChange
		}), errChange)
		same(t, value(s.Membership(t.Context(), "acme", "ana"))(t).Role, mfa.RoleMember)
	}},
	{"of administrators who are amended at once, one stays", func(t *testing.T, s storage.Storage) {
		crew(t, s)
		two := []string{"ana", "dora"}
		for _, id := range two {
			must(t, s.PutMembership(t.Context(), storage.Membership{Account: "acme", User: id, Role: mfa.RoleAdmin, State: mfa.Joined, Created: now}))
		}
		oneWins(t, race(2, func(i int) error {
			return s.AmendMember(t.Context(), "acme", two[i], func(m *storage.Membership) error {
				m.Role = mfa.RoleMember
				return nil
			})
		}), storage.ErrLastAdmin)
	}},
	{"a reset takes everything of who has joined no other account", func(t *testing.T, s storage.Storage) {
		crew(t, s)
		codes(t, s, "ana", "c1", "c2")
		must(t, s.PutMembership(t.Context(), storage.Membership{Account: "other", User: "ana", Role: mfa.RoleMember, State: mfa.Invited, Created: now}))
		same(t, value(s.ResetMember(t.Context(), "acme", "ana"))(t), 1)
		same(t, len(value(s.FactorsOf(t.Context(), "ana"))(t)), 0)
		same(t, len(value(s.RecoveryCodesOf(t.Context(), "ana"))(t)), 0)
		same(t, value(s.Member(t.Context(), "acme", "ana"))(t).Coverage, storage.CoverageMissing)
	}},
	{"a reset weakens no other account, and is for members alone", func(t *testing.T, s storage.Storage) {
		crew(t, s)
		member(t, s, "other", "ana")
		_, err := s.ResetMember(t.Context(), "acme", "ana")
		refuses(t, err, storage.ErrConflict)
		same(t, value(s.Member(t.Context(), "acme", "ana"))(t).Alone, false)
		for _, who := range []string{"carl", "eve", "nobody"} {
			_, err := s.ResetMember(t.Context(), "acme", who)
			refuses(t, err, storage.ErrNotFound)
		}
		same(t, len(value(s.FactorsOf(t.Context(), "ana"))(t)), 1)
	}},
	{"sessions end in one account, and go on in others", func(t *testing.T, s storage.Storage) {
		crew(t, s)
		in := enters(t, s, "ana", "", now)
		session(t, s, "ana", "elsewhere", now)
		same(t, value(s.RevokeSessionsIn(t.Context(), "acme", "ana", now.Add(time.Minute)))(t), 1)
		same(t, value(s.Session(t.Context(), in.ID))(t).Revoked, now.Add(time.Minute))
		same(t, value(s.Session(t.Context(), "elsewhere"))(t).Revoked, time.Time{})
		same(t, value(s.RevokeSessionsIn(t.Context(), "acme", "ana", now.Add(time.Hour)))(t), 0)
	}},
	{"how accounts stand is noted when it has changed, once a day, part by part", func(t *testing.T, s storage.Storage) {
		crew(t, s)
		same(t, value(s.AdoptionOf(t.Context(), "acme", 10))(t), []storage.Adoption{})
		day := func(n int) time.Time { return time.Date(2026, time.March, 4+n, 0, 0, 0, 0, time.UTC) }
		note := func(n int) {
			at := day(n).Add(15 * time.Hour)
			same(t, value(s.NoteAdoption(t.Context(), at, "", 1))(t), "acme")
			same(t, value(s.NoteAdoption(t.Context(), at, "acme", 1))(t), "other")
			same(t, value(s.NoteAdoption(t.Context(), at, "other", 1))(t), "")
		}
		counts := func(missing int) map[storage.Coverage]int {
			return map[storage.Coverage]int{storage.CoverageEnrolled: 1, storage.CoverageProvider: 1, storage.CoverageMissing: missing,
				storage.CoverageInvited: 1, storage.CoverageOff: 1}
		}
		note(0)
		note(1)
		must(t, s.RemoveMembership(t.Context(), "acme", "dora"))
		note(2)
		member(t, s, "acme", "dora")
		must(t, s.RemoveMembership(t.Context(), "other", "eve"))
		note(2)
		same(t, value(s.AdoptionOf(t.Context(), "acme", 10))(t), []storage.Adoption{{Day: day(0), Counts: counts(1)}, {Day: day(2), Counts: counts(1)}})
		same(t, value(s.AdoptionOf(t.Context(), "acme", 1))(t), []storage.Adoption{{Day: day(2), Counts: counts(1)}})
		got := value(s.AdoptionOf(t.Context(), "other", 10))(t)
		same(t, []int{len(got), got[0].Counts[storage.CoverageMissing], got[1].Counts[storage.CoverageMissing]}, []int{2, 1, 0})
	}},
}
