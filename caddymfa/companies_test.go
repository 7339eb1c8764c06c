package caddymfa

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// Secrets stand in no configuration that Caddy saves; and what is no placeholder
// of the operator's stays as it is.
func TestSettingsArePlaceholdersUntilProvisioned(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ACME_SECRET", "from the environment")
	got, err := replaceSettings(json.RawMessage(`{
		"a": "{env.ACME_SECRET}", "b": ["{file.` + file + `}", "plain"], "c": {"d": "{env.ACME_SECRET}"},
		"filter": "(&(objectClass=user)(mail={email}))", "text": "x {env.ACME_SECRET}", "n": 12345678901234567890, "on": true
	}`))
	want := `{"a":"from the environment","b":["from a file","plain"],"c":{"d":"from the environment"},` +
		`"filter":"(\u0026(objectClass=user)(mail={email}))","n":12345678901234567890,"on":true,"text":"x {env.ACME_SECRET}"}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
	for _, bad := range []string{`{"a":"{env.NOT_SET_ANYWHERE}"}`, `{"a":["{file./nowhere/at/all}"]}`, `{`} {
		if got, err := replaceSettings(json.RawMessage(bad)); err == nil {
			t.Errorf("%s became %s", bad, got)
		}
	}
	if got, err := replaceSettings(nil); err != nil || string(got) != "{}" {
		t.Errorf("no settings became %s, %v", got, err)
	}
}

// What is wrong with companies is said when the configuration is loaded, before
// anybody signs in.
func TestCompaniesAreCheckedWhenLoaded(t *testing.T) {
	oidc := `{"kind":"oidc","settings":{"issuer":"https://login.acme.example","client_id":"portal"}}`
	for _, c := range []struct{ app, says string }{
		{`{"identity":{"carrier_pigeon":{}}}`, "carrier_pigeon"},
		{`{"origins":["portal.example.com"]}`, "expected only a scheme and a host"},
		{`{"origins":["http://portal.example.com"]}`, "it needs https"},
		{`{"accounts":[{"id":"acme","policy":"optional","providers":[{"kind":"pigeon"}]}]}`, `no kind of identity provider "pigeon"`},
		{`{"accounts":[{"id":"acme","policy":"optional","providers":[{"kind":"oidc","settings":{"issuer":"https://login.acme.example"}}]}]}`, "client_id"},
		{`{"accounts":[{"id":"acme","policy":"optional","providers":[{"kind":"oidc","settings":{"issuer":"https://login.acme.example","client_id":"x","surprise":1}}]}]}`, "surprise"},
		{`{"accounts":[{"id":"acme","policy":"optional","providers":[` + oidc + `,` + oidc + `]}]}`, "declared twice"},
		{`{"accounts":[{"id":"acme","policy":"optional","providers":[{"kind":"oidc","id":"A/B"}]}]}`, "lower-case letters"},
		{`{"accounts":[{"id":"acme","policy":"optional","providers":[{"kind":"oidc","trust":"blindly"}]}]}`, "blindly"},
		{`{"accounts":[{"id":"acme","policy":"optional","domains":[{"name":"Acme.example"}]}]}`, "in lower case"},
		{`{"accounts":[{"id":"acme","policy":"optional","domains":[{"name":"acme.example","enforce":true}]}]}`, "enforce needs to know"},
		{`{"accounts":[{"id":"acme","policy":"optional","domains":[{"name":"acme.example","provider":"corp"}]}]}`, `declares no identity provider "corp"`},
		{`{"accounts":[{"id":"acme","policy":"optional","domains":[{"name":"acme.example"},{"name":"acme.example"}]}]}`, "declared twice"},
	} {
		home := t.TempDir()
		t.Setenv("XDG_DATA_HOME", home)
		err := caddy.Validate(&caddy.Config{AppsRaw: caddy.ModuleMap{"mfa": json.RawMessage(c.app)}})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.app, err, c.says)
		}
	}
	good := `{"origins":["https://portal.example.com","http://localhost:8080"],"accounts":[{"id":"acme","policy":"optional",
		"domains":[{"name":"acme.example","enforce":true}],"providers":[` + oidc + `]}]}`
	if err := caddy.Validate(&caddy.Config{AppsRaw: caddy.ModuleMap{"mfa": json.RawMessage(good)}}); err != nil {
		t.Error(err)
	}
}
