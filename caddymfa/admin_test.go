package caddymfa

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddymfa/gateway/caddymfa/internal/operate"
)

// people is the mfa app of the tests: the declared account "fixed" with its
// member, and a database of its own.
const people = `{"storage": {"module": "sqlite", "path": %q},
	"accounts": [{"id": "fixed", "name": "Fixed", "policy": "required"}],
	"users": [{"email": "boss@fixed.example", "memberships": [{"account": "fixed", "role": "admin"}]}]}`

// administered runs Caddy with these apps and its admin endpoint on a socket,
// whose address it returns. No port can be taken by somebody else meanwhile.
func administered(t *testing.T, apps string) (address string) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	// Not t.TempDir, since a socket's path must be short.
	dir, err := os.MkdirTemp("", "mfa")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "admin.sock")
	t.Cleanup(func() {
		// Stop leaves the admin endpoint running; a configuration without one ends it.
		if err := caddy.Load([]byte(`{"admin": {"disabled": true, "config": {"persist": false}}}`), true); err != nil {
			t.Error(err)
		}
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := caddy.Load(administeredAt(socket, apps), true); err != nil {
		t.Fatal(err)
	}
	return "unix/" + socket
}

func administeredAt(socket, apps string) []byte {
	return fmt.Appendf(nil, `{
		"admin": {"listen": %q, "config": {"persist": false}},
		"logging": {"logs": {"default": {"writer": {"output": "discard"}}}},
		"apps": %s
	}`, "unix/"+socket, apps)
}

// withPeople is the apps object with the app of the tests.
func withPeople(t *testing.T) string {
	return `{"mfa": ` + fmt.Sprintf(people, filepath.Join(t.TempDir(), "mfa.db")) + `}`
}

// operator returns the operator of the running Caddy.
func operator(t *testing.T) *operate.Operator {
	t.Helper()
	active, err := caddy.ActiveContext().AppIfConfigured("mfa")
	if err != nil {
		t.Fatal(err)
	}
	g, err := active.(*App).open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return g.operator
}

// request asks the admin endpoint, and returns its answer with the JSON in it.
func request(t *testing.T, address, method, path, body string) (*http.Response, map[string]any) {
	t.Helper()
	socket := strings.TrimPrefix(address, "unix/")
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, text)
	}
	return resp, answer
}

func TestAdminAnswersAsCaddyDoes(t *testing.T) {
	address := administered(t, withPeople(t))
	for _, c := range []struct {
		method, path, body string
		status             int
		key, says          string
	}{
		{"GET", "/mfa/status", "", 200, "base", "/.mfa"},
		{"POST", "/mfa/accounts", `{"id":"acme","policy":"optional"}`, 200, "id", "acme"},
		{"POST", "/mfa/accounts", `{"id":"acme","policy":"optional"}`, 409, "error", `account "acme": exists already`},
		{"POST", "/mfa/accounts", `{"id":"acme","polisy":"optional"}`, 400, "error", "unknown field"},
		{"PUT", "/mfa/accounts/fixed/policy", `{"policy":"optional"}`, 409, "error", "declared in the configuration: change it there"},
		{"PUT", "/mfa/accounts/none/policy", `{"policy":"optional"}`, 404, "error", `account "none": not found`},
		{"PUT", "/mfa/users/boss@fixed.example/password", `{"hash":"$argon2id$v=19$m=9999999,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"}`, 400, "error", "costs too much"},
		{"DELETE", "/mfa/accounts", "", 405, "error", "method DELETE"},
		{"GET", "/mfa/", "", 404, "error", "in the API"},
	} {
		resp, answer := request(t, address, c.method, c.path, c.body)
		if said, _ := answer[c.key].(string); resp.StatusCode != c.status || !strings.Contains(said, c.says) {
			t.Errorf("%s %s %s: %d %v, want %d %s", c.method, c.path, c.body, resp.StatusCode, answer, c.status, c.says)
		}
		if allow := resp.Header.Get("Allow"); (c.status == 405) != (allow == "GET, POST") {
			t.Errorf("%s %s: Allow is %q", c.method, c.path, allow)
		}
	}
}

func TestAdminSaysWhereTheDataIs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mfa.db")
	address := administered(t, `{"mfa": `+fmt.Sprintf(people, file)+`}`)
	if _, status := request(t, address, "GET", "/mfa/status", ""); status["storage"] != file {
		t.Errorf("got %v, want %s", status, file)
	}
}

func TestAdminNeedsTheApp(t *testing.T) {
	address := administered(t, `{}`)
	resp, answer := request(t, address, "GET", "/mfa/accounts", "")
	if said, _ := answer["error"].(string); resp.StatusCode != 503 || !strings.Contains(said, "has no mfa app") {
		t.Errorf("got %d %v", resp.StatusCode, answer)
	}
}

func TestAdminWaitsForAnAppThatStarts(t *testing.T) {
	administered(t, `{}`)
	found := make(chan error, 1)
	go func() {
		_, err := running(t.Context(), time.Minute)
		found <- err
	}()
	administered(t, withPeople(t))
	if err := <-found; err != nil {
		t.Error(err)
	}
}

// After a configuration that fails to start, the admin endpoint is the failed
// one's, and the app is the one that still runs.
func TestAdminActsOnTheAppThatRuns(t *testing.T) {
	address := administered(t, withPeople(t))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	bad := fmt.Sprintf(`{"mfa": {"storage": {"module": "sqlite", "path": %q}}, "http": {"servers": {"x": {"listen": ["%s", "256.256.256.256:1"]}}}}`,
		filepath.Join(t.TempDir(), "other.db"), taken.Addr())
	if err := caddy.Load(administeredAt(strings.TrimPrefix(address, "unix/"), bad), true); err == nil {
		t.Fatal("a configuration that cannot start was loaded")
	}
	resp, _ := request(t, address, "POST", "/mfa/accounts", `{"id":"acme","policy":"optional"}`)
	if resp.StatusCode != 200 {
		t.Fatalf("got %d", resp.StatusCode)
	}
	if _, err := operator(t).Account(t.Context(), "acme"); err != nil {
		t.Error(err)
	}
}

func TestAdminKnowsOnlyAddressesThatPeopleCanUse(t *testing.T) {
	for address, want := range map[string]string{
		"http://localhost:8080": "http://localhost:8080",
		"http://localhost:443":  "",
		"":                      "",
	} {
		if got := (&App{life: lifecycle{address: address}}).knownOrigin(); got != want {
			t.Errorf("%q: got %q, want %q", address, got, want)
		}
	}
	configured := &App{Origins: []string{"https://portal.example"}, life: lifecycle{address: "http://localhost:8080"}}
	if got := configured.knownOrigin(); got != "https://portal.example" {
		t.Errorf("with an origin configured: got %q", got)
	}
}

func TestAdminModuleIsWhereCaddyLooks(t *testing.T) {
	info, err := caddy.GetModule("admin.api.mfa")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := info.New().(caddy.AdminRouter); !ok {
		t.Error("it is no admin router")
	}
}
