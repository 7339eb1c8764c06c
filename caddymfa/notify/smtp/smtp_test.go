package smtp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/emersion/go-sasl"
	server "github.com/emersion/go-smtp"

	"github.com/caddymfa/gateway/caddymfa/internal/freeport"
	"github.com/caddymfa/gateway/caddymfa/notify"
)

// sink is a mail server on the loopback address.
type sink struct {
	address   string
	authority string // file of the certificate that it shows

	mu       sync.Mutex
	received []received
	says     error // its answer to DATA; nil: taken
}

type received struct {
	from, to, user string
	encrypted      bool
	message        *netmail.Message
	text           string
}

type kind struct{ encrypted, implicit bool }

func newSink(t *testing.T, k kind) *sink {
	t.Helper()
	s := &sink{authority: filepath.Join(t.TempDir(), "ca.pem")}
	certificate := s.certificate(t)
	srv := server.NewServer(s)
	srv.Domain = "mail.example.com"
	srv.AllowInsecureAuth = false
	srv.ReadTimeout, srv.WriteTimeout = 10*time.Second, 10*time.Second
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = strings.Replace(listener.Addr().String(), "127.0.0.1", "localhost", 1)
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	if k.implicit {
		listener = tls.NewListener(listener, config)
	} else if k.encrypted {
		srv.TLSConfig = config
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Serve(listener)
	}()
	t.Cleanup(func() {
		srv.Close()
		<-done
	})
	return s
}

// certificate makes one for localhost, signed by itself.
func (s *sink) certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (s *sink) got() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received
}

func (s *sink) answer(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.says = err
}

// NewSession implements the server's backend.
func (s *sink) NewSession(c *server.Conn) (server.Session, error) {
	_, encrypted := c.TLSConnectionState()
	return &session{sink: s, got: received{encrypted: encrypted}, conn: c}, nil
}

type session struct {
	sink *sink
	conn *server.Conn
	got  received
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username != "portal" || password != "opensesame" {
			return server.ErrAuthFailed
		}
		s.got.user = username
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *server.MailOptions) error {
	s.got.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *server.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &server.SMTPError{Code: 550, EnhancedCode: server.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}
	}
	s.got.to = to
	return nil
}

func (s *session) Data(r io.Reader) error {
	message, err := netmail.ReadMessage(r)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(message.Body)
	if err != nil {
		return err
	}
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	if s.sink.says != nil {
		return s.sink.says
	}
	_, s.got.encrypted = s.conn.TLSConnectionState()
	s.got.message, s.got.text = message, string(text)
	s.sink.received = append(s.sink.received, s.got)
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

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
	s := newSink(t, kind{encrypted: true})
	t.Setenv("SMTP_TEST_PASSWORD", "opensesame")
	m := module(t, &Module{Server: s.address, TrustedCAFile: s.authority, Username: "portal", Password: "{env.SMTP_TEST_PASSWORD}"})
	if err := m.Send(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	got := s.got()
	if len(got) != 1 || !got[0].encrypted || got[0].user != "portal" || got[0].from != "portal@example.com" || got[0].to != "ana@acme.example" {
		t.Fatalf("received %+v", got)
	}
	h := got[0].message.Header
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
	if !strings.HasPrefix(h.Get("Subject"), "=?UTF-8?") || !strings.Contains(got[0].text, "this is a plain text.") {
		t.Errorf("subject %q, text %q", h.Get("Subject"), got[0].text)
	}
}

func TestSendsOverTLSFromTheFirstByte(t *testing.T) {
	s := newSink(t, kind{implicit: true})
	m := module(t, &Module{Server: s.address, TrustedCAFile: s.authority, TLS: tlsImplicit})
	if err := m.Send(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	if got := s.got(); len(got) != 1 || got[0].user != "" {
		t.Errorf("received %+v", got)
	}
}

// A mail holds a link: without encryption, or to somebody else's server, it does
// not leave.
func TestNothingLeavesUnencrypted(t *testing.T) {
	plain, stranger, other := newSink(t, kind{}), newSink(t, kind{encrypted: true}), newSink(t, kind{encrypted: true})
	for name, m := range map[string]*Module{
		"a server without STARTTLS":       {Server: plain.address, TrustedCAFile: plain.authority},
		"a certificate of nobody we know": {Server: stranger.address},
		"another's certificate":           {Server: stranger.address, TrustedCAFile: other.authority},
	} {
		err := module(t, m).Send(t.Context(), message)
		if err == nil || errors.Is(err, notify.ErrRefused) {
			t.Errorf("%s: expected a failure that may pass, got %v", name, err)
		}
	}
	if n := len(plain.got()) + len(stranger.got()); n != 0 {
		t.Errorf("%d mails left", n)
	}
}

func TestPlaintextIfAsked(t *testing.T) {
	s := newSink(t, kind{})
	if err := module(t, &Module{Server: s.address, InsecurePlaintext: true}).Send(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	if got := s.got(); len(got) != 1 || got[0].encrypted {
		t.Errorf("received %+v", got)
	}
}

func TestWhatIsForGood(t *testing.T) {
	s := newSink(t, kind{encrypted: true})
	m := module(t, &Module{Server: s.address, TrustedCAFile: s.authority})
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
		s.answer(test.says)
		if err := m.Send(t.Context(), test.message); err == nil || errors.Is(err, notify.ErrRefused) != test.forGood {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(s.got()) != 0 {
		t.Errorf("received %+v", s.got())
	}
}

func TestWhatMayPass(t *testing.T) {
	s := newSink(t, kind{encrypted: true})
	gone, err := freeport.Take()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SMTP_TEST_PASSWORD", "wrong-one")
	for name, m := range map[string]*Module{
		"a wrong password": {Server: s.address, TrustedCAFile: s.authority, Username: "portal", Password: "{env.SMTP_TEST_PASSWORD}"},
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
