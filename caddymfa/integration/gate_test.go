// Package integration_test drives the built Caddy binary from outside, as
// people, programs and operators do: over HTTP, in a browser, and by command.
package integration_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/integration/gatetest"
	"github.com/caddymfa/gateway/caddymfa/integration/visitor"
)

// password is everybody's in the demonstration.
const password = visitor.Password

func TestMain(m *testing.M) {
	code := m.Run()
	if chromium.cancel != nil {
		chromium.cancel()
	}
	os.RemoveAll(begun.dir)
	os.Exit(code)
}

// gate is one running Caddy with its own data directory.
type gate struct {
	t       *testing.T
	dir     string
	address string // http://localhost:port
	admin   string // host:port of the admin endpoint
	log     *gatetest.Output
	process *gatetest.Process
	mu      sync.Mutex
	secrets []string
}

// newGate prepares a Caddy that runs Caddyfile.example, with other ports only,
// as changed by the edits.
func newGate(t *testing.T, edits ...func(string) string) *gate {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "Caddyfile.example"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "8080"); n != 1 {
		t.Fatalf("Caddyfile.example names port 8080 %d times", n)
	}
	port, admin := gatetest.Port(t), gatetest.Port(t)
	g := &gate{
		t: t, dir: t.TempDir(), log: new(gatetest.Output),
		address: fmt.Sprintf("http://localhost:%d", port),
		admin:   fmt.Sprintf("localhost:%d", admin),
	}
	config := strings.Replace(string(text), "8080", fmt.Sprint(port), 1)
	config = strings.Replace(config, "\n{\n", "\n{\n\tadmin "+g.admin+"\n", 1)
	for _, edit := range edits {
		edited := edit(config)
		if edited == config {
			t.Fatal("an edit of the Caddyfile changed nothing")
		}
		config = edited
	}
	if strings.Contains(config, "https://localhost") {
		g.address = strings.Replace(g.address, "http:", "https:", 1)
	}
	g.write(config)
	return g
}

// start is newGate, and waits until it serves. It goes on from what a first start
// has made, but for the password's hashes: they are cheap to compute.
func start(t *testing.T, edits ...func(string) string) *gate {
	t.Helper()
	begun.once.Do(func() { begin(t) })
	if begun.dir == "" {
		t.Fatal("the first start failed")
	}
	g := newGate(t, edits...)
	copyAll(t, begun.dir, filepath.Join(g.dir, "data"))
	g.start()
	t.Cleanup(g.end)
	return g
}

// begun is the data of the example after its first start, which costs as much as
// all that most tests do with it afterwards.
var begun struct {
	once sync.Once
	dir  string
}

func begin(t *testing.T) {
	t.Helper()
	g := newGate(t)
	g.start()
	for _, email := range []string{"member@aurora.example", "member@borealis.example", "member@citadel.example", "consultant@partner.example", "admin@citadel.example"} {
		g.operate(http.MethodPut, "users/"+email+"/password", fmt.Sprintf(`{"hash": %q}`, passwordHash()))
	}
	g.end()
	dir, err := os.MkdirTemp("", "caddymfa-begun")
	if err != nil {
		t.Fatal(err)
	}
	copyAll(t, filepath.Join(g.dir, "data"), dir)
	begun.dir = dir
}

// copyAll copies what is in a folder, with the permissions, on which Caddy insists.
func copyAll(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
		t.Fatalf("copying %s: %v\n%s", from, err, out)
	}
}

// subtest is one of several tests that ask the same gate.
type subtest struct {
	name string
	run  func(t *testing.T, g *gate)
}

func (g *gate) each(t *testing.T, tests []subtest) {
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, g) })
	}
}

// in replaces the portal of the example by a reverse proxy to an address.
func in(upstream string) func(string) string {
	return func(config string) string {
		before, _, _ := strings.Cut(config, "\t# The portal:")
		return before + "\treverse_proxy " + upstream + "\n}\n"
	}
}

// encrypted serves the example over HTTPS.
func encrypted(config string) string {
	config = strings.Replace(config, "\n{\n", "\n{\n\tskip_install_trust\n\tauto_https disable_redirects\n", 1)
	return strings.Replace(config, "http://localhost:", "https://localhost:", 1)
}

// replace edits a part of the configuration.
func replace(old, by string) func(string) string {
	return func(config string) string { return strings.Replace(config, old, by, 1) }
}

func (g *gate) config() string { return filepath.Join(g.dir, "Caddyfile") }

func (g *gate) write(config string) {
	if err := os.WriteFile(g.config(), []byte(config), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// data is where Caddy keeps what must survive.
func (g *gate) data() string { return filepath.Join(g.dir, "data", "caddy") }

func (g *gate) command(args ...string) *exec.Cmd { return gatetest.Command(g.t, g.dir, args...) }

func (g *gate) start() {
	g.t.Helper()
	g.process = gatetest.Start(g.t, g.command("run", "--config", g.config(), "--adapter", "caddyfile"), g.log)
	client := &http.Client{Timeout: 5 * time.Second, Transport: transport()}
	g.until("Caddy serves", func() bool {
		select {
		case <-g.process.Ended:
			g.t.Fatalf("Caddy ended:\n%s", g.log)
		default:
		}
		res, err := client.Get(g.address + "/.mfa/health")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// transport speaks to a Caddy that has made its own certificate.
func transport() *http.Transport {
	return &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
}

// until waits for a condition.
func (g *gate) until(what string, holds func() bool) {
	g.t.Helper()
	gatetest.Until(g.t, g.log, what, holds)
}

// stop ends Caddy as an operator does.
func (g *gate) stop() { g.process.End(syscall.SIGTERM) }

// kill ends Caddy as a power cut does.
func (g *gate) kill() { g.process.End(syscall.SIGKILL) }

func (g *gate) restart() {
	g.t.Helper()
	g.stop()
	g.start()
}

// secret remembers what must never stand in a log.
func (g *gate) secret(values ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, v := range values {
		if v != "" {
			g.secrets = append(g.secrets, v)
		}
	}
}

// end stops Caddy and reads what it logged.
func (g *gate) end() {
	g.stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	// The console tells the demonstration's password once, as it must.
	gatetest.Clean(g.t, strings.ReplaceAll(g.log.String(), "Password of everybody: "+password, ""), g.secrets...)
}

// run executes caddy with these arguments.
func (g *gate) run(args ...string) (string, error) {
	out, err := g.command(args...).CombinedOutput()
	return string(out), err
}

// mfa executes `caddy mfa`, which must succeed.
func (g *gate) mfa(args ...string) string {
	g.t.Helper()
	out, err := g.run(append(append([]string{"mfa"}, args...), "--address", g.admin)...)
	if err != nil {
		g.t.Fatalf("caddy mfa %q: %v\n%s", args, err, out)
	}
	return out
}

// operate asks the admin endpoint for something, which must be done.
func (g *gate) operate(method, path, body string) {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, "http://"+g.admin+"/mfa/"+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
		g.t.Fatalf("%s %s answered %d: %s, %v", method, path, res.StatusCode, text, err)
	}
}

// reload makes Caddy load a configuration.
func (g *gate) reload(config string) (string, error) {
	g.t.Helper()
	g.write(config)
	return g.run("reload", "--config", g.config(), "--adapter", "caddyfile", "--address", g.admin, "--force")
}

// raw sends bytes on one connection and returns all that comes back until the
// other side closes it, and whether it did.
func (g *gate) raw(text string) (answer string, closed bool) {
	g.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.address, "http://"))
	if err != nil {
		g.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(text)); err != nil {
		g.t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(3 * time.Second))
	var b bytes.Buffer
	_, err = b.ReadFrom(conn)
	return b.String(), err == nil || strings.Contains(err.Error(), "reset")
}
