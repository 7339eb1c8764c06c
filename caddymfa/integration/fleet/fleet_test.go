// Package fleet_test drives several Caddys on one PostgreSQL from outside, behind
// a load balancer that sends each request to the next of them.
package fleet_test

import (
	"bytes"
	"encoding/json"
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

	"golang.org/x/crypto/bcrypt"

	"github.com/caddymfa/gateway/caddymfa/storage/postgres/postgrestest"
)

const (
	password = "correct horse battery staple"
	master   = "bm90IGEgc2VjcmV0LCBvbmx5IHVzZWQgYnkgdGVzdHM="
	// second is how long a change may take to be in force on every node.
	second = time.Second
	// soon bounds what is waited for.
	soon = 40 * time.Second
)

// hash is of the password, and cheap: what is tested here is not the hashing.
var hash = sync.OnceValue(func() string {
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return string(h)
})

var caddy struct {
	once   sync.Once
	binary string
	err    error
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "caddymfa-fleet")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	caddy.binary = filepath.Join(dir, "caddy")
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func binary(t *testing.T) string {
	t.Helper()
	caddy.once.Do(func() {
		out, err := exec.Command("go", "build", "-race", "-o", caddy.binary, "../../../cmd/caddy").CombinedOutput()
		if err != nil {
			caddy.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if caddy.err != nil {
		t.Fatal(caddy.err)
	}
	return caddy.binary
}

// process is one running Caddy.
type process struct {
	name    string
	address string // of the site
	admin   string
	log     log
	cmd     *exec.Cmd
	ended   chan struct{}
}

// log collects what a process prints while others read it.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// run starts a Caddy with this configuration, in which PORT and ADMIN are
// replaced, and ends it with the test.
func run(t *testing.T, name, config string, env ...string) *process {
	t.Helper()
	p := &process{
		name: name, address: fmt.Sprintf("127.0.0.1:%d", freePort(t)), admin: fmt.Sprintf("127.0.0.1:%d", freePort(t)), ended: make(chan struct{}),
	}
	dir := t.TempDir()
	_, port, _ := net.SplitHostPort(p.address)
	config = strings.NewReplacer("PORT", port, "ADMIN", p.admin).Replace(config)
	if err := os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(binary(t), "run", "--config", filepath.Join(dir, "Caddyfile"), "--adapter", "caddyfile")
	p.cmd.Env = append(os.Environ(), append(env, "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(soon):
			p.cmd.Process.Kill()
			t.Errorf("%s did not end", name)
		}
		text := p.log.String()
		if strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") {
			t.Errorf("%s raced or panicked:\n%s", name, text)
		}
		for _, secret := range []string{password, master, hash()} {
			if strings.Contains(text, secret) {
				t.Errorf("the log of %s holds a secret", name)
			}
		}
	})
	return p
}

// fleet is some nodes on one database, and a load balancer before them.
type fleet struct {
	t     *testing.T
	nodes []*process
	front *process
}

// newFleet starts one node for each DSN, all at the same moment, and waits until
// they serve. Options are more lines for the global option.
func newFleet(t *testing.T, options string, dsns ...string) *fleet {
	t.Helper()
	binary(t)
	f := &fleet{t: t}
	var upstreams []string
	for i, dsn := range dsns {
		n := run(t, fmt.Sprintf("node %d", i), `{
	admin ADMIN
	default_bind 127.0.0.1
	mfa {
		storage postgres {env.DATABASE_URL} {
			timeout 5s
		}
		master_key {env.MFA_MASTER_KEY}
		account declared {
			policy required
		}
		user declared@example.com {
			account declared admin
		}
		`+options+`
	}
}
http://:PORT {
	header X-Node `+fmt.Sprint(i)+`
	mfa
	respond "in account {http.auth.user.account}"
}
`, "DATABASE_URL="+dsn, "MFA_MASTER_KEY="+master)
		f.nodes = append(f.nodes, n)
		upstreams = append(upstreams, n.address)
	}
	f.front = run(t, "load balancer", `{
	admin ADMIN
	default_bind 127.0.0.1
}
http://:PORT {
	reverse_proxy `+strings.Join(upstreams, " ")+` {
		lb_policy round_robin
	}
}
`)
	for _, n := range append(f.nodes, f.front) {
		f.until(n.name+" serves", func() bool {
			select {
			case <-n.ended:
				t.Fatalf("%s ended:\n%s", n.name, n.log.String())
			default:
			}
			res, err := client.Get("http://" + n.address + "/.mfa/health")
			if err != nil {
				return false
			}
			res.Body.Close()
			return res.StatusCode == http.StatusOK
		})
	}
	return f
}

// until waits for a condition.
func (f *fleet) until(what string, holds func() bool) {
	f.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(soon); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			f.t.Fatalf("gave up waiting until %s", what)
		}
	}
}

// operate asks a node's admin endpoint for something, which must be done.
func (f *fleet) operate(node int, method, path, body string) map[string]any {
	f.t.Helper()
	answer, err := f.try(node, method, path, body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer
}

func (f *fleet) try(node int, method, path, body string) (map[string]any, error) {
	r, err := http.NewRequest(method, "http://"+f.nodes[node].admin+"/mfa/"+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s answered %d: %s", method, path, res.StatusCode, text)
	}
	var answer map[string]any
	return answer, json.Unmarshal(text, &answer)
}

// account adds an account, and user somebody in it with the password.
func (f *fleet) account(id, policy string) {
	f.t.Helper()
	f.operate(0, "POST", "accounts", fmt.Sprintf(`{"id": %q, "policy": %q}`, id, policy))
}

func (f *fleet) user(email, account string) {
	f.t.Helper()
	f.operate(0, "POST", "users", fmt.Sprintf(`{"email": %q, "account": %q}`, email, account))
	f.operate(0, "PUT", "users/"+email+"/password", fmt.Sprintf(`{"hash": %q}`, hash()))
}

// database starts a PostgreSQL and returns it with an empty database.
func database(t *testing.T, settings ...string) (*postgrestest.Cluster, string) {
	t.Helper()
	c, err := postgrestest.Start(settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	name, err := c.Create()
	if err != nil {
		t.Fatal(err)
	}
	return c, name
}
