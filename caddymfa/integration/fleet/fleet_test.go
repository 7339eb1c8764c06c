// Package fleet_test drives several Caddys on one PostgreSQL from outside, behind
// a load balancer that sends each request to the next of them.
package fleet_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddymfa/gateway/caddymfa/identity/oidc/idptest"
	"github.com/caddymfa/gateway/caddymfa/integration/gatetest"
	"github.com/caddymfa/gateway/caddymfa/integration/visitor"
	"github.com/caddymfa/gateway/caddymfa/storage/postgres/postgrestest"
)

// make fleet asks for more than make test has time for.
var (
	trials = flag.Int("trials", 20, "how often each kind of change is made; an even number, since each second one takes the first back")
	rounds = flag.Int("rounds", 3, "how often codes and entries are used by many at once")
	pace   = flag.Duration("pace", 100*time.Millisecond, "how often each of the people at work asks for something")
)

const (
	master = "bm90IGEgc2VjcmV0LCBvbmx5IHVzZWQgYnkgdGVzdHM="
	// second is how long a change may take to be in force on every node.
	second = time.Second
	// soon bounds what is waited for.
	soon = 40 * time.Second
)

// hash is of the password, and cheap: what is tested here is not the hashing.
var hash = sync.OnceValue(func() string {
	h, err := bcrypt.GenerateFromPassword([]byte(visitor.Password), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return string(h)
})

// node is one running Caddy.
type node struct {
	name    string
	address string // of the site
	admin   string
	log     *gatetest.Output
	process *gatetest.Process
}

// run starts a Caddy with this configuration, in which PORT and ADMIN are
// replaced, and ends it with the test.
func run(t *testing.T, name, config string, env ...string) *node {
	t.Helper()
	port := fmt.Sprint(gatetest.Port(t))
	n := &node{
		name: name, address: "127.0.0.1:" + port, admin: fmt.Sprintf("127.0.0.1:%d", gatetest.Port(t)), log: new(gatetest.Output),
	}
	dir := t.TempDir()
	config = strings.NewReplacer("PORT", port, "ADMIN", n.admin).Replace(config)
	if err := os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := gatetest.Command(t, dir, "run", "--config", "Caddyfile", "--adapter", "caddyfile")
	cmd.Env = append(cmd.Env, env...)
	n.process = gatetest.Start(t, cmd, n.log)
	t.Cleanup(func() {
		n.process.End(syscall.SIGTERM)
		gatetest.Clean(t, n.log.String(), master, hash())
	})
	return n
}

// trouble is what the node logged last of what went wrong.
func (n *node) trouble() string {
	lines := strings.Split(n.log.String(), "\n")
	for _, line := range slices.Backward(lines) {
		if strings.Contains(line, `"level":"error"`) {
			return line
		}
	}
	return "nothing"
}

// fleet is some nodes on one database, and a load balancer before them.
type fleet struct {
	t     *testing.T
	nodes []*node
	front *node
}

// way is how a node gets to the database.
type way struct {
	dsn    string
	listen string // empty: in the same way
}

// neverEnds is an app that tells something, and then waits until nobody listens.
func neverEnds(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "data: hello\n\n")
	http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// newFleet starts one node for each way, all at the same moment, and waits until
// they serve. Timeout is how long they wait for the database, and options are
// more lines for the global option.
func newFleet(t *testing.T, timeout, options string, ways ...way) *fleet {
	t.Helper()
	f := &fleet{t: t}
	events := httptest.NewServer(http.HandlerFunc(neverEnds))
	t.Cleanup(events.Close)
	var upstreams []string
	for i, w := range ways {
		listen := ""
		if w.listen != "" {
			listen = "listen_dsn {env.LISTEN_URL}"
		}
		n := run(t, fmt.Sprintf("node %d", i), `{
	admin ADMIN
	default_bind 127.0.0.1
	servers {
		trusted_proxies static 127.0.0.1/32
	}
	mfa {
		storage postgres {env.DATABASE_URL} {
			timeout `+timeout+`
			`+listen+`
		}
		master_key {env.MFA_MASTER_KEY}
		`+options+`
	}
}
http://:PORT {
	header X-Node `+fmt.Sprint(i)+`
	mfa {
		public /open
	}
	handle /events {
		reverse_proxy `+events.Listener.Addr().String()+`
	}
	handle {
		respond "in account {http.auth.user.account}"
	}
}
`, "DATABASE_URL="+w.dsn, "LISTEN_URL="+w.listen, "MFA_MASTER_KEY="+master, "COMPANY_SECRET="+idptest.ClientSecret)
		f.nodes = append(f.nodes, n)
		upstreams = append(upstreams, n.address)
	}
	f.front = run(t, "load balancer", `{
	admin ADMIN
	default_bind 127.0.0.1
	servers {
		trusted_proxies static 127.0.0.1/32
	}
}
http://:PORT {
	reverse_proxy `+strings.Join(upstreams, " ")+` {
		lb_policy round_robin
		health_uri /.mfa/health
		health_interval 250ms
	}
}
`)
	for _, n := range append(f.nodes, f.front) {
		n.untilItServes(t)
	}
	return f
}

func (n *node) untilItServes(t *testing.T) {
	t.Helper()
	gatetest.Until(t, n.log, n.name+" serves", func() bool {
		select {
		case <-n.process.Ended:
			t.Fatalf("%s ended:\n%s", n.name, n.log)
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

// until waits for a condition.
func (f *fleet) until(what string, holds func() bool) {
	f.t.Helper()
	gatetest.Until(f.t, f.front.log, what, holds)
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
	if err := f.add(0, email, account); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) add(node int, email, account string) error {
	if _, err := f.try(node, "POST", "users", fmt.Sprintf(`{"email": %q, "account": %q}`, email, account)); err != nil {
		return err
	}
	_, err := f.try(node, "PUT", "users/"+email+"/password", fmt.Sprintf(`{"hash": %q}`, hash()))
	return err
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
