package login

import (
	"errors"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Whoever a provider says somebody is, no session comes of what it may not say.
func TestSSORefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(w *world, who *identity.Identity)
		reason string
	}{
		{"two addresses in one", func(_ *world, who *identity.Identity) { who.Email = "ana@evil.example@acme.example" }, "email_malformed"},
		{"an address that only looks like the domain's", func(_ *world, who *identity.Identity) { who.Email = "ana@acme.example.evil.example" }, "email_of_another_domain"},
		{"a subdomain", func(_ *world, who *identity.Identity) { who.Email = "ana@mail.acme.example" }, "email_of_another_domain"},
		{"an address of another account's domain", func(_ *world, who *identity.Identity) { who.Email = "ana@borealis.example" }, "email_of_another_domain"},
		{"a domain that was only claimed", func(_ *world, who *identity.Identity) { who.Email = "ana@pending.example" }, "email_of_another_domain"},
		{"a domain that leads to another provider", func(_ *world, who *identity.Identity) { who.Email = "ana@unlinked.example" }, "email_of_another_domain"},
		{"an unverified address", func(_ *world, who *identity.Identity) { who.EmailVerified = false }, "email_unverified"},
		{"no address", func(_ *world, who *identity.Identity) { who.Email = "" }, "email_missing"},
		{"no subject", func(_ *world, who *identity.Identity) { who.Subject = "" }, "subject_missing"},
		{"another issuer", func(_ *world, who *identity.Identity) { who.Issuer = "https://login.borealis.example" }, "issuer_mismatch"},
		{"no issuer", func(_ *world, who *identity.Identity) { who.Issuer = "" }, "issuer_mismatch"},
		{"an address given to somebody new", func(w *world, who *identity.Identity) {
			w.mustThrough("acme-page", nil)
			who.Subject = "subject-2"
		}, "subject_changed"},
		{"somebody switched off", func(w *world, who *identity.Identity) {
			u := w.person("ana@acme.example", "acme")
			w.store.UpdateUser(w.t.Context(), u.ID, func(u *storage.User) error { u.Disabled = true; return nil })
		}, "user_disabled"},
		{"somebody known, switched off", func(w *world, who *identity.Identity) {
			s := w.mustThrough("acme-page", nil)
			w.store.UpdateUser(w.t.Context(), s.User, func(u *storage.User) error { u.Disabled = true; return nil })
		}, "user_disabled"},
		{"somebody known, of a domain that was lost", func(w *world, who *identity.Identity) {
			w.mustThrough("acme-page", nil)
			w.domain(storage.Domain{Account: "acme", Name: "acme.example", Provider: "acme-page"})
		}, "domain_not_verified"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.account("acme", mfa.Optional)
			w.account("borealis", mfa.Optional)
			w.company("borealis", "page", "https://login.borealis.example", "borealis.example", false, Linking{Join: true})
			corp := w.company("acme", "page", issuer, "acme.example", false, Linking{Join: true})
			w.domain(storage.Domain{Account: "acme", Name: "pending.example", Provider: "acme-page"})
			w.domain(storage.Domain{Account: "acme", Name: "unlinked.example", Verified: true})
			victim := w.person("ana@borealis.example", "borealis")
			c.change(w, &corp.who)
			users, err := w.store.Users(t.Context(), "", 100)
			if err != nil {
				t.Fatal(err)
			}
			before := 0
			for _, u := range users {
				before += w.sessions(u.ID)
			}
			_, err = w.through("acme-page", nil)
			if !errors.Is(err, ErrRefused) {
				t.Fatalf("answered %v", err)
			}
			if !w.said("sign_in", "refused", c.reason) {
				t.Errorf("the audit does not say %q: %+v", c.reason, w.events)
			}
			after, err := w.store.Users(t.Context(), "", 100)
			if err != nil || len(after) != len(users) {
				t.Errorf("there are %d people, %v, and were %d", len(after), err, len(users))
			}
			now := 0
			for _, u := range after {
				now += w.sessions(u.ID)
			}
			if now != before || w.sessions(victim.ID) != 0 {
				t.Errorf("there are %d sessions, and were %d", now, before)
			}
		})
	}
}

func TestSSOWithoutJoin(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	corp := w.company("acme", "page", issuer, "acme.example", false, Linking{})
	if _, err := w.through("acme-page", nil); !errors.Is(err, ErrRefused) || !w.said("sign_in", "refused", "unknown_user") {
		t.Fatalf("somebody unknown: %v", err)
	}
	// Who has an account elsewhere gets a session, but not into this one.
	w.account("borealis", mfa.Optional)
	ana := w.person("ana@acme.example", "borealis")
	s := w.mustThrough("acme-page", nil)
	if d := w.decide(s, "acme"); s.User != ana.ID || d.Verdict != mfa.Deny || d.Reason != mfa.NotMember || s.Account != "borealis" {
		t.Errorf("decided %+v in %q", d, s.Account)
	}
	// An invitation is accepted by signing in, with the role that it offers.
	bea := w.person("bea@acme.example")
	invited := storage.Membership{Account: "acme", User: bea.ID, Role: mfa.RoleAdmin, State: mfa.Invited, Created: w.now()}
	if err := w.store.PutMembership(t.Context(), invited); err != nil {
		t.Fatal(err)
	}
	corp.who.Email, corp.who.Subject = "bea@acme.example", "subject-2"
	s = w.mustThrough("acme-page", nil)
	if m, err := w.store.Membership(t.Context(), "acme", bea.ID); err != nil || m.State != mfa.Joined || m.Role != mfa.RoleAdmin || s.Account != "acme" {
		t.Errorf("is %+v, %v, in %q", m, err, s.Account)
	}
}

func TestSSOGroupsMakeAdministrators(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	corp := w.company("acme", "page", issuer, "acme.example", false, Linking{Join: true, Admins: []string{"Portal Admins"}})
	other := w.person("bea@elsewhere.example")
	if err := w.store.PutMembership(t.Context(), storage.Membership{Account: "acme", User: other.ID, Role: mfa.RoleAdmin, State: mfa.Joined, Created: w.now()}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		groups []string
		want   mfa.Role
	}{{[]string{"Staff"}, mfa.RoleMember}, {[]string{"Staff", "Portal Admins"}, mfa.RoleAdmin}, {nil, mfa.RoleMember}} {
		corp.who.Groups = c.groups
		s := w.mustThrough("acme-page", nil)
		if m, err := w.store.Membership(t.Context(), "acme", s.User); err != nil || m.Role != c.want {
			t.Errorf("in %q: %v, %v", c.groups, m.Role, err)
		}
	}
}

// A company's groups cannot leave an account without an administrator: the last
// one stays, and comes in all the same.
func TestSSOGroupsKeepTheLastAdministrator(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	corp := w.company("acme", "page", issuer, "acme.example", false, Linking{Join: true, Admins: []string{"Portal Admins"}})
	corp.who.Groups = []string{"Portal Admins"}
	ana := w.mustThrough("acme-page", nil).User
	role := func() mfa.Role {
		m, err := w.store.Membership(t.Context(), "acme", ana)
		if err != nil {
			t.Fatal(err)
		}
		return m.Role
	}
	corp.who.Groups = []string{"Staff"}
	if s := w.mustThrough("acme-page", nil); s.Account != "acme" || role() != mfa.RoleAdmin {
		t.Errorf("the last administrator is a %v, in %q", role(), s.Account)
	}
	if !w.said("add_member", "refused", "last_admin") {
		t.Errorf("the audit does not say so: %+v", w.events)
	}
	corp.who.Subject, corp.who.Email, corp.who.Groups = "subject-2", "bea@acme.example", []string{"Portal Admins"}
	w.mustThrough("acme-page", nil)
	corp.who.Subject, corp.who.Email, corp.who.Groups = "subject-1", "ana@acme.example", []string{"Staff"}
	if w.mustThrough("acme-page", nil); role() != mfa.RoleMember {
		t.Errorf("with another administrator, she is a %v", role())
	}
}
