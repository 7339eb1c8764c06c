package oidc

import (
	"cmp"
	"slices"
	"strings"

	"github.com/caddymfa/gateway/caddymfa/identity"
)

// The claims that describe a person unless the settings name others (OpenID
// Connect Core 1.0, section 5.1).
const (
	emailClaim    = "email"
	verifiedClaim = "email_verified"
	nameClaim     = "name"
)

func (s Settings) emailFrom() string { return cmp.Or(s.EmailClaim, emailClaim) }

// verifiedFrom returns the claim that vouches for the address: "email_verified"
// speaks of "email", and of no other claim.
func (s Settings) verifiedFrom() string {
	if s.EmailVerifiedClaim == "" && s.emailFrom() == emailClaim {
		return verifiedClaim
	}
	return s.EmailVerifiedClaim
}

// described lists the claims that describe a person.
func (s Settings) described() []string {
	list := []string{s.emailFrom(), cmp.Or(s.NameClaim, nameClaim), s.verifiedFrom(), s.GroupsClaim}
	return slices.DeleteFunc(list, func(name string) bool { return name == "" })
}

// lacks reports whether something is missing that must be asked for.
func (s Settings) lacks(c claims) bool {
	return c[s.emailFrom()] == nil || s.GroupsClaim != "" && c[s.GroupsClaim] == nil
}

// identity reads who somebody is from verified claims.
func (p *provider) identity(c claims) identity.Identity {
	who := identity.Identity{
		Issuer: c.text("iss"), Subject: c.text("sub"),
		Email: c.text(p.emailFrom()), Name: c.text(cmp.Or(p.NameClaim, nameClaim)),
		AMR: bounded(c.list("amr")), ACR: c.text("acr"), AuthTime: c.moment("auth_time"), Session: c.text("sid"),
	}
	who.EmailVerified = who.Email != "" && (p.InsecureAssumeEmailVerified || c.flag(p.verifiedFrom()))
	if p.GroupsClaim != "" {
		who.Groups = bounded(c.list(p.GroupsClaim))
	}
	who.MFA = several(who.AMR) || who.ACR != "" && slices.Contains(p.MFAACRValues, who.ACR)
	return who
}

// factorKinds says what an authentication method (RFC 8176, section 2) shows:
// something known, something had, or something that the person is. Methods that
// are not here show nothing by themselves.
var factorKinds = map[string]string{
	"pwd": "known", "pin": "known", "kba": "known",
	"otp": "had", "sms": "had", "tel": "had", "hwk": "had", "swk": "had", "sc": "had",
	"face": "is", "fpt": "is", "iris": "is", "retina": "is", "vbm": "is",
}

// several reports whether methods are several factors: the provider says so, or
// they are of two kinds. Two of one kind, such as a password and a PIN, are one.
func several(methods []string) bool {
	kinds := make(map[string]bool)
	for _, m := range methods {
		switch {
		case m == "mfa", m == "http://schemas.microsoft.com/claims/multipleauthn": // the latter is ADFS
			return true
		case factorKinds[strings.ToLower(m)] != "":
			kinds[factorKinds[strings.ToLower(m)]] = true
		}
	}
	return len(kinds) > 1
}
