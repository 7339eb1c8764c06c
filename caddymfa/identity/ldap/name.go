package ldap

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
)

// maxName is the longest name that is asked for: a user principal name has at
// most 256 characters in a directory's own limits.
const maxName = 256

// name is how somebody called themselves.
type name struct {
	bind   string // what the directory takes as a name: ana@corp.example, CORP\ana
	filter string // what finds the entry, escaped
	upn    string // as typed, with "@"; empty: it was an account name
	sam    string // account name (sAMAccountName) that it stands for; empty: none
}

var (
	errNameShape  = errors.New("expected user@domain or DOMAIN\\user")
	errNameDomain = errors.New("another domain's name")
)

// parseName understands user@domain and DOMAIN\user. A directory binds by many
// more names: distinguished and canonical names, object ids, service principal
// names, and even the display name, which people can set for themselves. None of
// them gets so far.
func (s *Settings) parseName(typed string) (name, error) {
	if len(typed) > maxName || !utf8.ValidString(typed) || strings.ContainsFunc(typed, unicode.IsControl) {
		return name{}, errNameShape
	}
	if domain, sam, ok := strings.Cut(typed, `\`); ok {
		if !isLabel(domain) || !isLabel(sam) {
			return name{}, errNameShape
		}
		if s.NetBIOS == "" || !strings.EqualFold(domain, s.NetBIOS) {
			return name{}, errNameDomain
		}
		return name{bind: s.NetBIOS + `\` + sam, filter: equal("sAMAccountName", sam), sam: sam}, nil
	}
	user, domain, ok := strings.Cut(typed, "@")
	if !ok || !isLabel(user) || !isLabel(domain) {
		return name{}, errNameShape
	}
	n := name{bind: typed, upn: typed, filter: equal("userPrincipalName", typed) + equal("mail", typed)}
	// Every account also has the name account@domain, which no attribute holds
	// (MS-ADTS, section 5.1.1.1.1).
	if strings.EqualFold(domain, s.dnsDomain()) {
		n.sam = user
		n.filter += equal("sAMAccountName", user)
	}
	n.filter = "(|" + n.filter + ")"
	return n, nil
}

// isLabel reports whether text can be one part of a name: none of the characters
// that an account name may not have, nor those that make it another kind of name.
func isLabel(text string) bool {
	return text != "" && strings.TrimSpace(text) == text && !strings.ContainsAny(text, `"/\[]{}:;|=,*?<>()@`)
}

func equal(attribute, value string) string {
	return "(" + attribute + "=" + ldap.EscapeFilter(value) + ")"
}

// dnsDomain returns the domain that the base belongs to: corp.example for
// OU=People,DC=corp,DC=example.
func (s *Settings) dnsDomain() string {
	dn, err := ldap.ParseDN(s.BaseDN)
	if err != nil {
		return ""
	}
	var labels []string
	for _, rdn := range dn.RDNs {
		for _, part := range rdn.Attributes {
			if strings.EqualFold(part.Type, "DC") {
				labels = append(labels, part.Value)
			}
		}
	}
	return strings.Join(labels, ".")
}

// pick returns the one entry that is meant. A directory compares loosely (it
// takes "jose" for "josé"), and knows several people with one mail address, such
// as somebody's everyday and administrator's accounts: the principal name comes
// first, then the account name, then the address.
func (n name) pick(found []*ldap.Entry) (entry *ldap.Entry, ambiguous bool) {
	for _, same := range []struct{ attribute, value string }{
		{"userPrincipalName", n.upn}, {"sAMAccountName", n.sam}, {"mail", n.upn},
	} {
		for _, e := range found {
			if same.value == "" || !strings.EqualFold(e.GetAttributeValue(same.attribute), same.value) {
				continue
			}
			if entry != nil {
				return nil, true
			}
			entry = e
		}
		if entry != nil {
			return entry, false
		}
	}
	return nil, false
}
