package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestModuleIsRegistered(t *testing.T) {
	info, err := caddy.GetModule("mfa.storage.sqlite")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := info.New().(*Module); !ok {
		t.Errorf("expected a *Module, got %T", info.New())
	}
}

func TestCaddyfile(t *testing.T) {
	for _, c := range []struct {
		name, text, path, err string
	}{
		{name: "no path", text: "sqlite"},
		{name: "a path", text: "sqlite /srv/mfa.db", path: "/srv/mfa.db"},
		{name: "a placeholder stays one", text: "sqlite {env.MFA_DB}", path: "{env.MFA_DB}"},
		{name: "two paths", text: "sqlite a.db b.db", err: "wrong argument count"},
		{name: "a block", text: "sqlite {\n\tpath a.db\n}", err: "unrecognized sqlite option 'path'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m Module
			err := m.UnmarshalCaddyfile(caddyfile.NewTestDispenser(c.text))
			switch {
			case c.err == "" && err != nil:
				t.Error(err)
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("expected an error with %q, got %v", c.err, err)
			case c.err == "" && m.Path != c.path:
				t.Errorf("expected path %q, got %q", c.path, m.Path)
			}
		})
	}
}

func TestProvisionFindsTheFileAndLeavesItAlone(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("MFA_TEST_FOLDER", folder)
	want := filepath.Join(folder, "sub", "mfa.db")
	for _, path := range []string{want, "{env.MFA_TEST_FOLDER}/sub/mfa.db", folder + "/other/../sub//mfa.db"} {
		m := Module{Path: path}
		if err := m.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		if m.Location() != want || m.Key() != "sqlite:"+want {
			t.Errorf("expected %s, got %s with key %s", want, m.Location(), m.Key())
		}
	}
	if _, err := os.Stat(filepath.Dir(want)); !os.IsNotExist(err) {
		t.Errorf("Provision touched the disk: %v", err)
	}
}

func TestDefaultPath(t *testing.T) {
	var m Module
	if err := m.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(caddy.AppDataDir(), "mfa", "mfa.db"); m.Location() != want {
		t.Errorf("expected %s, got %s", want, m.Location())
	}
}

func TestPlaceholdersMustBeKnown(t *testing.T) {
	t.Setenv("MFA_TEST_EMPTY", "")
	for path, want := range map[string]string{
		"{http.request.host}.db": "unrecognized placeholder",
		"{env.MFA_TEST_EMPTY}":   "is empty",
	} {
		m := Module{Path: path}
		if err := m.Provision(caddy.Context{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("expected an error with %q for %s, got %v", want, path, err)
		}
	}
}

func TestOpen(t *testing.T) {
	m := Module{Path: filepath.Join(t.TempDir(), "mfa.db")}
	if err := m.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	store, err := m.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Ping(t.Context()); err == nil {
		t.Error("the schema is there before anybody asked for it")
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := store.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	m.file = t.TempDir() // a folder
	if store, err := m.Open(t.Context()); err == nil || store != nil {
		t.Errorf("expected an error and no store, got %v, %v", store, err)
	}
}
