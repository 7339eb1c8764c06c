package caddymfa

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddymfa/gateway/caddymfa/internal/adminapi"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// shell runs `caddy mfa` as from a shell, against one Caddy.
type shell struct {
	t       *testing.T
	address string
	said    strings.Builder // everything that any command printed
}

// newShell starts a Caddy with the app of the tests, whose account acme has the
// member Ana.
func newShell(t *testing.T) *shell {
	t.Helper()
	s := &shell{t: t, address: administered(t, withPeople(t))}
	s.ok("account", "add", "acme", "--policy", "optional", "--name", "Acme Distribution")
	s.ok("user", "add", "ana@acme.example", "--name", "Ana Souza", "--account", "acme")
	return s
}

// run executes one command and returns what it printed, apart.
func (s *shell) run(in io.Reader, args ...string) (stdout, stderr string, err error) {
	var errs bytes.Buffer
	stdout, err = s.runOn(in, &errs, args...)
	s.said.WriteString(stdout + errs.String())
	return stdout, errs.String(), err
}

// runOn executes one command with this input, and this for its errors and
// prompts.
func (s *shell) runOn(in io.Reader, errs io.Writer, args ...string) (stdout string, err error) {
	root := &cobra.Command{Use: "mfa", SilenceUsage: true}
	buildCommand(root)
	var out bytes.Buffer
	root.SetIn(in)
	root.SetOut(&out)
	root.SetErr(errs)
	if s.address != "" {
		args = append(args, "--address", s.address)
	}
	root.SetArgs(args)
	err = root.Execute()
	return out.String(), err
}

// ok executes a command that must succeed and be silent about it on stderr.
func (s *shell) ok(args ...string) string {
	s.t.Helper()
	out, errs, err := s.run(strings.NewReader(""), args...)
	if err != nil || errs != "" {
		s.t.Fatalf("%q: %v %s", args, err, errs)
	}
	return out
}

// fails executes a command that must fail, in one line, with these words.
func (s *shell) fails(in, says string, args ...string) {
	s.t.Helper()
	out, errs, err := s.run(strings.NewReader(in), args...)
	if err == nil || out != "" {
		s.t.Errorf("%q succeeded: %s", args, out)
	} else if strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "Error: ") || !strings.Contains(errs, says) {
		s.t.Errorf("%q said %q, want one line with %q", args, errs, says)
	}
}

func TestCommandIsRegistered(t *testing.T) {
	command, ok := caddycmd.Commands()["mfa"]
	if !ok || command.CobraFunc == nil {
		t.Fatal("Caddy does not know the command mfa")
	}
}

func TestCommandEveryOneHasAnExampleAndAShortText(t *testing.T) {
	root := &cobra.Command{Use: "mfa"}
	buildCommand(root)
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Short == "" && cmd != root {
			t.Errorf("%s says nothing of itself", cmd.CommandPath())
		}
		if strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: Caddy's own commands have no full stop there", cmd.CommandPath())
		}
		if !cmd.HasSubCommands() && cmd.Name() != "status" && !strings.Contains(cmd.Example, "$ caddy "+cmd.CommandPath()) {
			t.Errorf("%s has no example of itself", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(root)
}

func TestCommandDoesWhatItSays(t *testing.T) {
	s := newShell(t)
	for _, c := range []struct{ args, want string }{
		{"status", "pages      /.mfa"},
		{"accounts", "ID     NAME               POLICY    ACCEPTS  SINCE       STATE\nacme   Acme Distribution  optional  any      "},
		{"accounts", "fixed  Fixed              required  "},
		{"policy acme required", "The policy of acme is now required; it was optional.\n"},
		{"users", "ana@acme.example    Ana Souza  acme:member  -               no password"},
		{"users", "boss@fixed.example  -          fixed:admin  -               declared, no password"},
		{"users --account fixed", "boss@fixed.example"},
		{"user add eve@acme.example", "Added eve@acme.example.\n"},
		{"user join eve@acme.example acme --role admin", "eve@acme.example belongs to acme as admin.\n"},
		{"user leave eve@acme.example acme", "eve@acme.example no longer belongs to acme.\n"},
		{"user add max@acme.example --account acme --role admin", "Added max@acme.example to acme as admin.\n"},
		{"user disable eve@acme.example", "eve@acme.example is disabled.\n"},
		{"users", "eve@acme.example    -          -            -               disabled, no password"},
		{"user enable eve@acme.example", "eve@acme.example is enabled.\n"},
		{"reset ana@acme.example --yes", "ana@acme.example has no authenticator any more (0 removed) and is signed out everywhere.\n"},
		{"reset boss@fixed.example --yes", "boss@fixed.example has no authenticator any more"},
		{"sign-out ana@acme.example", "ana@acme.example is signed out everywhere (0 sessions ended).\n"},
		{"explain --user ana@acme.example --account acme", "verdict             enroll\nreason              The account requires a second factor and the person has no authenticator yet. (policy_required)\n\nuser                ana@acme.example\n"},
		{"explain --user ana@acme.example --account acme --second totp", "second factor       totp\n"},
		{"explain --user ana@acme.example --account fixed", "(not_member)"},
		{"audit --user ana@acme.example", "revoke_sessions  ok       -       ana@acme.example  -        operator"},
		{"audit --account acme", "set_policy"},
		{"user", "Available Commands:"},
		{"", "Available Commands:"},
	} {
		if got := s.ok(strings.Fields(c.args)...); !strings.Contains(got, c.want) {
			t.Errorf("%s printed\n%s\nwithout\n%s", c.args, got, c.want)
		}
	}
}

func TestCommandAcceptsKeysOnlyWhereThereAreKeys(t *testing.T) {
	s := newShell(t)
	s.fails("", "configure webauthn first", "policy", "acme", "required", "--accept", "webauthn")
	s.fails("", "accept any or webauthn", "policy", "acme", "required", "--accept", "sms")
	s.ok("policy", "acme", "required", "--accept", "any")
}

func TestCommandIsInForceAtOnce(t *testing.T) {
	s := newShell(t)
	ctx, op := t.Context(), operator(t)
	for _, policy := range []mfa.Policy{mfa.Required, mfa.Suggested, mfa.Optional} {
		s.ok("policy", "acme", policy.String())
		if row, err := op.Account(ctx, "acme"); err != nil || row.Policy != policy {
			t.Errorf("the store says %s, %v", row.Policy, err)
		}
		if x, err := op.Explain(ctx, "ana@acme.example", "acme", 0); err != nil || x.Facts.Account.Policy != policy {
			t.Errorf("the gate's memory says %s, %v", x.Facts.Account.Policy, err)
		}
	}
	s.ok("user", "disable", "ana@acme.example")
	if x, err := op.Explain(ctx, "ana@acme.example", "acme", 0); err != nil || x.Decision.Reason != mfa.UserDisabled {
		t.Errorf("got %+v, %v", x.Decision, err)
	}
}

func TestCommandSaysTheCure(t *testing.T) {
	s := newShell(t)
	for _, c := range []struct{ args, says string }{
		{"polcy acme required", `there is no command "polcy": see mfa --help`},
		{"user ad x", `there is no command "ad": see mfa user --help`},
		{"policy acme", "expected mfa policy <account> <optional|suggested|required>"},
		{"policy acme off", "choose optional, suggested or required"},
		{"policy beta required", `account "beta": not found: "caddy mfa accounts" and "caddy mfa users" list what there is`},
		{"policy fixed optional", `account "fixed": declared in the configuration: change it there`},
		{"account add beta", `required flag(s) "policy" not set`},
		{"account add acme --policy optional", `account "acme": exists already`},
		{"user add ana", "not an e-mail address"},
		{"user join ana@acme.example acme --role root", "choose member or admin"},
		{"user disable boss@fixed.example", `user "boss@fixed.example": declared in the configuration: change it there`},
		{"user leave boss@fixed.example fixed", "change it there"},
		{"setup boss@fixed.example", "change it there"},
		{"setup ana@acme.example --origin portal", "such as https://portal.example.com"},
		{"reset ana@acme.example", "give --yes"},
		{"password ana@acme.example", "give --stdin or --hash-stdin"},
		{"explain --user ana@acme.example", `required flag(s) "account" not set`},
		{"explain --user ana@acme.example --account acme --second sms", "unknown kind of second factor"},
		{"audit --limit 0", "expected a number from 1 to 1000"},
		{"accounts --config none.json", "finding the address of the admin API: "},
	} {
		if strings.Contains(c.args, "--config") {
			s.address = ""
		}
		s.fails("", c.says, strings.Fields(c.args)...)
	}
}

func TestCommandWithoutTheRightCaddy(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	s := &shell{t: t, address: strings.TrimPrefix(other.URL, "http://")}
	s.fails("", "has no MFA gate built in", "accounts")

	s.address = administered(t, `{}`)
	s.fails("", "the running configuration has no mfa app", "accounts")

	s.address = "unix/" + filepath.Join(t.TempDir(), "none.sock")
	s.fails("", "no admin API answers at "+s.address+": start Caddy, or give the address with --address", "accounts")
}

func TestCommandFindsTheAddressInTheConfiguration(t *testing.T) {
	s := newShell(t)
	file := filepath.Join(t.TempDir(), "caddy.json")
	if err := os.WriteFile(file, fmt.Appendf(nil, `{"admin": {"listen": %q}}`, s.address), 0o600); err != nil {
		t.Fatal(err)
	}
	s.address = ""
	if got := s.ok("accounts", "--config", file); !strings.Contains(got, "acme") {
		t.Errorf("got %s", got)
	}
}

func TestCommandPrintsJSONForPrograms(t *testing.T) {
	s := newShell(t)
	var accounts []adminapi.Account
	var users []adminapi.User
	var events []adminapi.Event
	var explained adminapi.Explanation
	var made adminapi.SetUp
	for args, out := range map[string]any{
		"accounts --json":               &accounts,
		"users --json":                  &users,
		"audit --limit 1000 --json":     &events,
		"setup ana@acme.example --json": &made,
		"explain --user ana@acme.example --account acme --json": &explained,
	} {
		text := s.ok(strings.Fields(args)...)
		if err := json.Unmarshal([]byte(text), out); err != nil {
			t.Errorf("%s: %v in %s", args, err, text)
		}
	}
	if len(accounts) != 2 || len(users) != 2 || len(events) < 3 || explained.Verdict != "allow" || made.Code == "" {
		t.Errorf("got %+v %+v %+v %+v", accounts, users, events, explained)
	}
}

func TestCommandListsAllParts(t *testing.T) {
	s := newShell(t)
	ctx, op := t.Context(), operator(t)
	const many = 201 // more than one part
	for i := range many {
		id := fmt.Sprintf("part%03d", i)
		if err := op.Store.CreateAccount(ctx, storage.Account{ID: id, Name: id, Policy: mfa.Optional, Created: now()}); err != nil {
			t.Fatal(err)
		}
		if err := op.Store.CreateUser(ctx, storage.User{ID: id, Email: id + "@acme.example", Created: now()}); err != nil {
			t.Fatal(err)
		}
	}
	for _, list := range []string{"accounts", "users"} {
		if lines := strings.Count(s.ok(list), "\n"); lines != 1+2+many {
			t.Errorf("%s: %d lines, want %d", list, lines, 1+2+many)
		}
	}
}

func TestCommandSetsAPassword(t *testing.T) {
	s := newShell(t)
	ctx, op := t.Context(), operator(t)
	const secret = "a fine long passphrase"
	stored := func() string {
		u, err := op.User(ctx, "ana@acme.example")
		if err != nil {
			t.Fatal(err)
		}
		return u.PasswordHash
	}
	if _, errs, err := s.run(strings.NewReader(secret+"\r\nmore\n"), "password", "ana@acme.example", "--stdin"); err != nil {
		t.Fatal(err, errs)
	}
	if right, err := (hasher{}).Compare([]byte(stored()), []byte(secret)); !right || err != nil {
		t.Errorf("the password is not the line: %v", err)
	}
	const hash = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
	if _, errs, err := s.run(strings.NewReader(hash+"\n"), "password", "ana@acme.example", "--hash-stdin"); err != nil {
		t.Fatal(err, errs)
	}
	if stored() != hash {
		t.Error("the hash was not taken as it is")
	}
	s.fails("", "standard input is empty", "password", "ana@acme.example", "--stdin")
	s.fails("too short\n", login.ErrPassword.Error(), "password", "ana@acme.example", "--stdin")
	s.fails("qwertyuiop2026\n", login.ErrPasswordCommon.Error(), "password", "ana@acme.example", "--stdin")
	s.fails("ana@acme.example\n", login.ErrPasswordOwn.Error(), "password", "ana@acme.example", "--stdin")
	s.fails(secret+"\n", "expected a password hash as `caddy hash-password` prints it", "password", "ana@acme.example", "--hash-stdin")
	s.fails(hash+"\n", "none of the others can be", "password", "ana@acme.example", "--stdin", "--hash-stdin")
	s.fails(hash+"\n", "change it there", "password", "boss@fixed.example", "--hash-stdin")
	s.fails("", "expected mfa password <email>", "password", "ana@acme.example", secret)
	if stored() != hash {
		t.Error("a refused command changed the password")
	}
	s.ok("users", "--json")
	s.ok("audit", "--json")
	for _, hidden := range []string{secret, hash, "too short"} {
		if strings.Contains(s.said.String(), hidden) {
			t.Errorf("a command printed %q", hidden)
		}
	}
}

func TestCommandShowsASetUpCodeOnce(t *testing.T) {
	s := newShell(t)
	var made adminapi.SetUp
	if err := json.Unmarshal([]byte(s.ok("setup", "ana@acme.example", "--json")), &made); err != nil {
		t.Fatal(err)
	}
	if made.Link != "" {
		t.Errorf("no site serves the pages, but there is the link %s", made.Link)
	}
	s.said.Reset()
	s.ok("audit", "--json")
	s.ok("users", "--json")
	s.ok("status")
	if strings.Contains(s.said.String(), made.Code) {
		t.Error("the code is shown again")
	}
	if got := s.ok("setup", "ana@acme.example"); !strings.Contains(got, "give it with --origin") {
		t.Errorf("got %s", got)
	}
	got := s.ok("setup", "ana@acme.example", "--origin", "https://portal.example.com")
	_, link, _ := strings.Cut(got, "https://portal.example.com/.mfa/setup#")
	code, _, _ := strings.Cut(link, "\n")
	if code == "" || !strings.Contains(got, "code     "+code+"\n") {
		t.Fatalf("got %s", got)
	}
	if err := operator(t).Login.SetUp(t.Context(), login.Client{Network: "192.0.2.1"}, code, "a fine long passphrase"); err != nil {
		t.Errorf("the code is good for nothing: %v", err)
	}
}

// A person's name reaches the operator's terminal, so it must not steer it.
func TestCommandBreaksGlassForFew(t *testing.T) {
	s := newShell(t)
	s.fails("", `required flag(s) "account" not set`, "breakglass", "ana@acme.example")
	s.fails("", "has no authenticator", "breakglass", "ana@acme.example", "--account", "acme")
	op := operator(t)
	u, err := op.User(t.Context(), "ana@acme.example")
	if err != nil {
		t.Fatal(err)
	}
	if err := op.Store.CreateFactor(t.Context(), storage.Factor{
		ID: "f", User: u.ID, Kind: mfa.TOTP, Name: "Phone", State: []byte("sealed"), Created: now(),
	}, login.MaxFactors); err != nil {
		t.Fatal(err)
	}
	s.fails("", "expected a time of a minute to 24h", "breakglass", "ana@acme.example", "--account", "acme", "--for", "48h")
	s.fails("", "not a member", "breakglass", "ana@acme.example", "--account", "fixed")
	out := s.ok("breakglass", "ana@acme.example", "--account", "acme", "--for", "2h", "--origin", "https://portal.example.com")
	if !strings.Contains(out, "https://portal.example.com/.mfa/breakglass#") {
		t.Errorf("printed %s", out)
	}
	if got := s.ok("audit", "--account", "acme"); strings.Count(got, "break_glass") < 2 {
		t.Errorf("the audit has\n%s", got)
	}
}

func TestCommandListsProvidersWithWhatTheySaid(t *testing.T) {
	s := newShell(t)
	store := operator(t).Store
	for _, id := range []string{"p1", "p2"} {
		if err := store.PutProvider(t.Context(), storage.IdentityProvider{
			ID: id, Account: "acme", Kind: "oidc", Settings: []byte("sealed"), Trust: mfa.Stack, Created: now(),
		}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		if err := store.CountSignIn(t.Context(), "p1", now(), i > 0); err != nil {
			t.Fatal(err)
		}
	}
	got := s.ok("providers", "acme")
	for _, want := range []string{"p1        oidc  -     stack  66 % of 3 sign-ins carried mfa, in 30 days", "no sign-in in 30 days"} {
		if !strings.Contains(got, want) {
			t.Errorf("printed\n%s\nwithout %q", got, want)
		}
	}
	s.fails("", "not found", "providers", "nowhere")
}

func TestCommandPrintsNothingThatSteersATerminal(t *testing.T) {
	s := newShell(t)
	ctx, op := t.Context(), operator(t)
	name := "\x1b]0;root\a\u009b2J\u202eevil\r\n"
	if err := op.Store.CreateUser(ctx, storage.User{ID: "evil", Email: "evil@acme.example", Name: name, Created: now()}); err != nil {
		t.Fatal(err)
	}
	op.Record(ctx, storage.Event{At: now(), Action: "remove_factor", Outcome: "ok", User: "evil", Detail: name})
	for _, args := range [][]string{{"users"}, {"audit"}} {
		got := s.ok(args...)
		if strings.ContainsAny(got, "\x1b\a\r\u009b\u202e") || !strings.Contains(got, "evil") {
			t.Errorf("%s printed %q", args, got)
		}
	}
}
