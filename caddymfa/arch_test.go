package caddymfa

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/caddymfa/gateway"

// shorten abbreviates this project's packages in what follows: "~/mfa" is its
// package mfa.
func shorten(path string) string {
	if rest, ok := strings.CutPrefix(path, module+"/caddymfa"); ok {
		return "~" + rest
	}
	return path
}

// layers says which packages of this project each one may import. A package that
// is not named here fails the test: whoever adds one decides where it belongs.
// The arrows point from the words and the rule (mfa) to Caddy, and no guest
// knows of another, nor of what is internal.
var layers = map[string][]string{
	"~/mfa":      {},
	"~/storage":  {"~/mfa"},
	"~/factor":   {"~/mfa"},
	"~/identity": {"~/mfa"},
	"~/notify":   {},

	"~/storage/sqlstore":    {"~/mfa", "~/storage"},
	"~/storage/storagetest": {"~/mfa", "~/storage"},
	"~/storage/sqlite":      {"~/mfa", "~/storage", "~/storage/sqlstore"},
	"~/factor/totp":         {"~/mfa", "~/factor"},
	"~/factor/webauthn":     {"~/mfa", "~/factor"},
	"~/notify/smtp":         {"~/notify"},
	"~/identity/ldap":       {"~/identity"},
	"~/identity/oidc":       {"~/mfa", "~/identity"},
	// A real mail server, and a real domain controller, for tests only.
	"~/notify/smtp/smtptest":    {},
	"~/identity/ldap/sambatest": {},
	"~/storage/postgres":        {"~/mfa", "~/storage", "~/storage/sqlstore"},
	// Real database servers, for tests only.
	"~/storage/postgres/postgrestest": {"~/internal/freeport"},
	// A provider for tests, here and of the built program.
	"~/identity/oidc/idptest": {},

	// What tests of the built program share, and ports for servers of tests.
	"~/integration/visitor":  {},
	"~/integration/gatetest": {"~/internal/freeport", "~/integration/visitor"},
	"~/internal/freeport":    {},
	// What tests of the services share.
	"~/storage/sqlite/sqlitetest": {"~/storage", "~/storage/sqlite"},
	"~/internal/testkit": {"~/storage", "~/storage/sqlite/sqlitetest",
		"~/internal/audit", "~/internal/facts", "~/internal/limit", "~/internal/seal"},

	"~/internal/seal":    {"~/mfa", "~/storage"},
	"~/internal/audit":   {"~/storage", "~/internal/seal"},
	"~/internal/limit":   {"~/mfa", "~/storage"},
	"~/internal/facts":   {"~/mfa", "~/storage"},
	"~/internal/session": {"~/mfa", "~/storage", "~/internal/seal"},
	"~/internal/mail":    {"~/mfa", "~/storage", "~/notify", "~/internal/session"},
	"~/internal/login": {"~/mfa", "~/storage", "~/factor", "~/identity",
		"~/internal/facts", "~/internal/limit", "~/internal/seal", "~/internal/session", "~/internal/mail"},
	"~/internal/operate": {"~/mfa", "~/storage", "~/factor",
		"~/internal/admin", "~/internal/audit", "~/internal/facts", "~/internal/limit", "~/internal/login", "~/internal/seal", "~/internal/session", "~/internal/settings"},
	"~/internal/adminapi": {"~/mfa", "~/storage", "~/internal/admin", "~/internal/audit", "~/internal/login", "~/internal/operate"},
	"~/internal/settings": {"~/mfa", "~/storage"},
	"~/internal/trial":    {"~/mfa", "~/storage"},
	"~/internal/admin": {"~/mfa", "~/storage", "~/identity",
		"~/internal/audit", "~/internal/facts", "~/internal/limit", "~/internal/login", "~/internal/session", "~/internal/settings"},
	"~/internal/api": {"~/mfa", "~/storage", "~/internal/admin", "~/internal/limit", "~/internal/login", "~/internal/settings"},
	"~/internal/web": {"~/mfa", "~/storage", "~/factor", "~/identity",
		"~/internal/admin", "~/internal/facts", "~/internal/limit", "~/internal/login", "~/internal/session", "~/internal/settings", "~/internal/mail"},

	"~": {
		"~/mfa", "~/storage", "~/factor", "~/identity",
		"~/storage/postgres", "~/storage/sqlite",
		"~/factor/totp", "~/factor/webauthn",
		"~/identity/ldap", "~/identity/oidc",
		"~/internal/admin", "~/internal/adminapi", "~/internal/api", "~/internal/audit", "~/internal/facts", "~/internal/limit", "~/internal/login",
		"~/internal/operate", "~/internal/seal", "~/internal/session", "~/internal/settings", "~/internal/trial", "~/internal/web",
		"~/internal/mail",
		"~/notify",
		"~/notify/smtp",
	},
	module + "/cmd/caddy": {"~"},
	module + "/cmd/load":  {"~", "~/integration/visitor", "~/storage/postgres/postgrestest"},
}

// others says which modules' packages may be imported, by prefix, and by whom.
// One dependency has one importer, as far as it can: what replaces it, or finds
// a flaw in it, looks in one place.
var others = map[string][]string{
	"github.com/caddyserver/caddy/v2":      {"~", "~/storage/postgres", "~/storage/sqlite", "~/factor/webauthn", "~/identity/ldap", "~/identity/oidc", module + "/cmd/caddy", module + "/cmd/load", "~/notify/smtp"},
	"go.uber.org/zap":                      {"~"},
	"github.com/prometheus/client_golang":  {"~"},
	"github.com/spf13/cobra":               {"~"},
	"golang.org/x/crypto/argon2":           {"~"},
	"golang.org/x/crypto/bcrypt":           {"~"},
	"golang.org/x/crypto/chacha20poly1305": {"~/internal/seal"},
	"golang.org/x/text":                    {"~", "~/storage"},
	"golang.org/x/net/html":                {"~/integration/visitor"},
	"golang.org/x/net/idna":                {"~/storage"},
	"golang.org/x/net/publicsuffix":        {"~/internal/admin"},
	"golang.org/x/term":                    {"~"},
	"golang.org/x/sync":                    {"~/internal/session"},
	"github.com/golang-jwt/jwt/v5":         {"~/internal/session", "~/identity/oidc/idptest"},
	"github.com/maypok86/otter/v2":         {"~", "~/internal/facts", "~/internal/session", "~/internal/trial"},
	"github.com/pquerna/otp":               {"~/factor/totp", "~/integration/visitor"},
	"github.com/ccojocar/zxcvbn-go":        {"~/internal/login"},
	"github.com/boombuler/barcode":         {"~/factor/totp"},
	"github.com/google/jsonschema-go":      {"~/internal/api"},
	"modernc.org/sqlite":                   {"~/storage/sqlite"},
	"github.com/jackc/pgx/v5":              {"~/storage/postgres"},
	"github.com/go-webauthn/webauthn":      {"~/factor/webauthn"},
	"github.com/wneessen/go-mail":          {"~/notify/smtp"},
	"github.com/emersion/go-smtp":          {"~/notify/smtp/smtptest"},
	"github.com/emersion/go-sasl":          {"~/notify/smtp/smtptest"},
	"github.com/coreos/go-oidc/v3":         {"~/identity/oidc", "~/identity/oidc/idptest"},
	"golang.org/x/oauth2":                  {"~/identity/oidc"},
	"github.com/go-ldap/ldap/v3":           {"~/identity/ldap", "~/identity/ldap/sambatest"},
}

// listed is what `go list -json` says about a package.
type listed struct {
	ImportPath string
	Standard   bool
	GoFiles    []string
	Imports    []string
}

// TestImportDirection holds the packages to layers and others. Tests may import
// what they like.
func TestImportDirection(t *testing.T) {
	packages := list(t)
	var ours []string
	for path, p := range packages {
		if !strings.HasPrefix(path, module+"/") || len(p.GoFiles) == 0 {
			continue // another module's, or nothing but tests
		}
		name := shorten(path)
		ours = append(ours, name)
		allowed, known := layers[name]
		if !known {
			t.Errorf("%s is in no layer: say in this test what it may import", name)
			continue
		}
		for _, imported := range p.Imports {
			switch dependency, found := packages[imported]; {
			case found && dependency.Standard, imported == "C":
			case strings.HasPrefix(imported, module+"/"):
				if !slices.Contains(allowed, shorten(imported)) {
					t.Errorf("%s must not import %s", name, shorten(imported))
				}
			case !slices.Contains(importers(imported), name):
				t.Errorf("%s must not import %s; that may: %q", name, imported, importers(imported))
			}
		}
	}
	for name := range layers {
		if !slices.Contains(ours, name) {
			t.Errorf("%s is in the layers, but there is no such package", name)
		}
	}
}

// kits are what tests share: they stand on a real store, which Caddy loads.
var kits = []string{"~/storage/sqlite/sqlitetest", "~/internal/testkit"}

// TestNoCaddyBehindTheContracts looks at what is linked, not only at what is
// imported directly: the rule, the contracts and everything internal can be
// tested and understood without Caddy.
func TestNoCaddyBehindTheContracts(t *testing.T) {
	packages := list(t)
	var reaches func(path string, seen map[string]bool) bool
	reaches = func(path string, seen map[string]bool) bool {
		if seen[path] {
			return false
		}
		seen[path] = true
		if strings.HasPrefix(path, "github.com/caddyserver/") {
			return true
		}
		return slices.ContainsFunc(packages[path].Imports, func(next string) bool { return reaches(next, seen) })
	}
	for name := range layers {
		if slices.Contains(importers("github.com/caddyserver/caddy/v2"), name) || slices.Contains(kits, name) {
			continue
		}
		if path := strings.Replace(name, "~", module+"/caddymfa", 1); reaches(path, make(map[string]bool)) {
			t.Errorf("%s must not depend on Caddy", name)
		}
	}
}

// importers returns who may import a package of another module: what the longest
// prefix of its path says, and nobody if there is none.
func importers(path string) []string {
	var longest string
	for prefix := range others {
		if (path == prefix || strings.HasPrefix(path, prefix+"/")) && len(prefix) > len(longest) {
			longest = prefix
		}
	}
	return others[longest]
}

// list returns all packages of this project and everything they depend on.
func list(t *testing.T) map[string]listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Standard,GoFiles,Imports", "./...")
	cmd.Dir = ".."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing packages: %v\n%s", err, stderr.Bytes())
	}
	packages := make(map[string]listed)
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
}
