package caddymfa

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddymfa/gateway/caddymfa/internal/adminapi"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func passwordCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "password <email>",
		Short: "Sets a person's password and signs them out everywhere",
		Long: `
Sets a person's password and ends their sessions. Their authenticators stay.

The password is asked for twice on the terminal, or is one line of standard
input. It is never an argument, which everybody on this machine could read in
the list of processes. It is hashed here: only its hash goes to Caddy.
`,
		Example: `  $ caddy mfa password ana@citadel.example
  $ pass show portal/ana | caddy mfa password ana@citadel.example --stdin
  $ caddy hash-password | caddy mfa password ana@citadel.example --hash-stdin`,
		Args: exactly(1),
	}
	stdin := cmd.Flags().Bool("stdin", false, "Read the password from standard input: one line")
	hashStdin := cmd.Flags().Bool("hash-stdin", false, `Read a hash, as "caddy hash-password" prints it, from standard input`)
	cmd.MarkFlagsMutuallyExclusive("stdin", "hash-stdin")
	return online(cmd, func(cmd *cobra.Command, api endpoint, args []string) error {
		hash, err := newHash(cmd, args[0], *stdin, *hashStdin)
		if err != nil {
			return err
		}
		if err := api.do(http.MethodPut, userPath(args[0], "password"), adminapi.Password{Hash: hash}, nil); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s has a new password and is signed out everywhere.\n", printable(args[0]))
		return nil
	})
}

// newHash gets the hash of a new password for somebody from whoever runs the
// command. The password itself stays here.
func newHash(cmd *cobra.Command, email string, stdin, hashStdin bool) (string, error) {
	if hashStdin {
		return readLine(cmd.InOrStdin())
	}
	var password string
	var err error
	if stdin {
		password, err = readLine(cmd.InOrStdin())
	} else {
		password, err = askPassword(cmd)
	}
	if err != nil {
		return "", err
	}
	if err := login.CheckNew(password, login.OwnWords(storage.User{Email: email}, "")...); err != nil {
		return "", err
	}
	hash, err := hasher{}.Hash([]byte(password))
	return string(hash), err
}

func resetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reset <email>",
		Short: "Removes all of a person's authenticators and signs them out everywhere",
		Long: `
Removes all of a person's authenticators and recovery codes, for somebody who
lost them, and ends their sessions. Their password stays and is then all that
it takes to enter where no second factor is required, or to enrol a new one
where it is. So make sure by other means who is asking.
`,
		Example: "  $ caddy mfa reset ana@citadel.example",
		Args:    exactly(1),
	}
	yes := cmd.Flags().Bool("yes", false, "Do not ask for confirmation")
	return online(cmd, func(cmd *cobra.Command, api endpoint, args []string) error {
		if !*yes {
			question := fmt.Sprintf("Remove all authenticators of %s and sign them out everywhere?", printable(args[0]))
			if sure, err := confirm(cmd, question); err != nil {
				return err
			} else if !sure {
				return errors.New("nothing was changed")
			}
		}
		var reset adminapi.Reset
		if err := api.do(http.MethodDelete, userPath(args[0], "authenticators"), nil, &reset); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s has no authenticator any more (%d removed) and is signed out everywhere.\n", printable(args[0]), reset.Removed)
		return nil
	})
}

func setUpCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "setup <email>",
		Short: "Makes a link with which a person chooses their password",
		Long: `
Makes a link with which a person chooses their password, once and within three
days. Hand it over by a way that only they read: whoever has it first is them.
Their authenticators stay.
`,
		Example: "  $ caddy mfa setup ana@citadel.example --origin https://portal.example.com",
		Args:    exactly(1),
	}
	origin := cmd.Flags().String("origin", "", "Where people open the portal: scheme and host (default: where Caddy listens, if that is no HTTPS site)")
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	return online(cmd, func(cmd *cobra.Command, api endpoint, args []string) error {
		var made adminapi.SetUp
		if err := api.do(http.MethodPost, userPath(args[0], "setup"), adminapi.SetUpFor{Origin: *origin}, &made); err != nil {
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
			{"for", args[0]}, {"link", link}, {"code", made.Code}, {"expires", made.Expires.Format(time.RFC3339)},
		})
	})
}

func signOutCommand() *cobra.Command {
	return online(&cobra.Command{
		Use:     "sign-out <email>",
		Short:   "Ends all of a person's sessions",
		Example: "  $ caddy mfa sign-out ana@citadel.example",
		Args:    exactly(1),
	}, func(cmd *cobra.Command, api endpoint, args []string) error {
		var ended adminapi.Ended
		if err := api.do(http.MethodDelete, userPath(args[0], "sessions"), nil, &ended); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s is signed out everywhere (%d sessions ended).\n", printable(args[0]), ended.Ended)
		return nil
	})
}
