package web

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/factor"
	"github.com/caddymfa/gateway/caddymfa/factor/totp"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// asksNobody holds the reasons of decisions that let somebody pass or refuse
// them. Every other reason makes a page ask for something.
var asksNobody = []mfa.Reason{
	mfa.Undecidable, mfa.Unavailable, mfa.UserDisabled, mfa.NotMember, mfa.AccountDisabled, mfa.BreakGlassEntry, mfa.NotAdmin,
	mfa.PublicRoute, mfa.ProviderPrecedence, mfa.ProviderVerified, mfa.SecondFactor, mfa.RememberedDevice, mfa.Snoozed, mfa.PolicyOptional,
}

func TestEveryReasonToAskHasWords(t *testing.T) {
	texts := newRenderer(t).texts
	for _, reason := range reasonsOfTheDecision(t) {
		for _, account := range []string{"Acme Distribution", ""} {
			for to := toEnter; to <= toSeeOwn; to++ {
				said := why(reason, to, account)
				if slices.Contains(asksNobody, reason) {
					if said.Key != "" {
						t.Errorf("%s makes nobody ask, and has words", reason)
					}
					continue
				}
				if said.Key == "" {
					t.Errorf("%s has no words: give it some in why.go and text/en/why.json", reason)
				} else if text, err := texts.text("en", said); err != nil {
					t.Error(err)
				} else if strings.Count(text, ".") != 1 || !strings.HasSuffix(text, ".") {
					t.Errorf("%s is not one sentence: %s", reason, text)
				}
			}
		}
	}
}

// Each page that asks says why: the sentence of the rule that sent the person
// there.
func TestEveryPageThatAsksSaysWhy(t *testing.T) {
	w, _ := administered(t)
	w.Login.Factors = map[mfa.Kind]factor.Factor{mfa.TOTP: totp.Factor{}}
	w.Login.Issuer = "Portal"
	if err := w.store.CreateAccount(t.Context(), storage.Account{ID: "gamma", Name: "Gamma", Policy: mfa.Suggested, Created: w.now()}); err != nil {
		t.Fatal(err)
	}
	join := func(account, user string, role mfa.Role) error {
		return w.store.PutMembership(t.Context(), storage.Membership{Account: account, User: user, Role: role, State: mfa.Joined, Created: w.now()})
	}
	if err := errors.Join(
		w.store.CreateUser(t.Context(), storage.User{ID: "u-lee", Email: "lee@partner.example", PasswordHash: "hash of " + password, Created: w.now()}),
		w.store.CreateUser(t.Context(), storage.User{ID: "u-ana", Email: "ana@acme.example", PasswordHash: "hash of " + password, Created: w.now()}),
		join("acme", "u-ana", mfa.RoleMember), join("acme", "u-lee", mfa.RoleAdmin), join("beta", "u-lee", mfa.RoleMember), join("gamma", "u-lee", mfa.RoleMember),
	); err != nil {
		t.Fatal(err)
	}
	company, visitor, recovered := w.browser(), w.browser(), w.as("u-kim", "beta", false)
	company.typed("ana@acme.example", "/orders")
	visitor.typed("lee@partner.example", "/orders")
	sess, _ := recovered.signedIn()
	if _, err := w.store.UpdateSession(t.Context(), sess.ID, func(s *storage.Session) error {
		s.Proof.Second, s.Proof.SecondBy = w.now().Add(20*time.Minute), mfa.Recovery
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	proven := w.as("u-kim", "beta", true)
	w.pass(20 * time.Minute)
	for _, test := range []struct {
		by   *browser
		path string
		want Text
	}{
		{w.browser(), "/login?return=%2Forders", why(mfa.NoSession, toEnter, "")},
		{visitor, "/login/password", why(mfa.NoSession, toEnter, "")},
		{company, "/sso/start", whyCompany},
		{w.as("u-ana", "acme", false), "/sso?return=%2Forders", why(mfa.DomainEnforced, toEnter, "Acme")},
		{w.as("u-lee", "", false), "/accounts", why(mfa.NoAccount, toEnter, "")},
		{w.as("u-kim", "beta", false), "/challenge?return=%2Forders", why(mfa.Enrolled, toEnter, "Beta")},
		{w.as("u-kim", "", false), "/challenge?return=%2F.mfa%2Fprofile", why(mfa.Enrolled, toSeeOwn, "")},
		{proven, "/challenge?return=%2Forders&fresh=60", why(mfa.SecondFactorTooOld, toEnterPart, "Beta")},
		{proven, "/challenge?return=%2F.mfa%2Fadmin%2Fmfa", why(mfa.SecondFactorTooOld, toAdminister, "Beta")},
		{proven, "/challenge?return=%2F.mfa%2Fprofile%2Fsecurity", why(mfa.SecondFactorTooOld, toSeeOwn, "")},
		{recovered, "/login?again=1&return=%2F.mfa%2Fprofile%2Fsecurity", why(mfa.FirstFactorTooOld, toSeeOwn, "")},
		{w.as("u-lee", "beta", false), "/enroll/totp?return=%2Forders", why(mfa.PolicyRequired, toEnter, "Beta")},
		{w.as("u-lee", "gamma", false), "/enroll/totp?return=%2Forders", why(mfa.PolicySuggested, toEnter, "Gamma")},
		{w.as("u-lee", "gamma", false), "/enroll/totp?return=%2Fvault&fresh=60", why(mfa.RouteRequires, toEnterPart, "Gamma")},
		{w.as("u-lee", "acme", false), "/enroll/totp?return=%2F.mfa%2Fadmin%2Fmfa", why(mfa.AdminNeedsFactor, toAdminister, "Acme")},
		{w.as("u-lee", "gamma", false), "/suggest?return=%2Forders", why(mfa.PolicySuggested, toEnter, "Gamma")},
	} {
		sentence, err := w.Pages.texts.text("en", test.want)
		if err != nil {
			t.Fatal(err)
		}
		resp := test.by.get("/.mfa" + test.path)
		test.by.shows(resp, http.StatusOK, "<summary>Why was I asked?</summary>\n<p>"+sentence+"</p>")
	}
	// Who asks by themselves was not asked.
	for by, path := range map[*browser]string{
		w.as("u-lee", "acme", false): "/enroll/totp",
		w.as("u-lee", "beta", false): "/accounts",
	} {
		if by.shows(by.get("/.mfa"+path), http.StatusOK); strings.Contains(by.page, "Why was I asked?") {
			t.Errorf("%s says why, and nobody asked", path)
		}
	}
}

// A view that can say why does so on its page.
func TestEveryViewThatKnowsWhySaysSo(t *testing.T) {
	r := newRenderer(t)
	asked := why(mfa.NoSession, toEnter, "")
	for _, view := range []View{Login{Asked: asked}, Password{Asked: asked}, Leave{Asked: asked}, Challenge{Asked: asked}, EnrollTOTP{Asked: asked},
		EnrollKey{Asked: asked}, Suggest{Asked: asked}, Accounts{Asked: asked}} {
		page := rendered(t, r, view)
		checkMarkup(t, page)
		if !strings.Contains(page, "Why was I asked?") {
			t.Errorf("page %s does not say why", view.Name())
		}
	}
}
