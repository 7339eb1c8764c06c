package caddymfa

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"go.yaml.in/yaml/v3"

	"github.com/caddymfa/gateway/caddymfa/identity/ldap/sambatest"
)

// adapt turns a Caddyfile into JSON. Warnings fail the test: the most common one
// says that the input is not formatted.
func adapt(t *testing.T, input []byte) ([]byte, error) {
	t.Helper()
	result, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(input, map[string]any{"filename": "Caddyfile"})
	for _, w := range warnings {
		t.Errorf("warning: %s", w)
	}
	return result, err
}

// TestCaddyfileGolden adapts each file in testdata: a Caddyfile, a line of
// dashes, and the JSON or the error that it becomes.
func TestCaddyfileGolden(t *testing.T) {
	for _, name := range glob(t, "testdata/*.caddyfiletest") {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".caddyfiletest"), func(t *testing.T) {
			input, want := readGolden(t, name)
			got, err := adapt(t, input)
			if err != nil {
				got = []byte(err.Error())
			} else {
				got = indent(t, got)
			}
			if string(got) != want {
				t.Errorf("got:\n%s\n\nwant:\n%s", got, want)
			}
		})
	}
}

func readGolden(t *testing.T, name string) (input []byte, want string) {
	t.Helper()
	before, after, ok := strings.Cut(string(readFile(t, name)), "----------\n")
	if !ok {
		t.Fatalf("%s: no line of ten dashes", name)
	}
	return []byte(before), strings.TrimSpace(after)
}

func indent(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestCaddyfileReachesEveryOption keeps the Caddyfile from falling behind the
// JSON: the golden file every_option has to fill every field there is.
func TestCaddyfileReachesEveryOption(t *testing.T) {
	input, _ := readGolden(t, "testdata/every_option.caddyfiletest")
	config, err := adapt(t, input)
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Apps struct {
			MFA App `json:"mfa"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(config, &parsed); err != nil {
		t.Fatal(err)
	}
	requireFilled(t, "App", reflect.ValueOf(parsed.Apps.MFA), "Demonstration.Users[0].PasswordHash",
		"Demonstration.Accounts[0].Domains", "Demonstration.Accounts[0].Providers")

	handlers := handlersIn(t, config)
	var guard Guard
	if err := json.Unmarshal(withoutKey(t, handlers["mfa"], "handler"), &guard); err != nil {
		t.Fatal(err)
	}
	requireFilled(t, "Guard", reflect.ValueOf(guard))
	var pages Pages
	if err := json.Unmarshal(withoutKey(t, handlers["mfa_pages"], "handler"), &pages); err != nil {
		t.Fatal(err)
	}
	requireFilled(t, "Pages", reflect.ValueOf(pages))
}

// requireFilled looks into the first element of each list. The fields named in
// unused are documented to have no meaning where they stand.
func requireFilled(t *testing.T, path string, v reflect.Value, unused ...string) {
	t.Helper()
	if slices.ContainsFunc(unused, func(suffix string) bool { return strings.HasSuffix(path, suffix) }) {
		return
	}
	if v.IsZero() {
		t.Errorf("%s is not set by the golden file", path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		requireFilled(t, path, v.Elem(), unused...)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct {
			requireFilled(t, path+"[0]", v.Index(0), unused...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() {
				requireFilled(t, path+"."+field.Name, v.Field(i), unused...)
			}
		}
	}
}

func withoutKey(t *testing.T, object json.RawMessage, key string) []byte {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(object, &m); err != nil {
		t.Fatal(err)
	}
	delete(m, key)
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// handlersIn finds the first handler of each name, at any depth.
func handlersIn(t *testing.T, config []byte) map[string]json.RawMessage {
	t.Helper()
	found := make(map[string]json.RawMessage)
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if name, ok := v["handler"].(string); ok && found[name] == nil {
				text, err := json.Marshal(v)
				if err != nil {
					t.Fatal(err)
				}
				found[name] = text
			}
			for _, child := range v {
				walk(child)
			}
		case []any:
			for _, child := range v {
				walk(child)
			}
		}
	}
	var root any
	if err := json.Unmarshal(config, &root); err != nil {
		t.Fatal(err)
	}
	walk(root)
	return found
}

// TestDirectiveOrder writes the directives of a site in the wrong order: mfa runs
// after what changes the path and after another gate's answer, and before
// everything that trusts identity headers or answers the request.
func TestDirectiveOrder(t *testing.T) {
	config, err := adapt(t, []byte(`portal.example.com {
	reverse_proxy localhost:3000
	templates
	encode
	request_header X-Site portal
	mfa
	forward_auth localhost:3001 {
		uri /verify
	}
	rewrite * /app{uri}
}
`))
	if err != nil {
		t.Fatal(err)
	}
	type handler struct {
		Handler   string            `json:"handler"`
		Upstreams []json.RawMessage `json:"upstreams"`
		Routes    []struct {
			Handle []handler `json:"handle"`
		} `json:"routes"`
	}
	var parsed struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct {
					Routes []struct {
						Handle []handler `json:"handle"`
					} `json:"routes"`
				} `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(config, &parsed); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, route := range parsed.Apps.HTTP.Servers["srv0"].Routes[0].Handle[0].Routes {
		for _, h := range route.Handle {
			name := h.Handler
			if name == "reverse_proxy" {
				name += string(h.Upstreams[0])
			}
			for _, inner := range h.Routes {
				name += " " + inner.Handle[0].Handler
			}
			got = append(got, name)
		}
	}
	want := []string{
		"rewrite",
		`reverse_proxy{"dial":"localhost:3001"}`,
		"subroute mfa_pages mfa",
		"headers",
		"encode",
		"templates",
		`reverse_proxy{"dial":"localhost:3000"}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got the order\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestExamples holds what people copy to what they will run: it is formatted,
// adapts without a warning, and passes Caddy's own validation, which leaves no
// trace on the machine.
func TestExamples(t *testing.T) {
	const key = "bm90IGEgc2VjcmV0LCBvbmx5IHVzZWQgYnkgdGVzdHM="
	for _, name := range append(glob(t, "../examples/*.caddyfile"), "../Caddyfile.example") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			home := t.TempDir()
			for variable, folder := range map[string]string{"HOME": "", "XDG_DATA_HOME": "data", "XDG_CONFIG_HOME": "config"} {
				t.Setenv(variable, filepath.Join(home, folder))
			}
			input := readFile(t, name)
			if formatted := caddyfile.Format(input); !bytes.Equal(formatted, input) {
				t.Errorf("not formatted; caddy fmt makes it:\n%s", formatted)
			}
			if bytes.Contains(input, []byte("{$")) {
				t.Error("{$...} writes what may be a secret into the configuration that Caddy saves: use {env.*}")
			}
			config, err := adapt(t, input)
			if err != nil {
				t.Fatal(err)
			}

			// The secrets that the examples name are elsewhere in a test.
			authority, _ := sambatest.Certificate(t, "127.0.0.1")
			for named, content := range map[string]string{
				"/run/secrets/mfa-master-key": key, "/run/secrets/acme-reader": "a secret", "/etc/caddy/acme-ca.pem": authority,
			} {
				file := filepath.Join(t.TempDir(), filepath.Base(named))
				if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
				config = bytes.ReplaceAll(config, []byte(named), []byte(file))
			}
			for _, of := range []string{"ENTRA", "ADFS", "KEYCLOAK", "OKTA"} {
				t.Setenv("ACME_"+of+"_SECRET", "a secret")
			}
			t.Setenv("DATABASE_URL", "postgres://mfa@127.0.0.1/mfa")
			t.Setenv("PARTNER_PASSWORD_HASH", "$2a$04$"+strings.Repeat("a", 53))

			var cfg caddy.Config
			if err := caddy.StrictUnmarshalJSON(config, &cfg); err != nil {
				t.Fatal(err)
			}
			if err := caddy.Validate(&cfg); err != nil {
				t.Fatal(err)
			}
			requireEmpty(t, home)
		})
	}
}

// TestDeployExamples reads the manifests, and adapts the Caddyfile that stands in
// one of them.
func TestDeployExamples(t *testing.T) {
	caddyfiles := 0
	for _, name := range glob(t, "../examples/deploy/*.yaml") {
		for documents := yaml.NewDecoder(bytes.NewReader(readFile(t, name))); ; {
			var document struct {
				Kind     string
				Services map[string]any
				Data     map[string]string
			}
			if err := documents.Decode(&document); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if document.Kind == "" && len(document.Services) == 0 {
				t.Errorf("%s holds a document that is neither a manifest nor a set of services", name)
			}
			if text, ok := document.Data["Caddyfile"]; ok {
				caddyfiles++
				if _, err := adapt(t, []byte(text)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
	if caddyfiles != 1 {
		t.Errorf("found %d Caddyfiles in manifests, want one", caddyfiles)
	}
}

// TestExampleListensOnOnePlace lets whoever runs the example elsewhere change the
// port by replacing one number.
func TestExampleListensOnOnePlace(t *testing.T) {
	example := string(readFile(t, "../Caddyfile.example"))
	if n := strings.Count(example, "8080"); n != 1 || !strings.Contains(example, "\nhttp://localhost:8080 {\n") {
		t.Errorf("expected the port 8080 in the site's address http://localhost:8080 only, found it %d times", n)
	}
}

func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && path != dir {
			t.Errorf("validation created %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("looking for %s: found %d, %v", pattern, len(names), err)
	}
	return names
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
