package webauthn

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/caddymfa/gateway/caddymfa/factor"
)

func init() {
	caddy.RegisterModule(Module{})
}

// Module lets people use security keys and passkeys: as second factor, and
// passkeys also as the whole sign-in.
type Module struct {
	// The relying party's id: the domain that keys are bound to (WebAuthn Level
	// 3, section 5.1.2), for example `portal.example.com`, or `example.com` for
	// all its subdomains. It can never be changed without everybody adding their
	// keys anew.
	RPID string `json:"rp_id"`

	// The origins that people sign in at: scheme, host and port, of that domain
	// or below it. Default: `https://` and the id; for `localhost` the address
	// that Caddy serves.
	Origins []string `json:"origins,omitempty"`

	// What keys must say about themselves when they are added: `none`, or
	// `direct` for a statement of their maker. Most passkeys make none. Default:
	// `none`.
	Attestation string `json:"attestation,omitempty"`

	// The products that may be added, by AAGUID; all others are refused. It needs
	// `direct` attestation. The maker's signature on the statement is checked,
	// but not to whom the maker's certificate belongs. Default: all.
	AAGUIDs []string `json:"aaguids,omitempty"`

	allowed [][16]byte
}

var errNoAAGUID = errors.New("expected an AAGUID such as ee882879-721c-4913-9775-3dfcce97072a")

// CaddyModule returns the Caddy module information.
func (Module) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "mfa.factors.webauthn", New: func() caddy.Module { return new(Module) }}
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	webauthn <rp_id> {
//	    origins     <origins...>
//	    attestation none|direct
//	    aaguids     <aaguids...>
//	}
func (m *Module) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume module name
	if !d.NextArg() {
		return d.Err("webauthn needs the domain that keys are bound to, such as portal.example.com")
	}
	m.RPID = d.Val()
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		option := d.Val()
		args := d.RemainingArgs()
		if len(args) == 0 {
			return d.ArgErr()
		}
		switch option {
		case "origins":
			m.Origins = append(m.Origins, args...)
		case "attestation":
			if len(args) > 1 {
				return d.ArgErr()
			}
			m.Attestation = args[0]
		case "aaguids":
			m.AAGUIDs = append(m.AAGUIDs, args...)
		default:
			return d.Errf("unrecognized webauthn option '%s'", option)
		}
	}
	if err := m.check(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// Provision implements [caddy.Provisioner].
func (m *Module) Provision(caddy.Context) error { return m.check() }

// check says what is wrong with the configuration.
func (m *Module) check() error {
	if m.RPID == "" || m.RPID != strings.ToLower(m.RPID) || strings.ContainsAny(m.RPID, ":/@*") || net.ParseIP(m.RPID) != nil {
		return fmt.Errorf("rp_id %q: expected a domain in lower case such as portal.example.com, without scheme and port", m.RPID)
	}
	for _, origin := range m.Origins {
		if err := m.checkOrigin(origin); err != nil {
			return err
		}
	}
	if m.Attestation != "" && m.Attestation != "none" && m.Attestation != "direct" {
		return fmt.Errorf("attestation %q: choose none or direct", m.Attestation)
	}
	if len(m.AAGUIDs) > 0 && m.Attestation != "direct" {
		return errors.New("aaguids needs attestation direct: without it no key proves which product it is")
	}
	m.allowed = nil
	for _, text := range m.AAGUIDs {
		id, err := parseAAGUID(text)
		if err != nil {
			return fmt.Errorf("aaguids %q: %w", text, err)
		}
		m.allowed = append(m.allowed, id)
	}
	return nil
}

// checkOrigin refuses what no browser accepts for this domain, and plain HTTP
// but on the machine itself.
func (m *Module) checkOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.User != nil || origin != u.Scheme+"://"+u.Host {
		return fmt.Errorf("origin %q: expected scheme and host such as https://%s", origin, m.RPID)
	}
	host := u.Hostname()
	if host != m.RPID && !strings.HasSuffix(host, "."+m.RPID) {
		return fmt.Errorf("origin %q is not in the domain %s", origin, m.RPID)
	}
	local := host == "localhost" || strings.HasSuffix(host, ".localhost")
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return fmt.Errorf("origin %q: browsers have security keys on HTTPS only, but for localhost", origin)
	}
	return nil
}

// Keys returns the factor, for a service of this name that is served at this
// address ("" if that is not known).
func (m *Module) Keys(name, address string) (factor.Keys, error) {
	origins := slices.Clone(m.Origins)
	if len(origins) == 0 {
		origins = []string{"https://" + m.RPID}
		if m.RPID == "localhost" && m.checkOrigin(address) == nil {
			origins = []string{address}
		}
	}
	timeout := webauthn.TimeoutConfig{Timeout: patience, TimeoutUVD: patience}
	party, err := webauthn.New(&webauthn.Config{
		RPID: m.RPID, RPDisplayName: name, RPOrigins: origins,
		Timeouts: webauthn.TimeoutsConfig{Login: timeout, Registration: timeout},
		// What a browser adds without being asked is not used for anything.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing security keys: %w", err)
	}
	return &Keys{party: party, attest: m.Attestation == "direct", aaguids: m.allowed}, nil
}

// Interface guards
var (
	_ caddy.Module          = (*Module)(nil)
	_ caddy.Provisioner     = (*Module)(nil)
	_ caddyfile.Unmarshaler = (*Module)(nil)
)
