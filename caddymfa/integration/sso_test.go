package integration_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestJourneySSO: the three policies, for somebody who came through this
// account's provider, through another account's, and with a password.
func TestJourneySSO(t *testing.T) {
	t.Parallel()
	acme := newCompany(t, "Acme", "ana@acme.example")
	partner := newCompany(t, "Partner Group", "oto@partner.example")
	const domain = "domain acme.example {\nenforce\n}"
	everywhere := []string{"easy", "nudging", "strict"}
	g := newGate(t, trusting(
		accountBlock("easy", "optional", domain, acme.link()),
		accountBlock("nudging", "suggested", domain, acme.link()),
		accountBlock("strict", "required", domain, acme.link("mfa_acr_values gold")),
		accountBlock("partner", "required", "domain partner.example {\nenforce\n}", partner.link()),
		userBlock("ana@acme.example", everywhere...),
		userBlock("oto@partner.example", append(everywhere, "partner")...),
		userBlock("guest@elsewhere.example", everywhere...),
	))
	acme.open(g)
	partner.open(g)
	g.start()
	t.Cleanup(g.end)

	// platform is what the policy does to those whom no provider of the account
	// vouches for: the same for both of them.
	platform := func(t *testing.T, b *tab) {
		b.enter("easy")
		b.open("/orders")
		b.at("/orders", "in account easy")
		b.enter("nudging")
		b.open("/orders")
		b.at("/.mfa/suggest")
		b.enter("strict")
		b.open("/orders")
		b.at("/.mfa/enroll/totp")
	}
	t.Run("through this account's provider", func(t *testing.T) {
		b := g.browse(t, "desk")
		b.throughCompany(acme, "ana@acme.example", "/orders?page=2", "pwd", "")
		b.arrives("/orders", "ana@acme.example")
		for _, account := range everywhere {
			b.enter(account)
			b.open("/orders")
			b.at("/orders", "in account "+account)
		}
		b.open("/.mfa/profile/security")
		b.at("/.mfa/profile/security", "You signed in through")
		b.shot("security")
	})
	t.Run("through another account's provider", func(t *testing.T) {
		b := g.browse(t, "desk")
		b.throughCompany(partner, "oto@partner.example", "/orders", "pwd otp", "gold")
		b.arrives("/orders", "oto@partner.example", "in account partner")
		platform(t, b)
		b.enter("partner")
		b.open("/orders")
		b.at("/orders", "in account partner")
	})
	t.Run("with a password", func(t *testing.T) {
		b := g.browse(t, "desk")
		b.signIn("guest@elsewhere.example", "/orders")
		b.at("/.mfa/accounts")
		platform(t, b)
	})
	t.Run("on a phone, and back by the person's own choice", func(t *testing.T) {
		b := g.browse(t, "phone")
		b.open("/orders")
		b.fill("#email", "ana@acme.example")
		b.toCompany(acme, `form[action="/.mfa/login"] button`)
		b.press("#cancel")
		b.arrives("/.mfa/sso/callback", "did not let you in here")
		b.shot("refused")
		b.open("/orders")
		b.at("/.mfa/login")
	})
	t.Run("what the provider said is counted", func(t *testing.T) {
		out := g.mfa("providers", "partner")
		if !strings.Contains(out, "100 % of 1 sign-ins carried mfa") {
			t.Errorf("it says\n%s", out)
		}
	})
}

// TestSSOEnforced: a password is not taken from people whose company signs them
// in, at the sign-in, at the switch of the account and in sessions that there
// are already.
func TestSSOEnforced(t *testing.T) {
	t.Parallel()
	acme := newCompany(t, "Acme", "ana@acme.example")
	config := func(domain string) func(string) string {
		return trusting(
			accountBlock("acme", "optional", domain, acme.link()),
			accountBlock("open", "optional"),
			userBlock("ana@acme.example", "acme", "open"),
			userBlock("guest@elsewhere.example", "acme"),
		)
	}
	g := newGate(t)
	text, err := os.ReadFile(g.config())
	if err != nil {
		t.Fatal(err)
	}
	plain := string(text)
	g.write(config("domain acme.example")(plain))
	acme.open(g)
	g.start()
	t.Cleanup(g.end)

	early := g.person(t)
	pg := early.signIn("ana@acme.example", "/").is(t, 200)
	early.follow(early.send(pg, "/.mfa/accounts/switch", "account", "open")).is(t, 200, "in account open")
	inside := g.person(t)
	inside.follow(inside.send(inside.signIn("ana@acme.example", "/"), "/.mfa/accounts/switch", "account", "acme")).is(t, 200, "in account acme")

	if out, err := g.reload(config("domain acme.example {\nenforce\n}")(plain)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Run("sessions", func(t *testing.T) {
		inside.get("/orders").to(t, "/.mfa/sso?return=%2Forders")
		g.restart()
		inside.get("/orders").to(t, "/.mfa/sso?return=%2Forders")
	})
	t.Run("switch", func(t *testing.T) {
		early.get("/").is(t, 200, "in account open")
		early.follow(early.send(early.open("/.mfa/accounts"), "/.mfa/accounts/switch", "account", "acme"))
		early.get("/orders").to(t, "/.mfa/sso?return=%2Forders")
	})
	t.Run("sign-in", func(t *testing.T) {
		p := g.person(t)
		pg := p.send(p.open("/orders"), "/.mfa/login", "email", "guest@elsewhere.example")
		form, ok := p.follow(pg).form("/.mfa/login/password")
		if !ok {
			t.Fatal("a guest is not asked for a password")
		}
		p.send(p.open("/.mfa/login"), "/.mfa/login", "email", "ana@acme.example")
		form.Set("password", password)
		answer := p.ask(http.MethodPost, "/.mfa/login/password", form.Encode())
		if answer.status != http.StatusSeeOther || !strings.HasPrefix(answer.header.Get("Location"), "/.mfa/sso/start") {
			t.Errorf("the right password answered %d to %q", answer.status, answer.header.Get("Location"))
		}
		p.get("/orders").to(t, "/.mfa/login?return=%2Forders")
		if row := g.audit()[0]; row.Outcome != "refused" || row.Reason != "domain_enforced" {
			t.Errorf("the audit ends with %+v", row)
		}
	})
	t.Run("a guest of the account keeps theirs", func(t *testing.T) {
		g.person(t).signIn("guest@elsewhere.example", "/orders").is(t, 200, "in account acme")
	})
}

// TestSSOSignOut: a sign-out at the company ends the sessions here, and a
// sign-out here leads on to the company's.
func TestSSOSignOut(t *testing.T) {
	t.Parallel()
	acme := newCompany(t, "Acme", "ana@acme.example")
	g := newGate(t, trusting(
		accountBlock("acme", "required", "domain acme.example {\nenforce\n}", acme.link()),
		userBlock("ana@acme.example", "acme"),
	))
	acme.open(g)
	g.start()
	t.Cleanup(g.end)

	b := g.browse(t, "desk")
	b.throughCompany(acme, "ana@acme.example", "/orders", "pwd", "")
	b.arrives("/orders", "in account acme")
	// At the company, in the same browser.
	b.load(chromedp.Navigate(acme.address + "/session/end"))
	b.press("button[value=yes]")
	b.open("/orders")
	b.at("/.mfa/login")
	var ended bool
	for _, row := range g.audit() {
		ended = ended || row.Reason == "back_channel_logout" && row.Outcome == "ok"
	}
	if !ended {
		t.Errorf("the audit does not say that the company ended it: %+v", g.audit())
	}

	b.fill("#email", "ana@acme.example")
	b.toCompany(acme, `form[action="/.mfa/login"] button`)
	b.atWork("ana@acme.example", "pwd", "")
	b.arrives("/orders")
	b.leave()
	b.at("/.mfa/signed-out", "Sign out of Acme too")
	b.shot("signed-out")
	b.press("main a.primary")
	b.press("button[value=yes]")
	b.arrives("/.mfa/signed-out")
	b.open("/orders")
	b.fill("#email", "ana@acme.example")
	b.toCompany(acme, `form[action="/.mfa/login"] button`) // it asks again
}

// TestSSOOutage: a provider that is down gives a page with a way to try again,
// and nobody gets in without it.
func TestSSOOutage(t *testing.T) {
	t.Parallel()
	acme := newCompany(t, "Acme", "ana@acme.example")
	g := start(t, trusting(
		accountBlock("acme", "optional", "domain acme.example {\nenforce\n}", acme.link()),
		userBlock("ana@acme.example", "acme"),
	))
	b := g.browse(t, "phone")
	b.open("/orders")
	b.fill("#email", "ana@acme.example")
	b.submit("/.mfa/login")
	b.at("/.mfa/sso/start", "did not answer", "Acme cannot be reached", "Use a one-time entry")
	b.shot("outage")
	b.open("/orders")
	b.at("/.mfa/login")
	b.open("/orders?page=2")
	b.fill("#email", "ana@acme.example")
	b.submit("/.mfa/login")
	b.at("/.mfa/sso/start")
	acme.open(g)
	b.g.until("the provider is asked again", func() bool {
		b.do(chromedp.Click(chromedp.CSS("main a.primary"), chromedp.NodeVisible), chromedp.WaitVisible(chromedp.CSS("h1")))
		return !strings.HasPrefix(get(b, chromedp.Location()), g.address+"/.mfa/sso/start") || !strings.Contains(b.text("h1"), "did not answer")
	})
	b.atCompany(acme)
	b.atWork("ana@acme.example", "pwd", "")
	b.arrives("/orders?page=2", "in account acme")
	// Who is inside stays inside while it is down.
	acme.shut()
	b.open("/orders")
	b.at("/orders", "in account acme")
}

// TestBreakGlass: while a company's provider is down, an operator's one-time
// entry and a second factor get one person in, once and loudly, and nothing else
// does.
func TestBreakGlass(t *testing.T) {
	t.Parallel()
	acme := newCompany(t, "Acme", "ana@acme.example")
	config := func(domain string) func(string) string {
		return trusting(
			accountBlock("acme", "required", domain, acme.link()),
			accountBlock("open", "optional"),
			userBlock("ana@acme.example", "acme", "open"),
		)
	}
	g := newGate(t)
	text, err := os.ReadFile(g.config())
	if err != nil {
		t.Fatal(err)
	}
	g.write(config("domain acme.example")(string(text)))
	g.start()
	t.Cleanup(g.end)
	before := g.person(t)
	before.signIn("ana@acme.example", "/")
	before.enroll(before.follow(before.send(before.open("/.mfa/accounts"), "/.mfa/accounts/switch", "account", "acme")))
	if out, err := g.reload(config("domain acme.example {\nenforce\n}")(string(text))); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	// The provider is not there at all.
	ana := g.person(t)
	ana.totp = before.totp
	down := ana.follow(ana.send(ana.open("/orders"), "/.mfa/login", "email", "ana@acme.example"))
	down.is(t, http.StatusBadGateway, "Your company's sign-in did not answer", "Use a one-time entry")
	before.get("/orders").to(t, "/.mfa/sso?return=%2Forders") // a password and a code of ours are not the company's word

	link := g.mfa("breakglass", "ana@acme.example", "--account", "acme", "--for", "10m", "--origin", g.address)
	_, code, ok := strings.Cut(link, "/.mfa/breakglass#")
	if !ok {
		t.Fatalf("it prints %q", link)
	}
	code = strings.Fields(code)[0]
	g.secret(code)
	form := ana.open("/.mfa/breakglass?return=%2Forders").is(t, http.StatusOK)
	ana.send(form, "/.mfa/breakglass", "ticket", "AAAABBBBCCCCDDDDEEEEFFFFGGGGHHHH").is(t, http.StatusGone)
	challenge := ana.follow(ana.send(form, "/.mfa/breakglass", "ticket", code))
	if !strings.HasPrefix(challenge.path, "GET /.mfa/challenge") {
		t.Fatalf("an entry alone leads to %s", challenge.path)
	}
	ana.get("/orders").to(t, "/.mfa/challenge?return=%2Forders")
	ana.follow(ana.answer(challenge)).is(t, http.StatusOK, "in account acme")

	other := g.person(t)
	other.send(other.open("/.mfa/breakglass"), "/.mfa/breakglass", "ticket", code).is(t, http.StatusGone)
	// It stands in for the provider of the one account.
	ana.follow(ana.send(ana.open("/.mfa/accounts"), "/.mfa/accounts/switch", "account", "open"))
	if pg := ana.open("/orders"); strings.Contains(pg.text(), "in account open") {
		t.Errorf("it opened another account: %s", pg.text())
	}

	var rows []string
	for _, row := range g.audit() {
		if row.Action == "break_glass" {
			rows = append([]string{row.Outcome + " " + row.Reason + " " + row.Account}, rows...)
		}
	}
	if got, want := strings.Join(rows, ", "), "ok issued acme, refused wrong_code , ok entered acme, refused wrong_code "; got != want {
		t.Errorf("the audit has %q, want %q", got, want)
	}
	loud := 0
	for line := range strings.Lines(g.log.String()) {
		if strings.Contains(line, `"msg":"break_glass"`) && strings.Contains(line, `"level":"warn"`) {
			loud++
		}
	}
	if loud != len(rows) {
		t.Errorf("%d of %d rows are warnings in the log:\n%s", loud, len(rows), g.log)
	}
}

// TestSSOStepUp: where a fresh sign-in is wanted, the provider asks again,
// although it knows the browser.
func TestSSOStepUp(t *testing.T) {
	t.Parallel()
	acme := newCompany(t, "Acme", "ana@acme.example")
	g := newGate(t, trusting(
		accountBlock("acme", "optional", "domain acme.example {\nenforce\n}", acme.link()),
		userBlock("ana@acme.example", "acme"),
	), replace("\n\tmfa\n", "\n\t@pay path /pay\n\t@others not path /pay\n\tmfa @pay {\n\t\tsecond_factor_max_age 2s\n\t}\n\tmfa @others\n"))
	acme.open(g)
	g.start()
	t.Cleanup(g.end)

	b := g.browse(t, "desk")
	b.throughCompany(acme, "ana@acme.example", "/orders", "pwd otp", "")
	b.arrives("/orders")
	b.g.until("the sign-in is too old to pay", func() bool {
		b.do(chromedp.Navigate(g.address + "/pay"))
		return !strings.HasPrefix(get(b, chromedp.Location()), g.address+"/pay")
	})
	b.atCompany(acme)
	b.atWork("ana@acme.example", "pwd otp", "")
	b.arrives("/pay", "in account acme")
	b.open("/orders")
	b.at("/orders")
}
