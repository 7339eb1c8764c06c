package integration_test

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// administrator signs in to citadel as its administrator, with a second factor.
func (g *gate) administrator(t *testing.T) *person {
	t.Helper()
	p := g.person(t)
	p.signIn("admin@citadel.example", "/")
	p.enroll(p.open("/.mfa/enroll/totp"))
	return p
}

// TestSettings changes an account's settings as its administrator does, and
// looks at what that means to a member.
func TestSettings(t *testing.T) {
	t.Parallel()
	g := start(t)
	p := g.administrator(t)
	member := g.person(t)
	member.signIn("member@citadel.example", "/")
	member.get("/").to(t, "/.mfa/enroll/totp?return=%2F")

	p.get("/.mfa/admin").to(t, "/.mfa/admin/mfa")
	old := p.open("/.mfa/admin/mfa").is(t, 200, "Required", "Someone without MFA must set it up before they can enter.", "2 people")
	p.send(old, "/.mfa/admin/mfa", "mode", "optional").to(t, "/.mfa/admin/mfa?notice=policy-set")
	member.get("/").is(t, 200, "in account citadel")
	t.Run("two at once", func(t *testing.T) {
		pg := p.send(old, "/.mfa/admin/mfa", "mode", "suggested").is(t, 409, "admin@citadel.example", "optional", "Your choice is still here")
		if values, _ := pg.form("/.mfa/admin/mfa"); values.Get("mode") != "suggested" {
			t.Errorf("the form holds %v", values)
		}
		if g.policy(t, "citadel") != "optional" {
			t.Errorf("the mode is %s", g.policy(t, "citadel"))
		}
	})
	t.Run("not for others", func(t *testing.T) {
		stranger := g.person(t)
		for _, path := range []string{"/.mfa/admin", "/.mfa/admin/mfa", "/.mfa/admin/mfa/people?mode=required&outcome=asked", "/.mfa/admin/mfa/trial"} {
			if got := stranger.get(path); got.status != 303 || !strings.HasPrefix(got.header.Get("Location"), "/.mfa/login") {
				t.Errorf("%s answers a stranger %d to %q", path, got.status, got.header.Get("Location"))
			}
			if path != "/.mfa/admin" {
				member.get(path).is(t, 403, "for administrators")
			}
		}
		csrf, _ := member.open("/.mfa/accounts").form("/.mfa/logout")
		for _, path := range []string{"/.mfa/admin/mfa", "/.mfa/admin/mfa/plan", "/.mfa/admin/mfa/trial"} {
			body := "mode=required&version=1&do=end&csrf=" + csrf.Get("csrf")
			member.ask("POST", path, body).is(t, 403, "for administrators")
		}
	})
	t.Run("names on demand", func(t *testing.T) {
		p.get("/.mfa/admin/mfa/people?mode=required&outcome=must_enroll").is(t, 200, "Citadel Member", "member@citadel.example")
		p.get("/.mfa/admin/mfa/people?mode=required&outcome=asked").is(t, 200, "admin@citadel.example")
		p.get("/.mfa/admin/mfa/people?mode=all&outcome=asked").is(t, 404)
	})
	t.Run("trial", func(t *testing.T) {
		p.send(p.open("/.mfa/admin/mfa"), "/.mfa/admin/mfa", "mode", "required", "when", "trial").to(t, "/.mfa/admin/mfa?notice=policy-tried")
		member.get("/orders").is(t, 200, "in account citadel")
		g.until("the report names the member", func() bool {
			pg := p.get("/.mfa/admin/mfa/trial").is(t, 200, "Required")
			return strings.Contains(pg.text(), "Citadel Member") && strings.Contains(pg.text(), "must set up MFA before entering")
		})
		if out := g.mfa("explain", "--user", "member@citadel.example", "--account", "citadel"); !strings.Contains(out, "required, which would say enroll") {
			t.Errorf("explain says\n%s", out)
		}
		pg := p.open("/.mfa/admin/mfa/trial")
		values, _ := pg.form("/.mfa/admin/mfa/trial")
		values.Set("do", "enforce")
		p.ask("POST", "/.mfa/admin/mfa/trial", values.Encode()).to(t, "/.mfa/admin/mfa?notice=policy-set")
		member.get("/orders").to(t, "/.mfa/enroll/totp?return=%2Forders")
	})
	t.Run("plan", func(t *testing.T) {
		p.send(p.open("/.mfa/admin/mfa"), "/.mfa/admin/mfa", "mode", "optional")
		day := time.Now().UTC().AddDate(0, 0, 20).Format(time.DateOnly)
		p.send(p.open("/.mfa/admin/mfa"), "/.mfa/admin/mfa", "mode", "required", "when", "date", "date", day).to(t, "/.mfa/admin/mfa?notice=policy-planned")
		p.open("/.mfa/admin/mfa").is(t, 200, "Will begin: Required")
		member.open("/.mfa/profile").is(t, 200, "Citadel Health will ask for a second step from")
		if got := member.get("/").is(t, 200).tableRow("X-Mfa-Due"); !strings.Contains(got, day) {
			t.Errorf("the app is told %q", got)
		}
		if strings.Contains(p.open("/.mfa/profile").text(), "will ask for a second step") {
			t.Error("who has a second step is warned")
		}
		p.send(p.open("/.mfa/admin/mfa"), "/.mfa/admin/mfa/plan").to(t, "/.mfa/admin/mfa?notice=policy-unplanned")
		if strings.Contains(member.open("/.mfa/profile").text(), "will ask for a second step") {
			t.Error("people are still told of a plan that was taken back")
		}
		p.send(p.open("/.mfa/admin/mfa"), "/.mfa/admin/mfa", "mode", "required", "when", "date", "date", "2020-01-01").is(t, 422, "Choose a date")
	})
	out := g.mfa("audit", "--account", "citadel")
	for _, want := range []string{"set_policy", "mode: optional, was required", "trial: required, was none", "planned: required from", "admin@citadel.example"} {
		if !strings.Contains(out, want) {
			t.Errorf("the audit does not say %q:\n%s", want, out)
		}
	}
}

// policy is the mode that the operator is told of.
func (g *gate) policy(t *testing.T, account string) string {
	t.Helper()
	for line := range strings.Lines(g.mfa("accounts")) {
		if fields := strings.Fields(line); len(fields) > 3 && fields[0] == account {
			for _, f := range fields {
				if f == "optional" || f == "suggested" || f == "required" {
					return f
				}
			}
		}
	}
	t.Fatalf("account %s is not listed", account)
	return ""
}

// TestMinimumPolicy has the operator want more than accounts do.
func TestMinimumPolicy(t *testing.T) {
	t.Parallel()
	g := start(t, replace("\t\tname \"Partner portal\"\n", "\t\tname \"Partner portal\"\n\t\tminimum_policy required\n"))
	q := g.person(t)
	q.signIn("member@aurora.example", "/")
	q.get("/").to(t, "/.mfa/enroll/totp?return=%2F")
	p := g.administrator(t)
	pg := p.open("/.mfa/admin/mfa").is(t, 200, "The least that this service allows: Required")
	p.send(pg, "/.mfa/admin/mfa", "mode", "optional").is(t, 422, "asks for more than that")
	if out, err := g.run("mfa", "policy", "citadel", "optional", "--address", g.admin); err == nil || !strings.Contains(out, "minimum_policy") {
		t.Errorf("the operator's own command went below the minimum: %v\n%s", err, out)
	}
}

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

// TestJourneySettings looks after the settings in a browser, with the dialog.
func TestJourneySettings(t *testing.T) {
	t.Parallel()
	g := start(t)
	b := g.browse(t, "desk")
	b.signIn("admin@citadel.example", "/")
	b.enroll()
	b.open("/.mfa/admin/mfa")
	b.at("/.mfa/admin/mfa", "Multi-factor authentication", "Required")
	b.shot("settings")
	if b.visible("#manage") {
		t.Error("the dialog is open before it was asked for")
	}
	b.do(chromedp.Click(chromedp.CSS("[data-opens=manage]"), chromedp.NodeVisible))
	b.wait(`document.getElementById("manage").open && document.activeElement.checked`)
	b.shot("settings-dialog")
	b.do(chromedp.KeyEvent(kb.Escape))
	b.wait(`!document.getElementById("manage").open`)
	b.do(chromedp.Click(chromedp.CSS("[data-opens=manage]"), chromedp.NodeVisible))
	b.do(chromedp.Click(chromedp.CSS("[data-closes=manage]"), chromedp.NodeVisible))
	b.wait(`!document.getElementById("manage").open`)
	b.do(chromedp.Click(chromedp.CSS("[data-opens=manage]"), chromedp.NodeVisible))
	b.do(chromedp.Click(chromedp.CSS("#mode-optional"), chromedp.NodeVisible))
	b.run(`document.querySelector("#manage details").open = true`)
	b.shot("settings-options")
	b.press("#manage .bar button")
	b.at("/.mfa/admin/mfa", "Optional", "The settings are in force.")
	b.open("/.mfa/admin/mfa/people?mode=required&outcome=must_enroll")
	b.at("/.mfa/admin/mfa/people", "Citadel Member")
	b.shot("settings-people")
	b.open("/.mfa/admin/mfa")
	b.do(chromedp.Click(chromedp.CSS("[data-opens=manage]"), chromedp.NodeVisible))
	b.do(chromedp.Click(chromedp.CSS("#mode-required"), chromedp.NodeVisible), chromedp.Click(chromedp.CSS("#when-trial"), chromedp.NodeVisible))
	b.press("#manage .bar button")
	b.at("/.mfa/admin/mfa", "Tried and not enforced")
	b.shot("settings-trial")
	b.open("/.mfa/admin/mfa/trial")
	b.at("/.mfa/admin/mfa/trial", "What would have happened")
	b.shot("settings-report")
}

// TestJourneySettingsWithoutScript does the same on plain pages.
func TestJourneySettingsWithoutScript(t *testing.T) {
	t.Parallel()
	g := start(t)
	b := g.browse(t, "phone")
	b.withoutScript()
	b.signIn("admin@citadel.example", "/")
	b.enroll()
	b.open("/.mfa/admin/mfa")
	if b.visible("#manage") {
		t.Error("the closed dialog is shown")
	}
	b.press("[data-opens=manage]")
	b.at("/.mfa/admin/mfa", "Choose how people prove who they are")
	b.shot("settings-manage")
	b.do(chromedp.Click(chromedp.CSS("#mode-suggested"), chromedp.NodeVisible))
	b.press("#manage .bar button")
	b.at("/.mfa/admin/mfa", "Suggested", "The settings are in force.")
}
