package admin_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// people lists the ids that a query selects, page by page.
func (w *world) people(a admin.Actor, q admin.PeopleQuery) []string {
	w.t.Helper()
	var found []string
	for q.Limit = 2; ; {
		list, next, err := w.People(w.t.Context(), a, q)
		w.must(err)
		for _, m := range list {
			found = append(found, m.User)
		}
		if q.After = next; next == "" {
			slices.Sort(found)
			return found
		}
	}
}

func TestPeopleAreListedByHowTheyStand(t *testing.T) {
	w := newWorld(t)
	boss := w.administrator("boss")
	for _, id := range []string{"a", "b", "c", "d"} {
		w.person(id, "acme.example", mfa.RoleMember)
	}
	w.enrol("b", mfa.TOTP)
	w.enrol("c", mfa.WebAuthn)
	w.must(w.Store.PutMembership(t.Context(), storage.Membership{Account: "acme", User: "d", Role: mfa.RoleMember, State: mfa.Invited, Created: w.now}))
	change := func(edit func(*storage.Account)) {
		_, err := w.Store.UpdateAccount(t.Context(), "acme", func(a *storage.Account) error { edit(a); return nil })
		w.must(err)
	}
	check := func(overdue []string) {
		t.Helper()
		for only, want := range map[string][]string{
			"": {"a", "b", "boss", "c", "d"}, "enrolled": {"b", "boss", "c"}, "missing": {"a"}, "invited": {"d"}, "admins": {"boss"}, "overdue": overdue,
		} {
			if got := w.people(boss, admin.PeopleQuery{Only: only}); !slices.Equal(got, want) {
				t.Errorf("%q: got %q, want %q", only, got, want)
			}
		}
		st, err := w.Standing(t.Context(), boss)
		w.must(err)
		if st.People != 5 || st.Of[storage.CoverageEnrolled] != 3 || st.Overdue != len(overdue) {
			t.Errorf("%+v", st)
		}
		for _, id := range []string{"a", "b", "c", "d", "boss"} {
			p, err := w.Person(t.Context(), boss, id)
			w.must(err)
			if p.Overdue != slices.Contains(overdue, id) {
				t.Errorf("%s: overdue is %t", id, p.Overdue)
			}
		}
	}
	check(nil)
	change(func(a *storage.Account) { a.Policy = mfa.Required })
	check([]string{"a"})
	change(func(a *storage.Account) { a.Accept = mfa.KindsOf(mfa.WebAuthn) })
	check([]string{"a", "b", "boss"}) // an app does not count
	if got := w.people(boss, admin.PeopleQuery{Only: "overdue", Search: "Person B"}); !slices.Equal(got, []string{"b", "boss"}) {
		t.Errorf("%q", got)
	}
}

func TestOfWhoHasNotJoinedTheAddressIsKnown(t *testing.T) {
	w := newWorld(t)
	boss := w.administrator("boss")
	w.must(w.Store.CreateAccount(t.Context(), storage.Account{ID: "other", Name: "Other", Policy: mfa.Optional, Created: w.now}))
	known := w.person("known", "partner.example", mfa.RoleMember)
	w.enrol("known", mfa.TOTP)
	w.must(w.Store.RemoveMembership(t.Context(), "acme", known.ID))
	w.must(w.Store.PutMembership(t.Context(), storage.Membership{Account: "other", User: known.ID, Role: mfa.RoleMember, State: mfa.Joined, Created: w.now}))
	answers := make(map[string]admin.Invited)
	for _, email := range []string{known.Email, "unknown@partner.example"} {
		in, err := w.Invite(t.Context(), boss, " "+strings.ToUpper(email), mfa.RoleMember)
		w.must(err)
		answers[email] = in
		p, err := w.Person(t.Context(), boss, in.User)
		w.must(err)
		p.User, p.Email = "", ""
		want := admin.Member{Rostered: storage.Rostered{Coverage: storage.CoverageInvited,
			Membership: storage.Membership{Account: "acme", Role: mfa.RoleMember, State: mfa.Invited, Created: w.now}}}
		if p != want {
			t.Errorf("%s: %+v", email, p)
		}
	}
	for email, in := range answers {
		if len(in.Code) != 32 || in.Mailed || in.Email != email || !in.Expires.Equal(w.now.Add(7*24*time.Hour)) {
			t.Errorf("%s: %+v", email, in)
		}
	}
	if _, err := w.EndSessions(t.Context(), boss, known.ID); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("sessions of somebody who has not joined were ended: %v", err)
	}
}

func TestInvitingIsRefusedWithTheReason(t *testing.T) {
	w := newWorld(t)
	boss := w.administrator("boss")
	_, err := w.Invite(t.Context(), boss, "fay@acme.example", mfa.RoleMember)
	w.must(err)
	for email, want := range map[string]error{
		"nobody": admin.ErrAddress, "a@b@acme.example": admin.ErrAddress, "boss@acme.example": admin.ErrMember, "fay@acme.example": admin.ErrInvited,
	} {
		if _, err := w.Invite(t.Context(), boss, email, mfa.RoleMember); !errors.Is(err, want) {
			t.Errorf("%s: %v", email, err)
		}
	}
	if _, err := w.Invite(t.Context(), boss, "gus@acme.example", 0); !errors.Is(err, admin.ErrRole) {
		t.Errorf("without a role: %v", err)
	}
	var wait *limit.Wait
	for i := 0; !errors.As(err, &wait); i++ {
		if i > limit.Invitations.Free {
			t.Fatal("an account invites without end")
		}
		_, err = w.Invite(t.Context(), boss, fmt.Sprintf("p%d@acme.example", i), mfa.RoleMember)
	}
}

// Whatever an administrator does to whom, one is left who gets in.
func TestTheLastAdministratorStays(t *testing.T) {
	w := newWorld(t)
	boss := w.administrator("boss")
	program := admin.Actor{Account: "acme", User: admin.ByToken("t1")}
	for name, err := range map[string]error{
		"demoted": w.SetRole(t.Context(), program, "boss", mfa.RoleMember), "removed": w.RemoveMember(t.Context(), program, "boss"),
	} {
		if !errors.Is(err, storage.ErrLastAdmin) {
			t.Errorf("%s: %v", name, err)
		}
	}
	second := w.administrator("second")
	for name, err := range map[string]error{
		"demotes themselves": w.SetRole(t.Context(), boss, "boss", mfa.RoleMember), "removes themselves": w.RemoveMember(t.Context(), boss, "boss"),
	} {
		if !errors.Is(err, admin.ErrSelf) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.ResetFactors(t.Context(), boss, "boss"); !errors.Is(err, admin.ErrSelf) {
		t.Errorf("resets themselves: %v", err)
	}
	w.must(w.SetRole(t.Context(), second, "boss", mfa.RoleMember))
	if err := w.RemoveMember(t.Context(), program, "second"); !errors.Is(err, storage.ErrLastAdmin) {
		t.Errorf("removed: %v", err)
	}
}

// How people stand is noted day by day; the last day is now.
func TestAdoptionIsNoted(t *testing.T) {
	w := newWorld(t)
	boss := w.administrator("boss")
	w.person("a", "acme.example", mfa.RoleMember)
	w.must(w.NoteAdoption(t.Context()))
	w.must(w.NoteAdoption(t.Context()))
	w.now = w.now.AddDate(0, 0, 3)
	w.enrol("a", mfa.TOTP)
	for range 2 { // whether or not today was noted
		st, err := w.Standing(t.Context(), boss)
		w.must(err)
		days, err := w.Adoption(t.Context(), boss, st)
		w.must(err)
		if len(days) != 2 || days[0].Counts[storage.CoverageMissing] != 1 || days[1].Counts[storage.CoverageEnrolled] != 2 ||
			!days[1].Day.Equal(time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%+v", days)
		}
		w.must(w.NoteAdoption(t.Context()))
	}
}

// BenchmarkPeople makes the page about the people of an account of 100,000
// members, with a search that finds nobody, which is the dearest. The project
// promises less than 100 ms on SQLite.
func BenchmarkPeople(b *testing.B) {
	w := newWorld(b)
	boss := admin.Actor{Account: "acme"}
	w.fill(100_000)
	for _, c := range []struct {
		name  string
		query admin.PeopleQuery
	}{
		{"first page", admin.PeopleQuery{}},
		{"search", admin.PeopleQuery{Search: "nobody has this name"}},
		{"missing", admin.PeopleQuery{Only: "missing", After: "person5"}},
		{"overdue", admin.PeopleQuery{Only: admin.OnlyOverdue}},
	} {
		c.query.Limit = 50
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				st, err := w.Standing(b.Context(), boss)
				if err != nil || st.People != 100_000 {
					b.Fatalf("%+v, %v", st, err)
				}
				if _, _, err := w.People(b.Context(), boss, c.query); err != nil {
					b.Fatal(err)
				}
				if _, err := w.Adoption(b.Context(), boss, st); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
