package ldap

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/go-ldap/ldap/v3"
)

// maxControllers is how many controllers are tried, at most.
const maxControllers = 8

// Settings are one account's directory.
type Settings struct {
	// The domain controllers, asked in this order: `ldaps://dc1.corp.example`, or
	// `ldap://dc1.corp.example` where the connection is encrypted with StartTLS
	// before anything else is said. Nothing is ever sent unencrypted.
	Controllers []string `json:"controllers"`

	// Where in the directory people are found, such as `DC=corp,DC=example`.
	BaseDN string `json:"base_dn"`

	// The NetBIOS name of the domain, such as `CORP`. It lets people sign in as
	// `CORP\ana`. Default: as ana@corp.example only.
	NetBIOS string `json:"netbios,omitempty"`

	// The account that looks people up, by its principal or distinguished name.
	// It needs no rights but to read. Without one, people look themselves up, and
	// must sign in with their principal name. Default: none.
	ServiceAccount string `json:"service_account,omitempty"`
	// The password of that account.
	ServicePassword string `json:"service_password,omitempty"`

	// An LDAP filter that people must match to be let in, such as
	// `(memberOf=CN=Portal,OU=Groups,DC=corp,DC=example)`. Default: everybody.
	Filter string `json:"filter,omitempty"`

	// The attribute that holds a person's e-mail address: `mail`, or
	// `userPrincipalName`. Default: `mail`, and for people without it the
	// principal name.
	Email string `json:"email,omitempty"`

	// Counts groups within groups, which takes the controller more time. Default:
	// the groups that a person is in directly. The primary group ("Domain Users")
	// counts in neither way.
	NestedGroups bool `json:"nested_groups,omitempty"`

	// The certificates of the authorities that the controllers' certificates come
	// from, in PEM. Default: those that the system trusts.
	CA string `json:"ca,omitempty"`

	// Does not check the controllers' certificates. Whoever can stand between
	// here and them then learns every password.
	InsecureSkipVerify bool `json:"insecure_skip_verify,omitempty"`
}

// UnmarshalSettings reads an account's directory from Caddyfile tokens. Syntax:
//
//	ldap <controllers...> {
//	    base_dn         <dn>
//	    netbios         <name>
//	    service_account <name> <placeholder of the password>
//	    filter          <filter>
//	    email           mail|userPrincipalName
//	    nested_groups
//	    ca              <placeholder of the certificates>
//	    insecure_skip_verify
//	}
func (*Module) UnmarshalSettings(d *caddyfile.Dispenser) (any, error) {
	d.Next() // consume kind
	s := &Settings{Controllers: d.RemainingArgs()}
	options := options{d: d, seen: make(map[string]bool)}
	for d.NextBlock(0) {
		switch d.Val() {
		case "base_dn":
			options.text(&s.BaseDN)
		case "netbios":
			options.text(&s.NetBIOS)
		case "service_account":
			options.secret(&s.ServiceAccount, &s.ServicePassword)
		case "filter":
			options.text(&s.Filter)
		case "email":
			options.text(&s.Email)
		case "nested_groups":
			options.flag(&s.NestedGroups)
		case "ca":
			options.text(&s.CA)
		case "insecure_skip_verify":
			options.flag(&s.InsecureSkipVerify)
		default:
			return nil, d.Errf("unrecognized ldap option '%s'", d.Val())
		}
		if options.err != nil {
			return nil, options.err
		}
	}
	if err := s.check(); err != nil {
		return nil, d.WrapErr(err)
	}
	return s, nil
}

// parseSettings reads settings strictly and says what is wrong with them.
func parseSettings(raw []byte) (*Settings, error) {
	s := new(Settings)
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(s); err != nil {
		return nil, fmt.Errorf("reading the settings of a directory: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading the settings of a directory: more than one object")
	}
	if s.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(s.CA)) {
		return nil, errors.New("ca: expected certificates in PEM")
	}
	return s, s.check()
}

// check says what is wrong with settings, in which placeholders may still stand.
func (s *Settings) check() error {
	if len(s.Controllers) == 0 || len(s.Controllers) > maxControllers {
		return fmt.Errorf("controllers: expected 1 to %d addresses such as ldaps://dc1.corp.example, got %d", maxControllers, len(s.Controllers))
	}
	for _, text := range s.Controllers {
		if _, err := parseController(text); err != nil {
			return err
		}
	}
	if dn, err := ldap.ParseDN(s.BaseDN); err != nil || len(dn.RDNs) == 0 {
		return fmt.Errorf("base_dn %q: expected a distinguished name such as DC=corp,DC=example", s.BaseDN)
	}
	if s.NetBIOS != "" && !isLabel(s.NetBIOS) {
		return fmt.Errorf("netbios %q: expected a name such as CORP", s.NetBIOS)
	}
	// A bind without a password always succeeds, as nobody (RFC 4513, section
	// 5.1.2).
	if (s.ServiceAccount == "") != (s.ServicePassword == "") {
		return errors.New("service_account and service_password need each other")
	}
	if s.Filter != "" {
		if _, err := ldap.CompileFilter(s.Filter); err != nil {
			return fmt.Errorf("filter %q: %w", s.Filter, err)
		}
	}
	if s.Email != "" && s.Email != "mail" && s.Email != "userPrincipalName" {
		return fmt.Errorf("email %q: choose mail or userPrincipalName", s.Email)
	}
	return nil
}

// tls returns how to encrypt a connection to a host.
func (s *Settings) tls(host string) *tls.Config {
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: s.InsecureSkipVerify}
	if s.CA != "" {
		c.RootCAs = x509.NewCertPool()
		c.RootCAs.AppendCertsFromPEM([]byte(s.CA))
	}
	return c
}

// address is where a controller listens.
type address struct {
	host, port string
	startTLS   bool
}

func (a address) String() string { return net.JoinHostPort(a.host, a.port) }

func parseController(text string) (address, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || text != u.Scheme+"://"+u.Host {
		return address{}, fmt.Errorf("controller %q: expected an address such as ldaps://dc1.corp.example", text)
	}
	a := address{host: u.Hostname(), port: u.Port()}
	switch u.Scheme {
	case "ldaps":
		if a.port == "" {
			a.port = ldap.DefaultLdapsPort
		}
	case "ldap":
		a.startTLS = true
		if a.port == "" {
			a.port = ldap.DefaultLdapPort
		}
	default:
		return address{}, fmt.Errorf("controller %q: expected ldaps://, or ldap:// for StartTLS", text)
	}
	if n, err := strconv.ParseUint(a.port, 10, 16); err != nil || n == 0 || strings.HasPrefix(a.port, "+") {
		return address{}, fmt.Errorf("controller %q: port %q is none", text, a.port)
	}
	return a, nil
}
