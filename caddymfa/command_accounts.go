package caddymfa

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddymfa/gateway/caddymfa/internal/adminapi"
)

func statusCommand() *cobra.Command {
	return online(&cobra.Command{
		Use:   "status",
		Short: "Says whether the gate works, and where its data lives",
		Args:  exactly(0),
	}, func(cmd *cobra.Command, api endpoint, _ []string) error {
		var status adminapi.Status
		if err := api.do(http.MethodGet, "status", nil, &status); err != nil {
			return err
		}
		return pairs(cmd.OutOrStdout(), [][2]string{
			{"admin API", api.address},
			{"storage", orDash(status.Storage)},
			{"pages", status.Origin + status.Base},
		})
	})
}

func accountsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "accounts",
		Short:   "Lists the accounts and their policies",
		Example: "  $ caddy mfa accounts\n  $ caddy mfa accounts --json",
		Args:    exactly(0),
	}
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	return online(cmd, func(cmd *cobra.Command, api endpoint, _ []string) error {
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
	})
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
	return online(cmd, func(cmd *cobra.Command, api endpoint, args []string) error {
		var added adminapi.Account
		in := adminapi.NewAccount{ID: args[0], Name: *name, Policy: *policy}
		if err := api.do(http.MethodPost, "accounts", in, &added); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "Added account %s with policy %s.\n", added.ID, added.Policy)
		return nil
	})
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

A stricter policy can begin --from a date, on which people without a second
factor are told beforehand, or be put on --trial: then nothing changes, and the
account's administrators see person by person what would have happened.
Whichever second factors count can last less long than the session, and browsers
that have shown one can be remembered.
`,
		Example: `  $ caddy mfa policy citadel required
  $ caddy mfa policy citadel required --accept webauthn
  $ caddy mfa policy citadel required --from 2026-03-01
  $ caddy mfa policy citadel required --trial
  $ caddy mfa policy citadel optional --second-factor-age 8h --remember 7d
  $ caddy mfa policy citadel optional --drop-plans`,
		Args: exactly(2),
	}
	accept := cmd.Flags().String("accept", "", "Which second factors count: any or webauthn (default: as it is)")
	age := cmd.Flags().String("second-factor-age", "", "How long a second factor lasts, such as 8h, or session (default: as it is)")
	remember := cmd.Flags().String("remember", "", "For how long a browser may be remembered, such as 7d, or never (default: as it is)")
	from := cmd.Flags().String("from", "", "When a stricter policy begins: a date, or a moment in RFC 3339 (default: at once)")
	trial := cmd.Flags().Bool("trial", false, "Only report what a stricter policy would do")
	drop := cmd.Flags().Bool("drop-plans", false, "Take back what is planned, and end what is tried")
	cmd.MarkFlagsMutuallyExclusive("from", "trial")
	return online(cmd, func(cmd *cobra.Command, api endpoint, args []string) error {
		var err error
		var change adminapi.PolicyChange
		in := adminapi.Policy{Policy: args[1], Accept: *accept, Trial: *trial, DropPlans: *drop}
		if in.SecondFactorAge, err = span(*age, "session"); err != nil {
			return fmt.Errorf("--second-factor-age: %w", err)
		}
		if in.Remember, err = span(*remember, "never"); err != nil {
			return fmt.Errorf("--remember: %w", err)
		}
		if in.From, err = moment(*from); err != nil {
			return fmt.Errorf("--from: %w", err)
		}
		if err := api.do(http.MethodPut, "accounts/"+url.PathEscape(args[0])+"/policy", in, &change); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "The policy of %s is now %s; it was %s.\n", change.Account, change.Policy, change.Former)
		if a := change.Settings; a.PlannedAt != nil {
			fmt.Fprintf(cmd.OutOrStdout(), "Policy %s begins at %s.\n", a.Planned, a.PlannedAt.Format(time.RFC3339))
		}
		if a := change.Settings; a.TrialAt != nil {
			fmt.Fprintf(cmd.OutOrStdout(), "Policy %s is on trial and not enforced.\n", a.Trial)
		}
		return nil
	})
}

// span turns a duration as people type it, or the word for none, into what the
// admin API reads.
func span(text, none string) (string, error) {
	switch text {
	case "":
		return "", nil
	case none:
		return "0s", nil
	}
	d, err := caddy.ParseDuration(text)
	if err != nil {
		return "", err
	}
	return d.String(), nil
}

// moment turns a date, which begins at midnight UTC, or a moment into what the
// admin API reads.
func moment(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.Format(time.RFC3339), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return "", fmt.Errorf("%q: expected a date such as 2026-03-01, or a moment such as 2026-03-01T06:00:00Z", text)
	}
	return at.Format(time.RFC3339), nil
}
