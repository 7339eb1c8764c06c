package caddymfa

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddymfa/gateway/caddymfa/internal/adminapi"
)

func statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Says whether the gate works, and where its data lives",
		Args:  exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := reach(cmd)
			if err != nil {
				return err
			}
			var status adminapi.Status
			if err := api.do(http.MethodGet, "status", nil, &status); err != nil {
				return err
			}
			return pairs(cmd.OutOrStdout(), [][2]string{
				{"admin API", api.address},
				{"storage", orDash(status.Storage)},
				{"pages", status.Origin + status.Base},
			})
		},
	}
}

func accountsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "accounts",
		Short:   "Lists the accounts and their policies",
		Example: "  $ caddy mfa accounts\n  $ caddy mfa accounts --json",
		Args:    exactly(0),
	}
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		api, err := reach(cmd)
		if err != nil {
			return err
		}
		accounts := []adminapi.Account{}
		for query := ""; ; {
			var list adminapi.AccountList
			if err := api.do(http.MethodGet, "accounts"+query, nil, &list); err != nil {
				return err
			}
			accounts = append(accounts, list.Accounts...)
			if list.Next == "" {
				break
			}
			query = "?after=" + url.QueryEscape(list.Next)
		}
		if *asJSON {
			return printJSON(cmd, accounts)
		}
		rows := [][]string{{"ID", "NAME", "POLICY", "ACCEPTS", "SINCE", "STATE"}}
		for _, a := range accounts {
			rows = append(rows, []string{a.ID, a.Name, a.Policy, a.Accept, a.PolicyAt.Format(time.DateOnly), state(a.Disabled, a.Declared, true)})
		}
		return table(cmd.OutOrStdout(), rows)
	}
	return cmd
}

func accountAddCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "add <id> --policy <optional|suggested|required>",
		Short:   "Adds an account",
		Example: `  $ caddy mfa account add citadel --policy required --name "Citadel Health"`,
		Args:    exactly(1),
	}
	policy := cmd.Flags().String("policy", "", "How strictly people must prove who they are: optional, suggested or required")
	cmd.MarkFlagRequired("policy")
	name := cmd.Flags().String("name", "", "The name that people see (default: the id)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		api, err := reach(cmd)
		if err != nil {
			return err
		}
		var added adminapi.Account
		in := adminapi.NewAccount{ID: args[0], Name: *name, Policy: *policy}
		if err := api.do(http.MethodPost, "accounts", in, &added); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "Added account %s with policy %s.\n", added.ID, added.Policy)
		return nil
	}
	return cmd
}

func policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy <account> <optional|suggested|required>",
		Short: "Sets how strictly an account's people must prove who they are",
		Long: `
Sets an account's policy. It holds from the next request on, also for people
who are signed in: they keep their session and are asked for what is missing.

  optional    who has an authenticator is asked for it
  suggested   who has none is invited to set one up, and may put it off
  required    nobody enters without a second factor

With --accept webauthn only security keys and passkeys count, which a forged
site cannot use; codes from an app no longer do. --accept any takes that back.
`,
		Example: `  $ caddy mfa policy citadel required
  $ caddy mfa policy citadel required --accept webauthn`,
		Args: exactly(2),
	}
	accept := cmd.Flags().String("accept", "", "Which second factors count: any or webauthn (default: as it is)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		api, err := reach(cmd)
		if err != nil {
			return err
		}
		var change adminapi.PolicyChange
		in := adminapi.Policy{Policy: args[1], Accept: *accept}
		if err := api.do(http.MethodPut, "accounts/"+url.PathEscape(args[0])+"/policy", in, &change); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "The policy of %s is now %s; it was %s.\n", change.Account, change.Policy, change.Former)
		return nil
	}
	return cmd
}
