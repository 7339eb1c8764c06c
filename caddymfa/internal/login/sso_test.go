package login

import (
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/mfa"
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
