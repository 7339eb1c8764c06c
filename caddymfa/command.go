package caddymfa

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddymfa/gateway/caddymfa/internal/adminapi"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "mfa",
		Usage: "<command> [--address <interface>] [--config <path> [--adapter <name>]]",
		Short: "Manages accounts, people and second factors",
		Long: `
Manages the accounts and people of the running Caddy's MFA gate. What a command
changes is in force from the next request on.

It asks the admin API of the running Caddy, which must be enabled. The address
is the one of --address, or else of the given --config, or else the default.
Whoever reaches that address may do all of this, without any sign-in.

What the configuration declares is listed here, but changed only there. People's
authenticators and sessions are never the configuration's.

The commands of "storage" open the store themselves and need no running Caddy.
`,
		CobraFunc: buildCommand,
	})
}

// buildCommand puts the subcommands under `caddy mfa`.
func buildCommand(root *cobra.Command) {
	root.Example = `  $ caddy mfa account add citadel --policy required --name "Citadel Health"
  $ caddy mfa user add ana@citadel.example --account citadel --role admin
  $ caddy mfa setup ana@citadel.example --origin https://portal.example.com
  $ caddy mfa explain --user ana@citadel.example --account citadel`
	root.PersistentFlags().String("address", "", "Address of the running Caddy's admin API, if not the default")
	root.PersistentFlags().StringP("config", "c", "", "Configuration file to take that address from, if --address is not used")
	root.PersistentFlags().StringP("adapter", "a", "", "Name of the config adapter to apply (when --config is used)")
	onlySubcommands(root)

	account := &cobra.Command{Use: "account <command>", Short: "Adds an account"}
	account.AddCommand(accountAddCommand())
	onlySubcommands(account)

	user := &cobra.Command{Use: "user <command>", Short: "Adds a person, or changes where they belong"}
	user.AddCommand(userAddCommand(), userJoinCommand(), userLeaveCommand(), userSwitchCommand("disable"), userSwitchCommand("enable"))
	onlySubcommands(user)

	root.AddCommand(
		statusCommand(), accountsCommand(), account, policyCommand(), usersCommand(), user,
		passwordCommand(), resetCommand(), setUpCommand(), breakGlassCommand(), domainCommand(), providersCommand(), providerCommand(), signOutCommand(), explainCommand(), auditCommand(), keysCommand(), sealCommand(), storageCommand(),
	)
}

// onlySubcommands makes a misspelt subcommand an error; cobra would print the
// help and report success.
func onlySubcommands(cmd *cobra.Command) {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("there is no command %q: see %s --help", args[0], cmd.CommandPath())
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}

// exactly wants n arguments. It repeats none of them: one may be a password
// that somebody typed where it does not belong.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return fmt.Errorf("expected %s", cmd.UseLine())
		}
		return nil
	}
}

// endpoint is the admin API of the Caddy that a command is about.
type endpoint struct{ address string }

// reach finds out which Caddy a command is about. It does not ask it yet.
func reach(cmd *cobra.Command) (endpoint, error) {
	flags := caddycmd.Flags{FlagSet: cmd.Flags()}
	address, err := caddycmd.DetermineAdminAPIAddress(flags.String("address"), nil, flags.String("config"), flags.String("adapter"))
	if err != nil {
		return endpoint{}, fmt.Errorf("finding the address of the admin API: %w", err)
	}
	return endpoint{address}, nil
}

// online makes a command one that asks the running Caddy.
func online(cmd *cobra.Command, run func(cmd *cobra.Command, api endpoint, args []string) error) *cobra.Command {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		api, err := reach(cmd)
		if err != nil {
			return err
		}
		return run(cmd, api, args)
	}
	return cmd
}

// refusedByCaddy takes apart what caddycmd.AdminAPIRequest makes of an answer
// with an error status: all it returns is text.
var refusedByCaddy = regexp.MustCompile(`(?s)^caddy responded with error: HTTP (\d+): (.*)$`)

// do asks for one operation. path is below adminapi.Prefix, in and out may be
// nil.
func (a endpoint) do(method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
		body = bytes.NewReader(text)
	}
	resp, err := caddycmd.AdminAPIRequest(a.address, method, adminapi.Prefix+path, nil, body)
	if err != nil {
		return a.explain(err)
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("reading the answer of %s: %w", a.address, err)
	}
	return nil
}

// explain puts a failed request into one line that says what to do about it.
func (a endpoint) explain(err error) error {
	parts := refusedByCaddy.FindStringSubmatch(err.Error())
	if parts == nil {
		return fmt.Errorf("no admin API answers at %s: start Caddy, or give the address with --address (%w)", a.address, err)
	}
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal([]byte(parts[2]), &said) != nil || said.Error == "" {
		return fmt.Errorf("the Caddy at %s has no MFA gate built in: it answered %s to a request for %s", a.address, parts[1], adminapi.Prefix)
	}
	said.Error = printable(said.Error)
	if parts[1] == fmt.Sprint(http.StatusNotFound) {
		return errors.New(said.Error + `: "caddy mfa accounts" and "caddy mfa users" list what there is`)
	}
	return errors.New(said.Error)
}

// printJSON prints for programs.
func printJSON(cmd *cobra.Command, v any) error {
	e := json.NewEncoder(cmd.OutOrStdout())
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
