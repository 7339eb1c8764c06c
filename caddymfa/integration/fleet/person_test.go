package fleet_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/integration/visitor"
)

// client is that of everybody who visits.
var client = visitor.Client(soon)

// person is somebody with a browser, who may be sent to any node.
type person struct {
	f *fleet
	*visitor.Visitor
}

// person is somebody new. "localhost" is what they have in their address bar,
// whichever node answers.
func (f *fleet) person() *person { return &person{f, visitor.New(client, "http://localhost")} }

// again is the same browser in another tab.
func (p *person) again() *person { return &person{p.f, p.Again()} }

func (p *person) ask(address, method, path string, form url.Values) (visitor.Answer, error) {
	return p.Ask(context.Background(), address, method, path, form)
}

// post opens a page and sends its form.
func (p *person) post(address, page, action string, fields ...string) (visitor.Answer, error) {
	return p.Post(context.Background(), address, page, action, fields...)
}

func (p *person) send(address, action, csrf string, fields ...string) (visitor.Answer, error) {
	return p.Send(context.Background(), address, action, csrf, fields...)
}

// signIn shows the password at an address.
func (p *person) signIn(address, email string) error {
	return p.SignIn(context.Background(), address, email)
}

// enroll sets up an authenticator app and returns the recovery codes.
func (p *person) enroll(address string) ([]string, error) {
	next, err := p.Enroll(context.Background(), address)
	if err != nil {
		return nil, err
	}
	a, err := p.ask(address, http.MethodGet, next, nil)
	if err != nil {
		return nil, err
	}
	codes := a.Page().ByClass("recovery-code")
	if len(codes) != 10 {
		return nil, fmt.Errorf("expected ten recovery codes, got %d", len(codes))
	}
	return codes, nil
}

// answer answers a challenge with the code that the authenticator app shows.
func (p *person) answer(address string) error {
	return p.Answer(context.Background(), address, p.code())
}

func (p *person) code() string {
	code, err := visitor.Code(p.Secret, visitor.Now())
	if err != nil {
		p.f.t.Error(err)
	}
	return code
}

// steady waits until a code that was made now is not about to run out.
func steady() {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Unix()%visitor.Period > 20 {
		<-tick.C
	}
}

// entered reports whether the app answered.
func (p *person) entered(address string) (bool, visitor.Answer) {
	a, err := p.ask(address, http.MethodGet, "/", nil)
	return err == nil && a.Status == http.StatusOK && strings.HasPrefix(a.Body, "in account"), a
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
