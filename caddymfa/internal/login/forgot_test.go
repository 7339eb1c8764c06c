package login

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/mail"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/notify"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// postbox receives the letters of a world, as "about link".
type postbox struct{ got []string }

func (p *postbox) Send(_ context.Context, m notify.Message) error {
	p.got = append(p.got, m.To+" "+m.Subject+" "+m.Text)
	return nil
}

func (w *world) mails() *postbox {
	p := new(postbox)
	w.Pages = "https://portal.example/.mfa"
	w.Mail = mail.New(mail.Outbox{
		Store: w.store, Notifier: p, Now: w.now, Record: w.record,
		Write: func(ctx context.Context, l mail.Letter) (string, string, error) {
			err := w.Address(ctx, &l)
			return l.About, l.Link, err
		},
		Fault: func(doing string, err error) { w.t.Errorf("%s: %v", doing, err) },
	})
	return p
}

// forgot asks for a mail and returns what arrives.
func (w *world) forgot(p *postbox, email string) []string {
	w.t.Helper()
	p.got = nil
	if err := w.Forgot(w.t.Context(), client, email); err != nil {
		w.t.Fatal(err)
	}
	if err := w.Mail.Deliver(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return p.got
}

func TestForgotLeadsToAnotherPassword(t *testing.T) {
	w := newWorld(t)
	p := w.mails()
	w.account("acme", mfa.Required)
	w.person("ana@acme.example", "acme")
	sess, _ := w.enroll(w.signIn("ana@acme.example"))
	first := w.forgot(p, " Ana@Acme.example ")
	w.pass(time.Second)
	second := w.forgot(p, "ana@acme.example")
	if len(first) != 1 || len(second) != 1 || !strings.HasPrefix(first[0], "ana@acme.example forgot https://portal.example/.mfa/setup#") {
		t.Fatalf("sent %q and %q", first, second)
	}
	code := func(sent string) string { return sent[strings.IndexByte(sent, '#')+1:] }
	w.pass(time.Second)
	if err := w.SetUp(t.Context(), client, code(second[0]), "another battery staple"); err != nil {
		t.Fatal(err)
	}
	if !w.over(sess) {
		t.Error("a session went on")
	}
	// The second factor stays, and is asked for.
	next, err := w.Password(t.Context(), client, "ana@acme.example", "another battery staple", nil)
	if err != nil || w.decide(next, "acme").Verdict != mfa.Challenge {
		t.Errorf("%v, %v", err, w.decide(next, "acme"))
	}
	for name, again := range map[string]string{"used": second[0], "voided by the other": first[0]} {
		if err := w.SetUp(t.Context(), client, code(again), "yet another staple"); !errors.Is(err, ErrStartAgain) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestForgotLinksEnd(t *testing.T) {
	w := newWorld(t)
	p := w.mails()
	w.person("ana@acme.example")
	sent := w.forgot(p, "ana@acme.example")
	w.pass(ForgotTime)
	if err := w.SetUp(t.Context(), client, sent[0][strings.IndexByte(sent[0], '#')+1:], "another battery staple"); !errors.Is(err, ErrStartAgain) {
		t.Errorf("an old link: %v", err)
	}
}

func TestWhoGetsNoLink(t *testing.T) {
	w := newWorld(t)
	p := w.mails()
	w.account("acme", mfa.Optional)
	off := w.person("off@example.com")
	if _, err := w.store.UpdateUser(t.Context(), off.ID, func(u *storage.User) error { u.Disabled = true; return nil }); err != nil {
		t.Fatal(err)
	}
	for _, email := range []string{"nobody@example.com", "off@example.com"} {
		if sent := w.forgot(p, email); len(sent) != 0 {
			t.Errorf("%s was sent %q", email, sent)
		}
	}
	declared := w.person("declared@example.com")
	if _, err := w.store.UpdateUser(t.Context(), declared.ID, func(u *storage.User) error { u.Origin = storage.FromConfig; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := w.store.PutProvider(t.Context(), storage.IdentityProvider{ID: "p1", Account: "acme", Kind: "oidc", Name: "Acme", Trust: mfa.Precedence, Created: w.now()}); err != nil {
		t.Fatal(err)
	}
	if err := w.store.PutDomain(t.Context(), storage.Domain{Account: "acme", Name: "acme.example", Verified: true, Enforce: true, Provider: "p1", Created: w.now()}); err != nil {
		t.Fatal(err)
	}
	w.person("ana@acme.example", "acme")
	for _, email := range []string{"declared@example.com", "ana@acme.example"} {
		if sent := w.forgot(p, email); len(sent) != 1 || sent[0] != email+" elsewhere https://portal.example/.mfa/login" {
			t.Errorf("%s was sent %q", email, sent)
		}
	}
}

// Nobody's mailbox is filled, and nobody learns from the answer whose it is.
func TestForgotIsLimited(t *testing.T) {
	w := newWorld(t)
	p := w.mails()
	w.person("ana@acme.example")
	n := 0
	for range 10 {
		n += len(w.forgot(p, "ana@acme.example"))
		w.pass(time.Second)
	}
	if n != 3 {
		t.Errorf("%d mails", n)
	}
	if err := w.Forgot(t.Context(), client, "no address"); !errors.Is(err, ErrNoAddress) {
		t.Error(err)
	}
	w.Mail = nil
	if err := w.Forgot(t.Context(), client, "ana@acme.example"); !errors.Is(err, ErrNoMail) {
		t.Error(err)
	}
}
