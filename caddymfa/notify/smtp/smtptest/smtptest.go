// Package smtptest is a real mail server on the loopback address, for tests.
package smtptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Encryption is how a server encrypts.
type Encryption int

// The ways to encrypt.
const (
	Plain    Encryption = iota // not at all
	StartTLS                   // when asked to
	TLS                        // from the first byte
)

// Username and Password are what a server takes for a sign-in.
const (
	Username = "portal"
	Password = "opensesame"
)

// Server keeps what it receives. It refuses the mailbox nobody of any domain.
type Server struct {
	Address   string // localhost and a port
	Authority string // file of the certificate that it shows (PEM)

	mu       sync.Mutex
	received []Received
	says     error
}

// Received is a mail, and how it came.
type Received struct {
	From, To  string
	User      string // who signed in; empty: nobody
	Encrypted bool
	Message   *mail.Message
	Text      string // without the encoding for its way
}

// Start starts a server, which ends with the test.
func Start(t testing.TB, e Encryption) *Server {
	t.Helper()
	s := &Server{Authority: filepath.Join(t.TempDir(), "ca.pem")}
	config := &tls.Config{Certificates: []tls.Certificate{s.certificate(t)}}
	srv := smtp.NewServer(s)
	srv.Domain = "mail.example.com"
	srv.AllowInsecureAuth = false
	srv.ReadTimeout, srv.WriteTimeout = 10*time.Second, 10*time.Second
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Address = strings.Replace(listener.Addr().String(), "127.0.0.1", "localhost", 1)
	switch e {
	case TLS:
		listener = tls.NewListener(listener, config)
	case StartTLS:
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
func (s *Server) certificate(t testing.TB) tls.Certificate {
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
	if err := os.WriteFile(s.Authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Received returns what came so far.
func (s *Server) Received() []Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received
}

// To returns the mails to an address so far.
func (s *Server) To(address string) (mails []Received) {
	for _, r := range s.Received() {
		if r.To == address {
			mails = append(mails, r)
		}
	}
	return mails
}

// Answer makes the server answer every message with an error; nil: it takes them.
func (s *Server) Answer(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.says = err
}

// NewSession implements [smtp.Backend].
func (s *Server) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{server: s, conn: c}, nil
}

type session struct {
	server *Server
	conn   *smtp.Conn
	got    Received
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username != Username || password != Password {
			return smtp.ErrAuthFailed
		}
		s.got.User = username
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.got.From = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}
	}
	s.got.To = to
	return nil
}

func (s *session) Data(r io.Reader) error {
	message, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	body := message.Body
	if message.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if s.server.says != nil {
		return s.server.says
	}
	_, s.got.Encrypted = s.conn.TLSConnectionState()
	s.got.Message, s.got.Text = message, string(text)
	s.server.received = append(s.server.received, s.got)
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }
