package postgres

import (
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestModuleIsRegistered(t *testing.T) {
	info, err := caddy.GetModule("mfa.storage.postgres")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := info.New().(*Module); !ok {
		t.Errorf("expected a *Module, got %T", info.New())
	}
}

func TestCaddyfile(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       Module
		err        string
	}{
		{name: "a placeholder", text: "postgres {env.DATABASE_URL}", want: Module{DSN: "{env.DATABASE_URL}"}},
		{name: "no password", text: "postgres postgres://mfa@db/mfa", want: Module{DSN: "postgres://mfa@db/mfa"}},
		{name: "a password in a placeholder", text: "postgres postgres://mfa:{env.PW}@db/mfa", want: Module{DSN: "postgres://mfa:{env.PW}@db/mfa"}},
		{name: "keywords", text: `postgres "host=db dbname=mfa password={env.PW}"`, want: Module{DSN: "host=db dbname=mfa password={env.PW}"}},
		{name: "every option", text: "postgres {env.A} {\n listen_dsn {env.B}\n connections 3\n connect_timeout 1s\n timeout 4s\n}",
			want: Module{DSN: "{env.A}", ListenDSN: "{env.B}", Connections: 3, ConnectTimeout: 1e9, Timeout: 4e9}},
		{name: "nothing", text: "postgres", err: "wrong argument count"},
		{name: "two", text: "postgres a b", err: "wrong argument count"},
		{name: "a password in a URL", text: "postgres postgres://mfa:hunter2@db/mfa", err: "must not stand in the configuration"},
		{name: "a password in keywords", text: `postgres "host=db password=hunter2"`, err: "must not stand in the configuration"},
		{name: "a password to listen with", text: "postgres {env.A} {\n listen_dsn postgres://mfa:hunter2@db/mfa\n}", err: "must not stand in the configuration"},
		{name: "an option twice", text: "postgres {env.A} {\n timeout 1s\n timeout 2s\n}", err: "timeout is given twice"},
		{name: "an unknown option", text: "postgres {env.A} {\n pool 3\n}", err: "unrecognized postgres option 'pool'"},
		{name: "no number", text: "postgres {env.A} {\n connections many\n}", err: "expected a whole number above 0"},
		{name: "no time", text: "postgres {env.A} {\n timeout 0\n}", err: "expected a duration above 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m Module
			err := m.UnmarshalCaddyfile(caddyfile.NewTestDispenser(c.text))
			switch {
			case c.err == "" && err != nil:
				t.Error(err)
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("expected an error with %q, got %v", c.err, err)
			case c.err == "" && !reflect.DeepEqual(m, c.want):
				t.Errorf("expected %+v, got %+v", c.want, m)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error repeats the password: %v", err)
			}
		})
	}
}

// TestNoErrorRepeatsThePassword: what is wrong with a DSN, or with the way to
// the database, is said without it.
func TestNoErrorRepeatsThePassword(t *testing.T) {
	for _, dsn := range []string{
		"postgres://mfa:hunter2@db:port/mfa", "postgres://mfa:hunter2@[::1/mfa", "host=db password=hunter2 port=x", "postgres://mfa:hunter2@db/mfa?sslmode=maybe",
		"postgres://mfa:hunter2%zz@db/mfa", "://hunter2", "password='hunter2", "postgres://mfa:hunter2@127.0.0.1:1/mfa",
	} {
		t.Setenv("MFA_TEST_DSN", dsn)
		m := Module{DSN: "{env.MFA_TEST_DSN}"}
		ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
		err := m.Provision(ctx)
		if err == nil {
			_, err = m.Open(t.Context())
		}
		cancel()
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("expected an error without the password for %s, got %v", dsn, err)
		}
		if strings.Contains(m.Key()+m.Location(), "hunter2") {
			t.Errorf("the password is in %s or %s", m.Key(), m.Location())
		}
	}
}

func TestPlaceholdersMustBeKnown(t *testing.T) {
	t.Setenv("MFA_TEST_EMPTY", "")
	for dsn, want := range map[string]string{
		"":                       "say where the database is",
		"{http.request.host}":    "unrecognized placeholder",
		"{env.MFA_TEST_EMPTY}":   "is empty",
		"postgres://db:port/mfa": "expected postgres://",
	} {
		m := Module{DSN: dsn}
		ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
		if err := m.Provision(ctx); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("expected an error with %q for %q, got %v", want, dsn, err)
		}
		cancel()
	}
}

func TestLocationAndKey(t *testing.T) {
	made := make(map[string]string)
	for _, dsn := range []string{
		"postgres://mfa:one@a.example,b.example:6000/portal?sslmode=disable", "postgres://mfa:two@a.example,b.example:6000/portal?sslmode=disable",
	} {
		m := Module{DSN: dsn}
		ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
		if err := m.Provision(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		if want := "portal on a.example port 5432 or b.example port 6000"; m.Location() != want {
			t.Errorf("expected %q, got %q", want, m.Location())
		}
		if other, ok := made[m.Key()]; ok {
			t.Errorf("%s and %s have one key: a new password would not be used", dsn, other)
		}
		made[m.Key()] = dsn
	}
}

func TestUnprovenHosts(t *testing.T) {
	for dsn, want := range map[string]string{
		"postgres://db.example/mfa":                              "db.example",
		"postgres://db.example/mfa?sslmode=require":              "db.example",
		"postgres://db.example/mfa?sslmode=verify-full":          "",
		"postgres://db.example/mfa?sslmode=verify-ca":            "",
		"postgres://127.0.0.1/mfa":                               "",
		"postgres://[::1]/mfa":                                   "",
		"postgres://localhost/mfa":                               "",
		"host=/run/postgresql dbname=mfa":                        "",
		"postgres://127.0.0.1,db.example/mfa?sslmode=disable":    "db.example",
		"postgres://a.example,b.example/mfa?sslmode=verify-full": "",
	} {
		c, err := parse(dsn, Options{})
		if err != nil {
			t.Fatal(dsn, err)
		}
		if host, ok := unproven(c); host != want || ok != (want == "") {
			t.Errorf("%s: expected %q, got %q", dsn, want, host)
		}
	}
}
