package storagetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// standing puts together from a member's own rows how they stand at now.
func standing(t *testing.T, s storage.Storage, m storage.Membership) storage.Standing {
	t.Helper()
	u := value(s.User(t.Context(), m.User))(t)
	st := storage.Standing{
		State: m.State, Role: m.Role, Disabled: u.Disabled, Password: u.PasswordHash != "",
		Domain: storage.DomainOf(u.Email), Snoozed: m.SnoozedUntil.After(now),
	}
	for _, f := range value(s.FactorsOf(t.Context(), m.User))(t) {
		st.Enrolled |= mfa.Kinds(f.Kind)
	}
	for _, c := range value(s.RecoveryCodesOf(t.Context(), m.User))(t) {
		if c.Used.IsZero() {
			st.Enrolled |= mfa.Kinds(mfa.Recovery)
		}
	}
	return st
}

// counted fails the test unless the census of an account says what its members'
// own rows say, and names the same people.
func counted(t *testing.T, s storage.Storage, account string) {
	t.Helper()
	want := make(map[storage.Standing][]string)
	for _, m := range value(s.Members(t.Context(), account, "", 1000))(t) {
		st := standing(t, s, m)
		want[st] = append(want[st], m.User)
	}
	got := value(s.Census(t.Context(), account, now))(t)
	if len(got) != len(want) {
		t.Errorf("account %s: expected %d groups, got %+v", account, len(want), got)
	}
	for _, g := range got {
		if g.People != len(want[g.Standing]) {
			t.Errorf("account %s: expected %d people who stand like %+v, got %d", account, len(want[g.Standing]), g.Standing, g.People)
		}
		people := value(s.PeopleAlike(t.Context(), account, g.Standing, now, "", 1000))(t)
		same(t, ids(people, func(p storage.Person) string { return p.ID }), want[g.Standing])
	}
}

// standingChanges are all the ways in which a person's standing changes.
var standingChanges = map[string]func(t *testing.T, s storage.Storage, id string, n int) error{
	"join": func(t *testing.T, s storage.Storage, id string, n int) error {
		m := storage.Membership{Account: []string{"acme", "borealis"}[n%2], User: id, Role: mfa.RoleMember, State: mfa.Joined, Created: now}
		if n%3 == 0 {
			m.Role = mfa.RoleAdmin
		}
		if n%5 == 0 {
			m.State = mfa.Invited
		}
		return s.PutMembership(t.Context(), m)
	},
	"invite": func(t *testing.T, s storage.Storage, id string, n int) error {
		return s.CreateMembership(t.Context(), storage.Membership{Account: "acme", User: id, Role: mfa.RoleMember, State: mfa.Invited, Created: now})
	},
	"amend": func(t *testing.T, s storage.Storage, id string, n int) error {
		return s.AmendMember(t.Context(), "acme", id, func(m *storage.Membership) error {
			m.Role, m.State = []mfa.Role{mfa.RoleMember, mfa.RoleAdmin}[n%2], []mfa.MemberState{mfa.Joined, mfa.Invited}[n/2%2]
			return nil
		})
	},
	"reset here": func(t *testing.T, s storage.Storage, id string, _ int) error {
		_, err := s.ResetMember(t.Context(), "acme", id)
		return err
	},
	"leave": func(t *testing.T, s storage.Storage, id string, _ int) error {
		return s.RemoveMembership(t.Context(), "acme", id)
	},
	"snooze": func(t *testing.T, s storage.Storage, id string, n int) error {
		return s.Snooze(t.Context(), "acme", id, now.Add(time.Duration(n-2)*time.Hour))
	},
	"enrol": func(t *testing.T, s storage.Storage, id string, n int) error {
		kind := []mfa.Kind{mfa.TOTP, mfa.WebAuthn}[n%2]
		return s.CreateFactor(t.Context(), storage.Factor{ID: id + "-" + kind.String(), User: id, Kind: kind, Created: now}, 9)
	},
	"remove": func(t *testing.T, s storage.Storage, id string, _ int) error {
		return s.RemoveFactor(t.Context(), id, id+"-totp")
	},
	"reset": func(t *testing.T, s storage.Storage, id string, _ int) error {
		_, err := s.RemoveFactorsOf(t.Context(), id)
		return err
	},
	"new codes": func(t *testing.T, s storage.Storage, id string, n int) error {
		return s.ReplaceRecoveryCodes(t.Context(), id, []storage.RecoveryCode{{ID: id + "-code", User: id}}[:min(n, 1)])
	},
	"use a code": func(t *testing.T, s storage.Storage, id string, _ int) error {
		return s.UseRecoveryCode(t.Context(), id, id+"-code", now)
	},
	"change the person": func(t *testing.T, s storage.Storage, id string, n int) error {
		_, err := s.UpdateUser(t.Context(), id, func(u *storage.User) error {
			u.Disabled, u.PasswordHash = n%4 == 0, []string{"", "hash"}[n%2]
			u.Email = fmt.Sprintf("%s@%s.example", id, []string{"acme", "partner"}[n%2])
			return nil
		})
		return err
	},
}

var censusChecks = []check{
	{"an account of nobody has nobody to count", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		same(t, len(value(s.Census(t.Context(), "acme", now))(t)), 0)
		same(t, len(value(s.PeopleAlike(t.Context(), "acme", storage.Standing{State: mfa.Joined, Role: mfa.RoleMember}, now, "", 9))(t)), 0)
	}},
	{"it says what the members' own rows say, whatever was written", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "borealis")
		chance := rand.New(rand.NewPCG(1, 2))
		var people []string
		for i := range 6 {
			people = append(people, user(t, s, fmt.Sprintf("u%d", i)).ID)
		}
		var names []string
		for name := range standingChanges {
			names = append(names, name)
		}
		slices.Sort(names)
		done := make(map[string]int)
		for range 200 {
			name := names[chance.IntN(len(names))]
			if standingChanges[name](t, s, people[chance.IntN(len(people))], chance.IntN(6)) == nil {
				done[name]++
				counted(t, s, "acme")
				counted(t, s, "borealis")
			}
		}
		for _, name := range names {
			if done[name] == 0 {
				t.Errorf("nobody did: %s", name)
			}
		}
	}},
	{"changes at once leave it right", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "borealis")
		user(t, s, "u1")
		race(rivals, func(i int) error {
			if i%2 == 0 {
				return standingChanges["join"](t, s, "u1", i)
			}
			return standingChanges["enrol"](t, s, "u1", i/2)
		})
		counted(t, s, "acme")
		counted(t, s, "borealis")
	}},
	{"people who stand alike are listed in parts", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		var want []string
		for i := range 5 {
			want = append(want, user(t, s, fmt.Sprintf("u%d", i)).ID)
			member(t, s, "acme", want[i])
		}
		groups := value(s.Census(t.Context(), "acme", now))(t)
		same(t, len(groups), 1)
		var got []storage.Person
		for after := ""; ; {
			part := value(s.PeopleAlike(t.Context(), "acme", groups[0].Standing, now, after, 2))(t)
			if len(part) == 0 {
				break
			}
			got = append(got, part...)
			after = part[len(part)-1].ID
		}
		same(t, ids(got, func(p storage.Person) string { return p.ID }), want)
		if slices.ContainsFunc(got, func(p storage.Person) bool { return p.Email == "" }) {
			t.Errorf("a person without an address: %+v", got)
		}
	}},
}
