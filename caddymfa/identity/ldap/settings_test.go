package ldap

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddymfa/gateway/caddymfa/identity/ldap/sambatest"
)

func TestCheck(t *testing.T) {
	const good = `{"controllers": ["ldaps://dc1.corp.example", "ldap://10.0.0.2:1389", "ldaps://[2001:db8::1]"], "base_dn": "DC=corp,DC=example"}`
	if issuer, err := new(Module).Check([]byte(good)); err != nil || issuer != "" {
		t.Errorf("issuer %q, %v", issuer, err)
	}
	with := func(option string) string { return strings.TrimSuffix(good, "}") + ", " + option + "}" }
	for settings, want := range map[string]string{
		``:                              "EOF",
		`[]`:                            "cannot unmarshal",
		`{}`:                            "expected 1 to 8 addresses",
		good + good:                     "more than one object",
		with(`"basedn": "DC=corp"`):     `unknown field "basedn"`,
		with(`"base_dn": ""`):           "expected a distinguished name",
		with(`"base_dn": "corp"`):       "expected a distinguished name",
		with(`"netbios": "CORP\\ana"`):  "expected a name such as CORP",
		with(`"service_account": "x"`):  "need each other",
		with(`"service_password": "x"`): "need each other",
		with(`"filter": "memberOf=CN"`): "does not start with",
		with(`"filter": "(a=b)(c=d)"`):  "extra at end",
		with(`"filter": "(a=b"`):        "unexpected end",
		with(`"email": "otherMailbox"`): "choose mail or userPrincipalName",
		with(`"ca": "/etc/ssl/ca.pem"`): "expected certificates in PEM",
		with(`"controllers": ["dc1.corp.example"]`):                                       "expected an address",
		with(`"controllers": ["http://dc1.corp.example"]`):                                "expected ldaps://",
		with(`"controllers": ["ldaps://u:p@dc1"]`):                                        "expected an address",
		with(`"controllers": ["ldaps://dc1/DC=corp"]`):                                    "expected an address",
		with(`"controllers": ["ldaps://dc1?x"]`):                                          "expected an address",
		with(`"controllers": ["ldaps://"]`):                                               "expected an address",
		with(`"controllers": ["ldapi://%2ftmp"]`):                                         "expected an address",
		with(`"controllers": ["ldaps://dc1:0"]`):                                          "is none",
		with(`"controllers": ["ldaps://dc1:99999"]`):                                      "is none",
		with(`"controllers": [` + strings.Repeat(`"ldaps://dc1",`, 8) + `"ldaps://dc1"]`): "got 9",
	} {
		if _, err := new(Module).Check([]byte(settings)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", settings, err, want)
		}
		if p, err := new(Module).Open(t.Context(), []byte(settings)); err == nil || p != nil {
			t.Errorf("%s was opened", settings)
		}
	}
}

func FuzzSettings(f *testing.F) {
	f.Add([]byte(`{"controllers": ["ldaps://dc1.corp.example"], "base_dn": "DC=corp,DC=example", "filter": "(a=b)"}`))
	f.Add([]byte(`{"controllers": ["ldap://[::1]:389"], "base_dn": "CN=a\\,b,DC=c", "ca": "-----BEGIN CERTIFICATE-----"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := parseSettings(raw)
		if err != nil {
			return
		}
		for _, text := range s.Controllers {
			if a, err := parseController(text); err != nil || a.host == "" || a.port == "" || a.startTLS == strings.HasPrefix(text, "ldaps:") {
				t.Errorf("%q is %+v, %v", text, a, err)
			}
		}
		if again, err := json.Marshal(s); err != nil {
			t.Error(err)
		} else if s2, err := parseSettings(again); err != nil || !reflect.DeepEqual(s, s2) {
			t.Errorf("%s is %+v, then %+v, %v", raw, s, s2, err)
		}
	})
}

func TestDangerIsLogged(t *testing.T) {
	var log bytes.Buffer
	m := &Module{logger: slog.New(slog.NewTextHandler(&log, nil))}
	for _, insecure := range []bool{false, true} {
		raw, err := json.Marshal(Settings{Controllers: []string{"ldaps://dc1"}, BaseDN: "DC=corp", InsecureSkipVerify: insecure,
			ServiceAccount: "reader@corp", ServicePassword: "secret-of-the-reader"})
		if err != nil {
			t.Fatal(err)
		}
		p, err := m.Open(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		p.Close()
		if got := strings.Contains(log.String(), "level=WARN"); got != insecure {
			t.Errorf("insecure: %v, warned: %v: %s", insecure, got, &log)
		}
	}
	if strings.Contains(log.String(), "secret") {
		t.Errorf("the log has %s", &log)
	}
}

func TestCaddyfileOfSettings(t *testing.T) {
	ca, _ := sambatest.Certificate(t, "127.0.0.1")
	got, err := new(Module).UnmarshalSettings(caddyfile.NewTestDispenser(`ldap ldaps://dc1.corp.example ldap://dc2.corp.example {
		base_dn DC=corp,DC=example
		netbios CORP
		service_account CORP\reader {env.READER}
		filter (memberOf=CN=Portal,DC=corp,DC=example)
		email userPrincipalName
		nested_groups
		ca {file./etc/ca.pem}
		insecure_skip_verify
	}`))
	want := &Settings{Controllers: []string{"ldaps://dc1.corp.example", "ldap://dc2.corp.example"}, BaseDN: "DC=corp,DC=example", NetBIOS: "CORP",
		ServiceAccount: `CORP\reader`, ServicePassword: "{env.READER}", Filter: "(memberOf=CN=Portal,DC=corp,DC=example)", Email: "userPrincipalName",
		NestedGroups: true, CA: "{file./etc/ca.pem}", InsecureSkipVerify: true}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
	for i, field := range reflect.ValueOf(*want).Fields() {
		if field.IsZero() {
			t.Errorf("%v is filled by no option", i.Name)
		}
	}
	want.CA = ca
	raw, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := new(Module).Check(raw); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{
		"ldap a {\nnested_groups yes\n}":     "nested_groups: expected 0 arguments, got 1",
		"ldap a {\nbase_dn\n}":               "expected 1 arguments, got 0",
		"ldap a {\nbase_dn DC=a DC=b\n}":     "expected 1 arguments, got 2",
		"ldap a {\nservice_account x\n}":     "expected 2 arguments, got 1",
		"ldap a {\nservice_account x a b\n}": "expected 2 arguments, got 3", "ldap a {\nservice_account x secret\n}": "a secret must not stand",
		"ldap a {\nnetbios A\nnetbios B\n}":     "netbios is given twice",
		"ldap ldaps://a {\nbase_dn a\n}":        "expected a distinguished name",
		"ldap a {\nbase_dn DC=a\n}":             "expected an address such as",
		"ldap a {\nbase DC=a\n}":                "unrecognized ldap option 'base'",
		"ldap a {\ninsecure_skip_verify off\n}": "expected 0 arguments, got 1",
	} {
		if got, err := new(Module).UnmarshalSettings(caddyfile.NewTestDispenser(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v and %v, want an error with %q", text, got, err, want)
		}
	}
}

func TestCaddyfileOfModule(t *testing.T) {
	var m Module
	err := m.UnmarshalCaddyfile(caddyfile.NewTestDispenser("ldap {\ndial_timeout 1s\ntimeout 4s\nconnections 2\nnetworks 10.0.0.0/8 fd00::/8\n}"))
	if err != nil || time.Duration(m.DialTimeout) != time.Second || m.Timeout != caddy.Duration(4*time.Second) || m.Connections != 2 || len(m.networks) != 2 {
		t.Errorf("got %+v, %v", m, err)
	}
	for text, want := range map[string]string{
		"ldap x":                            "wrong argument count",
		"ldap {\ntimeout\n}":                "expected 1 arguments, got 0",
		"ldap {\ntimeout soon\n}":           "expected a duration",
		"ldap {\ntimeout -1s\n}":            "expected a duration",
		"ldap {\nconnections many\n}":       "expected a number from 1",
		"ldap {\nconnections 0\n}":          "expected a number from 1",
		"ldap {\nnetworks\n}":               "networks needs arguments",
		"ldap {\nnetworks 10.0.0.1\n}":      "expected a network",
		"ldap {\nnetworks 10.0.0.1/8\n}":    "expected a network",
		"ldap {\ntimeout 1s\ntimeout 2s\n}": "timeout is given twice",
		"ldap {\nbase_dn DC=corp\n}":        "unrecognized ldap option 'base_dn'",
	} {
		if err := new(Module).UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error with %q", text, err, want)
		}
	}
}
