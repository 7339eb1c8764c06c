package caddymfa

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddymfa/gateway/caddymfa/internal/adminapi"
)

func breakGlassCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "breakglass <email> --account <id>",
		Short: "Makes a one-time entry for an account whose identity provider is down",
		Long: `
Makes a link with which a member of an account enters it once, without the
account's identity provider. They are asked for their authenticator, and the
session ends when the given time has passed. Only a member with an authenticator
gets one. The audit and the log (at level warn) have it, when it is made and when
it is used.

Hand it over by a way that only they read.
`,
		Example: "  $ caddy mfa breakglass ana@citadel.example --account citadel --for 2h",
		Args:    exactly(1),
	}
	account := cmd.Flags().String("account", "", "The account that they enter")
	cmd.MarkFlagRequired("account")
	life := cmd.Flags().Duration("for", time.Hour, "How long the link, and then the session, lasts")
	origin := cmd.Flags().String("origin", "", "Where people open the portal: scheme and host (default: the configured one)")
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	return online(cmd, func(cmd *cobra.Command, api endpoint, args []string) error {
		var made adminapi.BreakGlass
		in := adminapi.BreakGlassFor{Account: *account, For: life.String(), Origin: *origin}
		if err := api.do(http.MethodPost, userPath(args[0], "breakglass"), in, &made); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd, made)
		}
		link := made.Link
		if link == "" {
			link = "none, since the portal's address is not known: give it with --origin"
		}
		return pairs(cmd.OutOrStdout(), [][2]string{
			{"for", args[0]}, {"account", *account}, {"link", link}, {"code", made.Code}, {"expires", made.Expires.Format(time.RFC3339)},
		})
	})
}

func providersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "providers <account>",
		Short:   "Lists an account's identity providers, and what they said lately",
		Example: "  $ caddy mfa providers citadel",
		Args:    exactly(1),
	}
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	return online(cmd, func(cmd *cobra.Command, api endpoint, args []string) error {
		list := []adminapi.Provider{}
		if err := api.do(http.MethodGet, "accounts/"+url.PathEscape(args[0])+"/providers", nil, &list); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd, list)
		}
		rows := [][]string{{"PROVIDER", "KIND", "NAME", "TRUST", "LATELY"}}
		for _, p := range list {
			rows = append(rows, []string{p.ID + off(p.Disabled), p.Kind, orDash(p.Name), p.Trust, assured(p)})
		}
		return table(cmd.OutOrStdout(), rows)
	})
}

// assured says what a provider said of the sign-ins that it vouched for.
func assured(p adminapi.Provider) string {
	if p.SignIns == 0 {
		return fmt.Sprintf("no sign-in in %d days", p.Days)
	}
	return fmt.Sprintf("%d %% of %d sign-ins carried mfa, in %d days", p.Percent, p.SignIns, p.Days)
}
