package login

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

const issuer = "https://login.acme.example"

func TestSSOSignsIn(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Required)
	corp := w.company("acme", "page", issuer, "acme.example", true, Linking{Join: true})
	corp.who.MFA, corp.who.AMR = true, []string{"pwd", "mfa"}
	s := w.mustThrough("acme-page", nil)
	if d := w.decide(s, "acme"); d.Verdict != mfa.Allow || d.Reason != mfa.ProviderPrecedence {
		t.Errorf("decided %+v", d)
	}
	user, err := w.store.UserByEmail(t.Context(), "ana@acme.example")
	if err != nil || user.ID != s.User || user.Name != "Ana" {
		t.Errorf("joined as %+v, %v", user, err)
	}
	want := mfa.Proof{
		User: user.ID, First: w.now(), FirstBy: mfa.BySSO, Provider: "acme-page", Issuer: issuer, Subject: "subject-1",
		ProviderAMR: "pwd mfa", ProviderACR: "low", ProviderSession: "sid-1", ProviderSecond: w.now(),
	}
	if s.Proof != want || s.Account != "acme" {
		t.Errorf("session of %q proves %+v, want %+v", s.Account, s.Proof, want)
	}
	for _, action := range []string{"add_user", "add_member", "sign_in"} {
		if !w.said(action, "ok", mfa.BySSO) {
			t.Errorf("the audit has no %s", action)
		}
	}
	// The next time nobody is added, and the address plays no part any more.
	corp.who.Email, corp.who.EmailVerified, corp.who.Session = "other@elsewhere.example", false, "sid-2"
	if again := w.mustThrough("acme-page", nil); again.User != s.User || again.ID == s.ID {
		t.Errorf("signed in as %q in session %q", again.User, again.ID)
	}
}

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

// One tenant's provider never vouches in another, unless both linked its issuer;
// and even then what proves several factors is judged by its own account alone.
func TestSSOElsewhere(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	w.account("borealis", mfa.Required)
	w.account("cumulus", mfa.Required)
	corp := w.company("acme", "page", issuer, "acme.example", false, Linking{Join: true})
	w.company("borealis", "page", "https://login.borealis.example", "borealis.example", false, Linking{})
	w.company("cumulus", "page", issuer, "acme.example", true, Linking{})
	corp.who.MFA = true
	ana := w.person("ana@acme.example", "acme", "borealis", "cumulus")
	s := w.mustThrough("acme-page", nil)
	for account, want := range map[string]mfa.Reason{"acme": mfa.ProviderPrecedence, "borealis": mfa.PolicyRequired, "cumulus": mfa.ProviderPrecedence} {
		if d := w.decide(s, account); d.Reason != want {
			t.Errorf("%s: decided %+v, want %s", account, d, want)
		}
	}
	row, err := w.store.Provider(t.Context(), "cumulus-page")
	if err != nil {
		t.Fatal(err)
	}
	row.Trust = mfa.Verify
	if err := w.store.PutProvider(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	if d := w.decide(s, "cumulus"); d.Verdict == mfa.Allow {
		t.Errorf("another account's settings proved a second factor: %+v", d)
	}
	if s.User != ana.ID {
		t.Error("another person signed in")
	}
}

func TestSSOTrust(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Required)
	corp := w.company("acme", "page", issuer, "acme.example", false, Linking{Join: true})
	for _, c := range []struct {
		trust mfa.Trust
		mfa   bool
		want  mfa.Reason
	}{
		{mfa.Precedence, false, mfa.ProviderPrecedence},
		{mfa.Precedence, true, mfa.ProviderPrecedence},
		{mfa.Verify, true, mfa.ProviderVerified},
		{mfa.Verify, false, mfa.PolicyRequired},
		{mfa.Stack, true, mfa.PolicyRequired},
	} {
		row, err := w.store.Provider(t.Context(), "acme-page")
		if err != nil {
			t.Fatal(err)
		}
		row.Trust = c.trust
		if err := w.store.PutProvider(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		corp.who.MFA = c.mfa
		if d := w.decide(w.mustThrough("acme-page", nil), "acme"); d.Reason != c.want {
			t.Errorf("%v, mfa %v: decided %+v, want %s", c.trust, c.mfa, d, c.want)
		}
	}
	list, err := w.Assurances(t.Context(), "acme")
	if err != nil || len(list) != 1 || list[0].SignIns != 5 || list[0].WithMFA != 3 || list[0].Percent() != 60 || list[0].Provider.Settings != nil {
		t.Errorf("assurances %+v, %v", list, err)
	}
}

func TestSSOIsAnsweredOnce(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	w.company("acme", "page", issuer, "acme.example", false, Linking{Join: true})
	ask := func() (Asked, url.Values) {
		_, asked, err := w.AskCompany(t.Context(), Ask{Provider: "acme-page"})
		if err != nil {
			t.Fatal(err)
		}
		return asked, url.Values{"state": {asked.State}}
	}
	asked, callback := ask()
	if _, err := w.AnswerCompany(t.Context(), client, asked, callback, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.AnswerCompany(t.Context(), client, asked, callback, nil); !errors.Is(err, ErrStartAgain) {
		t.Errorf("answered twice: %v", err)
	}
	asked, callback = ask()
	w.pass(askTime)
	if _, err := w.AnswerCompany(t.Context(), client, asked, callback, nil); !errors.Is(err, ErrStartAgain) {
		t.Errorf("answered too late: %v", err)
	}
	if _, err := w.AnswerCompany(t.Context(), client, Asked{}, url.Values{}, nil); !errors.Is(err, ErrStartAgain) {
		t.Errorf("answered what was never asked: %v", err)
	}
}

// A step-up comes back with a sign-in from just now, or changes nothing.
func TestSSOAgain(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	corp := w.company("acme", "page", issuer, "acme.example", false, Linking{Join: true})
	s := w.mustThrough("acme-page", nil)
	w.pass(time.Hour)
	ask := Ask{Provider: "acme-page", Again: true, MaxAge: 10 * time.Minute}
	for name, at := range map[string]time.Time{"an old sign-in": w.now().Add(-time.Hour), "one whose time is not said": {}} {
		corp.who.AuthTime = at
		if _, err := w.again(ask, &s); !errors.Is(err, ErrNotAgain) || !w.said("sign_in", "refused", "sign_in_too_old") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if w.over(s) || w.sessions(s.User) != 1 {
		t.Error("a refused step-up ended the session, or made another one")
	}
	corp.who.AuthTime = w.now().Add(-2 * time.Minute)
	next, err := w.again(ask, &s)
	if err != nil || !next.Proof.First.Equal(corp.who.AuthTime) || !w.over(s) {
		t.Errorf("answered %v, %v", next.Proof.First, err)
	}
	if r := corp.asked[len(corp.asked)-1]; !r.Again || r.MaxAge != 10*time.Minute {
		t.Errorf("asked %+v", r)
	}
	// Without a step-up such a sign-in opens a session, in which nothing counts as
	// fresh.
	corp.who.AuthTime = time.Time{}
	if s := w.mustThrough("acme-page", nil); w.now().Sub(s.Proof.First) < day {
		t.Errorf("a sign-in of unknown age counts as from %s", s.Proof.First)
	}
	corp.who.AuthTime = w.now().Add(time.Hour)
	if s := w.mustThrough("acme-page", nil); s.Proof.First.After(w.now()) {
		t.Errorf("a sign-in counts as from %s, which is to come", s.Proof.First)
	}
}

// What a provider says of itself may be refused before anybody goes there.
func TestSSORefusedBeforeAsking(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	corp := w.company("acme", "page", issuer, "acme.example", true, Linking{Join: true})
	corp.notBegun = &identity.Refusal{Reason: "discovery_issuer_mismatch"}
	if _, _, err := w.AskCompany(t.Context(), Ask{Provider: "acme-page", Client: client}); !errors.Is(err, ErrRefused) {
		t.Errorf("asked: %v", err)
	}
	if !w.said("sign_in", "refused", "discovery_issuer_mismatch") {
		t.Error("the audit does not say so")
	}
}

func TestSSOWhileTheProviderIsDown(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	corp := w.company("acme", "page", issuer, "acme.example", true, Linking{Join: true})
	_, asked, err := w.AskCompany(t.Context(), Ask{Provider: "acme-page"})
	if err != nil {
		t.Fatal(err)
	}
	corp.err = errors.Join(identity.ErrUnavailable, errors.New("connection refused"))
	if _, err := w.AnswerCompany(t.Context(), client, asked, url.Values{"state": {asked.State}}, nil); !errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("answered %v", err)
	}
	if !w.said("sign_in", "failed", "provider_unavailable") {
		t.Error("the audit does not say so")
	}
	if _, _, err := w.AskCompany(t.Context(), Ask{Provider: "acme-page"}); !errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("asked: %v", err)
	}
	// Nobody gets in some other way.
	w.person("ana@acme.example", "acme")
	if _, err := w.Password(t.Context(), client, "ana@acme.example", password, nil); !errors.Is(err, ErrElsewhere) {
		t.Errorf("the password: %v", err)
	}
}

// Enforcement refuses the password path at sign-in, at account switch, and to
// sessions that are there already.
func TestEnforcedDomainTakesNoPassword(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	w.account("borealis", mfa.Optional)
	w.company("acme", "page", issuer, "acme.example", false, Linking{})
	ana := w.person("ana@acme.example", "acme", "borealis")
	guest := w.person("gus@guest.example", "acme")
	s := w.signIn("ana@acme.example")
	if d := w.decide(s, "acme"); d.Verdict != mfa.Allow {
		t.Fatalf("before: %+v", d)
	}
	w.domain(storage.Domain{Account: "acme", Name: "acme.example", Verified: true, Enforce: true, Provider: "acme-page"})
	toProvider := mfa.Decision{Verdict: mfa.SSO, Reason: mfa.DomainEnforced, Provider: "acme-page"}
	if d := w.decide(s, "acme"); d != toProvider {
		t.Errorf("a session from before: %+v", d)
	}
	moved, err := w.Switch(t.Context(), client, &s, "borealis")
	if err != nil {
		t.Fatal(err)
	}
	back, err := w.Switch(t.Context(), client, &moved, "acme")
	if err != nil {
		t.Fatal(err)
	}
	if d := w.decide(back, "acme"); d != toProvider {
		t.Errorf("after switching: %+v", d)
	}
	token, err := w.Sessions.Token(t.Context(), &back, "portal.example")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(6 * time.Minute)
	renewed, fresh, err := w.Open(t.Context(), token, "portal.example")
	if err != nil || renewed == nil || fresh == "" {
		t.Fatalf("renewing: %v, %v", renewed, err)
	}
	if d := w.decide(*renewed, "acme"); d != toProvider {
		t.Errorf("after renewal: %+v", d)
	}
	before := w.sessions(ana.ID)
	for _, typed := range []string{"ana@acme.example", " ANA@Acme.Example ", "nobody@acme.example"} {
		if _, err := w.Password(t.Context(), client, typed, password, nil); !errors.Is(err, ErrElsewhere) {
			t.Errorf("%q: %v", typed, err)
		}
	}
	if w.sessions(ana.ID) != before || !w.said("sign_in", "refused", "domain_enforced") {
		t.Error("a password was taken, or its refusal not recorded")
	}
	if s, err := w.Password(t.Context(), client, "gus@guest.example", password, nil); err != nil || s.User != guest.ID {
		t.Errorf("a guest with another address: %v", err)
	}
}

func TestCompanyOfDependsOnTheDomainAlone(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"acme", "borealis", "cumulus", "off"} {
		w.account(id, mfa.Optional)
	}
	w.company("acme", "page", issuer, "shared.example", false, Linking{})
	w.company("borealis", "page", issuer, "shared.example", true, Linking{})
	w.company("cumulus", "page", issuer, "cumulus.example", false, Linking{})
	w.company("off", "page", issuer, "off.example", true, Linking{})
	if _, err := w.store.UpdateAccount(t.Context(), "off", func(a *storage.Account) error { a.Disabled = true; return nil }); err != nil {
		t.Fatal(err)
	}
	w.person("ana@shared.example")
	w.domain(storage.Domain{Account: "cumulus", Name: "pending.example", Provider: "cumulus-page"})
	for _, c := range []struct{ email, site, want string }{
		{"ana@shared.example", "", "borealis-page"}, // who enforces comes first
		{"nobody@shared.example", "", "borealis-page"},
		{"ana@shared.example", "acme", "acme-page"}, // but for the site's own account
		{"ana@cumulus.example", "acme", "cumulus-page"},
		{"ana@pending.example", "", ""},
		{"ana@sub.shared.example", "", ""},
		{"ana@off.example", "", ""},
		{"ana@elsewhere.example", "", ""},
	} {
		if got, err := w.CompanyOf(t.Context(), c.email, c.site); err != nil || got.Provider != c.want {
			t.Errorf("%s at %q: %+v, %v", c.email, c.site, got, err)
		}
	}
}

func TestDirectoryTakesPasswords(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Required)
	ad := w.company("acme", "directory", "", "acme.example", true, Linking{Join: true})
	s, err := w.Password(t.Context(), client, "ana@acme.example", password, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := w.decide(s, "acme"); d.Reason != mfa.ProviderPrecedence {
		t.Errorf("decided %+v", d)
	}
	if s.Proof.Issuer != "acme-directory" || !s.Proof.First.Equal(w.now()) {
		t.Errorf("proves %+v", s.Proof)
	}
	asked := len(ad.names)
	for _, typed := range []string{"", strings.Repeat("x", MaxPassword+1)} {
		if _, err := w.Password(t.Context(), client, "ana@acme.example", typed, nil); !errors.Is(err, ErrWrong) {
			t.Errorf("a password of %d characters: %v", len(typed), err)
		}
	}
	if len(ad.names) != asked {
		t.Error("the directory was asked about no password, or one of absurd length")
	}
	// Why it refused is for the audit; the person reads the same.
	ad.err = errors.Join(identity.ErrIncorrect, &identity.Refusal{Reason: "account_locked"})
	if _, err := w.Password(t.Context(), client, "ana@acme.example", password, nil); err != ErrWrong || !w.said("sign_in", "refused", "account_locked") {
		t.Errorf("answered %v", err)
	}
	// The count is ours: a directory is not asked for ever.
	asked = len(ad.names)
	var wait *limit.Wait
	for range 20 {
		if _, err := w.Password(t.Context(), client, "ana@acme.example", "wrong", nil); errors.As(err, &wait) {
			break
		}
	}
	if wait == nil || len(ad.names)-asked > limit.Password.Free {
		t.Errorf("waited %v after %d questions", wait, len(ad.names)-asked)
	}
	// A directory that is down costs nobody a try.
	w.pass(day + time.Hour)
	ad.err = identity.ErrUnavailable
	for range limit.Password.Free + 3 {
		if _, err := w.Password(t.Context(), client, "bea@acme.example", password, nil); !errors.Is(err, identity.ErrUnavailable) {
			t.Fatalf("answered %v", err)
		}
	}
}

func TestDirectoryBesidePasswordsOfOurs(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	ad := w.company("acme", "directory", "", "acme.example", false, Linking{})
	ana := w.person("ana@acme.example", "acme")
	if s, err := w.Password(t.Context(), client, "ana@acme.example", password, nil); err != nil || s.Proof.FirstBy != mfa.ByPassword || len(ad.names) != 0 {
		t.Errorf("with a password of ours: %+v, %v", s.Proof, err)
	}
	if _, err := w.store.UpdateUser(t.Context(), ana.ID, func(u *storage.User) error { u.PasswordHash = ""; return nil }); err != nil {
		t.Fatal(err)
	}
	if s, err := w.Password(t.Context(), client, "ana@acme.example", password, nil); err != nil || s.Proof.FirstBy != mfa.BySSO {
		t.Errorf("with the directory's: %+v, %v", s.Proof, err)
	}
	if _, err := w.Password(t.Context(), client, "ana@acme.example", "wrong", nil); !errors.Is(err, ErrWrong) {
		t.Errorf("with neither: %v", err)
	}
	// The person whom a directory vouches for may still be nobody here.
	ad.who.Subject, ad.who.Email = "subject-2", "bea@acme.example"
	if _, err := w.Password(t.Context(), client, "bea@acme.example", password, nil); !errors.Is(err, ErrRefused) || !w.said("sign_in", "refused", "unknown_user") {
		t.Errorf("somebody unknown: %v", err)
	}
}

func TestProvidersAreOpenedOnceAndClosed(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	corp := w.company("acme", "page", issuer, "acme.example", false, Linking{Join: true})
	w.mustThrough("acme-page", nil)
	w.mustThrough("acme-page", nil)
	if corp.closed.Load() != 0 {
		t.Error("a provider was closed while its row stayed as it is")
	}
	next := w.company("acme", "page", issuer, "acme.example", false, Linking{Join: true}) // the row is sealed anew
	w.mustThrough("acme-page", nil)
	if next.closed.Load() != 0 {
		t.Error("the new provider was closed")
	}
	if err := w.Companies.Close(); err != nil || next.closed.Load() != 1 {
		t.Errorf("closing: %v", err)
	}
	if corp.closed.Load() != 1 {
		t.Error("the former provider was not closed")
	}
	if _, _, err := w.AskCompany(t.Context(), Ask{Provider: "acme-page"}); !errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("after closing: %v", err)
	}
}

func TestDisabledProviderIsNone(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	w.company("acme", "page", issuer, "acme.example", false, Linking{Join: true})
	s := w.mustThrough("acme-page", nil)
	_, asked, err := w.AskCompany(t.Context(), Ask{Provider: "acme-page"})
	if err != nil {
		t.Fatal(err)
	}
	row, err := w.store.Provider(t.Context(), "acme-page")
	if err != nil {
		t.Fatal(err)
	}
	row.Disabled = true
	if err := w.store.PutProvider(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	if _, err := w.AnswerCompany(t.Context(), client, asked, url.Values{"state": {asked.State}}, nil); !errors.Is(err, ErrStartAgain) {
		t.Errorf("answered %v", err)
	}
	if c, err := w.CompanyOf(t.Context(), "ana@acme.example", ""); err != nil || c.Provider != "" {
		t.Errorf("%+v, %v", c, err)
	}
	if d := w.decide(s, "acme"); d.Reason == mfa.ProviderPrecedence {
		t.Errorf("a session through it still counts: %+v", d)
	}
}
