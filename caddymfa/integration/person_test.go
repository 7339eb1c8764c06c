package integration_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
	"golang.org/x/net/html"
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
	root   *html.Node
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

// nodes returns the elements for which holds is true.
func (pg *page) nodes(holds func(n *html.Node) bool) []*html.Node {
	var found []*html.Node
	for n := range pg.root.Descendants() {
		if n.Type == html.ElementNode && holds(n) {
			found = append(found, n)
		}
	}
	return found
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.Data != "style" && d.Parent.Data != "script" {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func (pg *page) text() string { return text(pg.root) }

// byID returns the text of the element with this id.
func (pg *page) byID(id string) string {
	found := pg.nodes(func(n *html.Node) bool { return attr(n, "id") == id })
	if len(found) != 1 {
		return ""
	}
	return text(found[0])
}

// form returns the fields that the form for this action brings along: of what
// can be chosen, only what is.
func (pg *page) form(action string) (url.Values, bool) {
	found := pg.nodes(func(n *html.Node) bool { return n.Data == "form" && attr(n, "action") == action })
	if len(found) == 0 {
		return nil, false
	}
	fields := url.Values{}
	for n := range found[0].Descendants() {
		choice := attr(n, "type") == "radio" || attr(n, "type") == "checkbox"
		if n.Type == html.ElementNode && n.Data == "input" && attr(n, "name") != "" && (!choice || has(n, "checked")) {
			fields.Set(attr(n, "name"), attr(n, "value"))
		}
	}
	return fields, true
}

// ask sends one request as a browser does that navigates.
func (p *person) ask(method, path, body string, header ...string) *page {
	p.t.Helper()
	r, err := http.NewRequest(method, p.g.address+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", p.g.address)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
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
	root, err := html.Parse(strings.NewReader(string(text)))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range res.Cookies() {
		if strings.Contains(c.Name, "mfa") {
			p.g.secret(c.Value)
		}
	}
	return &page{status: res.StatusCode, header: res.Header, path: method + " " + path, body: string(text), root: root}
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
	p.codes = nil
	for _, n := range pg.nodes(func(n *html.Node) bool { return slices.Contains(strings.Fields(attr(n, "class")), "recovery-code") }) {
		p.codes = append(p.codes, text(n))
	}
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
	const period = 30
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
	code, err := totp.GenerateCodeCustom(a.secret, time.Unix(step*30, 0), totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// tableRow returns what the portal shows beside a heading.
func (pg *page) tableRow(heading string) string {
	for _, tr := range pg.nodes(func(n *html.Node) bool { return n.Data == "tr" }) {
		if name, value, ok := strings.Cut(text(tr), heading); ok && name == "" {
			return value
		}
	}
	return ""
}
