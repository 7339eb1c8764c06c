package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// TestWhatWasTypedOutlivesAChallenge: a form that is sent too long after the
// second factor comes back as it was filled in, without its secret.
func TestWhatWasTypedOutlivesAChallenge(t *testing.T) {
	w := auditedWorld(t)
	w.staff("u-eve", "Eve", mfa.RoleAdmin, "beta")
	stale := func() *browser {
		b := w.as("u-kim", "beta", true)
		w.pass(mfa.ChangeWindow + time.Second)
		return b
	}
	// sends returns the page to come back to.
	sends := func(b *browser, path string, form url.Values) string {
		t.Helper()
		b.get(strings.Split(path, "?")[0])
		resp := b.post(path, form)
		to, err := url.Parse(resp.Header.Get("Location"))
		if err != nil || resp.StatusCode != http.StatusSeeOther || to.Path != "/.mfa/challenge" {
			t.Fatalf("got %d, to %v, %v", resp.StatusCode, to, err)
		}
		return to.Query().Get("return")
	}

	b := stale()
	back := sends(b, tokensPage, wish())
	b.shows(b.get(back), http.StatusOK, "Nothing is saved yet", `value="Nightly job"`, `value="192.0.2.0/24, 2001:db8::/32"`,
		`value="read" checked`, `value="audit" checked`, `<option value="30" selected`)
	for about, address := range map[string]string{
		"another page":      strings.Replace(back, "/admin/tokens", "/admin/sso/provider", 1),
		"a changed value":   strings.Replace(back, "Nightly", "Weekly", 1),
		"nobody's":          tokensPage + "?name=Nightly+job&days=30",
		"a mark of nothing": tokensPage + "?name=Nightly+job&days=30&typed=",
	} {
		b.get(address)
		if strings.Contains(b.page, " job") {
			t.Errorf("%s fills in the form", about)
		}
	}
	eve := w.as("u-eve", "beta", true)
	if eve.get(back); strings.Contains(eve.page, "Nightly job") {
		t.Error("somebody else's address fills in the form")
	}
	long := sends(stale(), tokensPage, wish("networks", strings.Repeat("192.0.2.0/24 ", 300)))
	if long != tokensPage {
		t.Errorf("more than can be come back to leads to %s", long)
	}

	b = stale()
	back = sends(b, "/.mfa/admin/sso/provider", url.Values{"name": {"Beta's sign-in"}, "issuer": {"https://idp.beta.example"},
		"client_id": {"portal"}, "client_secret": {"do not tell"}, "max_age": {"30"}, "join": {"yes"}})
	if strings.Contains(back, "tell") {
		t.Errorf("the secret stands in the address %s", back)
	}
	b.shows(b.get(back), http.StatusOK, `value="Beta's sign-in"`, `value="https://idp.beta.example"`, `value="portal"`, `value="30"`)
	const settings = "/.mfa/admin/mfa"
	stricter := url.Values{"mode": {"required"}, "when": {"date"}, "date": {"2031-05-04"}, "age": {"3600"}, "accept": {"any"}, "remember": {"0"}}
	stricter.Set("preview", "yes") // which saves nothing, and needs no second factor
	b = stale()
	b.get(settings)
	preview := b.post(settings, stricter).Header.Get("Location")
	typed := []string{`value="required" required aria-describedby="what-required would-required" checked`, `value="date" checked`, `value="2031-05-04"`, `<option value="3600" selected`}
	b.shows(b.get(preview), http.StatusOK, typed...)
	if strings.Contains(b.page, "Nothing is saved yet") {
		t.Error("a preview speaks of a challenge")
	}
	stricter.Del("preview")
	b.shows(b.get(sends(stale(), settings, stricter)), http.StatusOK, append(typed, "Nothing is saved yet")...)
	b.get(settings + "?manage=yes&" + stricter.Encode())
	if strings.Contains(b.page, typed[2]) || strings.Contains(b.page, typed[3]) {
		t.Error("nobody's address fills in the settings")
	}
}
