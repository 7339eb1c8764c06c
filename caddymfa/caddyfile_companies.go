package caddymfa

import (
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// unmarshalIdentity reads what holds for every identity provider of a kind, in
// the words of that kind.
func (a *App) unmarshalIdentity(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	if _, twice := a.IdentityRaw[name]; twice {
		return d.Errf("identity %s is given twice", name)
	}
	unm, err := caddyfile.UnmarshalModule(d, "mfa.identity."+name)
	if err != nil {
		return err
	}
	if a.IdentityRaw == nil {
		a.IdentityRaw = make(caddy.ModuleMap)
	}
	a.IdentityRaw[name] = caddyconfig.JSON(unm, nil)
	return nil
}

// unmarshalOrigins reads the addresses by which people come.
func (a *App) unmarshalOrigins(d *caddyfile.Dispenser) error {
	origins := d.RemainingArgs()
	if len(origins) == 0 {
		return d.ArgErr()
	}
	if err := checkOrigins(origins); err != nil {
		return d.WrapErr(err)
	}
	a.Origins = append(a.Origins, origins...)
	return nil
}

// settingsModule is a kind of identity provider whose settings can be written
// in a Caddyfile; see package identity.
type settingsModule interface {
	UnmarshalSettings(d *caddyfile.Dispenser) (settings any, err error)
}

// unmarshalCompany reads a domain or an identity provider of an account, and
// reports whether the dispenser stood at one.
func (c *AccountConfig) unmarshalCompany(d *caddyfile.Dispenser) (bool, error) {
	if d.Val() == "domain" {
		return true, c.unmarshalDomain(d)
	}
	info, err := caddy.GetModule("mfa.identity." + d.Val())
	if err != nil {
		return false, nil
	}
	mod, ok := info.New().(settingsModule)
	if !ok {
		return true, d.Errf("identity providers of the kind %s cannot be written in a Caddyfile", d.Val())
	}
	return true, c.unmarshalProvider(d, mod)
}

func (c *AccountConfig) unmarshalDomain(d *caddyfile.Dispenser) error {
	var domain DomainConfig
	if err := readText(d, &domain.Name); err != nil {
		return err
	}
	if !domainName.MatchString(domain.Name) {
		return d.Errf("domain %q: expected an e-mail domain in lower case, such as acme.example", domain.Name)
	}
	if slices.ContainsFunc(c.Domains, func(other DomainConfig) bool { return other.Name == domain.Name }) {
		return d.Errf("domain %q is declared twice", domain.Name)
	}
	seen := make(given)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if err := seen.once(d, option); err != nil {
			return err
		}
		switch option {
		case "enforce":
			if d.NextArg() {
				return d.ArgErr()
			}
			domain.Enforce = true
		case "provider":
			if err := readText(d, &domain.Provider); err != nil {
				return err
			}
		default:
			return d.Errf("unrecognized domain option '%s'", option)
		}
	}
	c.Domains = append(c.Domains, domain)
	return nil
}

// unmarshalProvider reads an identity provider: the options that all kinds
// share, and then, without them, the rest in the words of the kind.
func (c *AccountConfig) unmarshalProvider(d *caddyfile.Dispenser, mod settingsModule) error {
	p := ProviderConfig{Kind: d.Val()}
	own, err := p.unmarshalShared(d.NextSegment())
	if err != nil {
		return err
	}
	id := p.ID
	if id == "" {
		id = p.Kind
	}
	for _, other := range c.Providers {
		if other.ID == id || other.ID == "" && other.Kind == id {
			return d.Errf("identity provider %q is declared twice: give each an id", id)
		}
	}
	settings, err := mod.UnmarshalSettings(caddyfile.NewDispenser(own))
	if err != nil {
		return err
	}
	p.Settings = caddyconfig.JSON(settings, nil)
	c.Providers = append(c.Providers, p)
	return nil
}

// unmarshalShared takes the shared options out of a provider's tokens, and
// returns the others as they stood.
func (p *ProviderConfig) unmarshalShared(tokens caddyfile.Segment) (own []caddyfile.Token, err error) {
	d := caddyfile.NewDispenser(tokens)
	d.Next() // the kind
	own = append(own, d.Token())
	for d.NextArg() {
		own = append(own, d.Token())
	}
	seen := make(given)
	block := false
	for d.NextBlock(0) {
		if !block { // the brace, which NextBlock went past
			block = true
			own = append(own, tokens[len(own)])
		}
		option := d.Val()
		shared := true
		switch option {
		case "id", "name", "trust", "join", "admins":
			if err := seen.once(d, option); err != nil {
				return nil, err
			}
		default:
			shared = false
		}
		if !shared {
			own = append(own, d.NextSegment()...)
			continue
		}
		if err := p.unmarshalOption(d); err != nil {
			return nil, err
		}
	}
	if block {
		own = append(own, tokens[len(tokens)-1])
	}
	return own, nil
}

func (p *ProviderConfig) unmarshalOption(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "id":
		if err := readText(d, &p.ID); err != nil {
			return err
		}
		if !providerID.MatchString(p.ID) {
			return d.Errf("identity provider %q: expected an id of lower-case letters, digits and '-', at most 63", p.ID)
		}
	case "name":
		return readText(d, &p.Name)
	case "trust":
		if err := readText(d, &p.Trust); err != nil {
			return err
		}
		if _, err := mfa.ParseTrust(p.Trust); err != nil {
			return d.WrapErr(err)
		}
	case "join":
		if d.NextArg() {
			return d.ArgErr()
		}
		p.Join = true
	case "admins":
		if p.Admins = d.RemainingArgs(); len(p.Admins) == 0 {
			return d.ArgErr()
		}
	}
	return nil
}
