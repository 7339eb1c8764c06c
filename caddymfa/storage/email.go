package storage

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

var (
	errEmail  = errors.New("not an e-mail address")
	errDomain = errors.New("not a domain")
)

// NormaliseEmail returns the one spelling under which an e-mail address is
// stored, compared and counted: trimmed, Unicode NFC, lower-case, with exactly
// one "@" (an address with two belongs to no domain), and the domain as
// NormaliseDomain spells it. It checks the shape, not whether mail arrives.
func NormaliseEmail(s string) (string, error) {
	s = strings.TrimSpace(s)
	if len(s) > 254 || !utf8.ValidString(s) {
		return "", errEmail
	}
	s = strings.ToLower(norm.NFC.String(s))
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || strings.Contains(domain, "@") {
		return "", errEmail
	}
	for _, r := range s {
		if r <= ' ' || r == 0x7f || r == utf8.RuneError || strings.ContainsRune(`"(),:;<>[\]`, r) {
			return "", errEmail
		}
	}
	domain, err := NormaliseDomain(domain)
	if err != nil {
		return "", errEmail
	}
	return local + "@" + domain, nil
}

// NormaliseDomain returns the one spelling of a domain: trimmed, lower-case, and
// in the letters of DNS, so that a name with others is itself however somebody
// types it (IDNA, as browsers apply it).
func NormaliseDomain(s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	if strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) {
		ascii, err := idna.Lookup.ToASCII(s)
		if err != nil {
			return "", errDomain
		}
		s = ascii
	}
	if len(s) > 253 {
		return "", errDomain
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return "", errDomain
		}
	}
	return s, nil
}

// DomainOf returns the domain of a normalised address.
func DomainOf(email string) string {
	_, domain, _ := strings.Cut(email, "@")
	return domain
}
