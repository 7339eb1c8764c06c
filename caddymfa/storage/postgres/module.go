package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/jackc/pgx/v5"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

func init() {
	caddy.RegisterModule(Module{})
}

// Module keeps accounts, people, sessions and everything else in a PostgreSQL
// database, which several Caddy instances may share. All of them need the same
// `master_key`.
type Module struct {
	// Where the database is: a URL such as
	// `postgres://mfa@db.example/mfa?sslmode=verify-full`, or keywords and
	// values. Several hosts may be named, separated by commas: the one that can
	// be written to is used. Global placeholders such as `{env.DATABASE_URL}` are
	// replaced when the configuration is loaded; a password must be in one. It
	// must be given.
	DSN string `json:"dsn"`

	// Where the same database is without a pooler in between, if `dsn` leads to
	// one, such as PgBouncer with transaction pooling: changes made on other
	// nodes arrive only on a connection of their own. If it is given, no
	// statements are left prepared through `dsn`. Default: the same as `dsn`.
	ListenDSN string `json:"listen_dsn,omitempty"`

	// How many connections there are at most, beside the one that listens.
	// Default: 10.
	Connections int `json:"connections,omitempty"`

	// How long connecting to one host may take. Default: 2 seconds.
	ConnectTimeout caddy.Duration `json:"connect_timeout,omitempty"`

	// How long one read or one write may take; after that it failed. Default: 5
	// seconds.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	options  Options
	location string
}

// CaddyModule returns the Caddy module information.
func (Module) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "mfa.storage.postgres",
		New: func() caddy.Module { return new(Module) },
	}
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	postgres <dsn> {
//		listen_dsn      <dsn>
//		connections     <number>
//		connect_timeout <duration>
//		timeout         <duration>
//	}
func (m *Module) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume module name
	if err := readDSN(d, &m.DSN); err != nil {
		return err
	}
	given := make(map[string]bool)
	for d.NextBlock(0) {
		option := d.Val()
		if given[option] {
			return d.Errf("%s is given twice", option)
		}
		given[option] = true
		var err error
		switch option {
		case "listen_dsn":
			err = readDSN(d, &m.ListenDSN)
		case "connections":
			err = readNumber(d, &m.Connections)
		case "connect_timeout":
			err = readDuration(d, &m.ConnectTimeout)
		case "timeout":
			err = readDuration(d, &m.Timeout)
		default:
			return d.Errf("unrecognized postgres option '%s'", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// secret finds a password that stands in a DSN as it is.
var secret = regexp.MustCompile(`(?i)(^[a-z]+://[^/?@]*:[^{/@][^/@]*@|\bpassword\s*=\s*[^{\s])`)

// readDSN takes one argument. It refuses a password, and never repeats it.
func readDSN(d *caddyfile.Dispenser, to *string) error {
	option, text := d.Val(), ""
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	if text == "" {
		return d.Errf("%s: the address of the database must not be empty", option)
	}
	if secret.MatchString(text) {
		return d.Errf("%s: a password must not stand in the configuration, which Caddy saves and shows: "+
			"give a placeholder such as {env.DATABASE_URL} ({$...} is none)", option)
	}
	*to = text
	return nil
}

func readNumber(d *caddyfile.Dispenser, to *int) error {
	option, text := d.Val(), ""
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return d.Errf("%s: expected a whole number above 0, got %q", option, text)
	}
	*to = n
	return nil
}

func readDuration(d *caddyfile.Dispenser, to *caddy.Duration) error {
	option, text := d.Val(), ""
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	duration, err := caddy.ParseDuration(text)
	if err != nil || duration <= 0 {
		return d.Errf("%s: expected a duration above 0 such as 500ms, 2s or 1m, got %q", option, text)
	}
	*to = caddy.Duration(duration)
	return nil
}

// Provision sets defaults and finds out which database is meant. It does not
// connect.
func (m *Module) Provision(ctx caddy.Context) error {
	if m.Connections == 0 {
		m.Connections = 10
	}
	if m.ConnectTimeout == 0 {
		m.ConnectTimeout = caddy.Duration(2 * time.Second)
	}
	if m.Timeout == 0 {
		m.Timeout = caddy.Duration(5 * time.Second)
	}
	m.options = Options{
		Connections: m.Connections, ConnectTimeout: time.Duration(m.ConnectTimeout), Timeout: time.Duration(m.Timeout),
		Log: ctx.Slogger(),
	}
	if m.DSN == "" {
		return errors.New("storage postgres: say where the database is, best by a placeholder such as {env.DATABASE_URL}")
	}
	var err error
	if m.options.DSN, m.location, err = resolve(m.DSN, m.options); err != nil {
		return fmt.Errorf("storage postgres: dsn: %w", err)
	}
	if m.ListenDSN != "" {
		if m.options.ListenDSN, _, err = resolve(m.ListenDSN, m.options); err != nil {
			return fmt.Errorf("storage postgres: listen_dsn: %w", err)
		}
	}
	return nil
}

// Validate checks the numbers.
func (m *Module) Validate() error {
	if m.Connections < 1 || m.ConnectTimeout < 0 || m.Timeout < 0 {
		return errors.New("storage postgres: connections, connect_timeout and timeout must be positive")
	}
	return nil
}

// resolve replaces the placeholders of a DSN and says where it leads. It warns
// of a connection on which somebody else could answer.
func resolve(dsn string, o Options) (resolved, at string, err error) {
	if resolved, err = caddy.NewReplacer().ReplaceOrErr(dsn, true, true); err != nil {
		return "", "", fmt.Errorf("replacing placeholders: %w", err)
	}
	config, err := parse(resolved, o)
	if err != nil {
		return "", "", err
	}
	if host, ok := unproven(config); !ok {
		o.Log.Warn("whoever is between here and the database can read it, change it and answer in its place: use sslmode=verify-full", slog.String("host", host))
	}
	return resolved, location(config), nil
}

// unproven returns a host that need not prove to be the database, though it is
// on a network; ok: there is none.
func unproven(c *pgx.ConnConfig) (host string, ok bool) {
	proven := func(host string, insecure bool) bool {
		ip := net.ParseIP(host)
		return !insecure || strings.HasPrefix(host, "/") || host == "localhost" || ip != nil && ip.IsLoopback()
	}
	if insecure := c.TLSConfig == nil || c.TLSConfig.InsecureSkipVerify && c.TLSConfig.VerifyPeerCertificate == nil; !proven(c.Host, insecure) {
		return c.Host, false
	}
	for _, f := range c.Fallbacks {
		if insecure := f.TLSConfig == nil || f.TLSConfig.InsecureSkipVerify && f.TLSConfig.VerifyPeerCertificate == nil; !proven(f.Host, insecure) {
			return f.Host, false
		}
	}
	return "", true
}

// Key implements [storage.Opener]. It is printed nowhere, and holds no password
// all the same.
func (m *Module) Key() string {
	h := sha256.Sum256(fmt.Append(nil, m.options.DSN, "\x00", m.options.ListenDSN, "\x00", m.options.Connections, m.options.ConnectTimeout, m.options.Timeout))
	return "postgres:" + hex.EncodeToString(h[:])
}

// Location says where the database is, for people to read.
func (m *Module) Location() string { return m.location }

// Open implements [storage.Opener].
func (m *Module) Open(ctx context.Context) (storage.Storage, error) {
	store, err := Open(ctx, m.options)
	if err != nil {
		return nil, err // and not a nil *Store in an interface that is not nil
	}
	return store, nil
}

// Interface guards
var (
	_ caddy.Module          = (*Module)(nil)
	_ caddy.Provisioner     = (*Module)(nil)
	_ caddy.Validator       = (*Module)(nil)
	_ caddyfile.Unmarshaler = (*Module)(nil)
	_ storage.Opener        = (*Module)(nil)
)
