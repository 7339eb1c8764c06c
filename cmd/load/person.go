package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/caddymfa/gateway/caddymfa/integration/visitor"
)

// hash is of everybody's password, and cheap: the hashing is not what is measured.
const hash = "$2a$04$dZxigtkZ.BPmRscYUh2BE.oGQ2wY.JbArGVuilC6A7TXuiKstS/MG"

var client = visitor.Client(time.Minute)

// person is somebody who really signs in, with a browser.
type person struct {
	*visitor.Visitor
	site   string // host and port
	email  string
	period int64 // of the last code shown
}

func newPerson(site, email string) *person {
	return &person{Visitor: visitor.New(client, "http://"+site), site: site, email: email}
}

// signIn shows the password, and a code if there is an authenticator.
func (p *person) signIn(ctx context.Context) error {
	clear(p.Cookies)
	if err := p.SignIn(ctx, p.site, p.email); err != nil || p.Secret == "" {
		return err
	}
	code, err := p.code(ctx)
	if err != nil {
		return err
	}
	return p.Answer(ctx, p.site, code)
}

// enroll signs in, and sets up an authenticator app.
func (p *person) enroll(ctx context.Context) error {
	if err := p.signIn(ctx); err != nil {
		return err
	}
	p.period = visitor.Now() - 1
	_, err := p.Enroll(ctx, p.site)
	return err
}

// code is one that was not shown before, and counts: it waits for the next one if
// it has to.
func (p *person) code(ctx context.Context) (string, error) {
	if wait := time.Until(time.Unix((p.period+1)*visitor.Period, 0)); wait > 0 {
		next := time.NewTimer(wait)
		defer next.Stop()
		select {
		case <-next.C:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	p.period = visitor.Now()
	return visitor.Code(p.Secret, p.period)
}

// enter asks for the guarded page, which must be there.
func (p *person) enter(ctx context.Context) error { return p.get(ctx, "/") }

func (p *person) get(ctx context.Context, path string) error {
	a, err := p.Ask(ctx, p.site, http.MethodGet, path, nil)
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("%s: answered with %d to %q", path, a.Status, a.Location)
	}
	return err
}
