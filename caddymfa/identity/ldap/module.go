package ldap

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddymfa/gateway/caddymfa/identity"
)

func init() {
	caddy.RegisterModule(Module{})
}

// Module lets people sign in with the password that they have in their company's
// Active Directory. What stands here is the operator's, and holds for the
// directories of all accounts.
type Module struct {
	// How long it may take to connect to one domain controller, encryption
	// included, before the next one is asked. Default: 3 seconds.
	DialTimeout caddy.Duration `json:"dial_timeout,omitempty"`

	// How long one controller may take for all of one sign-in. Default: 10
	// seconds.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// How many connections are held to one account's controllers. Who comes when
	// all are in use waits for one, as long as `timeout`. Default: 8.
	Connections int `json:"connections,omitempty"`

	// The networks that controllers may be in, in CIDR notation; a controller
	// elsewhere is not connected to. Limit them where administrators of accounts
	// write settings, so that those cannot reach into your own network. Default:
	// all.
	Networks []string `json:"networks,omitempty"`

	networks []netip.Prefix
	logger   *slog.Logger
}

// CaddyModule returns the Caddy module information.
func (Module) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "mfa.identity.ldap", New: func() caddy.Module { return new(Module) }}
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	ldap {
//	    dial_timeout <duration>
//	    timeout      <duration>
//	    connections  <number>
//	    networks     <cidrs...>
//	}
func (m *Module) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume module name
	if d.NextArg() {
		return d.ArgErr()
	}
	options := options{d: d, seen: make(map[string]bool)}
	for d.NextBlock(0) {
		switch d.Val() {
		case "dial_timeout":
			options.duration(&m.DialTimeout)
		case "timeout":
			options.duration(&m.Timeout)
		case "connections":
			options.number(&m.Connections)
		case "networks":
			options.list(&m.Networks)
		default:
			return d.Errf("unrecognized ldap option '%s'", d.Val())
		}
		if options.err != nil {
			return options.err
		}
	}
	if err := m.check(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// Provision implements [caddy.Provisioner].
func (m *Module) Provision(ctx caddy.Context) error {
	m.logger = ctx.Slogger()
	return m.check()
}

// check says what is wrong with the configuration, and fills in the defaults.
func (m *Module) check() error {
	m.networks = nil
	for _, text := range m.Networks {
		prefix, err := netip.ParsePrefix(text)
		if err != nil || prefix != prefix.Masked() {
			return fmt.Errorf("networks %q: expected a network such as 10.0.0.0/8", text)
		}
		m.networks = append(m.networks, prefix)
	}
	if m.DialTimeout < 0 || m.Timeout < 0 || m.Connections < 0 {
		return fmt.Errorf("dial_timeout, timeout and connections must not be negative")
	}
	return nil
}

// Kind implements [identity.Source].
func (*Module) Kind() string { return "ldap" }

// Check implements [identity.Source]. A directory has no issuer that anybody
// else could check: its people are the account's own.
func (*Module) Check(settings []byte) (issuer string, err error) {
	_, err = parseSettings(settings)
	return "", err
}

// Open implements [identity.Source].
func (m *Module) Open(_ context.Context, settings []byte) (identity.Provider, error) {
	s, err := parseSettings(settings)
	if err != nil {
		return nil, err
	}
	if s.InsecureSkipVerify {
		m.logger.Warn("certificates of domain controllers are not checked: whoever is between here and them learns every password",
			"controllers", s.Controllers)
	}
	return &provider{settings: s, pool: newPool(m, s, time.Now), logger: m.logger}, nil
}

// Interface guards
var (
	_ caddy.Module          = (*Module)(nil)
	_ caddy.Provisioner     = (*Module)(nil)
	_ caddyfile.Unmarshaler = (*Module)(nil)
	_ identity.Source       = (*Module)(nil)
)
