package integration_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestThreePolicies walks the decision table's rows for people with a password,
// on the running example.
func TestThreePolicies(t *testing.T) {
	t.Parallel()
	g := start(t)

	t.Run("optional without a factor enters", func(t *testing.T) {
		p := g.person(t)
		p.signIn("member@aurora.example", "/orders?page=2").is(t, 200, "GET /orders", "member@aurora.example", "in account aurora", "role member")
	})
	t.Run("optional with a factor is challenged", func(t *testing.T) {
		p := g.person(t)
		p.signIn("member@aurora.example", "/").is(t, 200, "GET /")
		p.enroll(p.open("/.mfa/enroll/totp").is(t, 200)).is(t, 200)
		if len(p.codes) != 10 {
			t.Fatalf("%d recovery codes", len(p.codes))
		}
		q := g.person(t)
		q.totp = p.totp
		pg := q.signIn("member@aurora.example", "/orders").is(t, 200)
		q.get("/orders").to(t, "/.mfa/challenge?return=%2Forders")
		q.answer(pg).to(t, "/orders")
		q.get("/orders").is(t, 200, "X-Mfa-Amr", "pwd,otp,mfa")
	})
	t.Run("suggested is invited once", func(t *testing.T) {
		p := g.person(t)
		pg := p.signIn("member@borealis.example", "/deep/page")
		if !strings.HasPrefix(pg.path, "GET /.mfa/suggest") {
			t.Fatalf("went to %s", pg.path)
		}
		p.get("/deep/page").to(t, "/.mfa/suggest?return=%2Fdeep%2Fpage")
		p.send(pg, "/.mfa/suggest/later").to(t, "/deep/page")
		p.get("/deep/page").is(t, 200, "GET /deep/page")
		q := g.person(t) // another browser, within the snooze
		q.signIn("member@borealis.example", "/").is(t, 200, "GET /", "in account borealis")
	})
	t.Run("required enrols, and nothing else", func(t *testing.T) {
		p := g.person(t)
		pg := p.signIn("member@citadel.example", "/reports/7?x=1")
		if !strings.HasPrefix(pg.path, "GET /.mfa/enroll/totp") {
			t.Fatalf("went to %s", pg.path)
		}
		for _, path := range []string{"/", "/reports/7", "/assets/app.js", "/.mfaa", "/x/.mfa/profile"} {
			if got := p.get(path); got.status != 303 || !strings.HasPrefix(got.header.Get("Location"), "/.mfa/enroll/totp") {
				t.Errorf("%s answered %d %s", path, got.status, got.header.Get("Location"))
			}
		}
		for _, path := range []string{"/.mfa/profile", "/.mfa/profile/security", "/.mfa/profile/sessions", "/.mfa/accounts", "/.mfa/enroll/totp"} {
			p.open(path).is(t, 200)
		}
		if _, later := pg.form("/.mfa/suggest/later"); later {
			t.Error("a required account offers to wait")
		}
		p.send(pg, "/.mfa/enroll/totp", "code", "000000").is(t, 401, "did not match")
		pg = p.enroll(p.open("/.mfa/enroll/totp?return=/reports/7?x=1"))
		if len(p.codes) != 10 || !strings.HasPrefix(pg.path, "GET /.mfa/recovery-codes") {
			t.Fatalf("%s with %d recovery codes", pg.path, len(p.codes))
		}
		p.get("/reports/7").is(t, 200, "GET /reports/7", "in account citadel")
		if again := p.open("/.mfa/recovery-codes"); strings.Contains(again.body, p.codes[0]) {
			t.Error("the recovery codes were shown twice")
		}

		q := g.person(t)
		q.totp = p.totp
		pg = q.signIn("member@citadel.example", "/reports/7").is(t, 200)
		wrong := q.send(pg, "/.mfa/challenge/totp", "code", "000000").is(t, 401, "UTC")
		q.get("/reports/7").to(t, "/.mfa/challenge?return=%2Freports%2F7")
		q.answer(wrong).to(t, "/reports/7")
		q.get("/reports/7").is(t, 200)

		r := g.person(t) // who lost the app
		pg = r.signIn("member@citadel.example", "/reports/7").is(t, 200)
		r.send(pg, "/.mfa/challenge/recovery", "code", p.codes[3]).to(t, "/reports/7")
		r.get("/reports/7").is(t, 200)
		s := g.person(t) // who found the same code
		pg = s.signIn("member@citadel.example", "/reports/7").is(t, 200)
		s.send(pg, "/.mfa/challenge/recovery", "code", p.codes[3]).is(t, 401)
	})
	t.Run("switching judges by the other account, and keeps what was proven", func(t *testing.T) {
		p := g.person(t)
		pg := p.signIn("consultant@partner.example", "/where").is(t, 200)
		if !strings.HasPrefix(pg.path, "GET /.mfa/accounts") {
			t.Fatalf("went to %s", pg.path)
		}
		p.follow(p.send(pg, "/.mfa/accounts/switch", "account", "aurora")).is(t, 200, "in account aurora with role admin")
		pg = p.follow(p.send(p.open("/.mfa/accounts"), "/.mfa/accounts/switch", "account", "citadel")).is(t, 200)
		if !strings.HasPrefix(pg.path, "GET /.mfa/enroll/totp") {
			t.Fatalf("went to %s", pg.path)
		}
		p.enroll(pg)
		p.get("/where").is(t, 200, "in account citadel with role member")
		p.follow(p.send(p.open("/.mfa/accounts"), "/.mfa/accounts/switch", "account", "borealis")).is(t, 200, "GET /")
		p.get("/where").is(t, 200, "in account borealis")
	})
	t.Run("a foreign account stays closed", func(t *testing.T) {
		p := g.person(t)
		p.signIn("member@aurora.example", "/").is(t, 200)
		q := g.person(t)
		pg := q.signIn("consultant@partner.example", "/").is(t, 200)
		fields, _ := pg.form("/.mfa/accounts/switch")
		if got := q.send(pg, "/.mfa/accounts/switch", "account", "nowhere"); got.status == 303 && got.header.Get("Location") == "/" {
			t.Errorf("entered an account that is not there, with %v", fields)
		}
		q.get("/").is(t, 303)
	})
	t.Run("sign out everywhere", func(t *testing.T) {
		p, q := g.person(t), g.person(t)
		p.signIn("admin@citadel.example", "/")
		p.enroll(p.open("/.mfa/enroll/totp"))
		p.get("/").is(t, 200)
		q.totp = p.totp
		q.answer(q.signIn("admin@citadel.example", "/")).to(t, "/")
		q.get("/").is(t, 200)
		p.send(p.open("/.mfa/profile/sessions").is(t, 200), "/.mfa/logout", "everywhere", "1").to(t, "/.mfa/signed-out?everywhere")
		q.get("/").to(t, "/.mfa/login?return=%2F")
		p.get("/").to(t, "/.mfa/login?return=%2F")
	})
}

// TestOneCodeOnce sends one valid code fifty times at once, from five browsers
// that all know the password: one of them enters.
func TestOneCodeOnce(t *testing.T) {
	t.Parallel()
	g := start(t)
	p := g.person(t)
	p.signIn("member@citadel.example", "/")
	p.enroll(p.open("/.mfa/enroll/totp"))
	var pages [5]*page
	var people [5]*person
	for i := range people {
		people[i] = g.person(t)
		pages[i] = people[i].signIn("member@citadel.example", "/").is(t, 200)
	}
	code := p.totp.code(t)
	var won atomic.Int32
	var group sync.WaitGroup
	ready := make(chan struct{})
	for i := range 50 {
		q, pg := people[i%5], pages[i%5]
		values, ok := pg.form("/.mfa/challenge/totp")
		if !ok {
			t.Fatalf("no challenge on %s", pg.path)
		}
		values.Set("code", code)
		r, err := http.NewRequest(http.MethodPost, g.address+"/.mfa/challenge/totp", strings.NewReader(values.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Cookie", "mfa="+q.cookie("mfa"))
		group.Go(func() {
			<-ready
			client := &http.Client{CheckRedirect: q.client.CheckRedirect}
			res, err := client.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
			switch {
			case res.StatusCode == http.StatusSeeOther && res.Header.Get("Location") == "/":
				won.Add(1)
			case res.StatusCode == http.StatusForbidden:
				// The winner's session goes on under a new id: to whoever still
				// shows the former one, its form belongs to nobody.
			case res.StatusCode != 401 && res.StatusCode != 429 && res.StatusCode != 303:
				t.Errorf("a repeated code was answered %d", res.StatusCode)
			}
		})
	}
	close(ready)
	group.Wait()
	if won.Load() != 1 {
		t.Errorf("one code was accepted %d times", won.Load())
	}
	q := g.person(t)
	pg := q.signIn("member@citadel.example", "/").is(t, 200)
	if got := q.send(pg, "/.mfa/challenge/totp", "code", code); got.status != 401 && got.status != 429 {
		t.Errorf("the code was accepted again: %d", got.status)
	}
}

// TestRaisedPolicyHoldsAtOnce raises a policy under a signed-in browser.
func TestRaisedPolicyHoldsAtOnce(t *testing.T) {
	t.Parallel()
	g := start(t)
	p := g.person(t)
	p.signIn("member@aurora.example", "/").is(t, 200)
	before := p.cookie("mfa")
	g.mfa("policy", "aurora", "required")
	p.get("/orders/9?tab=lines").to(t, "/.mfa/enroll/totp?return=%2Forders%2F9%3Ftab%3Dlines")
	pg := p.enroll(p.open("/orders/9?tab=lines"))
	if !strings.Contains(pg.body, `href="/orders/9?tab=lines"`) {
		t.Errorf("the page of the recovery codes does not lead back:\n%s", pg.body)
	}
	p.get("/orders/9?tab=lines").is(t, 200, "GET /orders/9")
	if before == "" {
		t.Error("there was no session")
	}
	if out := g.mfa("explain", "--user", "member@aurora.example", "--account", "aurora"); !strings.Contains(out, "challenge") || !strings.Contains(out, "enrolled") {
		t.Errorf("explain says\n%s", out)
	}
	g.mfa("policy", "aurora", "optional") // lowering it un-enrols nobody
	q := g.person(t)
	q.totp = p.totp
	q.answer(q.signIn("member@aurora.example", "/")).to(t, "/")
}

// TestOverHTTPS looks at the cookies that a real site sets.
func TestOverHTTPS(t *testing.T) {
	t.Parallel()
	g := start(t, encrypted)
	p := g.person(t)
	pg := p.follow(p.send(p.open("/x"), "/.mfa/login", "email", "member@aurora.example")).is(t, 200)
	if strings.Contains(pg.text(), "not encrypted") {
		t.Error("an encrypted page says that it is not")
	}
	pg = p.send(pg, "/.mfa/login/password", "password", password).to(t, "/x")
	set := pg.header.Values("Set-Cookie")
	if len(set) == 0 {
		t.Fatal("no cookie was set")
	}
	for _, line := range set {
		if !strings.HasPrefix(line, "__Host-mfa") || !strings.Contains(line, "; Secure") || !strings.Contains(line, "; HttpOnly") ||
			!strings.Contains(line, "; SameSite=Lax") || !strings.Contains(line, "; Path=/;") || strings.Contains(line, "Domain") {
			t.Errorf("a cookie is set as %s", line[strings.Index(line, ";"):])
		}
	}
	p.get("/x").is(t, 200, "in account aurora")
	plain := g.person(t)
	plain.client.Jar = nil
	if pg := plain.get("/x", "Cookie", "mfa="+p.cookie("__Host-mfa")); pg.status != 303 {
		t.Errorf("a cookie of the name for plain HTTP is accepted over HTTPS: %d", pg.status)
	}
}

// TestOwnSessionsAndPassword ends another session, and changes the password.
func TestOwnSessionsAndPassword(t *testing.T) {
	t.Parallel()
	g := start(t)
	p, q, r := g.person(t), g.person(t), g.person(t)
	for _, each := range []*person{p, q, r} {
		each.signIn("member@aurora.example", "/").is(t, 200)
	}
	pg := p.open("/.mfa/profile/sessions").is(t, 200)
	p.follow(p.send(pg, "/.mfa/profile/sessions/revoke")).is(t, 200)
	left := 0
	for _, each := range []*person{q, r} {
		if each.get("/").status == 200 {
			left++
		}
	}
	if left != 1 {
		t.Errorf("%d of two other sessions are left after one was ended", left)
	}
	p.follow(p.send(p.open("/.mfa/profile/sessions"), "/.mfa/profile/sessions/revoke-others")).is(t, 200)
	if q.get("/").status == 200 || r.get("/").status == 200 {
		t.Error("another session is left after all were ended")
	}
	p.get("/").is(t, 200)

	q.signIn("member@aurora.example", "/").is(t, 200)
	chosen := "an entirely different passphrase"
	g.secret(chosen)
	pg = p.open("/.mfa/profile/security").is(t, 200)
	p.send(pg, "/.mfa/profile/security/password", "current", "wrong", "new", chosen, "again", chosen).is(t, 401)
	p.send(pg, "/.mfa/profile/security/password", "current", password, "new", chosen, "again", "x").is(t, 422)
	p.follow(p.send(pg, "/.mfa/profile/security/password", "current", password, "new", chosen, "again", chosen)).is(t, 200)
	p.get("/").is(t, 200)
	q.get("/").to(t, "/.mfa/login?return=%2F")
	pg = q.follow(q.send(q.open("/"), "/.mfa/login", "email", "member@aurora.example"))
	q.send(pg, "/.mfa/login/password", "password", password).is(t, 401)
	q.send(pg, "/.mfa/login/password", "password", chosen).to(t, "/")
}
