package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A password that is refused is said why, and costs nothing but itself.
func TestWeakPasswordsAreSaidAndLoseNothing(t *testing.T) {
	w := newWorld(t)
	code, _, err := w.Login.CreateSetUp(t.Context(), "u-bea")
	if err != nil {
		t.Fatal(err)
	}
	const good = "four lucky clover leaves"
	tries := []struct{ next, again, says string }{
		{"short", "short", "at least 12 characters"},
		{strings.Repeat("lucky ", 50), strings.Repeat("lucky ", 50), "at most 256 characters"},
		{"Summer2026!!", "Summer2026!!", "easy to guess"},
		{"bea@acme.example", "bea@acme.example", "your name or your address"},
		{good, good + "x", "not the same both times"},
	}
	b := w.browser()
	b.get("/.mfa/setup")
	for _, try := range tries {
		resp := b.post("/.mfa/setup", url.Values{"ticket": {code}, "new": {try.next}, "again": {try.again}})
		if resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(b.page, try.says) || !strings.Contains(b.page, `value="`+code+`"`) {
			t.Errorf("setting up with %.20q: got %d, and the page\n%s", try.next, resp.StatusCode, b.page)
		}
		if strings.Contains(b.page, try.next) {
			t.Errorf("the page holds the password %.20q", try.next)
		}
	}
	b.sent(b.post("/.mfa/setup", url.Values{"ticket": {code}, "new": {good}, "again": {good}}), "/.mfa/login?notice=password-set")

	w.enforce(false)
	b.sent(b.typed("bea@acme.example", "/.mfa/profile/security"), "/.mfa/login/password?return=%2F.mfa%2Fprofile%2Fsecurity")
	b.get("/.mfa/login/password?return=%2F.mfa%2Fprofile%2Fsecurity")
	b.sent(b.post("/.mfa/login/password", url.Values{"password": {good}, "return": {"/.mfa/profile/security"}}), "/.mfa/profile/security")
	b.get("/.mfa/profile/security")
	for _, try := range append(tries, struct{ next, again, says string }{good, good, "the one you have now"}) {
		resp := b.post("/.mfa/profile/security/password", url.Values{"current": {good}, "new": {try.next}, "again": {try.again}})
		if resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(b.page, try.says) {
			t.Errorf("changing to %.20q: got %d, and the page\n%s", try.next, resp.StatusCode, b.page)
		}
	}
	next := "seven lucky clover leaves"
	b.sent(b.post("/.mfa/profile/security/password", url.Values{"current": {good}, "new": {next}, "again": {next}}), "/.mfa/profile/security?notice=password-changed")
	if len(w.faults) > 0 {
		t.Errorf("faults: %q", w.faults)
	}
}
