package web

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

const tokensPage = "/.mfa/admin/tokens"

var secretShown = regexp.MustCompile(`<code id="token-secret" translate="no">(cmfa_[a-z2-7]{58})</code>`)

// wish is what an administrator types to make a token.
func wish(change ...string) url.Values {
	form := url.Values{"name": {"Nightly job"}, "scope": {"read", "audit"}, "days": {"30"}, "networks": {"192.0.2.0/24, 2001:db8::/32"}}
	for i := 0; i < len(change); i += 2 {
		form[change[i]] = nil
		for _, value := range strings.Split(change[i+1], "|") {
			form.Add(change[i], value)
		}
	}
	return form
}

// makes makes a token on the page and returns what is shown.
func (b *browser) makes(form url.Values) (secret string) {
	b.w.t.Helper()
	b.get(tokensPage)
	resp := b.post(tokensPage, form)
	b.shows(resp, http.StatusOK, "Your new token", "shown this once")
	found := secretShown.FindStringSubmatch(b.page)
	if found == nil {
		b.w.t.Fatalf("no token on the page:\n%s", b.page)
	}
	if resp.Header.Get("Cache-Control") != "no-store" {
		b.w.t.Errorf("the page with the token may be kept: %v", resp.Header)
	}
	return found[1]
}

// opens reports what a token opens from an address.
func (w *world) opens(secret, network string) (storage.Token, error) {
	w.t.Helper()
	return w.Admin.OpenToken(w.t.Context(), secret, network)
}

func TestATokenIsMadeAndShownOnce(t *testing.T) {
	w := auditedWorld(t)
	b := w.as("u-kim", "beta", true)
	b.shows(b.get(tokensPage), http.StatusOK, "There are none yet")
	secret := b.makes(wish())
	b.shows(b.get(tokensPage), http.StatusOK, "Nightly job", "Only from 192.0.2.0/24, 2001:db8::/32", "Made by kim@partner.example", "Never used", "Read the audit")
	b.lacks(secret, "Your new token")

	made, err := w.opens(secret, "192.0.2.9")
	if err != nil || made.Account != "beta" || strings.Join(made.Scopes, " ") != "read audit" || !made.Expires.Equal(w.now().AddDate(0, 0, 30)) {
		t.Errorf("%+v, %v", made, err)
	}
	if _, err := w.opens(secret, "198.51.100.1"); !errors.Is(err, admin.ErrTokenNetwork) {
		t.Errorf("from elsewhere: %v", err)
	}
	b.shows(b.get(tokensPage), http.StatusOK, "Last used", "192.0.2.9")
	w.pass(30 * 24 * time.Hour)
	if _, err := w.opens(secret, "192.0.2.9"); !errors.Is(err, admin.ErrToken) {
		t.Errorf("after it expired: %v", err)
	}
	b = w.as("u-kim", "beta", true)
	b.shows(b.get(tokensPage), http.StatusOK, "Expired")
	b.lacks(`action="/.mfa/admin/tokens/revoke"`)
	b.shows(b.get("/.mfa/admin/audit?action=create_token"), http.StatusOK, "kim@partner.example", "Nightly job: read, audit")
	b.lacks(secret)
}

func TestATokenIsRevokedAndReplaced(t *testing.T) {
	w := auditedWorld(t)
	b := w.as("u-kim", "beta", true)
	first := b.makes(wish("networks", ""))
	id := func(secret string) string {
		made, err := w.opens(secret, "203.0.113.5")
		if err != nil {
			t.Fatal(err)
		}
		return made.ID
	}
	old := id(first)
	b.get(tokensPage)
	b.shows(b.post(tokensPage+"/rotate", url.Values{"token": {old}}), http.StatusOK, "Your new token")
	second := secretShown.FindStringSubmatch(b.page)
	if second == nil || second[1] == first {
		t.Fatalf("no other token is shown:\n%s", b.page)
	}
	if _, err := w.opens(first, "203.0.113.5"); !errors.Is(err, admin.ErrToken) {
		t.Errorf("the replaced token: %v", err)
	}
	b.sent(b.post(tokensPage+"/revoke", url.Values{"token": {id(second[1])}}), tokensPage+"?notice=token-revoked")
	if _, err := w.opens(second[1], "203.0.113.5"); !errors.Is(err, admin.ErrToken) {
		t.Errorf("the revoked token: %v", err)
	}
	b.shows(b.get(tokensPage+"?notice=token-revoked"), http.StatusOK, "It works no more", "Revoked")
	for _, again := range []string{old, "nothing", ""} {
		for _, path := range []string{"/revoke", "/rotate"} {
			b.get(tokensPage)
			b.sent(b.post(tokensPage+path, url.Values{"token": {again}}), tokensPage+"?notice=gone")
		}
	}
	b.shows(b.get(tokensPage+"?notice=gone"), http.StatusOK)
	b.shows(b.get("/.mfa/admin/audit?action=revoke_token"), http.StatusOK, "Nightly job")
}

func TestATokenThatCannotBeIsSaidAndLosesNothing(t *testing.T) {
	w := auditedWorld(t)
	b := w.as("u-kim", "beta", true)
	b.get(tokensPage)
	kept := []string{`value="Nightly job"`, `name="scope" value="read" checked`, `name="scope" value="audit" checked`, `value="30" selected`,
		`value="192.0.2.0/24, 2001:db8::/32"`}
	for _, test := range []struct {
		change []string
		says   string
		except int // which of kept the test types otherwise
	}{
		{[]string{"name", " "}, "at most 60 characters", 0},
		{[]string{"name", strings.Repeat("x", 61)}, "at most 60 characters", 0},
		{[]string{"name", "bell\x07"}, "at most 60 characters", 0},
		{[]string{"scope", "everything"}, "Choose what it may do", 1},
		{[]string{"days", "0"}, "a year at most", 3},
		{[]string{"days", "366"}, "a year at most", 3},
		{[]string{"days", "soon"}, "a year at most", 3},
		{[]string{"networks", "192.0.2.0/33"}, "no network such as", 4},
		{[]string{"networks", "office"}, "no network such as", 4},
		{[]string{"networks", strings.Repeat("192.0.2.1 ", 21)}, "no network such as", 4},
	} {
		form := wish(test.change...)
		b.shows(b.post(tokensPage, form), http.StatusUnprocessableEntity, test.says)
		for i, word := range kept {
			if i != test.except && (i != 2 || test.except != 1) && !strings.Contains(b.page, word) {
				t.Errorf("%q: %s is lost:\n%s", test.change, word, b.page)
			}
		}
		if test.except == 4 && !strings.Contains(b.page, `value="`+form.Get("networks")+`"`) {
			t.Errorf("%q is lost:\n%s", form.Get("networks"), b.page)
		}
		b.lacks("Your new token")
	}
	if list, err := w.store.TokensOf(t.Context(), "beta", "", 9); err != nil || len(list) != 0 {
		t.Errorf("%d tokens were made, %v", len(list), err)
	}
	for range admin.MaxTokens {
		if _, _, err := w.Admin.CreateToken(t.Context(), admin.Actor{Account: "beta", User: "u-kim"}, admin.TokenWish{Name: "one", Scopes: admin.Scopes, Days: 1}); err != nil {
			t.Fatal(err)
		}
	}
	b.shows(b.post(tokensPage, wish()), http.StatusUnprocessableEntity, "as many tokens as it may", `value="Nightly job"`)
}

// Programs are never asked for a second factor, so whoever makes one a token must
// have shown theirs just now.
func TestTokensNeedAnAdministratorsSecondFactor(t *testing.T) {
	w := auditedWorld(t)
	w.staff("u-max", "Max", mfa.RoleMember, "beta")
	w.staff("u-eve", "Eve", mfa.RoleAdmin, "acme")
	kim := w.as("u-kim", "beta", true)
	secret := kim.makes(wish("networks", ""))
	made, err := w.opens(secret, "192.0.2.9")
	if err != nil {
		t.Fatal(err)
	}
	stale, member := w.as("u-kim", "beta", true), w.as("u-max", "beta", true)
	w.pass(mfa.ChangeWindow + time.Minute)
	stale.shows(stale.get(tokensPage), http.StatusOK, "Nightly job")
	for path, form := range map[string]url.Values{"": wish(), "/revoke": {"token": {made.ID}}, "/rotate": {"token": {made.ID}}} {
		stale.get(tokensPage)
		resp := stale.post(tokensPage+path, form)
		if to := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/.mfa/challenge?return=%2F.mfa%2Fadmin%2Ftokens") {
			t.Errorf("%s, too long after a second factor: %d to %q", path, resp.StatusCode, to)
		}
		member.get("/.mfa/accounts")
		member.shows(member.post(tokensPage+path, form), http.StatusForbidden, "for administrators")
		forged := w.as("u-kim", "beta", true)
		forged.page = ""
		forged.shows(forged.post(tokensPage+path, form), http.StatusForbidden)
		signedOut := w.browser()
		signedOut.get("/.mfa/login")
		signedOut.lacks("Nightly job")
		if resp := signedOut.post(tokensPage+path, form); resp.StatusCode < 400 {
			t.Errorf("%s, signed out: %d to %q", path, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
	member.shows(member.get(tokensPage), http.StatusForbidden, "for administrators")
	half := w.as("u-kim", "beta", false)
	half.sent(half.get(tokensPage), "/.mfa/challenge?return=%2F.mfa%2Fadmin%2Ftokens")

	eve := w.as("u-eve", "acme", true)
	eve.shows(eve.get(tokensPage), http.StatusOK, "There are none yet")
	for _, path := range []string{"/revoke", "/rotate"} {
		eve.get(tokensPage)
		eve.sent(eve.post(tokensPage+path, url.Values{"token": {made.ID}}), tokensPage+"?notice=gone")
	}
	if again, err := w.opens(secret, "192.0.2.9"); err != nil || again.ID != made.ID {
		t.Errorf("the token opens nothing any more: %v", err)
	}
	if list, err := w.store.TokensOf(t.Context(), "beta", "", 9); err != nil || len(list) != 1 {
		t.Errorf("there are %d tokens, %v", len(list), err)
	}
}
