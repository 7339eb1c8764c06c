package integration_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/caddymfa/gateway/caddymfa/integration/visitor"
)

// person is somebody with a browser without JavaScript, who reads pages and
// fills in their forms.
type person struct {
	t      *testing.T
	g      *gate
	client *http.Client
	totp   *authenticator
	codes  []string // recovery codes, as shown
}

func (g *gate) person(t *testing.T) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t: t, g: g, client: &http.Client{
		Jar: jar, Timeout: time.Minute, Transport: transport(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// page is one answer.
type page struct {
	status int
	header http.Header
	path   string // path and query that were asked for
	body   string
	visitor.Document
}

// is fails the test unless the page has this status and words.
func (pg *page) is(t *testing.T, status int, words ...string) *page {
	t.Helper()
	if pg.status != status {
		t.Fatalf("%s answered %d, want %d:\n%s", pg.path, pg.status, status, pg.text())
	}
	for _, w := range words {
		if !strings.Contains(pg.text(), w) {
			t.Fatalf("%s does not say %q:\n%s", pg.path, w, pg.text())
		}
	}
	return pg
}

// to fails the test unless the page redirects to this path.
func (pg *page) to(t *testing.T, path string) *page {
	t.Helper()
	if got := pg.header.Get("Location"); pg.status != http.StatusSeeOther || got != path {
		t.Fatalf("%s answered %d to %q, want 303 to %q:\n%s", pg.path, pg.status, got, path, pg.text())
	}
	return pg
}

func (pg *page) text() string { return visitor.Text(pg.Node) }

// byID returns the text of the element with this id.
func (pg *page) byID(id string) string { return pg.ByID(id) }

// form returns the fields that the form for this action brings along.
func (pg *page) form(action string) (url.Values, bool) { return pg.Form(action) }

// ask sends one request as a browser does that navigates.
func (p *person) ask(method, path, body string, header ...string) *page {
	p.t.Helper()
	r, err := visitor.Navigate(p.t.Context(), method, p.g.address, path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Del(header[i])
		if header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	res, err := p.client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	root, err := visitor.Read(string(text))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range res.Cookies() {
		if strings.Contains(c.Name, "mfa") {
			p.g.secret(c.Value)
		}
	}
	return &page{status: res.StatusCode, header: res.Header, path: method + " " + path, body: string(text), Document: root}
}

func (p *person) get(path string, header ...string) *page {
	p.t.Helper()
	return p.ask(http.MethodGet, path, "", header...)
}

// open asks for a page and goes where it sends the browser.
func (p *person) open(path string) *page {
	p.t.Helper()
	pg := p.get(path)
	return p.follow(pg)
}

func (p *person) follow(pg *page) *page {
	p.t.Helper()
	for range 10 {
		if pg.status != http.StatusSeeOther {
			return pg
		}
		pg = p.get(pg.header.Get("Location"))
	}
	p.t.Fatalf("redirected in circles to %s", pg.path)
	return nil
}

// send fills in the page's form for an action and posts it.
func (p *person) send(pg *page, action string, fields ...string) *page {
	p.t.Helper()
	values, ok := pg.form(action)
	if !ok {
		p.t.Fatalf("%s has no form for %s:\n%s", pg.path, action, pg.text())
	}
	for i := 0; i+1 < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	return p.ask(http.MethodPost, action, values.Encode())
}

// signIn shows the password, having asked for a page, and returns where that
// leads.
func (p *person) signIn(email, path string) *page {
	p.t.Helper()
	pg := p.open(path).is(p.t, http.StatusOK)
	pg = p.follow(p.send(pg, "/.mfa/login", "email", email)).is(p.t, http.StatusOK)
	return p.follow(p.send(pg, "/.mfa/login/password", "password", password))
}

// enroll sets up an authenticator app on the page that asks for it, keeps the
// recovery codes, and returns the page that shows them.
func (p *person) enroll(pg *page) *page {
	p.t.Helper()
	p.totp = newAuthenticator(pg.byID("totp-secret"))
	p.g.secret(p.totp.secret)
	code := p.totp.code(p.t)
	pg = p.follow(p.send(pg, "/.mfa/enroll/totp", "code", code)).is(p.t, http.StatusOK)
	p.codes = pg.ByClass("recovery-code")
	p.g.secret(p.codes...)
	return pg
}

// answer answers a challenge with the authenticator app.
func (p *person) answer(pg *page) *page {
	p.t.Helper()
	return p.send(pg, "/.mfa/challenge/totp", "code", p.totp.code(p.t))
}

// cookie returns the value of one of the browser's cookies.
func (p *person) cookie(name string) string {
	u, _ := url.Parse(p.g.address)
	for _, c := range p.client.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// authenticator is an authenticator app. It never repeats a step, since a step
// is accepted once.
type authenticator struct {
	secret string
	last   int64 // the step used last
}

func newAuthenticator(secret string) *authenticator {
	return &authenticator{secret: strings.ReplaceAll(secret, " ", "")}
}

// code returns a code that was not used before and is valid for some seconds:
// that of the step before where possible, so that two follow one another
// without waiting.
func (a *authenticator) code(t *testing.T) string {
	t.Helper()
	const period = visitor.Period
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		now := time.Now().Unix()
		step := now / period
		if now%period < period-8 && a.last < step-1 {
			step--
		}
		if step > a.last {
			a.last = step
			return a.at(t, step)
		}
		<-tick.C
	}
}

func (a *authenticator) at(t *testing.T, step int64) string {
	t.Helper()
	code, err := visitor.Code(a.secret, step)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// tableRow returns what the portal shows beside a heading.
func (pg *page) tableRow(heading string) string {
	for _, tr := range pg.All(func(n *html.Node) bool { return n.Data == "tr" }) {
		if name, value, ok := strings.Cut(visitor.Text(tr), heading); ok && name == "" {
			return value
		}
	}
	return ""
}
