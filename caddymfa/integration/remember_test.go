package integration_test

import (
	"strings"
	"testing"
)

// TestRememberedBrowser skips the second factor where it was shown before, until
// anything that it rests on changes.
func TestRememberedBrowser(t *testing.T) {
	t.Parallel()
	g := start(t)
	p := g.administrator(t)
	// A code is accepted once, so somebody who is asked more often than an app
	// shows new ones has several.
	newApp := func() *authenticator {
		t.Helper()
		p.enroll(p.open("/.mfa/enroll/totp").is(t, 200))
		return p.totp
	}
	again := func(q *person) *page {
		t.Helper()
		q.send(q.open("/.mfa/accounts"), "/.mfa/logout")
		return q.signIn("admin@citadel.example", "/orders")
	}
	pg := again(p).is(t, 200)
	if strings.Contains(pg.text(), "Do not ask again") {
		t.Error("remembering is offered where the account does not allow it")
	}
	p.send(pg, "/.mfa/challenge/totp", "code", p.totp.code(t), "remember", "yes").to(t, "/orders")
	if p.cookie("mfa-device") != "" {
		t.Error("a browser is remembered where the account does not allow it")
	}
	g.mfa("policy", "citadel", "required", "--remember", "7d")
	first, second := newApp(), newApp()
	p.totp = first
	pg = again(p).is(t, 200, "Do not ask again in this browser for 7 days")
	p.send(pg, "/.mfa/challenge/totp", "code", p.totp.code(t), "remember", "yes").to(t, "/orders")
	device := p.cookie("mfa-device")
	if device == "" {
		t.Fatal("the browser is not remembered")
	}
	g.secret(device)
	again(p).is(t, 200, "GET /orders", "in account citadel")
	other := g.person(t) // a browser of one's own is not remembered for another's
	other.totp = p.totp
	if got := other.signIn("admin@citadel.example", "/orders"); !strings.Contains(got.path, "/.mfa/challenge") {
		t.Errorf("another browser gets to %s", got.path)
	}
	if got := p.get("/.mfa/profile/security"); got.status != 303 || !strings.Contains(got.header.Get("Location"), "/.mfa/challenge") {
		t.Errorf("being remembered opens the profile: %d", got.status)
	}
	p.totp = second
	p.answer(p.open("/.mfa/profile/security")).to(t, "/.mfa/profile/security")
	pg = p.open("/.mfa/profile/security").is(t, 200, "Remembered browsers")
	p.send(pg, "/.mfa/profile/security/forget").to(t, "/.mfa/profile/security?notice=device-forgotten")
	newApp()
	pg = again(p).is(t, 200, "Do not ask again")
	p.send(pg, "/.mfa/challenge/totp", "code", p.totp.code(t), "remember", "yes").to(t, "/orders")
	again(p).is(t, 200, "GET /orders")
	g.mfa("policy", "citadel", "required", "--remember", "8d") // the rules change
	if got := p.get("/orders"); got.status != 303 || !strings.Contains(got.header.Get("Location"), "/.mfa/challenge") {
		t.Errorf("a browser is remembered although the rules changed: %d", got.status)
	}
}
