package oidc

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddymfa/gateway/caddymfa/identity"
)

func init() {
	caddy.RegisterModule(Module{})
}

// Module lets accounts link OpenID Connect providers. The settings of a provider
// are its account's; what is here is for all of them, and the operator's alone.
type Module struct {
	// Networks where providers may be besides the Internet, such as
	// `10.20.0.0/16` for an ADFS of one's own. Whoever administers an account can
	// make this server send requests there. Default: none.
	PrivateNetworks []string `json:"private_networks,omitempty"`

	guard guard
	warn  func(string)
}

// CaddyModule returns the Caddy module information.
func (Module) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "mfa.identity.oidc", New: func() caddy.Module { return new(Module) }}
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	oidc {
//	    private_networks <prefixes...>
//	}
func (m *Module) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume module name
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		option, args := d.Val(), d.RemainingArgs()
		switch {
		case option != "private_networks":
			return d.Errf("unrecognized oidc option '%s'", option)
		case len(args) == 0:
			return d.ArgErr()
		case len(m.PrivateNetworks) > 0:
			return d.Errf("%s is given twice", option)
		}
		m.PrivateNetworks = args
	}
	if _, err := m.networks(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// Provision implements [caddy.Provisioner]. It asks no provider.
func (m *Module) Provision(ctx caddy.Context) error {
	log := ctx.Logger()
	m.warn = func(text string) { log.Warn(text) }
	networks, err := m.networks()
	if err != nil {
		return err
	}
	m.guard = guard{private: networks}
	return nil
}

func (m *Module) networks() ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, text := range m.PrivateNetworks {
		p, err := netip.ParsePrefix(text)
		if err != nil || p != p.Masked() {
			return nil, fmt.Errorf("private_networks %q: expected a prefix such as 10.20.0.0/16", text)
		}
		list = append(list, p)
	}
	return list, nil
}

// Kind implements [identity.Source].
func (*Module) Kind() string { return "oidc" }

// Check implements [identity.Source]. Who issues for one of several tenants is
// only known from the provider.
func (*Module) Check(settings []byte) (issuer string, err error) {
	s, err := parse(settings)
	if err != nil || len(s.Tenants) > 0 {
		return "", err
	}
	return s.Issuer, nil
}

// Open implements [identity.Source].
func (m *Module) Open(_ context.Context, settings []byte) (identity.Provider, error) {
	s, err := parse(settings)
	if err != nil {
		return nil, err
	}
	if s.InsecureAssumeEmailVerified && m.warn != nil {
		m.warn(fmt.Sprintf("every e-mail address that %s names is taken for verified (insecure_assume_email_verified)", s.Issuer))
	}
	return open(s, m.guard, time.Now), nil
}

// Interface guards
var (
	_ caddy.Module          = (*Module)(nil)
	_ caddy.Provisioner     = (*Module)(nil)
	_ caddyfile.Unmarshaler = (*Module)(nil)
	_ identity.Source       = (*Module)(nil)
)
