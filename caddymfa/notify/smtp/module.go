package smtp

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() {
	caddy.RegisterModule(Module{})
}

// The ways to encrypt.
const (
	tlsStart    = "starttls"
	tlsImplicit = "implicit"
)

// Module sends mails through a mail server.
type Module struct {
	// The mail server: host and port, for example `mail.example.com:587`.
	Server string `json:"server"`

	// Who the mails are from: `Partner portal <portal@example.com>`, or just an
	// address.
	From string `json:"from"`

	// The name to sign in with; placeholders are replaced. Default: no sign-in.
	Username string `json:"username,omitempty"`

	// The password to sign in with, best given as a placeholder such as
	// `{env.SMTP_PASSWORD}` or `{file./run/secrets/smtp}`.
	Password string `json:"password,omitempty"`

	// How the connection is encrypted: `starttls`, or `implicit` from its first
	// byte. It is never left unencrypted because a server does not offer it.
	// Default: `implicit` on port 465, otherwise `starttls`.
	TLS string `json:"tls,omitempty"`

	// A file of certificates (PEM) of the authorities that may have signed the
	// server's. Default: those that this machine trusts.
	TrustedCAFile string `json:"trusted_ca_file,omitempty"`

	// How long handing over one mail may take. Default: 30 seconds.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// Sends without encryption: everybody on the way can read the links in the
	// mails, and use them. For a mail server on the same machine.
	InsecurePlaintext bool `json:"insecure_plaintext,omitempty"`

	host, domain       string
	port               int
	username, password string
	timeout            time.Duration
	trusted            *x509.CertPool
}

// CaddyModule returns the Caddy module information.
func (Module) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "mfa.notifiers.smtp", New: func() caddy.Module { return new(Module) }}
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	smtp <host:port> {
//	    from            <address>
//	    username        <name>|<placeholder>
//	    password        <placeholder>
//	    tls             starttls|implicit
//	    trusted_ca_file <path>
//	    timeout         <duration>
//	    insecure_plaintext
//	}
func (m *Module) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume module name
	if !d.NextArg() {
		return d.Err("smtp needs the mail server, such as mail.example.com:587")
	}
	m.Server = d.Val()
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		option, args := d.Val(), d.RemainingArgs()
		if seen[option] {
			return d.Errf("%s is given twice", option)
		}
		seen[option] = true
		if option == "insecure_plaintext" {
			if len(args) > 0 {
				return d.ArgErr()
			}
			m.InsecurePlaintext = true
			continue
		}
		if len(args) != 1 || args[0] == "" {
			return d.ArgErr()
		}
		switch option {
		case "from":
			m.From = args[0]
		case "username":
			m.Username = args[0]
		case "password":
			if !isPlaceholder(args[0]) {
				return d.Err("password: a secret must not stand in the configuration, which Caddy saves and shows: " +
					"give a placeholder such as {env.SMTP_PASSWORD} or {file./run/secrets/smtp} ({$...} is none)")
			}
			m.Password = args[0]
		case "tls":
			m.TLS = args[0]
		case "trusted_ca_file":
			m.TrustedCAFile = args[0]
		case "timeout":
			timeout, err := caddy.ParseDuration(args[0])
			if err != nil || timeout <= 0 {
				return d.Errf("timeout: expected a duration above 0 such as 30s, got %q", args[0])
			}
			m.Timeout = caddy.Duration(timeout)
		default:
			return d.Errf("unrecognized smtp option '%s'", option)
		}
	}
	if err := m.check(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func isPlaceholder(s string) bool {
	return len(s) > 2 && s[0] == '{' && s[len(s)-1] == '}'
}

// Provision reads the certificates and replaces placeholders. It connects to
// nothing, since `caddy validate` runs it too.
func (m *Module) Provision(ctx caddy.Context) error {
	if err := m.check(); err != nil {
		return err
	}
	if m.InsecurePlaintext {
		ctx.Logger().Warn("mails are sent without encryption: everybody on the way can read and use the links in them")
	}
	var err error
	repl := caddy.NewReplacer()
	if m.username, err = repl.ReplaceOrErr(m.Username, true, true); err != nil {
		return fmt.Errorf("replacing placeholders in the username: %w", err)
	}
	if m.password, err = repl.ReplaceOrErr(m.Password, true, true); err != nil {
		return fmt.Errorf("replacing placeholders in the password: %w", err)
	}
	if m.TrustedCAFile == "" {
		return nil
	}
	pem, err := os.ReadFile(m.TrustedCAFile)
	if err != nil {
		return fmt.Errorf("reading trusted_ca_file: %w", err)
	}
	m.trusted = x509.NewCertPool()
	if !m.trusted.AppendCertsFromPEM(pem) {
		return fmt.Errorf("trusted_ca_file %s holds no certificate", m.TrustedCAFile)
	}
	return nil
}

// check says what is wrong with the configuration, and fills in defaults.
func (m *Module) check() error {
	host, port, err := net.SplitHostPort(m.Server)
	if err == nil {
		m.port, err = strconv.Atoi(port)
	}
	if err != nil || host == "" || m.port < 1 || m.port > 65535 {
		return fmt.Errorf("server %q: expected host and port such as mail.example.com:587", m.Server)
	}
	m.host = host
	if m.domain, err = domainOf(m.From); err != nil {
		return err
	}
	if m.timeout = time.Duration(m.Timeout); m.timeout == 0 {
		m.timeout = 30 * time.Second
	}
	if (m.Username == "") != (m.Password == "") {
		return errors.New("give username and password, or neither")
	}
	if m.InsecurePlaintext {
		if m.Username != "" || m.TLS != "" || m.TrustedCAFile != "" {
			return errors.New("insecure_plaintext goes with neither a password, which everybody on the way could read, nor settings of an encryption that there is none of")
		}
		return nil
	}
	if m.TLS == "" {
		m.TLS = tlsStart
		if m.port == 465 {
			m.TLS = tlsImplicit
		}
	}
	if m.TLS != tlsStart && m.TLS != tlsImplicit {
		return fmt.Errorf("tls %q: choose starttls or implicit", m.TLS)
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Module)(nil)
	_ caddyfile.Unmarshaler = (*Module)(nil)
)
