package caddymfa

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddymfa/gateway/caddymfa/internal/adminapi"
)

func usersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "users",
		Short:   "Lists the people, where they belong and what they enrolled",
		Example: "  $ caddy mfa users\n  $ caddy mfa users --account citadel",
		Args:    exactly(0),
	}
	account := cmd.Flags().String("account", "", "Only the members of this account")
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	return online(cmd, func(cmd *cobra.Command, api endpoint, _ []string) error {
		query := url.Values{}
		if *account != "" {
			query.Set("account", *account)
		}
		users := []adminapi.User{}
		for {
			var list adminapi.UserList
			if err := api.do(http.MethodGet, "users?"+query.Encode(), nil, &list); err != nil {
				return err
			}
			users = append(users, list.Users...)
			if list.Next == "" {
				break
			}
			query.Set("after", list.Next)
		}
		if *asJSON {
			return printJSON(cmd, users)
		}
		rows := [][]string{{"E-MAIL", "NAME", "ACCOUNTS", "AUTHENTICATORS", "STATE"}}
		for _, u := range users {
			var places []string
			for _, m := range u.Memberships {
				places = append(places, m.Account+":"+m.Role)
			}
			rows = append(rows, []string{
				u.Email, u.Name, strings.Join(places, ", "), strings.Join(u.Authenticators, ", "), state(u.Disabled, u.Declared, u.Password),
			})
		}
		return table(cmd.OutOrStdout(), rows)
	})
}

func userAddCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add <email>",
		Short: "Adds a person, without a password yet",
		Long: `
Adds a person. They cannot sign in before they have a password: hand them a
set-up link of "caddy mfa setup", or set one with "caddy mfa password".
`,
		Example: `  $ caddy mfa user add ana@citadel.example --name "Ana Souza" --account citadel --role admin`,
		Args:    exactly(1),
	}
	name := cmd.Flags().String("name", "", "The person's name")
	account := cmd.Flags().String("account", "", "The account to join at once")
	role := cmd.Flags().String("role", "", "What they may do there: member or admin (default: member)")
	return online(cmd, func(cmd *cobra.Command, api endpoint, args []string) error {
		var added adminapi.User
		in := adminapi.NewUser{Email: args[0], Name: *name, Account: *account, Role: *role}
		if err := api.do(http.MethodPost, "users", in, &added); err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		fmt.Fprintf(out, "Added %s", printable(added.Email))
		for _, m := range added.Memberships {
			fmt.Fprintf(out, " to %s as %s", m.Account, m.Role)
		}
		fmt.Fprintln(out, ".")
		return nil
	})
}

func userJoinCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "join <email> <account>",
		Short:   "Makes a person a member of an account, or changes their role",
		Example: "  $ caddy mfa user join ana@citadel.example aurora --role admin",
		Args:    exactly(2),
	}
	role := cmd.Flags().String("role", "member", "What they may do there: member or admin")
	return online(cmd, func(cmd *cobra.Command, api endpoint, args []string) error {
		var joined adminapi.Membership
		if err := api.do(http.MethodPut, memberPath(args[1], args[0]), adminapi.Member{Role: *role}, &joined); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s belongs to %s as %s.\n", printable(args[0]), joined.Account, joined.Role)
		return nil
	})
}

func userLeaveCommand() *cobra.Command {
	return online(&cobra.Command{
		Use:     "leave <email> <account>",
		Short:   "Ends a person's membership of an account",
		Example: "  $ caddy mfa user leave ana@citadel.example aurora",
		Args:    exactly(2),
	}, func(cmd *cobra.Command, api endpoint, args []string) error {
		if err := api.do(http.MethodDelete, memberPath(args[1], args[0]), nil, nil); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s no longer belongs to %s.\n", printable(args[0]), printable(args[1]))
		return nil
	})
}

// userSwitchCommand is `user disable` or `user enable`.
func userSwitchCommand(verb string) *cobra.Command {
	short := "Lets a disabled person sign in again"
	if verb == "disable" {
		short = "Signs a person out and keeps them from signing in"
	}
	return online(&cobra.Command{
		Use:     verb + " <email>",
		Short:   short,
		Example: "  $ caddy mfa user " + verb + " ana@citadel.example",
		Args:    exactly(1),
	}, func(cmd *cobra.Command, api endpoint, args []string) error {
		if err := api.do(http.MethodPost, userPath(args[0], verb), nil, nil); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s is %sd.\n", printable(args[0]), verb)
		return nil
	})
}

func userPath(email, what string) string { return "users/" + url.PathEscape(email) + "/" + what }

func memberPath(account, email string) string {
	return "accounts/" + url.PathEscape(account) + "/members/" + url.PathEscape(email)
}
