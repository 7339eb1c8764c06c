package webauthn

import (
	_ "embed"
	"encoding/hex"
	"strings"
)

//go:embed products.txt
var productList string

// products maps AAGUIDs to names.
var products = readProducts(productList)

// readProducts reads lines of an AAGUID and a name.
func readProducts(list string) map[string]string {
	names := make(map[string]string)
	for line := range strings.Lines(list) {
		id, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok && !strings.HasPrefix(id, "#") {
			if aaguid, err := parseAAGUID(id); err == nil {
				names[string(aaguid[:])] = strings.TrimSpace(name)
			}
		}
	}
	return names
}

// productName is what the maker calls a key, or "" for one that is not known or
// does not say (WebAuthn Level 3, section 6.5.1).
func productName(aaguid []byte) string { return products[string(aaguid)] }

// parseAAGUID reads an AAGUID in the usual form of a UUID (RFC 9562, section 4).
func parseAAGUID(s string) ([16]byte, error) {
	var id [16]byte
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, errNoAAGUID
	}
	_, err := hex.Decode(id[:], []byte(strings.ReplaceAll(s, "-", "")))
	if err != nil {
		return id, errNoAAGUID
	}
	return id, nil
}
