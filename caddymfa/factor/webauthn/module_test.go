package webauthn

import (
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestCaddyfile(t *testing.T) {
	d := caddyfile.NewTestDispenser(`webauthn portal.example.com {
		origins     https://portal.example.com https://eu.portal.example.com:8443
		attestation direct
		aaguids     ee882879-721c-4913-9775-3dfcce97072a
	}`)
	var m Module
	if err := m.UnmarshalCaddyfile(d); err != nil {
		t.Fatal(err)
	}
	m.allowed = nil
	want := Module{RPID: "portal.example.com", Origins: []string{"https://portal.example.com", "https://eu.portal.example.com:8443"},
		Attestation: "direct", AAGUIDs: []string{"ee882879-721c-4913-9775-3dfcce97072a"}}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("%+v", m)
	}
}

func TestWrongConfigurationsAreExplained(t *testing.T) {
	for text, says := range map[string]string{
		"webauthn":                                                               "domain",
		"webauthn a.example b.example":                                           "wrong argument count",
		"webauthn https://a.example":                                             "without scheme",
		"webauthn a.example:443":                                                 "without scheme and port",
		"webauthn A.example":                                                     "lower case",
		"webauthn 192.0.2.1":                                                     "a domain",
		"webauthn a.example {\n origins\n}":                                      "wrong argument count",
		"webauthn a.example {\n origins http://a.example\n}":                     "HTTPS only",
		"webauthn a.example {\n origins https://b.example\n}":                    "not in the domain",
		"webauthn a.example {\n origins https://xa.example\n}":                   "not in the domain",
		"webauthn a.example {\n origins https://a.example/\n}":                   "scheme and host",
		"webauthn a.example {\n origins a.example\n}":                            "scheme and host",
		"webauthn a.example {\n attestation indirect\n}":                         "none or direct",
		"webauthn a.example {\n attestation none direct\n}":                      "wrong argument count",
		"webauthn a.example {\n passwords no\n}":                                 "unrecognized webauthn option",
		"webauthn a.example {\n attestation direct\n aaguids x\n}":               "AAGUID such as",
		"webauthn a.example {\n aaguids ee882879-721c-4913-9775-3dfcce97072a\n}": "needs attestation direct",
	} {
		var m Module
		err := m.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "Testfile:") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestDefaultOrigins: HTTPS of the domain, and on the machine itself whatever is
// served there.
func TestDefaultOrigins(t *testing.T) {
	for _, c := range []struct{ id, address, want string }{
		{"portal.example", "http://localhost:8080", "https://portal.example"},
		{"localhost", "http://localhost:8080", "http://localhost:8080"},
		{"localhost", "", "https://localhost"},
		{"localhost", "http://192.0.2.1:8080", "https://localhost"},
	} {
		m := Module{RPID: c.id}
		keys, err := m.Keys("Portal", c.address)
		if err != nil {
			t.Fatal(err)
		}
		if got := keys.(*Keys).party.Config.RPOrigins; !reflect.DeepEqual(got, []string{c.want}) {
			t.Errorf("%s at %q: %q", c.id, c.address, got)
		}
	}
}
