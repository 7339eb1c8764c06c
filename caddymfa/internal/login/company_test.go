package login

import (
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

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
