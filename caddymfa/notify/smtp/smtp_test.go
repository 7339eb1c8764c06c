package smtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	server "github.com/emersion/go-smtp"

	"github.com/caddymfa/gateway/caddymfa/internal/freeport"
	"github.com/caddymfa/gateway/caddymfa/notify"
	"github.com/caddymfa/gateway/caddymfa/notify/smtp/smtptest"
)

// module returns a provisioned notifier for a server.
func module(t *testing.T, m *Module) *Module {
	t.Helper()
	if m.From == "" {
		m.From = "Partner portal <portal@example.com>"
	}
	m.Timeout = caddy.Duration(10 * time.Second)
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	if err := m.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	return m
}

var message = notify.Message{ID: "m1", To: "ana@acme.example", Subject: "Grüße, a new password", Text: "Hello,\n\nthis is a plain text.\n"}

func TestSendsOverStartTLSWithPassword(t *testing.T) {
	s := smtptest.Start(t, smtptest.StartTLS)
	t.Setenv("SMTP_TEST_PASSWORD", smtptest.Password)
	m := module(t, &Module{Server: s.Address, TrustedCAFile: s.Authority, Username: smtptest.Username, Password: "{env.SMTP_TEST_PASSWORD}"})
	if err := m.Send(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	got := s.Received()
	if len(got) != 1 || !got[0].Encrypted || got[0].User != smtptest.Username || got[0].From != "portal@example.com" || got[0].To != "ana@acme.example" {
		t.Fatalf("received %+v", got)
	}
	h := got[0].Message.Header
	for name, want := range map[string]string{
		"From": `"Partner portal" <portal@example.com>`, "To": "<ana@acme.example>", "Message-Id": "<m1@example.com>",
		"Auto-Submitted": "auto-generated", "Content-Type": "text/plain; charset=UTF-8",
	} {
		if h.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, h.Get(name), want)
		}
	}
	if _, err := h.Date(); err != nil {
		t.Errorf("the date: %v", err)
	}
	if !strings.HasPrefix(h.Get("Subject"), "=?UTF-8?") || !strings.Contains(got[0].Text, "this is a plain text.") {
		t.Errorf("subject %q, text %q", h.Get("Subject"), got[0].Text)
	}
}

func TestSendsOverTLSFromTheFirstByte(t *testing.T) {
	s := smtptest.Start(t, smtptest.TLS)
	m := module(t, &Module{Server: s.Address, TrustedCAFile: s.Authority, TLS: tlsImplicit})
	if err := m.Send(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	if got := s.Received(); len(got) != 1 || got[0].User != "" {
		t.Errorf("received %+v", got)
	}
}

// A mail holds a link: without encryption, or to somebody else's server, it does
// not leave.
func TestNothingLeavesUnencrypted(t *testing.T) {
	plain, stranger, other := smtptest.Start(t, smtptest.Plain), smtptest.Start(t, smtptest.StartTLS), smtptest.Start(t, smtptest.StartTLS)
	for name, m := range map[string]*Module{
		"a server without STARTTLS":       {Server: plain.Address, TrustedCAFile: plain.Authority},
		"a certificate of nobody we know": {Server: stranger.Address},
		"another's certificate":           {Server: stranger.Address, TrustedCAFile: other.Authority},
	} {
		err := module(t, m).Send(t.Context(), message)
		if err == nil || errors.Is(err, notify.ErrRefused) {
			t.Errorf("%s: expected a failure that may pass, got %v", name, err)
		}
	}
	if n := len(plain.Received()) + len(stranger.Received()); n != 0 {
		t.Errorf("%d mails left", n)
	}
}

func TestPlaintextIfAsked(t *testing.T) {
	s := smtptest.Start(t, smtptest.Plain)
	if err := module(t, &Module{Server: s.Address, InsecurePlaintext: true}).Send(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	if got := s.Received(); len(got) != 1 || got[0].Encrypted {
		t.Errorf("received %+v", got)
	}
}

func TestWhatIsForGood(t *testing.T) {
	s := smtptest.Start(t, smtptest.StartTLS)
	m := module(t, &Module{Server: s.Address, TrustedCAFile: s.Authority})
	nobody := message
	nobody.To = "nobody@acme.example"
	broken := message
	broken.To = "not an address"
	for name, test := range map[string]struct {
		message notify.Message
		says    error
		forGood bool
	}{
		"451 to the message": {message, &server.SMTPError{Code: 451, EnhancedCode: server.EnhancedCode{4, 3, 0}, Message: "later"}, false},
		"550 to the message": {message, &server.SMTPError{Code: 550, EnhancedCode: server.EnhancedCode{5, 7, 1}, Message: "no"}, true},
		"550 to the address": {nobody, nil, true},
		"no address at all":  {broken, nil, true},
	} {
		s.Answer(test.says)
		if err := m.Send(t.Context(), test.message); err == nil || errors.Is(err, notify.ErrRefused) != test.forGood {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(s.Received()) != 0 {
		t.Errorf("received %+v", s.Received())
	}
}

func TestWhatMayPass(t *testing.T) {
	s := smtptest.Start(t, smtptest.StartTLS)
	gone, err := freeport.Take()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SMTP_TEST_PASSWORD", "wrong-one")
	for name, m := range map[string]*Module{
		"a wrong password": {Server: s.Address, TrustedCAFile: s.Authority, Username: smtptest.Username, Password: "{env.SMTP_TEST_PASSWORD}"},
		"nobody there":     {Server: fmt.Sprintf("127.0.0.1:%d", gone)},
	} {
		err := module(t, m).Send(t.Context(), message)
		if err == nil || errors.Is(err, notify.ErrRefused) || strings.Contains(err.Error(), "wrong-one") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A server that says nothing is given up after the timeout, and at once when we
// are told to stop.
func TestAServerThatHangs(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	m := module(t, &Module{Server: listener.Addr().String()})
	m.timeout = 100 * time.Millisecond
	if err := m.Send(t.Context(), message); err == nil || errors.Is(err, notify.ErrRefused) {
		t.Errorf("expected a failure that may pass, got %v", err)
	}
	m.timeout = time.Minute
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	if err := m.Send(ctx, message); err == nil {
		t.Error("sent to nobody")
	}
}
