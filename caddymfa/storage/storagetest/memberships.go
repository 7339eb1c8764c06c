package storagetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func memberID(m storage.Membership) string { return m.User }

var membershipChecks = []check{
	{"what was put is read back", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		user(t, s, "u1")
		want := storage.Membership{
			Account: "acme", User: "u1", Role: mfa.RoleAdmin, State: mfa.Invited,
			SnoozedUntil: now.Add(time.Hour), Origin: storage.FromConfig, Created: now,
		}
		must(t, s.PutMembership(t.Context(), want))
		same(t, value(s.Membership(t.Context(), "acme", "u1"))(t), want)
	}},
	{"account and user must be there", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		user(t, s, "u1")
		m := storage.Membership{Account: "acme", User: "u1", Role: mfa.RoleMember, State: mfa.Joined, Created: now}
		m.Account = "other"
		refuses(t, s.PutMembership(t.Context(), m), storage.ErrNotFound)
		m.Account, m.User = "acme", "u2"
		refuses(t, s.PutMembership(t.Context(), m), storage.ErrNotFound)
	}},
	{"without a role or a state there is no membership", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		user(t, s, "u1")
		for _, m := range []storage.Membership{
			{Account: "acme", User: "u1", State: mfa.Joined, Created: now},
			{Account: "acme", User: "u1", Role: mfa.RoleMember, Created: now},
		} {
			if s.PutMembership(t.Context(), m) == nil {
				t.Errorf("%+v was stored", m)
			}
		}
		_, err := s.Membership(t.Context(), "acme", "u1")
		refuses(t, err, storage.ErrNotFound)
	}},
	{"to put it again changes role, state and origin, and leaves the snooze", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		user(t, s, "u1")
		want := member(t, s, "acme", "u1")
		must(t, s.Snooze(t.Context(), "acme", "u1", now.Add(time.Hour)))
		must(t, s.PutMembership(t.Context(), storage.Membership{
			Account: "acme", User: "u1", Role: mfa.RoleAdmin, State: mfa.Invited, Origin: storage.FromConfig, Created: now.Add(time.Minute),
		}))
		want.Role, want.State, want.Origin, want.SnoozedUntil = mfa.RoleAdmin, mfa.Invited, storage.FromConfig, now.Add(time.Hour)
		same(t, value(s.Membership(t.Context(), "acme", "u1"))(t), want)
	}},
	{"one that is created leaves one that is there as it is", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		user(t, s, "u1")
		want := member(t, s, "acme", "u1")
		again := storage.Membership{Account: "acme", User: "u1", Role: mfa.RoleAdmin, State: mfa.Invited, Created: now.Add(time.Hour)}
		refuses(t, s.CreateMembership(t.Context(), again), storage.ErrExists)
		same(t, value(s.Membership(t.Context(), "acme", "u1"))(t), want)
		must(t, s.RemoveMembership(t.Context(), "acme", "u1"))
		must(t, s.CreateMembership(t.Context(), again))
		same(t, value(s.Membership(t.Context(), "acme", "u1"))(t), again)
		again.User = "nobody"
		refuses(t, s.CreateMembership(t.Context(), again), storage.ErrNotFound)
	}},
	{"a snooze can be ended", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		user(t, s, "u1")
		want := member(t, s, "acme", "u1")
		must(t, s.Snooze(t.Context(), "acme", "u1", now.Add(time.Hour)))
		must(t, s.Snooze(t.Context(), "acme", "u1", time.Time{}))
		same(t, value(s.Membership(t.Context(), "acme", "u1"))(t), want)
	}},
	{"who is no member cannot snooze or be removed", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "other")
		user(t, s, "u1")
		member(t, s, "other", "u1")
		_, err := s.Membership(t.Context(), "acme", "u1")
		refuses(t, err, storage.ErrNotFound)
		refuses(t, s.Snooze(t.Context(), "acme", "u1", now), storage.ErrNotFound)
		refuses(t, s.RemoveMembership(t.Context(), "acme", "u1"), storage.ErrNotFound)
	}},
	{"what was removed is gone, and only that", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "other")
		user(t, s, "u1")
		member(t, s, "acme", "u1")
		kept := member(t, s, "other", "u1")
		must(t, s.RemoveMembership(t.Context(), "acme", "u1"))
		same(t, value(s.MembershipsOf(t.Context(), "u1"))(t), []storage.Membership{kept})
		refuses(t, s.RemoveMembership(t.Context(), "acme", "u1"), storage.ErrNotFound)
	}},
	{"a person's list is by account, and theirs alone", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		user(t, s, "u2")
		for _, id := range []string{"c", "a", "b"} {
			account(t, s, id)
			member(t, s, id, "u1")
		}
		member(t, s, "a", "u2")
		got := ids(value(s.MembershipsOf(t.Context(), "u1"))(t), func(m storage.Membership) string { return m.Account })
		same(t, got, []string{"a", "b", "c"})
	}},
	{"an account's list has pages, by user, and holds no other account's members", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "other")
		for _, id := range []string{"e", "a", "d", "b", "c", "x"} {
			user(t, s, id)
			if id == "x" {
				member(t, s, "other", id)
				continue
			}
			member(t, s, "acme", id)
		}
		got := pages(t, memberID, func(ctx context.Context, after string) ([]storage.Membership, error) {
			return s.Members(ctx, "acme", after, 2)
		})
		same(t, got, []string{"a", "b", "c", "d", "e"})
		same(t, ids(value(s.Members(t.Context(), "other", "", 10))(t), memberID), []string{"x"})
		same(t, len(value(s.Members(t.Context(), "acme", "", 0))(t)), 0)
	}},
	{"administrators are joined and not disabled, by e-mail", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "other")
		put := func(id, in string, role mfa.Role, state mfa.MemberState) storage.User {
			u := user(t, s, id)
			must(t, s.PutMembership(t.Context(), storage.Membership{Account: in, User: id, Role: role, State: state, Created: now}))
			return u
		}
		b := put("b", "acme", mfa.RoleAdmin, mfa.Joined)
		a := put("a", "acme", mfa.RoleAdmin, mfa.Joined)
		put("member", "acme", mfa.RoleMember, mfa.Joined)
		put("invited", "acme", mfa.RoleAdmin, mfa.Invited)
		put("elsewhere", "other", mfa.RoleAdmin, mfa.Joined)
		put("off", "acme", mfa.RoleAdmin, mfa.Joined)
		_, err := s.UpdateUser(t.Context(), "off", func(u *storage.User) error { u.Disabled = true; return nil })
		must(t, err)
		same(t, value(s.Administrators(t.Context(), "acme"))(t), []storage.User{a, b})
	}},
	{"who has no password is listed by domain, in pages, and of this account alone", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "other")
		for _, u := range []struct {
			email, hash, account string
			state                mfa.MemberState
		}{
			{"c@a_c.example", "", "acme", mfa.Joined},
			{"a@a_c.example", "", "acme", mfa.Joined},
			{"b@a_c.example", "", "acme", mfa.Joined},
			{"d@a_c.example", "hash", "acme", mfa.Joined},
			{"e@a_c.example", "", "acme", mfa.Invited},
			{"f@a_c.example", "", "other", mfa.Joined},
			{"g@abc.example", "", "acme", mfa.Joined},
			{"h@sub.a_c.example", "", "acme", mfa.Joined},
		} {
			must(t, s.CreateUser(t.Context(), storage.User{ID: u.email, Email: u.email, PasswordHash: u.hash, Created: now}))
			must(t, s.PutMembership(t.Context(), storage.Membership{Account: u.account, User: u.email, Role: mfa.RoleMember, State: u.state, Created: now}))
		}
		got := pages(t, func(u storage.User) string { return u.Email }, func(ctx context.Context, after string) ([]storage.User, error) {
			return s.WithoutPassword(ctx, "acme", "a_c.example", after, 2)
		})
		same(t, got, []string{"a@a_c.example", "b@a_c.example", "c@a_c.example"})
		same(t, len(value(s.WithoutPassword(t.Context(), "acme", "%", "", 9))(t)), 0)
		same(t, len(value(s.WithoutPassword(t.Context(), "acme", "a_c.example", "", 0))(t)), 0)
	}},
	{"an account keeps an administrator who can sign in", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		account(t, s, "other")
		admin := func(account, id string, more func(*storage.User)) storage.Membership {
			u := storage.User{ID: id, Email: id + "@acme.example", PasswordHash: "hash", Created: now}
			more(&u)
			must(t, s.CreateUser(t.Context(), u))
			m := storage.Membership{Account: account, User: id, Role: mfa.RoleAdmin, State: mfa.Joined, Created: now}
			must(t, s.PutMembership(t.Context(), m))
			return m
		}
		going := admin("acme", "going", func(*storage.User) {})
		admin("other", "elsewhere", func(*storage.User) {})
		lonely := func(why string) {
			t.Helper()
			lesser, invited := going, going
			lesser.Role, invited.State = mfa.RoleMember, mfa.Invited
			for _, err := range []error{s.PutMembershipKeepingAdmin(t.Context(), lesser), s.PutMembershipKeepingAdmin(t.Context(), invited),
				s.RemoveMembershipKeepingAdmin(t.Context(), "acme", "going")} {
				if !errors.Is(err, storage.ErrLastAdmin) {
					t.Errorf("%s: %v", why, err)
				}
			}
			same(t, value(s.Membership(t.Context(), "acme", "going"))(t), going)
		}
		lonely("alone")
		admin("acme", "off", func(u *storage.User) { u.Disabled = true })
		lonely("with one who is disabled")
		invited := admin("acme", "invited", func(*storage.User) {})
		invited.State = mfa.Invited
		must(t, s.PutMembership(t.Context(), invited))
		lonely("with one who is invited")
		without := admin("acme", "without", func(u *storage.User) { u.PasswordHash = "" })
		lonely("with one who has no way to sign in")

		// Who is no administrator, or stays one, may change; and so may anybody with
		// one who signs in by a passkey, or where their domain leads.
		must(t, s.PutMembershipKeepingAdmin(t.Context(), going))
		user(t, s, "u1")
		must(t, s.PutMembershipKeepingAdmin(t.Context(), storage.Membership{Account: "acme", User: "u1", Role: mfa.RoleMember, State: mfa.Joined, Created: now}))
		must(t, s.RemoveMembershipKeepingAdmin(t.Context(), "acme", "u1"))
		lesser := going
		lesser.Role = mfa.RoleMember
		again := func() {
			t.Helper()
			must(t, s.PutMembershipKeepingAdmin(t.Context(), lesser))
			must(t, s.PutMembership(t.Context(), going))
		}
		must(t, s.CreateFactor(t.Context(), storage.Factor{ID: "key", User: without.User, Kind: mfa.WebAuthn, State: []byte("x"), Created: now}, 10))
		again()
		must(t, s.RemoveFactor(t.Context(), without.User, "key"))
		lonely("with one whose passkey is gone")
		must(t, s.PutProvider(t.Context(), storage.IdentityProvider{ID: "idp", Account: "other", Kind: "oidc", Settings: []byte("x"), Trust: mfa.Precedence, Created: now}))
		d := storage.Domain{Account: "other", Name: "acme.example", Provider: "idp", Created: now}
		must(t, s.PutDomain(t.Context(), d))
		lonely("with one whose domain is only claimed")
		d.Verified = true
		must(t, s.PutDomain(t.Context(), d))
		again()
		_, err := s.UpdateProvider(t.Context(), "idp", func(p *storage.IdentityProvider) error { p.Disabled = true; return nil })
		must(t, err)
		lonely("with one whose provider is switched off")
		refuses(t, s.RemoveMembershipKeepingAdmin(t.Context(), "acme", "nobody"), storage.ErrNotFound)
		refuses(t, s.RemoveMembershipKeepingAdmin(t.Context(), "nowhere", "going"), storage.ErrNotFound)
	}},
	{"of administrators who all go at once, one stays", func(t *testing.T, s storage.Storage) {
		account(t, s, "acme")
		for i := range rivals {
			id := fmt.Sprintf("u%02d", i)
			must(t, s.CreateUser(t.Context(), storage.User{ID: id, Email: id + "@acme.example", PasswordHash: "hash", Created: now}))
			must(t, s.PutMembership(t.Context(), storage.Membership{Account: "acme", User: id, Role: mfa.RoleAdmin, State: mfa.Joined, Created: now}))
		}
		refused := 0
		for _, err := range race(rivals, func(i int) error {
			id := fmt.Sprintf("u%02d", i)
			if i%2 == 0 {
				return s.RemoveMembershipKeepingAdmin(t.Context(), "acme", id)
			}
			return s.PutMembershipKeepingAdmin(t.Context(), storage.Membership{Account: "acme", User: id, Role: mfa.RoleMember, State: mfa.Joined, Created: now})
		}) {
			if err != nil {
				refuses(t, err, storage.ErrLastAdmin)
				refused++
			}
		}
		same(t, len(value(s.Administrators(t.Context(), "acme"))(t)), 1)
		same(t, refused, 1)
	}},
}
