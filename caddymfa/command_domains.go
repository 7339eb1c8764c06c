package caddymfa

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddymfa/gateway/caddymfa/internal/adminapi"
)

func domainCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "domain <command>", Short: "Lists, claims and proves e-mail domains, and says where their people sign in"}
	cmd.AddCommand(domainListCommand(), domainClaimCommand(), domainVerifyCommand(), domainLinkCommand(), domainEnforceCommand(), domainRemoveCommand())
	onlySubcommands(cmd)
	return cmd
}

// domainPath is where the API has an account's domain.
func domainPath(account, name string) string {
	return "accounts/" + url.PathEscape(account) + "/domains/" + url.PathEscape(name)
}

func domainListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list <account>",
		Short:   "Lists an account's e-mail domains",
		Example: "  $ caddy mfa domain list citadel",
		Args:    exactly(1),
	}
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	return online(cmd, func(cmd *cobra.Command, api endpoint, args []string) error {
		list := []adminapi.Domain{}
		if err := api.do(http.MethodGet, "accounts/"+url.PathEscape(args[0])+"/domains", nil, &list); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd, list)
		}
		rows := [][]string{{"DOMAIN", "STATE", "PROVIDER", "CHECKED", "FOUND"}}
		for _, d := range list {
			checked := "-"
			if d.Checked != nil {
				checked = d.Checked.Format(time.RFC3339)
			}
			rows = append(rows, []string{d.Name, domainState(d), orDash(d.Provider), checked, orDash(d.Finding)})
		}
		return table(cmd.OutOrStdout(), rows)
	})
}

// domainState says how far a domain is.
func domainState(d adminapi.Domain) string {
	switch {
	case !d.Verified:
		return "pending"
	case d.Missing != nil:
		return "proof missing, unverified on " + d.Ends.Format(time.DateOnly)
	case d.Enforced:
		return "enforced"
	}
	return "verified"
}

func domainClaimCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "claim <account> <domain>",
		Short: "Claims an e-mail domain for an account, and prints the record that proves it",
		Long: `
Claims an e-mail domain for an account. It opens nothing until it is proven by
the printed TXT record. To claim it again prints the same record.
`,
		Example: "  $ caddy mfa domain claim citadel citadel.example",
		Args:    exactly(2),
	}
	return online(cmd, func(cmd *cobra.Command, api endpoint, args []string) error {
		var d adminapi.Domain
		if err := api.do(http.MethodPost, "accounts/"+url.PathEscape(args[0])+"/domains", adminapi.NewDomain{Name: args[1]}, &d); err != nil {
			return err
		}
		return printRecord(cmd, args[0], d)
	})
}

func printRecord(cmd *cobra.Command, account string, d adminapi.Domain) error {
	if d.Verified {
		fmt.Fprintf(cmd.OutOrStdout(), "%s is proven.\n", d.Name)
		return nil
	}
	fmt.Fprintf(cmd.OutOrStdout(), "Publish this record, then run: caddy mfa domain verify %s %s\n\n  %s. TXT \"%s\"\n", account, d.Name, d.RecordName, d.RecordValue)
	return nil
}

// findings says what a look at DNS found.
var findings = map[string]string{
	"other_records":  "there are TXT records at that name, but none is the proof",
	"no_record":      "there is no such record yet; a new one may take a while to be seen",
	"no_answer":      "DNS did not answer in time",
	"server_failure": "the DNS servers of the domain could not say",
}

func domainVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "verify <account> <domain>",
		Short:   "Looks for the record that proves a domain",
		Example: "  $ caddy mfa domain verify citadel citadel.example",
		Args:    exactly(2),
	}
	return online(cmd, func(cmd *cobra.Command, api endpoint, args []string) error {
		var d adminapi.Domain
		if err := api.do(http.MethodPost, domainPath(args[0], args[1])+"/verify", nil, &d); err != nil {
			return err
		}
		if why, not := findings[d.Finding]; not {
			return fmt.Errorf("the proof of %s was not found: %s; it is %s. TXT \"%s\"", d.Name, why, d.RecordName, d.RecordValue)
		}
		return printRecord(cmd, args[0], d)
	})
}

func domainLinkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "link <account> <domain> <provider|none>",
		Short: "Leads a domain's people to one of the account's identity providers",
		Example: `  $ caddy mfa domain link citadel citadel.example entra
  $ caddy mfa domain link citadel citadel.example none`,
		Args: exactly(3),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		provider := args[2]
		if provider == "none" {
			provider = ""
		}
		return setSignIn(cmd, args[0], args[1], adminapi.SignIn{Provider: &provider})
	}
	return cmd
}

func domainEnforceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "enforce <account> <domain> <on|off>",
		Short: "Sends everybody of a domain to the account's identity provider, or ends that",
		Long: `
With "on", people with an address of the domain sign in through the account's
identity provider and no other way. It needs a domain that is proven, a provider
that somebody signed in through as a test, and an administrator of the account
who gets in without it.

With "off", they may sign in with a password again. Who has none cannot: see
"caddy mfa setup".
`,
		Example: "  $ caddy mfa domain enforce citadel citadel.example off",
		Args:    exactly(3),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		on := args[2] == "on"
		if !on && args[2] != "off" {
			return fmt.Errorf("expected on or off, got %q", args[2])
		}
		return setSignIn(cmd, args[0], args[1], adminapi.SignIn{Enforce: &on})
	}
	return cmd
}

func setSignIn(cmd *cobra.Command, account, name string, in adminapi.SignIn) error {
	api, err := reach(cmd)
	if err != nil {
		return err
	}
	var d adminapi.Domain
	if err := api.do(http.MethodPut, domainPath(account, name)+"/signin", in, &d); err != nil {
		return err
	}
	switch {
	case d.Provider == "":
		fmt.Fprintf(cmd.OutOrStdout(), "People of %s sign in here.\n", d.Name)
	case d.Enforced:
		fmt.Fprintf(cmd.OutOrStdout(), "People of %s sign in through %s, and no other way.\n", d.Name, d.Provider)
	default:
		fmt.Fprintf(cmd.OutOrStdout(), "People of %s are taken to %s, and may also use a password.\n", d.Name, d.Provider)
	}
	return nil
}

func domainRemoveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "remove <account> <domain>",
		Short:   "Ends an account's claim to a domain",
		Example: "  $ caddy mfa domain remove citadel citadel.example",
		Args:    exactly(2),
	}
	return online(cmd, func(cmd *cobra.Command, api endpoint, args []string) error {
		if err := api.do(http.MethodDelete, domainPath(args[0], args[1]), nil, nil); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "Removed %s from %s.\n", args[1], args[0])
		return nil
	})
}
