package fleet_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
)

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
}

func (f *fleet) person() *person { return &person{f: f, cookies: make(map[string]string)} }

// again is the same browser in another tab: what one of them does next, the
// other one knows nothing of.
func (p *person) again() *person {
	return &person{f: p.f, cookies: maps.Clone(p.cookies), secret: p.secret}
}

// answer is what came back.
type answer struct {
	status   int
	location string
	body     string
	node     string
}

// ask sends a request to an address, as a browser does.
func (p *person) ask(address, method, path string, form url.Values) (answer, error) {
	r, err := http.NewRequest(method, "http://"+address+path, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	r.Host = "portal.example"
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "http://portal.example")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
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

var hidden = regexp.MustCompile(`name="csrf" value="([^"]*)"`)

func token(body string) string {
	if found := hidden.FindStringSubmatch(body); found != nil {
		return found[1]
	}
	return ""
}

// post opens a page and sends its form.
func (p *person) post(address, page, action string, fields ...string) (answer, error) {
	a, err := p.ask(address, http.MethodGet, page, nil)
	if err != nil {
		return a, err
	}
	return p.send(address, action, token(a.body), fields...)
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
	if a, err = p.post(address, "/.mfa/login/password", "/.mfa/login/password", "password", password); err != nil {
		return err
	}
	if a.status != http.StatusSeeOther || p.cookies["mfa"] == "" {
		return fmt.Errorf("the password was answered with %d", a.status)
	}
	return nil
}

var (
	shownSecret = regexp.MustCompile(`id="totp-secret"[^>]*>([^<]*)<`)
	shownCode   = regexp.MustCompile(`class="[^"]*recovery-code[^"]*"[^>]*>(?:<[^>]*>)*([^<]+)<`)
)

// enroll sets up an authenticator app and returns the recovery codes. It uses
// the code of the step before, so that the present one is still good.
func (p *person) enroll(address string) ([]string, error) {
	a, err := p.ask(address, http.MethodGet, "/.mfa/enroll/totp", nil)
	if err != nil {
		return nil, err
	}
	found := shownSecret.FindStringSubmatch(a.body)
	if found == nil {
		return nil, fmt.Errorf("no key is shown: %d to %q", a.status, a.location)
	}
	p.secret = strings.ReplaceAll(found[1], " ", "")
	if a, err = p.send(address, "/.mfa/enroll/totp", token(a.body), "code", p.code(-1)); err != nil {
		return nil, err
	}
	if a.status != http.StatusSeeOther {
		return nil, fmt.Errorf("the code was answered with %d", a.status)
	}
	if a, err = p.ask(address, http.MethodGet, a.location, nil); err != nil {
		return nil, err
	}
	var codes []string
	for _, found := range shownCode.FindAllStringSubmatch(a.body, -1) {
		codes = append(codes, strings.TrimSpace(found[1]))
	}
	if len(codes) != 10 {
		return nil, fmt.Errorf("expected ten recovery codes, got %d", len(codes))
	}
	return codes, nil
}

// code is the authenticator's of now, or of so many steps later.
func (p *person) code(steps int) string {
	code, err := totp.GenerateCodeCustom(p.secret, time.Now().Add(time.Duration(steps)*30*time.Second),
		totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		panic(err) // the secret is what a page showed
	}
	return code
}

// steady waits until a code that was made now is not about to run out.
func steady() {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Unix()%30 > 20 {
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
