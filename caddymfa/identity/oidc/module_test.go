package oidc

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func dispense(text string) *caddyfile.Dispenser { return caddyfile.NewTestDispenser(text) }

// TestModuleCaddyfile reads the operator's options.
func TestModuleCaddyfile(t *testing.T) {
	for text, want := range map[string]string{
		"oidc":      `{}`,
		"oidc {\n}": `{}`,
		"oidc {\nprivate_networks 10.20.0.0/16 fd12::/16\n}": `{"private_networks":["10.20.0.0/16","fd12::/16"]}`,
	} {
		var m Module
		if err := m.UnmarshalCaddyfile(dispense(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if raw, err := json.Marshal(m); err != nil || string(raw) != want {
			t.Errorf("%s: got %s, %v", text, raw, err)
		}
	}
	for text, want := range map[string]string{
		"oidc https://login.example":                                          "wrong argument count",
		"oidc {\nprivate_networks\n}":                                         "wrong argument count",
		"oidc {\nprivate_networks all\n}":                                     "expected a prefix such as",
		"oidc {\nprivate_networks 10.20.0.1/16\n}":                            "expected a prefix such as",
		"oidc {\nprivate_network 10.0.0.0/8\n}":                               "unrecognized oidc option 'private_network'",
		"oidc {\nprivate_networks 10.0.0.0/8\nprivate_networks 10.0.0.0/8\n}": "given twice",
	} {
		if err := new(Module).UnmarshalCaddyfile(dispense(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// TestSettingsCaddyfile reads the settings of one provider, and Check accepts
// what was read.
func TestSettingsCaddyfile(t *testing.T) {
	const full = `oidc https://login.example.com {
		client_id            portal
		client_secret        {env.SECRET}
		tenants              11111111-1111-4111-8111-111111111111
		scopes               email groups
		acr_values           gold silver
		max_age              8h
		prompt               select_account
		mfa_acr_values       gold
		email_claim          upn
		email_verified_claim xms_edov
		name_claim           display_name
		groups_claim         groups
		insecure_assume_email_verified
	}`
	settings, err := new(Module).UnmarshalSettings(dispense(full))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"issuer":"https://login.example.com","client_id":"portal","client_secret":"{env.SECRET}",` +
		`"tenants":["11111111-1111-4111-8111-111111111111"],"scopes":["email","groups"],"acr_values":["gold","silver"],` +
		`"max_age":28800000000000,"prompt":"select_account","mfa_acr_values":["gold"],"email_claim":"upn","email_verified_claim":"xms_edov",` +
		`"insecure_assume_email_verified":true,"name_claim":"display_name","groups_claim":"groups"}`
	if string(raw) != want {
		t.Errorf("got  %s\nwant %s", raw, want)
	}
	if issuer, err := new(Module).Check(raw); err != nil || issuer != "" {
		t.Errorf("got the issuer %q, which is one of many tenants', and %v", issuer, err)
	}
	for options, want := range map[string]string{
		"":                                               "client_id is missing",
		"client_id a\nclient_id b":                       "client_id is given twice",
		"client_id":                                      "wrong argument count",
		"client_id a b":                                  "wrong argument count",
		"client_id a\nclient_secret plain":               "a secret must not stand in the configuration",
		"client_id a\nprompt none":                       "expected login, consent or select_account",
		"client_id a\nmax_age 0":                         "expected a duration above 0",
		"client_id a\nmax_age 1500ms":                    "expected whole seconds",
		"client_id a\ntenants contoso.example":           "expected an id such as",
		"client_id a\ntenants *":                         "expected an id such as",
		"client_id a\nscopes \"email profile\"":          "expected values without spaces",
		"client_id a\nassume_email_verified":             "unrecognized oidc option",
		"client_id a\ninsecure_assume_email_verified on": "wrong argument count",
	} {
		_, err := new(Module).UnmarshalSettings(dispense("oidc https://login.example.com {\n" + options + "\n}"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", options, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "plain\"") {
			t.Errorf("the error repeats a secret: %v", err)
		}
	}
	if _, err := new(Module).UnmarshalSettings(dispense("oidc")); err == nil || !strings.Contains(err.Error(), "needs the issuer") {
		t.Errorf("got %v", err)
	}
}

// TestCheck says what is wrong with settings that pages and programs send.
func TestCheck(t *testing.T) {
	m := new(Module)
	for issuer, want := range map[string]string{
		"https://login.example.com":                 "",
		"https://login.example.com:8443/a/":         "",
		"http://localhost:8080":                     "",
		"http://127.0.0.1:8080/realms/acme":         "",
		"http://login.example.com":                  "expected https://",
		"http://localhost.evil.example":             "expected https://",
		"https://login.example.com?a=b":             "neither a query nor a placeholder",
		"https://login.example.com/{tenantid}/v2.0": "neither a query nor a placeholder",
		"https://login.example.com#a":               "neither a name nor a fragment",
		"https://a:b@login.example.com":             "neither a name nor a fragment",
		"login.example.com":                         "is no address",
		"https:login.example.com":                   "is no address",
		"":                                          "is no address",
		"file:///etc/passwd":                        "is no address",
	} {
		raw, err := json.Marshal(Settings{Issuer: issuer, ClientID: "a"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Check(raw)
		switch {
		case want == "" && (err != nil || got != issuer):
			t.Errorf("%q: got %q, %v", issuer, got, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: got %v, want %q", issuer, err, want)
		}
		if _, opening := m.Open(t.Context(), raw); (opening == nil) != (err == nil) {
			t.Errorf("%q: opening says %v", issuer, opening)
		}
	}
	for raw, want := range map[string]string{
		`{"issuer":"https://a.example","client_id":"a","cleint_secret":"b"}`: "unknown field",
		`{"issuer":"https://a.example","client_id":"a"} {}`:                  "something follows them",
		`[]`: "reading the settings",
		``:   "reading the settings",
		`{"issuer":"https://a.example","client_id":"a","max_age":-1}`: "expected whole seconds",
	} {
		if _, err := m.Check([]byte(raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", raw, err, want)
		}
	}
}

// TestDangerIsLoud warns of what is dangerous, when it is used.
func TestDangerIsLoud(t *testing.T) {
	var said []string
	m := &Module{warn: func(text string) { said = append(said, text) }}
	for _, danger := range []bool{false, true} {
		raw, err := json.Marshal(Settings{Issuer: "https://a.example", ClientID: "a", InsecureAssumeEmailVerified: danger})
		if err != nil {
			t.Fatal(err)
		}
		p, err := m.Open(t.Context(), raw)
		if err := errors.Join(err, p.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if len(said) != 1 || !strings.Contains(said[0], "insecure_assume_email_verified") || !strings.Contains(said[0], "https://a.example") {
		t.Errorf("said %q", said)
	}
}
