// Package integration_test drives the built Caddy binary from outside, as
// people, programs and operators do: over HTTP, in a browser, and by command.
package integration_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
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
)

// password is everybody's in the demonstration.
const password = "correct horse battery staple"

// caddy is the binary under test, built once, with the race detector: what it
// finds fails the test that provoked it.
var caddy struct {
	once   sync.Once
	binary string
	err    error
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "caddymfa")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	caddy.binary = filepath.Join(dir, "caddy")
	code := m.Run()
	if chromium.cancel != nil {
		chromium.cancel()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func binary(t *testing.T) string {
	t.Helper()
	caddy.once.Do(func() {
		out, err := exec.Command("go", "build", "-race", "-o", caddy.binary, "../../cmd/caddy").CombinedOutput()
		if err != nil {
			caddy.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if caddy.err != nil {
		t.Fatal(caddy.err)
	}
	return caddy.binary
}

// output collects what a process prints while others read it.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// gate is one running Caddy with its own data directory.
type gate struct {
	t       *testing.T
	dir     string
	address string // http://localhost:port
	admin   string // host:port of the admin endpoint
	log     *output
	cmd     *exec.Cmd
	done    chan struct{}
	mu      sync.Mutex
	secrets []string
}

// freePort returns a port that nobody listened on just now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
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
	port, admin := freePort(t), freePort(t)
	g := &gate{
		t: t, dir: t.TempDir(), log: new(output),
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

// start is newGate, and waits until it serves.
func start(t *testing.T, edits ...func(string) string) *gate {
	t.Helper()
	g := newGate(t, edits...)
	g.start()
	t.Cleanup(g.end)
	return g
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

func (g *gate) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary(g.t), args...)
	cmd.Dir = g.dir
	cmd.Env = append(os.Environ(), "HOME="+g.dir, "XDG_DATA_HOME="+filepath.Join(g.dir, "data"), "XDG_CONFIG_HOME="+filepath.Join(g.dir, "config"))
	return cmd
}

func (g *gate) start() {
	g.t.Helper()
	g.cmd = g.command("run", "--config", g.config(), "--adapter", "caddyfile")
	g.cmd.Stdout, g.cmd.Stderr = g.log, g.log
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	done := make(chan struct{})
	g.done = done
	go func() { g.cmd.Wait(); close(done) }()
	client := &http.Client{Timeout: 5 * time.Second, Transport: transport()}
	g.until("Caddy serves", func() bool {
		select {
		case <-done:
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
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			lines := strings.Split(g.log.String(), "\n")
			g.t.Fatalf("gave up waiting until %s; the log ends:\n%s", what, strings.Join(lines[max(0, len(lines)-10):], "\n"))
		case <-tick.C:
		}
	}
}

// stop ends Caddy as an operator does.
func (g *gate) stop() { g.signal(syscall.SIGTERM) }

// kill ends Caddy as a power cut does.
func (g *gate) kill() { g.signal(syscall.SIGKILL) }

func (g *gate) signal(s syscall.Signal) {
	g.cmd.Process.Signal(s)
	select {
	case <-g.done:
	case <-time.After(30 * time.Second):
		g.cmd.Process.Kill()
		g.t.Errorf("Caddy did not end after %v", s)
	}
}

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
	log := g.log.String()
	if strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic") {
		g.t.Errorf("Caddy raced or panicked:\n%s", log)
	}
	// The console tells the demonstration's password once, as it must.
	log = strings.ReplaceAll(log, "Password of everybody: "+password, "")
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, secret := range append(g.secrets, password) {
		if strings.Contains(log, secret) {
			g.t.Errorf("the log holds the secret %q", secret)
		}
	}
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
