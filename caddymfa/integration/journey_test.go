package integration_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestJourneyRequired: a person of an account that requires a second factor
// sets one up, comes back with it, and looks after it in the profile.
func TestJourneyRequired(t *testing.T) {
	t.Parallel()
	g := start(t)
	b := g.browse(t, "phone")
	b.open("/reports/7?x=1")
	b.at("/.mfa/login")
	b.shot("login")
	b.fill("#email", "member@citadel.example")
	b.submit("/.mfa/login")
	b.shot("password")
	b.fill("#password", "not this one")
	b.submit("/.mfa/login/password")
	b.at("/.mfa/login/password", "do not go together")
	b.shot("password-wrong")
	b.fill("#password", password)
	b.submit("/.mfa/login/password")

	b.at("/.mfa/enroll/totp", "Citadel Health")
	if !b.visible("main svg") || !b.visible(`a[href^="otpauth://"]`) || !b.visible("#totp-secret") {
		t.Error("the picture, the link or the key is not shown")
	}
	b.shot("enroll")
	b.fill("#code", "000000")
	b.submit("/.mfa/enroll/totp")
	b.at("/.mfa/enroll/totp", "did not match", "UTC")
	b.shot("enroll-wrong")
	b.enroll()
	b.shot("recovery-codes")
	checkCodes(t, b)
	b.press(`main a[href="/reports/7?x=1"]`)
	b.at("/reports/7", "in account citadel")
	b.shot("portal")

	c := g.browse(t, "phone") // another device
	c.totp = b.totp
	c.signIn("member@citadel.example", "/deep?q=a%20b")
	c.at("/.mfa/challenge")
	c.shot("challenge")
	c.fill("#code", "000000")
	c.submit("/.mfa/challenge/totp")
	c.at("/.mfa/challenge/totp", "did not match", "UTC")
	c.shot("challenge-wrong")
	c.answer()
	c.at("/deep", "GET /deep")

	profile(t, c)

	c.open("/.mfa/profile/sessions")
	c.at("/.mfa/profile/sessions")
	c.shot("sessions")
	c.press(`form[action="/.mfa/logout"] button.danger`)
	c.at("/.mfa/signed-out")
	c.shot("signed-out")
	b.open("/reports/7")
	b.at("/.mfa/login")
}

// checkCodes presses what the page of the recovery codes offers.
func checkCodes(t *testing.T, b *tab) {
	t.Helper()
	shown := get(b, chromedp.Evaluate[[]string](`Array.from(document.querySelectorAll(".recovery-code"), e => e.textContent.trim())`))
	b.g.secret(shown...)
	if len(shown) != 10 {
		t.Fatalf("%d recovery codes", len(shown))
	}
	b.permit("clipboard-write", "clipboard-read")
	b.do(chromedp.Click(chromedp.CSS("button[data-copy]")))
	b.wait(`document.querySelector("main [role=status]").textContent != ""`)
	if copied := get(b, chromedp.Evaluate[string](`navigator.clipboard.readText()`, chromedp.EvalAwaitPromise)); copied != strings.Join(shown, "\n") {
		t.Errorf("copied %q", copied)
	}
	dir := t.TempDir()
	b.downloads(dir)
	b.do(chromedp.Click(chromedp.CSS("button[data-download]")))
	b.g.until("the codes are saved", func() bool {
		files, _ := filepath.Glob(filepath.Join(dir, "*.txt"))
		if len(files) != 1 {
			return false
		}
		saved, _ := os.ReadFile(files[0])
		return strings.Contains(string(saved), strings.Join(shown, "\n"))
	})
	b.run(`window.print = () => { window.printed = true }`)
	b.do(chromedp.Click(chromedp.CSS("button[data-print]")))
	if !get(b, chromedp.Evaluate[bool](`!!window.printed`)) {
		t.Error("the print button prints nothing")
	}
}

// profile looks after one's own things: a second authenticator is added, named
// and removed, and recovery codes are made anew.
func profile(t *testing.T, b *tab) {
	t.Helper()
	b.open("/.mfa/profile")
	b.at("/.mfa/profile", "member@citadel.example")
	b.shot("profile")
	b.open("/.mfa/profile/accounts")
	b.at("/.mfa/profile/accounts", "Citadel Health")
	b.shot("profile-accounts")
	b.open("/.mfa/profile/security")
	b.at("/.mfa/profile/security")
	b.press(`a[href^="/.mfa/enroll/totp"]`)
	first := b.totp
	b.totp = newAuthenticator(b.text("#totp-secret"))
	b.g.secret(b.totp.secret)
	b.fill("#name", "Old tablet")
	b.fill("#code", b.totp.code(t))
	b.submit("/.mfa/enroll/totp")
	b.open("/.mfa/profile/security")
	b.at("/.mfa/profile/security", "Old tablet")
	b.shot("security")
	b.openAll()
	b.shot("security-open")
	b.run(`[...document.querySelectorAll("form[action$=rename]")].find(f => f.elements.name.value == "Old tablet").elements.name.id = "renamed"`)
	b.fill("#renamed", "New tablet")
	b.load(chromedp.Evaluate[chromedp.Void](`document.getElementById("renamed").form.requestSubmit()`))
	b.at("/.mfa/profile/security", "New tablet")
	b.load(chromedp.Evaluate[chromedp.Void](`[...document.querySelectorAll("form[action$=remove]")].find(f => f.textContent.includes("New tablet")).requestSubmit()`))
	b.at("/.mfa/profile/security/remove", "New tablet")
	b.shot("remove")
	b.press("button.danger.solid")
	b.at("/.mfa/profile/security")
	if strings.Contains(b.text("main ul, main"), "New tablet") {
		t.Error("the removed authenticator is still there")
	}
	b.totp = first
	b.openAll()
	b.submit("/.mfa/profile/security/recovery-codes")
	b.at("/.mfa/recovery-codes")
}

// TestJourneySuggested: a person is invited, says "Not now", and is left alone.
func TestJourneySuggested(t *testing.T) {
	t.Parallel()
	g := start(t)
	b := g.browse(t, "desk")
	b.signIn("member@borealis.example", "/orders")
	b.at("/.mfa/suggest", "Borealis Logistics")
	b.openAll()
	b.shot("suggest")
	b.submit("/.mfa/suggest/later")
	b.at("/orders", "in account borealis")
	b.open("/other")
	b.at("/other")

	c := g.browse(t, "desk")
	c.signIn("member@borealis.example", "/orders")
	c.at("/orders")
	c.open("/.mfa/profile/security")
	c.at("/.mfa/profile/security")
	c.shot("security-none")
	c.open("/.mfa/nothing")
	c.shot("not-found")
}

// TestJourneyAccounts: a person of three accounts chooses, switches, is judged
// anew, and stays signed in when Caddy is restarted.
func TestJourneyAccounts(t *testing.T) {
	t.Parallel()
	g := start(t)
	b := g.browse(t, "phone")
	b.signIn("consultant@partner.example", "/orders")
	b.at("/.mfa/accounts", "Aurora Instruments", "Borealis Logistics", "Citadel Health")
	b.shot("accounts")
	choose := func(account string) {
		b.press(`form:has(input[name=account][value=` + account + `]) button`)
	}
	choose("aurora")
	b.at("/orders", "in account aurora with role admin")
	g.mfa("policy", "aurora", "required")
	b.open("/orders?page=3")
	b.at("/.mfa/enroll/totp", "Aurora Instruments")
	g.mfa("policy", "aurora", "optional")
	b.open("/.mfa/accounts")
	choose("citadel")
	b.enroll()
	b.press("main a.primary, main a.button")
	b.open("/where")
	b.at("/where", "in account citadel")
	g.restart()
	b.open("/where")
	b.at("/where", "in account citadel")
	b.open("/.mfa/accounts")
	b.shot("accounts-inside")
	choose("borealis") // the second factor of this session counts there
	b.open("/where")
	b.at("/where", "in account borealis")
}

// TestJourneyByKeyboard: fields have the focus where they are needed, and Enter
// goes on.
func TestJourneyByKeyboard(t *testing.T) {
	t.Parallel()
	g := start(t)
	// The browser gives the focus a moment after it has loaded the page.
	enter := func(b *tab, field, text string) {
		t.Helper()
		b.wait(`document.activeElement.id === "` + field + `"`)
		b.load(chromedp.KeyEvent(text + kb.Enter))
	}
	b := g.browse(t, "desk")
	b.open("/orders")
	enter(b, "email", "member@citadel.example")
	b.at("/.mfa/login/password")
	enter(b, "password", password)
	b.at("/.mfa/enroll/totp")
	b.do(chromedp.KeyEvent(kb.Tab))
	if get(b, chromedp.Evaluate[bool](`document.activeElement === document.body`)) {
		t.Error("the first press of Tab reaches nothing")
	}
	b.enroll()
	c := g.browse(t, "desk")
	c.totp = b.totp
	c.open("/orders")
	enter(c, "email", "member@citadel.example")
	enter(c, "password", password)
	c.at("/.mfa/challenge")
	enter(c, "code", c.totp.code(t))
	c.at("/orders")
}

// TestJourneyWithoutScript: the same with JavaScript switched off.
func TestJourneyWithoutScript(t *testing.T) {
	t.Parallel()
	g := start(t)
	b := g.browse(t, "phone")
	b.withoutScript()
	b.signIn("member@citadel.example", "/orders")
	b.at("/.mfa/enroll/totp")
	b.shot("enroll")
	b.enroll()
	if b.visible("button[data-copy]") {
		t.Error("a button is shown that does nothing")
	}
	b.shot("recovery-codes")
	b.press(`main a[href="/orders"]`)
	b.at("/orders", "in account citadel")
}
