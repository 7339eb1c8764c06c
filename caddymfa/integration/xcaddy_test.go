package integration_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/integration/gatetest"
)

// xcaddyBuilder is what xcaddy.json may say: the part of xcaddy's Builder type
// that this project uses.
type xcaddyBuilder struct {
	CaddyVersion string `json:"caddy_version"`
	Plugins      []struct {
		ModulePath string `json:"module_path"`
		Version    string `json:"version"`
	} `json:"plugins"`
	Replacements []struct {
		Old string `json:"old"`
		New string `json:"new"`
	} `json:"replacements"`
}

// TestXcaddyBuild builds Caddy from xcaddy.json as xcaddy does: a module of its
// own that imports the plugins. Only the versions come from this module's go.mod,
// so that the build needs nothing from the network. The compiler's flags are those
// of the test, which has compiled nearly all of it by then; xcaddy goes without
// cgo, so nothing may need that.
func TestXcaddyBuild(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	builder := readBuilder(t, filepath.Join(root, "xcaddy.json"))
	required := strings.TrimSpace(run(t, root, "go", "list", "-m", "-f", "{{.Version}}", "github.com/caddyserver/caddy/v2"))
	if builder.CaddyVersion != required {
		t.Errorf("xcaddy.json builds Caddy %s, but go.mod requires %s", builder.CaddyVersion, required)
	}

	dir := t.TempDir()
	main := new(strings.Builder)
	main.WriteString("package main\n\nimport (\n\tcaddycmd \"github.com/caddyserver/caddy/v2/cmd\"\n\t_ \"github.com/caddyserver/caddy/v2/modules/standard\"\n")
	for _, plugin := range builder.Plugins {
		fmt.Fprintf(main, "\t_ %q\n", plugin.ModulePath)
	}
	main.WriteString(")\n\nfunc main() { caddycmd.Main() }\n")
	write(t, filepath.Join(dir, "main.go"), []byte(main.String()))
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), text)
	}
	edit := []string{"mod", "edit", "-module=caddy"}
	for _, r := range builder.Replacements {
		edit = append(edit, "-require="+r.Old+"@v0.0.0", "-replace="+r.Old+"="+filepath.Join(root, r.New))
	}
	run(t, dir, "go", edit...)
	run(t, dir, "env", "CGO_ENABLED=0", "GOFLAGS=", "go", "list", "-deps", ".")
	binary := filepath.Join(dir, "caddy")
	run(t, dir, "go", append(gatetest.Build(), "-ldflags=-w -s", "-o", binary, ".")...)

	listed := strings.Fields(run(t, dir, binary, "list-modules", "--skip-standard"))
	for _, id := range []string{"admin.api.mfa", "http.handlers.mfa", "http.handlers.mfa_pages", "mfa", "mfa.storage.sqlite"} {
		if !slices.Contains(listed, id) {
			t.Errorf("module %s is missing in:\n%s", id, strings.Join(listed, "\n"))
		}
	}
	run(t, dir, binary, "adapt", "--config", filepath.Join(root, "Caddyfile.example"))
}

func readBuilder(t *testing.T, name string) xcaddyBuilder {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var b xcaddyBuilder
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&b); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(b.Plugins) == 0 || len(b.Replacements) == 0 {
		t.Fatalf("%s: expected plugins and replacements, got %+v", name, b)
	}
	return b
}

// run runs a command in a folder and returns what it printed. Without a proxy,
// the go command takes modules from its cache or fails.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "GOPROXY=off", "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("running %s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(out)
}

func write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
