package caddymfa

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"github.com/caddymfa/gateway/caddymfa/internal/adminapi"
)

func providerCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "provider <command>", Short: "Connects, tests and switches an account's identity providers, and says what they are trusted with"}
	trust := &cobra.Command{
		Use:   "trust <account> <provider> <precedence|verify|stack>",
		Short: "Says what an account makes of a sign-in through a provider",
		Long: `
  precedence  who signs in through it needs no second factor here
  verify      who signs in through it needs none here if it proved several factors
  stack       who signs in through it follows the account's policy as well
`,
		Example: "  $ caddy mfa provider trust citadel entra verify",
		Args:    exactly(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeProvider(cmd, http.MethodPut, args[0], args[1], "/trust", adminapi.Trust{Trust: args[2]}, "is now trusted: "+args[2])
		},
	}
	disable := &cobra.Command{
		Use: "disable <account> <provider>", Short: "Lets nobody sign in through a provider", Args: exactly(2),
		Example: "  $ caddy mfa provider disable citadel entra",
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeProvider(cmd, http.MethodPost, args[0], args[1], "/disable", nil, "is disabled, and its domains are no longer enforced")
		},
	}
	enable := &cobra.Command{
		Use: "enable <account> <provider>", Short: "Lets people sign in through a provider again", Args: exactly(2),
		Example: "  $ caddy mfa provider enable citadel entra",
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeProvider(cmd, http.MethodPost, args[0], args[1], "/enable", nil, "is enabled")
		},
	}
	remove := &cobra.Command{
		Use: "remove <account> <provider>", Short: "Removes a provider with its settings", Args: exactly(2),
		Example: "  $ caddy mfa provider remove citadel entra",
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeProvider(cmd, http.MethodDelete, args[0], args[1], "", nil, "was removed, and its domains are no longer enforced")
		},
	}
	cmd.AddCommand(providerAddCommand(), providerTestCommand(), trust, disable, enable, remove)
	onlySubcommands(cmd)
	return cmd
}

func changeProvider(cmd *cobra.Command, method, account, provider, what string, in any, done string) error {
	api, err := reach(cmd)
	if err != nil {
		return err
	}
	if err := api.do(method, "accounts/"+url.PathEscape(account)+"/providers/"+url.PathEscape(provider)+what, in, nil); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s of %s %s.\n", provider, account, done)
	return nil
}

// maxSettings is how long the settings of a provider may be, in bytes: a
// directory's hold certificates.
const maxSettings = 256 << 10

func providerAddCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add <account> <kind>",
		Short: "Connects an identity provider to an account",
		Long: `
Connects an identity provider ("oidc" or "ldap") to an account, while Caddy runs.
Its settings are JSON, as in the configuration, and come from a file or from
standard input: they hold secrets, and an argument could be read by everybody on
this machine. Here the secrets themselves stand in them; placeholders are for the
configuration. They are kept sealed.

Prints the provider's id. Nobody is sent there until it was tested: by an
administrator of the account in the pages or, if it is a directory, with
"caddy mfa provider test". Then "caddy mfa domain link" leads people there.
`,
		Example: `  $ caddy mfa provider add citadel oidc --name "Citadel sign-in" --join --settings oidc.json
  $ pass show citadel/ldap.json | caddy mfa provider add citadel ldap --trust stack --settings -`,
		Args: exactly(2),
	}
	in := adminapi.NewProvider{}
	from := cmd.Flags().String("settings", "", `The file with the settings; "-": standard input`)
	cmd.MarkFlagRequired("settings")
	cmd.Flags().StringVar(&in.Name, "name", "", "What people see (default: the kind)")
	cmd.Flags().StringVar(&in.Trust, "trust", "precedence", "What a sign-in through it is worth: precedence, verify or stack")
	cmd.Flags().BoolVar(&in.Join, "join", false, "People of the account's domains become members when they first sign in")
	cmd.Flags().StringArrayVar(&in.Admins, "admins", nil, "A group of the provider whose people are administrators, and nobody else who comes through it; may be given several times")
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	return online(cmd, func(cmd *cobra.Command, api endpoint, args []string) error {
		settings, err := readSettings(cmd, *from)
		if err != nil {
			return err
		}
		in.Kind, in.Settings = args[1], settings
		var made adminapi.Connected
		if err := api.do(http.MethodPost, "accounts/"+url.PathEscape(args[0])+"/providers", in, &made); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd, made)
		}
		fmt.Fprintln(cmd.OutOrStdout(), made.ID)
		return nil
	})
}

// readSettings reads the settings of a provider. Its errors repeat nothing of
// them.
func readSettings(cmd *cobra.Command, from string) (json.RawMessage, error) {
	in := cmd.InOrStdin()
	if from != "-" {
		file, err := os.Open(from)
		if err != nil {
			return nil, fmt.Errorf("reading the settings: %w", err)
		}
		defer file.Close()
		in = file
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxSettings+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the settings: %w", err)
	case len(raw) > maxSettings:
		return nil, fmt.Errorf("reading the settings: they have more than %d bytes", maxSettings)
	case !json.Valid(raw):
		return nil, errors.New("reading the settings: they are no JSON")
	}
	return raw, nil
}

func providerTestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test <account> <provider> <user>",
		Short: "Tests a directory with somebody's password",
		Long: `
Asks a directory about somebody's password, as a sign-in would, and signs nobody
in. If such a sign-in would be taken, people can be sent there.

The password is asked for on the terminal, or is one line of standard input.
Providers that have a page of their own are tested by an administrator of the
account, who signs in through them.
`,
		Example: "  $ caddy mfa provider test citadel 4f2a… ana@citadel.example",
		Args:    exactly(3),
	}
	stdin := cmd.Flags().Bool("stdin", false, "Read the password from standard input: one line")
	return online(cmd, func(cmd *cobra.Command, api endpoint, args []string) error {
		var err error
		in := adminapi.Test{User: args[2]}
		if *stdin {
			in.Password, err = readLine(cmd.InOrStdin())
		} else {
			in.Password, err = askOnce(cmd)
		}
		if err != nil {
			return err
		}
		var out adminapi.Tested
		if err := api.do(http.MethodPost, "accounts/"+url.PathEscape(args[0])+"/providers/"+url.PathEscape(args[1])+"/test", in, &out); err != nil {
			return err
		}
		switch {
		case out.Passed:
			fmt.Fprintf(cmd.OutOrStdout(), "It works: %s would be signed in as %s.\n", printable(args[2]), printable(out.Email))
			return nil
		case out.Reason == "":
			return errors.New("the directory could not be asked: Caddy's log says why")
		}
		return fmt.Errorf("such a sign-in would be refused: %s", printable(out.Reason))
	})
}
