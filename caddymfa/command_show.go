package caddymfa

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddymfa/gateway/caddymfa/internal/adminapi"
)

func explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain --user <email> --account <id>",
		Short: "Says what happens to a person who enters an account, and why",
		Long: `
Says what the gate does with a person who has shown their password, and the
given second factor if any, and now enters an account. It changes nothing.
`,
		Example: `  $ caddy mfa explain --user ana@citadel.example --account citadel
  $ caddy mfa explain --user ana@citadel.example --account citadel --second totp`,
		Args: exactly(0),
	}
	user := cmd.Flags().String("user", "", "The person's e-mail address")
	account := cmd.Flags().String("account", "", "The account that they enter")
	cmd.MarkFlagRequired("user")
	cmd.MarkFlagRequired("account")
	second := cmd.Flags().String("second", "", "The second factor that they have shown: totp, webauthn or recovery (default: none)")
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	return online(cmd, func(cmd *cobra.Command, api endpoint, _ []string) error {
		query := url.Values{"user": {*user}, "account": {*account}}
		if *second != "" {
			query.Set("second", *second)
		}
		var x adminapi.Explanation
		if err := api.do(http.MethodGet, "explain?"+query.Encode(), nil, &x); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd, x)
		}
		return pairs(cmd.OutOrStdout(), explained(x))
	})
}

// explained lists an explanation for people: the answer first, then the facts.
// Facts that are as always are left out where they would only distract.
func explained(x adminapi.Explanation) [][2]string {
	f := x.Facts
	list := [][2]string{
		{"verdict", x.Verdict},
		{"reason", x.Because + " (" + x.Reason + ")"},
	}
	if len(x.Offer) > 0 {
		list = append(list, [2]string{"may answer with", strings.Join(x.Offer, ", ")})
	}
	if x.IdentityProvider != "" {
		list = append(list, [2]string{"identity provider", x.IdentityProvider})
	}
	list = append(list, [][2]string{
		{"", ""},
		{"user", x.User + off(f.UserDisabled)},
		{"account", x.Account + off(f.AccountDisabled)},
		{"policy", f.Policy},
		{"accepts", f.Accept},
		{"factor lasts", f.SecondFactorAge},
		{"remembers browsers", f.Remember},
		{"membership", f.Membership},
		{"role", f.Role},
		{"enrolled", orNone(f.Enrolled)},
		{"first factor", f.FirstFactor},
		{"second factor", f.SecondFactor},
	}...)
	if f.MinimumPolicy != "none" {
		list = append(list, [2]string{"minimum policy", f.MinimumPolicy})
	}
	if f.PlannedAt != nil {
		list = append(list, [2]string{"planned policy", f.Planned + " from " + f.PlannedAt.Format(time.RFC3339)})
	}
	if f.UnderTrial != "" {
		list = append(list, [2]string{"policy on trial", f.Trial + ", which would say " + f.UnderTrial})
	}
	if f.SnoozedUntil != nil {
		list = append(list, [2]string{`"Not now" until`, f.SnoozedUntil.Format(time.RFC3339)})
	}
	if f.DomainVerified {
		list = append(list, [2]string{"e-mail domain", "verified by the account, enforced: " + strconv.FormatBool(f.DomainEnforced)})
	}
	return append(list, [2]string{"identity providers", orNone(f.IdentityProviders)}, [2]string{"at", f.At.Format(time.RFC3339)})
}

func off(disabled bool) string {
	if disabled {
		return " (disabled)"
	}
	return ""
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

// either returns an address where it is known, else the id.
func either(email, id string) string {
	if email != "" {
		return email
	}
	return id
}
