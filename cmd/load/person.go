package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
)

const (
	password = "correct horse battery staple"
	// hash is of the password, and cheap: the hashing is not what is measured.
	hash = "$2a$04$dZxigtkZ.BPmRscYUh2BE.oGQ2wY.JbArGVuilC6A7TXuiKstS/MG"
)

var client = &http.Client{
	Timeout:       time.Minute,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// person is somebody who really signs in, with a browser.
type person struct {
	site    string
	email   string
	cookies map[string]string
	secret  string // of the authenticator app
	step    int64  // of the last code shown
}

type answer struct {
	status   int
	location string
	body     string
}

func (p *person) ask(ctx context.Context, method, path string, form url.Values) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+p.site+path, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "http://"+p.site)
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
	return answer{res.StatusCode, res.Header.Get("Location"), string(body)}, nil
}

var (
	hidden = regexp.MustCompile(`name="csrf" value="([^"]*)"`)
	shown  = regexp.MustCompile(`id="totp-secret"[^>]*>([^<]*)<`)
)

// post opens a page and sends its form, which must be answered by going on.
func (p *person) post(ctx context.Context, page, action, field, value string) error {
	a, err := p.ask(ctx, http.MethodGet, page, nil)
	if err != nil {
		return err
	}
	return p.send(ctx, a, action, field, value)
}

func (p *person) send(ctx context.Context, page answer, action, field, value string) error {
	token := hidden.FindStringSubmatch(page.body)
	if token == nil {
		return fmt.Errorf("%s: the page before has no form: %d to %q", action, page.status, page.location)
	}
	a, err := p.ask(ctx, http.MethodPost, action, url.Values{"csrf": token[1:], field: {value}})
	if err == nil && a.status != http.StatusSeeOther {
		err = fmt.Errorf("%s: answered with %d", action, a.status)
	}
	return err
}

// signIn shows the password, and a code if there is an authenticator.
func (p *person) signIn(ctx context.Context) error {
	clear(p.cookies)
	if err := p.post(ctx, "/.mfa/login?return=/", "/.mfa/login", "email", p.email); err != nil {
		return err
	}
	if err := p.post(ctx, "/.mfa/login/password", "/.mfa/login/password", "password", password); err != nil {
		return err
	}
	if p.secret == "" {
		return nil
	}
	code, err := p.code(ctx)
	if err != nil {
		return err
	}
	return p.post(ctx, "/.mfa/challenge", "/.mfa/challenge/totp", "code", code)
}

// enroll sets up an authenticator app, with the code of the step before, so that
// the present one is still good.
func (p *person) enroll(ctx context.Context) error {
	if err := p.signIn(ctx); err != nil {
		return err
	}
	a, err := p.ask(ctx, http.MethodGet, "/.mfa/enroll/totp", nil)
	if err != nil {
		return err
	}
	found := shown.FindStringSubmatch(a.body)
	if found == nil {
		return fmt.Errorf("no key is shown: %d to %q", a.status, a.location)
	}
	secret := strings.ReplaceAll(found[1], " ", "")
	p.step = time.Now().Unix()/period - 1
	former, err := code(secret, p.step)
	if err != nil {
		return err
	}
	if err := p.send(ctx, a, "/.mfa/enroll/totp", "code", former); err != nil {
		return err
	}
	p.secret = secret
	return nil
}

// period is how long an authenticator app shows a code, in seconds.
const period = 30

// code is one that was not shown before, and counts: it waits for the next one if
// it has to.
func (p *person) code(ctx context.Context) (string, error) {
	if wait := time.Until(time.Unix((p.step+1)*period, 0)); wait > 0 {
		next := time.NewTimer(wait)
		defer next.Stop()
		select {
		case <-next.C:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	p.step = time.Now().Unix() / period
	return code(p.secret, p.step)
}

// code is what an authenticator app shows in a time step.
func code(secret string, step int64) (string, error) {
	return totp.GenerateCodeCustom(secret, time.Unix(step*period, 0),
		totp.ValidateOpts{Period: period, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
}

// enter asks for the guarded page, which must be there.
func (p *person) enter(ctx context.Context) error { return p.get(ctx, "/") }

func (p *person) get(ctx context.Context, path string) error {
	a, err := p.ask(ctx, http.MethodGet, path, nil)
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("%s: answered with %d to %q", path, a.status, a.location)
	}
	return err
}
