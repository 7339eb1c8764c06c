package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestRequests sends one gate what people, programs and attackers send.
func TestRequests(t *testing.T) {
	t.Parallel()
	g := start(t)
	g.each(t, []subtest{
		{"programs and people are told apart", programsAndPeopleAreToldApart},
		{"answers to bad requests", answersToBadRequests},
		{"return stays here", returnStaysHere},
		{"bad cookies are none", badCookiesAreNone},
		{"unread bodies are not requests", unreadBodiesAreNotRequests},
		{"health", health},
	})
}

// programsAndPeopleAreToldApart: a fetch gets JSON, a navigation is sent to
// the page, and what a form posted is never lost without a word.
func programsAndPeopleAreToldApart(t *testing.T, g *gate) {
	p := g.person(t)

	p.get("/orders?page=2").to(t, "/.mfa/login?return=%2Forders%3Fpage%3D2")
	p.get("/orders", "Sec-Fetch-Mode", "").to(t, "/.mfa/login?return=%2Forders") // an old browser
	told := func(pg *page) map[string]string {
		t.Helper()
		var v map[string]string
		if kind := pg.header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
			t.Fatalf("%s answered %s", pg.path, kind)
		}
		if err := json.Unmarshal([]byte(pg.body), &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	program := []string{"Accept", "application/json", "Sec-Fetch-Mode", "cors"}
	v := told(p.get("/api/orders", program...).is(t, 401))
	if v["error"] != "sign_in_required" || v["verdict"] != "sign_in" || v["url"] != "/.mfa/login" {
		t.Errorf("a program is told %v", v)
	}
	told(p.ask(http.MethodPost, "/api/orders", `{}`, append(program, "Content-Type", "application/json")...).is(t, 401))
	told(p.ask(http.MethodDelete, "/api/orders/1", "", program...).is(t, 401))
	p.ask(http.MethodPost, "/orders", "amount=7").is(t, 401, "was not saved")

	p.signIn("member@citadel.example", "/")
	if v := told(p.get("/api/orders", program...).is(t, 401)); v["verdict"] != "enroll" || v["reason"] != "policy_required" || v["url"] != "/.mfa/enroll/totp" {
		t.Errorf("a program of somebody who must enrol is told %v", v)
	}
	p.ask(http.MethodPost, "/orders", "amount=7").is(t, 403, "was not saved")
}

// refusesBigForm sends a form that is too big on a connection of its own: its
// answer comes before all is read, which not every client forgives.
func refusesBigForm(t *testing.T, g *gate, path string) {
	t.Helper()
	form := "email=" + strings.Repeat("a", 64<<10)
	answer, closed := g.raw(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		path, len(form), form))
	if !strings.HasPrefix(answer, "HTTP/1.1 413 ") || !closed {
		t.Errorf("a form that is too big was answered %.80q, closed: %v", answer, closed)
	}
}

// answersToBadRequests asks for what there is not, in ways that do not fit.
func answersToBadRequests(t *testing.T, g *gate) {
	p := g.person(t)
	for _, path := range []string{"/.mfa/nothing", "/.mfa/login/", "/.mfa/profile/nothing", "/.mfa/%00"} {
		p.get(path).is(t, 404, "page")
	}
	for path, allow := range map[string]string{"/.mfa/login": "GET, HEAD, POST", "/.mfa/logout": "POST", "/.mfa/challenge": "GET, HEAD"} {
		pg := p.ask(http.MethodDelete, path, "").is(t, 405)
		if pg.header.Get("Allow") != allow {
			t.Errorf("%s allows %q", path, pg.header.Get("Allow"))
		}
	}
	p.get("/.mfa/logout").is(t, 405)

	login := p.open("/").is(t, 200)
	refusesBigForm(t, g, "/.mfa/login")
	p.ask(http.MethodPost, "/.mfa/login", "email=a", "Content-Type", "application/json").is(t, 400)
	p.ask(http.MethodPost, "/.mfa/login", "email=%zz").is(t, 400)
	p.ask(http.MethodPost, "/.mfa/login", "email=member@aurora.example").is(t, 403, "again") // no CSRF token
	p.ask(http.MethodPost, "/.mfa/login", "csrf=wrong&email=member@aurora.example").is(t, 403)
	values, _ := login.form("/.mfa/login")
	values.Set("email", "member@aurora.example")
	p.ask(http.MethodPost, "/.mfa/login", values.Encode(), "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example").is(t, 403)
	p.ask(http.MethodPost, "/.mfa/login", values.Encode(), "Sec-Fetch-Site", "", "Origin", "https://evil.example").is(t, 403)
	p.ask(http.MethodPost, "/.mfa/login/password", "password=x").is(t, 403)
	p.ask(http.MethodPost, "/.mfa/login", values.Encode()).to(t, "/.mfa/login/password?return=%2F")
	values.Set("email", "no address")
	p.ask(http.MethodPost, "/.mfa/login", values.Encode()).is(t, 422, "e-mail address")
	values.Set("email", strings.Repeat("x", 300)+"@aurora.example")
	p.ask(http.MethodPost, "/.mfa/login", values.Encode()).is(t, 422)

	// A form of one browser is nothing in another.
	q := g.person(t)
	q.open("/")
	values.Set("email", "member@aurora.example")
	q.ask(http.MethodPost, "/.mfa/login", values.Encode()).is(t, 403)

	// Pages that belong to a later step lead to the beginning.
	fresh := g.person(t)
	fresh.get("/.mfa/challenge").to(t, "/.mfa/login?return=%2F.mfa%2Fchallenge")
	fresh.get("/.mfa/enroll/totp").to(t, "/.mfa/login?return=%2F.mfa%2Fenroll%2Ftotp")
	fresh.get("/.mfa/login/password").to(t, "/.mfa/login")

	for _, path := range []string{"/.mfa/login", "/.mfa/nothing", "/.mfa/profile"} {
		h := p.get(path).header
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "", "Content-Security-Policy": "frame-ancestors 'none'",
		} {
			if path == "/.mfa/profile" && name != "Cache-Control" {
				continue // a redirect
			}
			if got := h.Get(name); !strings.Contains(got, want) || got == "" {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if csp := h.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") {
			t.Errorf("%s: %s", path, csp)
		}
	}
}

// returnStaysHere: after signing in, nobody is led to another site.
func returnStaysHere(t *testing.T, g *gate) {
	for _, bad := range []string{
		"//evil.example/", "/\\evil.example", "https://evil.example/", "javascript:alert(1)", "\\/evil.example", "/\t/evil.example",
		"/%2f%2fevil.example", "/%5cevil.example", " //evil.example", "///evil.example", "/\x00", "http:evil.example", "/..//evil.example",
	} {
		p := g.person(t)
		pg := p.open("/.mfa/login?return="+url.QueryEscape(bad)).is(t, 200)
		pg = p.follow(p.send(pg, "/.mfa/login", "email", "member@aurora.example", "return", bad)).is(t, 200)
		to := p.send(pg, "/.mfa/login/password", "password", password, "return", bad).header.Get("Location")
		if to != "/" {
			t.Errorf("return %q leads to %q", bad, to)
		}
	}
	p := g.person(t)
	p.signIn("member@aurora.example", "/a/b?c=d&e=%2F").is(t, 200, "GET /a/b")
}

// badCookiesAreNone: whatever a cookie holds, its owner is signed out, and
// nothing fails.
func badCookiesAreNone(t *testing.T, g *gate) {
	p := g.person(t)
	p.signIn("member@aurora.example", "/").is(t, 200)
	good := p.cookie("mfa")
	parts := strings.Split(good, ".")
	stranger := g.person(t)
	for name, cookie := range map[string]string{
		"empty":     "mfa=",
		"malformed": "mfa=\"..\"",
		"not a JWT": "mfa=abc",
		"oversized": "mfa=" + strings.Repeat("a", 8<<10),
		"repeated":  "mfa=" + good + "; mfa=" + good,
		"tampered":  "mfa=" + parts[0] + "." + parts[1] + "A." + parts[2],
		"unsigned":  "mfa=eyJhbGciOiJub25lIn0." + parts[1] + ".",
		"of HTTPS":  "__Host-mfa=" + good,
		"cased":     "MFA=" + good,
		"spaced":    "mfa =" + good,
	} {
		stranger.client.Jar = nil
		pg := stranger.get("/", "Cookie", cookie)
		if pg.status != 303 || pg.header.Get("Location") != "/.mfa/login?return=%2F" {
			t.Errorf("a cookie that is %s: %d %s", name, pg.status, pg.header.Get("Location"))
		}
		if pg := stranger.get("/.mfa/login", "Cookie", cookie+"; mfa-flow=%%%; mfa-known=x"); pg.status != 200 {
			t.Errorf("a cookie that is %s: the sign-in page answers %d", name, pg.status)
		}
	}
	if pg := stranger.get("/", "Cookie", "mfa="+good); pg.status != 200 {
		t.Errorf("the untouched cookie: %d", pg.status)
	}
	if len(good) > 400 {
		t.Errorf("the cookie has %d bytes", len(good))
	}
	assertion := strings.TrimSpace(p.get("/").tableRow("X-Mfa-Assertion"))
	if pg := stranger.get("/", "Cookie", "mfa="+assertion); assertion == "" || pg.status != 303 {
		t.Errorf("the assertion %q served as a session: %d", assertion, pg.status)
	}
}

// unreadBodiesAreNotRequests: a body that the gate refuses to read must not
// be taken for the next request on the connection (request smuggling).
func unreadBodiesAreNotRequests(t *testing.T, g *gate) {
	host := strings.TrimPrefix(g.address, "http://")
	smuggled := "GET /.mfa/health HTTP/1.1\r\nHost: " + host + "\r\n\r\n"
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled)
	for _, target := range []string{"POST /orders", "PUT /orders", "GET /orders", "POST /.mfa/login", "POST /.mfa/nothing", "POST /.mfa/logout",
		"DELETE /.mfa/login", "POST /.mfa/jwks.json", "POST /.mfa/health", "POST /.mfa/verify", "GET /.mfa/login", "GET /.mfa/static/app.css"} {
		for name, rest := range map[string]string{
			"length":  fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(smuggled), smuggled),
			"chunked": "Transfer-Encoding: chunked\r\n\r\n" + chunk,
			"huge":    "Content-Length: 600000\r\n\r\n" + smuggled,
		} {
			answer, closed := g.raw(target + " HTTP/1.1\r\nHost: " + host + "\r\nAccept: text/html\r\n" + rest)
			if n := strings.Count(answer, "HTTP/1.1 "); n != 1 || !closed {
				t.Errorf("%s, %s: %d answers, closed: %v\n%.300s", target, name, n, closed, answer)
			}
		}
	}
}

// health answers machines.
func health(t *testing.T, g *gate) {
	p := g.person(t)
	if pg := p.get("/.mfa/health").is(t, 200); len(pg.body) > 100 {
		t.Errorf("health says %s", pg.body)
	}
	p.get("/.mfa/verify").is(t, 401)
	p.signIn("member@aurora.example", "/")
	if pg := p.get("/.mfa/verify").is(t, 200); pg.header.Get("Remote-Email") != "member@aurora.example" || pg.header.Get("X-Mfa-Assertion") == "" {
		t.Errorf("verify answers %v", pg.header)
	}
}
