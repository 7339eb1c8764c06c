package integration_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestRestartKeepsEverything: sessions, enrolment, signing keys.
func TestRestartKeepsEverything(t *testing.T) {
	t.Parallel()
	g := start(t)
	p := g.person(t)
	p.enroll(p.signIn("member@citadel.example", "/"))
	p.get("/").is(t, 200)
	keys := p.get("/.mfa/jwks.json").body
	g.restart()
	p.get("/").is(t, 200, "in account citadel")
	if again := p.get("/.mfa/jwks.json").body; again != keys {
		t.Errorf("the keys became %s", again)
	}
	q := g.person(t)
	q.totp = p.totp
	q.answer(q.signIn("member@citadel.example", "/")).to(t, "/")
	for _, name := range []string{"mfa.db", "master.key"} {
		found, err := filepath.Glob(filepath.Join(g.data(), "mfa", name))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %q, %v", name, found, err)
		}
		if info, err := os.Stat(found[0]); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

// TestReloadInTheMiddle reloads Caddy while people are signing in, with good
// and with bad configurations.
func TestReloadInTheMiddle(t *testing.T) {
	t.Parallel()
	g := start(t)
	good, err := os.ReadFile(g.config())
	if err != nil {
		t.Fatal(err)
	}
	p, q, signedIn := g.person(t), g.person(t), g.person(t)
	signedIn.signIn("member@aurora.example", "/").is(t, 200)
	pg := p.follow(p.send(p.open("/x"), "/.mfa/login", "email", "member@citadel.example")).is(t, 200) // asked for the password
	enrolling := q.signIn("admin@citadel.example", "/y").is(t, 200)                                   // asked to enrol

	if out, err := g.reload(string(good) + "\n# changed\n"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p.follow(p.send(pg, "/.mfa/login/password", "password", password)).is(t, 200, "authenticator app")
	q.enroll(enrolling)
	q.get("/y").is(t, 200)
	signedIn.get("/").is(t, 200)

	// A configuration that fails late, when another app cannot start, after the
	// mfa app of the same configuration was set up.
	taken := strings.TrimPrefix(g.address, "http://localhost:")
	bad := strings.Replace(string(good), "policy optional", "policy required", 1) + "\nhttp://localhost:" + taken + " {\n\tbind 192.0.2.1\n\tmfa\n}\n"
	if out, err := g.reload(bad); err == nil {
		t.Fatalf("a listener on somebody else's address was accepted:\n%s", out)
	}
	signedIn.get("/").is(t, 200)
	q.get("/y").is(t, 200)
	if out, err := g.reload(strings.Replace(string(good), "policy optional", "policy maybe", 1)); err == nil || !strings.Contains(out, "optional, suggested or required") {
		t.Fatalf("%v\n%s", err, out)
	}
	signedIn.get("/").is(t, 200)
	r := g.person(t)
	r.signIn("member@aurora.example", "/").is(t, 200, "in account aurora")
}

// TestPowerCut kills Caddy while people sign in and use recovery codes up: what
// was acknowledged holds after the restart, each time.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	g := start(t)
	owner := g.person(t)
	owner.enroll(owner.signIn("member@citadel.example", "/"))
	for round := range 2 {
		var (
			mu      sync.Mutex
			cookies []string
			used    []string
			group   sync.WaitGroup
			count   atomic.Int32
			stopped atomic.Bool
		)
		enough := make(chan struct{})
		acknowledge := func(cookie, code string) {
			mu.Lock()
			defer mu.Unlock()
			cookies = append(cookies, cookie)
			if code != "" {
				used = append(used, code)
			}
			if count.Add(1) == 6 {
				close(enough)
			}
		}
		codes := make(chan string, 5)
		for _, code := range owner.codes[5*round : 5*round+5] {
			codes <- code
		}
		for w := range 3 {
			group.Go(func() {
				for !stopped.Load() {
					email, code := "member@aurora.example", ""
					if w == 0 {
						select {
						case code = <-codes:
							email = "member@citadel.example"
						default:
						}
					}
					if cookie := quickly(g, email, code); cookie != "" {
						acknowledge(cookie, code)
					}
				}
			})
		}
		<-enough
		g.kill()
		stopped.Store(true)
		group.Wait()
		g.start()
		stranger := g.person(t)
		stranger.client.Jar = nil
		for i, cookie := range cookies {
			if pg := stranger.get("/", "Cookie", "mfa="+cookie); pg.status != 200 {
				t.Errorf("round %d: session %d of %d was acknowledged, and now answers %d", round, i, len(cookies), pg.status)
			}
		}
		for _, code := range used {
			p := g.person(t)
			pg := p.signIn("member@citadel.example", "/").is(t, 200)
			if got := p.send(pg, "/.mfa/challenge/recovery", "code", code); got.status == 303 {
				t.Errorf("round %d: a used recovery code was accepted again", round)
			}
		}
		t.Logf("round %d: %d sign-ins acknowledged, %d with a recovery code", round, len(cookies), len(used))
	}
}

// quickly signs in without failing the test, since Caddy may die any moment. It
// returns the session cookie of a sign-in that was acknowledged.
func quickly(g *gate, email, code string) string {
	post := func(client *http.Client, path, form, cookies string) (*http.Response, string) {
		r, err := http.NewRequest(http.MethodPost, g.address+path, strings.NewReader(form))
		if err != nil {
			return nil, ""
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Cookie", cookies)
		res, err := client.Do(r)
		if err != nil {
			return nil, ""
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return res, string(body)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	cookie := func(res *http.Response, name string) string {
		for _, c := range res.Cookies() {
			if c.Name == name {
				return c.Value
			}
		}
		return ""
	}
	hidden := func(body string) string {
		_, rest, _ := strings.Cut(body, `name="csrf" value="`)
		token, _, _ := strings.Cut(rest, `"`)
		return token
	}
	res, err := client.Get(g.address + "/.mfa/login")
	if err != nil {
		return ""
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	flow := cookie(res, "mfa-flow")
	res, _ = post(client, "/.mfa/login", "csrf="+hidden(string(body))+"&email="+email, "mfa-flow="+flow)
	if res == nil {
		return ""
	}
	flow = cookie(res, "mfa-flow")
	res, _ = post(client, "/.mfa/login/password", "csrf="+hidden(string(body))+"&password="+strings.ReplaceAll(password, " ", "+"), "mfa-flow="+flow)
	if res == nil || res.StatusCode != http.StatusSeeOther {
		return ""
	}
	session := cookie(res, "mfa")
	g.secret(session)
	if code == "" {
		return session
	}
	r, err := http.NewRequest(http.MethodGet, g.address+"/.mfa/challenge", nil)
	if err != nil {
		return ""
	}
	r.Header.Set("Cookie", "mfa="+session)
	res, err = client.Do(r)
	if err != nil {
		return ""
	}
	body, _ = io.ReadAll(res.Body)
	res.Body.Close()
	res, _ = post(client, "/.mfa/challenge/recovery", "csrf="+hidden(string(body))+"&code="+code, "mfa="+session)
	if res == nil || res.StatusCode != http.StatusSeeOther {
		return ""
	}
	if renewed := cookie(res, "mfa"); renewed != "" {
		session = renewed
	}
	g.secret(session)
	return session
}

// TestStorageDown destroys the database under a running Caddy: nothing passes.
func TestStorageDown(t *testing.T) {
	t.Parallel()
	g := start(t)
	p := g.person(t)
	p.signIn("member@aurora.example", "/").is(t, 200)
	for _, name := range []string{"mfa.db", "mfa.db-wal", "mfa.db-shm"} {
		path := filepath.Join(g.data(), "mfa", name)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte(strings.Repeat("\xff", int(info.Size()))), 0); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	q := g.person(t)
	g.until("the broken storage is noticed", func() bool { return q.get("/.mfa/health").status == 503 })
	stranger := g.person(t)
	pg := stranger.get("/.mfa/login")
	if pg.status == 200 {
		values, _ := pg.form("/.mfa/login")
		values.Set("email", "member@aurora.example")
		stranger.ask(http.MethodPost, "/.mfa/login", values.Encode())
		pg = stranger.get("/.mfa/login/password")
	}
	if pg.status == 200 {
		pg = stranger.send(pg, "/.mfa/login/password", "password", password)
	}
	pg.is(t, 503, "try again")
	program := stranger.get("/", "Cookie", "mfa="+p.cookie("mfa")+"x", "Accept", "application/json", "Sec-Fetch-Mode", "cors")
	if program.status == 200 {
		t.Error("a program entered without storage")
	}
	if out, err := g.run("mfa", "accounts", "--address", g.admin); err == nil {
		t.Errorf("the command line lists accounts of a broken storage:\n%s", out)
	}
}

// TestValidateTeaches: a wrong configuration is refused with the line and the
// cure, and nothing is created by asking.
func TestValidateTeaches(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(string) string
		says []string
	}{
		"policy":    {replace("policy optional", "policy sometimes"), []string{"Caddyfile:", "optional, suggested or required"}},
		"option":    {replace("name \"Partner portal\"", "titel \"Partner portal\""), []string{"Caddyfile:", "titel"}},
		"account":   {replace("account citadel admin", "account citadel owner"), []string{"Caddyfile:", "member or admin"}},
		"directive": {replace("\n\tmfa\n", "\n\tmfa {\n\t\tpublic assets\n\t}\n"), []string{"assets", "/"}},
	} {
		g := newGate(t, c.edit)
		out, err := g.run("validate", "--config", g.config(), "--adapter", "caddyfile")
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		for _, word := range c.says {
			if !strings.Contains(out, word) {
				t.Errorf("%s: does not say %q:\n%s", name, word, out)
			}
		}
	}
	g := newGate(t)
	if out, err := g.run("validate", "--config", g.config(), "--adapter", "caddyfile"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if entries, err := os.ReadDir(filepath.Join(g.data(), "mfa")); err == nil {
		t.Errorf("validating created %v", entries)
	}
}

// TestOperatorByCommand adds an account and a person with a set-up link, who
// sets a password, enrols, is reset, and is locked out by being disabled.
func TestOperatorByCommand(t *testing.T) {
	t.Parallel()
	g := start(t)
	g.mfa("account", "add", "delta", "--name", "Delta Freight", "--policy", "required")
	g.mfa("user", "add", "dora@delta.example", "--name", "Dora Lind", "--account", "delta")
	if out := g.mfa("accounts"); !strings.Contains(out, "delta") || !strings.Contains(out, "required") {
		t.Errorf("accounts:\n%s", out)
	}
	if out := g.mfa("users"); !strings.Contains(out, "dora@delta.example") {
		t.Errorf("users:\n%s", out)
	}
	link := strings.TrimSpace(g.mfa("setup", "dora@delta.example", "--origin", g.address))
	_, ticket, ok := strings.Cut(link, "/.mfa/setup#")
	if !ok {
		t.Fatalf("the link is %q", link)
	}
	ticket = strings.Fields(ticket)[0]
	g.secret(ticket)
	p := g.person(t)
	chosen := "a good long passphrase of mine"
	g.secret(chosen)
	pg := p.open("/.mfa/setup").is(t, 200)
	p.send(pg, "/.mfa/setup", "ticket", ticket, "new", "short", "again", "short").is(t, 422)
	p.send(pg, "/.mfa/setup", "ticket", ticket, "new", chosen, "again", chosen+"x").is(t, 422)
	p.follow(p.send(pg, "/.mfa/setup", "ticket", ticket, "new", chosen, "again", chosen)).is(t, 200)
	again := p.open("/.mfa/setup")
	p.send(again, "/.mfa/setup", "ticket", ticket, "new", chosen, "again", chosen).is(t, 410)

	signIn := func(p *person) *page {
		pg := p.follow(p.send(p.open("/"), "/.mfa/login", "email", " Dora@Delta.example "))
		return p.follow(p.send(pg, "/.mfa/login/password", "password", chosen))
	}
	p.enroll(signIn(p).is(t, 200))
	p.get("/").is(t, 200, "in account delta")
	if out := g.mfa("explain", "--user", "dora@delta.example", "--account", "delta"); !strings.Contains(out, "challenge") {
		t.Errorf("explain:\n%s", out)
	}
	g.mfa("reset", "dora@delta.example", "--yes")
	if pg := signIn(g.person(t)); !strings.HasPrefix(pg.path, "GET /.mfa/enroll/totp") {
		t.Errorf("after the reset: %s", pg.path)
	}
	q := g.person(t)
	q.enroll(signIn(q))
	q.get("/").is(t, 200)
	g.mfa("user", "disable", "dora@delta.example")
	if pg := q.get("/"); pg.status == 200 {
		t.Error("a disabled person enters")
	}
	audit := g.mfa("audit")
	for _, event := range []string{"add_account", "set_up", "enroll", "reset_factors", "disable_user", "sign_in"} {
		if !strings.Contains(audit, event) {
			t.Errorf("the audit does not tell of %q:\n%s", event, audit)
		}
	}
	if !strings.Contains(g.log.String(), `"logger":"mfa.audit"`) && !strings.Contains(g.log.String(), "mfa.audit") {
		t.Error("the log has no audit lines")
	}
}
