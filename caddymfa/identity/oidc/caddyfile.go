package oidc

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalSettings reads the settings of one provider. Syntax:
//
//	oidc <issuer> {
//	    client_id            <id>
//	    client_secret        <placeholder>
//	    tenants              <ids...>
//	    scopes               <scopes...>
//	    acr_values           <values...>
//	    max_age              <duration>
//	    prompt               login|consent|select_account
//	    mfa_acr_values       <values...>
//	    email_claim          <claim>
//	    email_verified_claim <claim>
//	    name_claim           <claim>
//	    groups_claim         <claim>
//	    insecure_assume_email_verified
//	}
func (*Module) UnmarshalSettings(d *caddyfile.Dispenser) (any, error) {
	d.Next() // consume the kind's name
	var s Settings
	if !d.NextArg() {
		return nil, d.Err("oidc needs the issuer, such as https://login.example.com")
	}
	s.Issuer = d.Val()
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		if seen[d.Val()] {
			return nil, d.Errf("%s is given twice", d.Val())
		}
		seen[d.Val()] = true
		if err := s.unmarshalOption(d); err != nil {
			return nil, err
		}
	}
	if err := s.check(); err != nil {
		return nil, d.WrapErr(err)
	}
	return s, nil
}

func (s *Settings) unmarshalOption(d *caddyfile.Dispenser) error {
	option, args := d.Val(), d.RemainingArgs()
	texts := map[string]*string{
		"client_id": &s.ClientID, "client_secret": &s.ClientSecret, "prompt": &s.Prompt, "email_claim": &s.EmailClaim,
		"email_verified_claim": &s.EmailVerifiedClaim, "name_claim": &s.NameClaim, "groups_claim": &s.GroupsClaim,
	}
	lists := map[string]*[]string{
		"tenants": &s.Tenants, "scopes": &s.Scopes, "acr_values": &s.ACRValues, "mfa_acr_values": &s.MFAACRValues,
	}
	text, one := texts[option]
	list, many := lists[option]
	switch {
	case option == "insecure_assume_email_verified":
		if len(args) > 0 {
			return d.ArgErr()
		}
		s.InsecureAssumeEmailVerified = true
	case !one && !many && option != "max_age":
		return d.Errf("unrecognized oidc option '%s'", option)
	case len(args) == 0 || !many && (len(args) > 1 || args[0] == ""):
		return d.ArgErr()
	case option == "client_secret" && !(strings.HasPrefix(args[0], "{") && strings.HasSuffix(args[0], "}")):
		return d.Err("client_secret: a secret must not stand in the configuration, which Caddy saves and shows: " +
			"give a placeholder such as {env.ACME_SECRET} or {file./run/secrets/acme} ({$...} is none)")
	case option == "max_age":
		age, err := caddy.ParseDuration(args[0])
		if err != nil || age <= 0 {
			return d.Errf("max_age: expected a duration above 0 such as 15m or 8h, got %q", args[0])
		}
		s.MaxAge = caddy.Duration(age)
	case one:
		*text = args[0]
	default:
		*list = args
	}
	return nil
}
