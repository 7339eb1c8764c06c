package caddymfa

import (
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddymfa/gateway/caddymfa/internal/adminapi"
)

func keysCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "keys <command>", Short: "Lists and replaces the keys that tokens are signed with"}
	cmd.AddCommand(keysListCommand(), keysRotateCommand())
	onlySubcommands(cmd)
	return cmd
}

func keysListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Lists the signing keys, newest first",
		Example: "  $ caddy mfa keys list",
		Args:    exactly(0),
	}
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return printKeys(cmd, http.MethodGet, "keys", *asJSON)
	}
	return cmd
}

func keysRotateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Makes new signing keys now",
		Long: `
Makes a new signing key for sessions and one for assertions. They sign a few
seconds later, when every node has heard of them. The former keys go on verifying
for 8 days, so nobody is signed out. Keys also replace themselves every 30 days.
`,
		Example: "  $ caddy mfa keys rotate",
		Args:    exactly(0),
	}
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return printKeys(cmd, http.MethodPost, "keys/rotate", *asJSON)
	}
	return cmd
}

// printKeys prints the list of keys that a request is answered with.
func printKeys(cmd *cobra.Command, method, path string, asJSON bool) error {
	api, err := reach(cmd)
	if err != nil {
		return err
	}
	list := []adminapi.Key{}
	if err := api.do(method, path, nil, &list); err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd, list)
	}
	rows := [][]string{{"KEY", "FOR", "ALGORITHM", "MADE", "STATE"}}
	for _, k := range list {
		state := "signs"
		if k.Retired != nil {
			state = fmt.Sprintf("verifies, retired %s", k.Retired.Format(time.RFC3339))
		}
		rows = append(rows, []string{k.ID, k.Purpose, k.Algorithm, k.Created.Format(time.RFC3339), state})
	}
	return table(cmd.OutOrStdout(), rows)
}
