// Package visitor is a person with a browser without JavaScript, for what tests
// and measures the gate from outside.
package visitor

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/html"
)

// Password is everybody's.
const Password = "correct horse battery staple"

// Visitor is somebody with a browser, and perhaps with an authenticator app.
type Visitor struct {
	// Site is what stands in the address bar: http://localhost.
	Site string
	// Client sends the requests. It may neither keep cookies nor follow redirects.
	Client *http.Client
	// Cookies are the browser's, by name.
	Cookies map[string]string
	// Network is where they are, if a load balancer says so.
	Network string
	// Secret is that of the authenticator app; empty: there is none.
	Secret string
}

// New is somebody with a fresh browser.
func New(client *http.Client, site string) *Visitor {
	return &Visitor{Site: site, Client: client, Cookies: make(map[string]string)}
}

// Client returns one for many visitors, who wait as long for an answer.
func Client(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout:       timeout,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 100},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Again is the same browser in another tab: what one of them does next, the
// other one knows nothing of.
func (v *Visitor) Again() *Visitor {
	w := *v
	w.Cookies = maps.Clone(v.Cookies)
	return &w
}

// Answer is what came back.
type Answer struct {
	Status   int
	Header   http.Header
	Location string
	Body     string
}

// Page is the answer as a browser understands it: an empty page if it is none.
func (a Answer) Page() Document {
	page, err := Read(a.Body)
	if err != nil {
		return Document{new(html.Node)}
	}
	return page
}

// CSRF is the token that the page's forms bring along; empty: it has no form.
func (a Answer) CSRF() string {
	for _, n := range a.Page().All(func(n *html.Node) bool { return Attr(n, "name") == "csrf" }) {
		return Attr(n, "value")
	}
	return ""
}

// on fails unless the answer leads on to another page.
func (a Answer) on(to string) error {
	if a.Status != http.StatusSeeOther {
		return fmt.Errorf("%s was answered with %d", to, a.Status)
	}
	return nil
}

// Navigate is what a browser sends that goes to a page of a site, or posts a
// form there.
func Navigate(ctx context.Context, method, site, path, form string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, site+path, strings.NewReader(form))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", site)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return r, nil
}

// Ask sends a request to a host and port, which need not be what stands in the
// address bar.
func (v *Visitor) Ask(ctx context.Context, address, method, path string, form url.Values) (Answer, error) {
	r, err := Navigate(ctx, method, v.Site, path, form.Encode())
	if err != nil {
		return Answer{}, err
	}
	r.URL.Host = address
	if v.Network != "" {
		r.Header.Set("X-Forwarded-For", v.Network)
	}
	for name, value := range v.Cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	res, err := v.Client.Do(r)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return Answer{}, err
	}
	for _, c := range res.Cookies() {
		if c.Value == "" || c.MaxAge < 0 {
			delete(v.Cookies, c.Name)
			continue
		}
		v.Cookies[c.Name] = c.Value
	}
	return Answer{res.StatusCode, res.Header, res.Header.Get("Location"), string(body)}, nil
}

// Post opens a page and sends its form, with fields as name and value in turn.
func (v *Visitor) Post(ctx context.Context, address, page, action string, fields ...string) (Answer, error) {
	a, err := v.Ask(ctx, address, http.MethodGet, page, nil)
	if err != nil {
		return a, err
	}
	return v.Send(ctx, address, action, a.CSRF(), fields...)
}

// Send sends a form.
func (v *Visitor) Send(ctx context.Context, address, action, csrf string, fields ...string) (Answer, error) {
	form := url.Values{"csrf": {csrf}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return v.Ask(ctx, address, http.MethodPost, action, form)
}

// SignIn shows the e-mail address and the password, and has a session then.
func (v *Visitor) SignIn(ctx context.Context, address, email string) error {
	a, err := v.Post(ctx, address, "/.mfa/login?return=/", "/.mfa/login", "email", email)
	if err == nil {
		err = a.on("the e-mail address")
	}
	if err != nil {
		return err
	}
	if a, err = v.Post(ctx, address, "/.mfa/login/password", "/.mfa/login/password", "password", Password); err == nil {
		err = a.on("the password")
	}
	if err == nil && v.Cookies["mfa"] == "" {
		err = fmt.Errorf("the password made no session, and led to %q", a.Location)
	}
	return err
}

// Answer answers a challenge with a code.
func (v *Visitor) Answer(ctx context.Context, address, code string) error {
	a, err := v.Post(ctx, address, "/.mfa/challenge", "/.mfa/challenge/totp", "code", code)
	if err == nil {
		err = a.on("the code")
	}
	return err
}

// Enroll sets up an authenticator app, and returns the page that it leads to.
// Once there is no error, that was acknowledged. It uses the code of the period
// before, so that the present one is still good.
func (v *Visitor) Enroll(ctx context.Context, address string) (next string, err error) {
	a, err := v.Ask(ctx, address, http.MethodGet, "/.mfa/enroll/totp", nil)
	if err != nil {
		return "", err
	}
	if v.Secret = a.Page().ByID("totp-secret"); v.Secret == "" {
		return "", fmt.Errorf("no key is shown: %d to %q", a.Status, a.Location)
	}
	code, err := Code(v.Secret, Now()-1)
	if err != nil {
		return "", err
	}
	if a, err = v.Send(ctx, address, "/.mfa/enroll/totp", a.CSRF(), "code", code); err == nil {
		err = a.on("the first code")
	}
	if err == nil && !strings.HasPrefix(a.Location, "/.mfa/") {
		err = fmt.Errorf("the first code led to %q", a.Location)
	}
	return a.Location, err
}
