package integration_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"golang.org/x/crypto/bcrypt"

	"github.com/caddymfa/gateway/caddymfa/integration/gatetest"
)

// providerDir is where .ci/deps installs the OpenID provider of the tests.
var providerDir = filepath.Join("..", "..", ".cache", "oidc-provider")

// companySecret is what the gate and a company's provider share.
const companySecret = "what-the-gate-and-its-provider-share"

// company has a sign-in of its own: a certified OpenID provider that has nothing
// to do with this project. See testdata/oidc-provider.
type company struct {
	t       *testing.T
	name    string
	port    int
	address string // its issuer
	secret  string // the file that holds companySecret
	people  map[string]map[string]any
	log     *gatetest.Output
	stdin   io.Closer
	done    chan struct{}
}

func newCompany(t *testing.T, name string, people ...string) *company {
	t.Helper()
	c := &company{t: t, name: name, port: gatetest.Port(t), secret: filepath.Join(t.TempDir(), "secret"), people: make(map[string]map[string]any)}
	c.address = fmt.Sprintf("http://127.0.0.1:%d", c.port)
	for _, email := range people {
		c.people[email] = map[string]any{"name": "Person of " + name}
	}
	if err := os.WriteFile(c.secret, []byte(companySecret), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// link is the part of an account's block in the Caddyfile that links the
// company's provider.
func (c *company) link(options ...string) string {
	return linkTo(c.address, c.name, c.secret, options...)
}

func linkTo(issuer, name, secret string, options ...string) string {
	return fmt.Sprintf("oidc %s {\nname %q\nclient_id gate\nclient_secret {file.%s}\n%s\n}\n", issuer, name, secret, strings.Join(options, "\n"))
}

// trusting puts accounts into the configuration, and lets their providers be on
// this machine.
func trusting(accounts ...string) func(string) string {
	const before = "\t\t# Security keys"
	return replace(before, "identity oidc {\nprivate_networks 127.0.0.0/8\n}\n"+strings.Join(accounts, "\n")+"\n"+before)
}

// accountBlock declares an account.
func accountBlock(id, policy string, parts ...string) string {
	return fmt.Sprintf("account %s {\npolicy %s\n%s\n}\n", id, policy, strings.Join(parts, "\n"))
}

// passwordHash is one of everybody's password. It stays the same, since a new
// one is a changed password, which ends sessions.
var passwordHash = sync.OnceValue(func() string {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return string(hash)
})

// userBlock declares somebody with everybody's password, as a member.
func userBlock(email string, accounts ...string) string {
	text := fmt.Sprintf("user %s {\npassword %s\n", email, passwordHash())
	for _, id := range accounts {
		text += "account " + id + "\n"
	}
	return text + "}\n"
}

// open starts the provider, with the gate as its only client.
func (c *company) open(g *gate) {
	c.t.Helper()
	installed, err := filepath.Abs(filepath.Join(providerDir, "node_modules"))
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(installed, "oidc-provider", "package.json")); err != nil {
		c.t.Fatalf("the OpenID provider of the tests is not installed: run make deps (%v)", err)
	}
	dir := c.t.TempDir()
	script, err := os.ReadFile(filepath.Join("testdata", "oidc-provider", "provider.mjs"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "provider.mjs"), script, 0o600)
	}
	if err == nil { // where Node.js looks for what the script imports
		err = os.Symlink(installed, filepath.Join(dir, "node_modules"))
	}
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(node(), filepath.Join(dir, "provider.mjs"))
	c.log = new(gatetest.Output)
	cmd.Stdout, cmd.Stderr = c.log, c.log
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		c.t.Fatalf("starting an OpenID provider: %v", err)
	}
	done := make(chan struct{})
	c.stdin, c.done = stdin, done
	go func() { cmd.Wait(); close(done) }()
	c.t.Cleanup(c.shut)
	config, err := json.Marshal(map[string]any{"port": c.port, "people": c.people, "client": map[string]any{
		"client_id": "gate", "client_secret": companySecret,
		"redirect_uris":                       []string{g.address + "/.mfa/sso/callback"},
		"post_logout_redirect_uris":           []string{g.address + "/.mfa/signed-out"},
		"backchannel_logout_uri":              g.address + "/.mfa/sso/backchannel-logout",
		"backchannel_logout_session_required": true,
	}})
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := stdin.Write(append(config, '\n')); err != nil {
		c.t.Fatalf("configuring the OpenID provider: %v\n%s", err, c.log)
	}
	g.until("the OpenID provider is ready", func() bool {
		select {
		case <-done:
			c.t.Fatalf("the OpenID provider ended:\n%s", c.log)
		default:
		}
		return strings.Contains(c.log.String(), "ready\n")
	})
}

// node is the Node.js that .ci/deps found or installed.
func node() string {
	own := filepath.Join(providerDir, "..", "node", "node_modules", "node", "bin", "node")
	if _, err := os.Stat(own); err == nil {
		return own
	}
	return "node"
}

// shut ends the provider.
func (c *company) shut() {
	if c.stdin == nil {
		return
	}
	c.stdin.Close()
	select {
	case <-c.done:
	case <-time.After(30 * time.Second):
		c.t.Error("the OpenID provider did not end")
	}
	c.stdin = nil
}

// atCompany waits until the browser shows the company's own page.
func (b *tab) atCompany(c *company) {
	b.t.Helper()
	b.do(chromedp.WaitVisible(chromedp.CSS("#sign-in")))
	at := get(b, chromedp.Location())
	if !strings.HasPrefix(at, c.address+"/") {
		b.t.Fatalf("at %s, want %s", at, c.address)
	}
}

// toCompany presses what leads to the company's page.
func (b *tab) toCompany(c *company, selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
	b.atCompany(c)
}

// arrives waits until the browser has got to one of the gate's paths.
func (b *tab) arrives(path string, words ...string) {
	b.t.Helper()
	b.g.until("the browser is at "+path, func() bool {
		at, err := chromedp.Run(b.ctx, chromedp.Location())
		if err != nil {
			return false
		}
		u, err := url.Parse(at)
		return err == nil && strings.HasPrefix(at, b.g.address+"/") && u.Path == strings.SplitN(path, "?", 2)[0]
	})
	b.do(chromedp.WaitVisible(chromedp.CSS("h1")))
	b.at(path, words...)
}

// atWork signs in on the company's page, by these methods and in this context.
func (b *tab) atWork(email, methods, context string) {
	b.t.Helper()
	b.fill("#login", email)
	b.fill("#amr", methods)
	if context != "" {
		b.fill("#acr", context)
	}
	b.press("#sign-in")
}

// throughCompany asks for a page, and signs in at the company whose domain the
// address has.
func (b *tab) throughCompany(c *company, email, path, methods, context string) {
	b.t.Helper()
	b.open(path)
	b.at("/.mfa/login")
	b.fill("#email", email)
	b.toCompany(c, `form[action="/.mfa/login"] button`)
	b.atWork(email, methods, context)
}

// enter switches to another account.
func (b *tab) enter(account string) {
	b.t.Helper()
	b.open("/.mfa/accounts")
	b.press(`form:has(input[name=account][value=` + account + `]) button`)
}

// audited is a row of the audit.
type audited struct {
	Action, Outcome, Reason, Account, Detail string
}

// audit returns the newest rows first.
func (g *gate) audit() []audited {
	g.t.Helper()
	var rows []audited
	out := g.mfa("audit", "--limit", "200", "--json")
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		g.t.Fatalf("reading the audit: %v\n%s", err, out)
	}
	return rows
}
