package storage

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

var errEmail = errors.New("not an e-mail address")

// NormaliseEmail returns the one spelling under which an e-mail address is
// stored, compared and counted: trimmed, Unicode NFC, lower-case, with exactly
// one "@" (an address with two belongs to no domain). It checks the shape, not
// whether mail arrives.
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
	for _, label := range strings.Split(domain, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return "", errEmail
		}
	}
	return s, nil
}

// DomainOf returns the domain of a normalised address.
func DomainOf(email string) string {
	_, domain, _ := strings.Cut(email, "@")
	return domain
}
