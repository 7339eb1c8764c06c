package fleet_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/caddymfa/gateway/caddymfa/integration/gatetest"
)

// host is what people have in their address bar, whichever node answers.
const host = "localhost"

// client keeps no cookies: people do.
var client = &http.Client{
	Timeout:       soon,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 100},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// person is somebody with a browser, who may be sent to any node.
type person struct {
	f       *fleet
	cookies map[string]string
	secret  string // of the authenticator app
	network string // where they are, if the load balancer says so
}

func (f *fleet) person() *person { return &person{f: f, cookies: make(map[string]string)} }

// again is the same browser in another tab: what one of them does next, the
// other one knows nothing of.
func (p *person) again() *person {
	return &person{f: p.f, cookies: maps.Clone(p.cookies), secret: p.secret, network: p.network}
}

// answer is what came back.
type answer struct {
	status   int
	location string
	body     string
	node     string
}

// page is the answer as a browser understands it: an empty page if it is none.
func (a answer) page() gatetest.Document {
	page, err := gatetest.Read(a.body)
	if err != nil {
		return gatetest.Document{Node: new(html.Node)}
	}
	return page
}

// csrf is the token that the page's forms bring along.
func (a answer) csrf() string {
	for _, n := range a.page().All(func(n *html.Node) bool { return gatetest.Attr(n, "name") == "csrf" }) {
		return gatetest.Attr(n, "value")
	}
	return ""
}

// ask sends a request to an address, as a browser does.
func (p *person) ask(address, method, path string, form url.Values) (answer, error) {
	r, err := gatetest.Navigate(method, "http://"+host, path, form.Encode())
	if err != nil {
		return answer{}, err
	}
	r.URL.Host = address
	if p.network != "" {
		r.Header.Set("X-Forwarded-For", p.network)
	}
	for name, value := range p.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	res, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	for _, c := range res.Cookies() {
		if c.Value == "" || c.MaxAge < 0 {
			delete(p.cookies, c.Name)
			continue
		}
		p.cookies[c.Name] = c.Value
	}
	return answer{res.StatusCode, res.Header.Get("Location"), string(body), res.Header.Get("X-Node")}, nil
}

// post opens a page and sends its form.
func (p *person) post(address, page, action string, fields ...string) (answer, error) {
	a, err := p.ask(address, http.MethodGet, page, nil)
	if err != nil {
		return a, err
	}
	return p.send(address, action, a.csrf(), fields...)
}

func (p *person) send(address, action, csrf string, fields ...string) (answer, error) {
	form := url.Values{"csrf": {csrf}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return p.ask(address, http.MethodPost, action, form)
}

// signIn shows the password at an address.
func (p *person) signIn(address, email string) error {
	a, err := p.post(address, "/.mfa/login?return=/", "/.mfa/login", "email", email)
	if err != nil {
		return err
	}
	if a.status != http.StatusSeeOther {
		return fmt.Errorf("the e-mail address was answered with %d", a.status)
	}
	if a, err = p.post(address, "/.mfa/login/password", "/.mfa/login/password", "password", gatetest.Password); err != nil {
		return err
	}
	if a.status != http.StatusSeeOther || p.cookies["mfa"] == "" {
		return fmt.Errorf("the password was answered with %d", a.status)
	}
	return nil
}

// enroll sets up an authenticator app and returns the recovery codes.
func (p *person) enroll(address string) ([]string, error) {
	next, err := p.confirm(address)
	if err != nil {
		return nil, err
	}
	a, err := p.ask(address, http.MethodGet, next, nil)
	if err != nil {
		return nil, err
	}
	codes := a.page().ByClass("recovery-code")
	if len(codes) != 10 {
		return nil, fmt.Errorf("expected ten recovery codes, got %d", len(codes))
	}
	return codes, nil
}

// confirm sets up an authenticator app. Once it returns without an error, that
// was acknowledged. It uses the code of the step before, so that the present one
// is still good.
func (p *person) confirm(address string) (next string, err error) {
	a, err := p.ask(address, http.MethodGet, "/.mfa/enroll/totp", nil)
	if err != nil {
		return "", err
	}
	if p.secret = a.page().ByID("totp-secret"); p.secret == "" {
		return "", fmt.Errorf("no key is shown: %d to %q", a.status, a.location)
	}
	if a, err = p.send(address, "/.mfa/enroll/totp", a.csrf(), "code", p.code(-1)); err != nil {
		return "", err
	}
	if a.status != http.StatusSeeOther || !strings.HasPrefix(a.location, "/.mfa/") {
		return "", fmt.Errorf("the code was answered with %d to %q", a.status, a.location)
	}
	return a.location, nil
}

// code is the authenticator's of now, or of so many steps later.
func (p *person) code(steps int64) string {
	return gatetest.Code(p.f.t, p.secret, time.Now().Unix()/gatetest.Period+steps)
}

// steady waits until a code that was made now is not about to run out.
func steady() {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Unix()%gatetest.Period > 20 {
		<-tick.C
	}
}

// entered reports whether the app answered.
func (p *person) entered(address string) (bool, answer) {
	a, err := p.ask(address, http.MethodGet, "/", nil)
	return err == nil && a.status == http.StatusOK && strings.HasPrefix(a.body, "in account"), a
}

// signedIn signs somebody in on one node and makes sure that every node lets
// them enter, and remembers them.
func (f *fleet) signedIn(t *testing.T, email string) *person {
	t.Helper()
	p := f.person()
	if err := p.signIn(f.nodes[0].address, email); err != nil {
		t.Fatal(err)
	}
	for _, n := range f.nodes {
		f.until(email+" enters "+n.name, func() bool { ok, _ := p.entered(n.address); return ok })
	}
	return p
}
