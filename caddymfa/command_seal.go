package caddymfa

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddymfa/gateway/caddymfa/internal/adminapi"
)

func sealCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "seal <command>", Short: "Shows and replaces the master key that secrets are sealed with"}
	cmd.AddCommand(sealListCommand(), sealRotateCommand())
	onlySubcommands(cmd)
	return cmd
}

func sealListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Lists the master keys by name, and how much is sealed under each",
		Long: `
Lists the master keys that this store was ever sealed with, by a name from which
the key cannot be learnt. A former key is needed for as long as anything is sealed
under it.
`,
		Example: "  $ caddy mfa seal list",
		Args:    exactly(0),
	}
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	return online(cmd, func(cmd *cobra.Command, api endpoint, _ []string) error {
		list := []adminapi.MasterKey{}
		if err := api.do(http.MethodGet, "seal", nil, &list); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd, list)
		}
		rows := [][]string{{"KEY", "SINCE", "STATE", "SECRETS UNDER IT"}}
		for _, k := range list {
			state := "seals"
			if k.Retired != nil {
				state = fmt.Sprintf("opens, retired %s", k.Retired.Format(time.RFC3339))
			}
			if !k.Given {
				state = "not given to this node"
			}
			rows = append(rows, []string{k.Name, k.Created.Format(time.RFC3339), state, strconv.FormatInt(k.Values, 10)})
		}
		return table(cmd.OutOrStdout(), rows)
	})
}

func sealRotateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Replaces the master key, while people sign in",
		Long: `
Goes over to a new master key and seals every secret anew under it, a few at a
time. People notice nothing. It may be interrupted at any moment, and run again:
it goes on where it was.

With the file master.key, a new key is made beside it, and takes its place in the
end. With a configured master_key, give every node the new one as master_key and
the present one in former_master_keys first, and take the former one out when this
is done. Keep it with the backups that were made under it.

Nothing begins while a node that is there was not given the new key: it would go
out of service. What is said then names those nodes.
`,
		Example: "  $ caddy mfa seal rotate",
		Args:    exactly(0),
	}
	leave := cmd.Flags().Bool("leave-nodes-behind", false, "Go on although some nodes were not given the new key")
	return online(cmd, func(cmd *cobra.Command, api endpoint, _ []string) error {
		path := "seal/rotate"
		if *leave {
			path += "?leave_nodes_behind=true"
		}
		return rotateSeal(cmd, api, path)
	})
}

// straggling is how long a node may go on sealing under the former key, because
// it has not heard yet; twice that, to be sure.
const straggling = 2 * time.Second

func rotateSeal(cmd *cobra.Command, api endpoint, begin string) error {
	var step adminapi.Resealed
	if err := api.do(http.MethodPost, begin, nil, &step); err != nil {
		return err
	}
	total := step.Done
	for last := false; ; {
		if step.Left > 0 && step.Done == 0 {
			return fmt.Errorf("%d secrets open under no master key that this node was given: see `caddy mfa seal list`", step.Left)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "sealed anew: %d, left: %d\n", total, step.Left)
		if step.Left == 0 {
			if last {
				break
			}
			last = true
			if err := pause(cmd.Context(), straggling); err != nil {
				return err
			}
		}
		if err := api.do(http.MethodPost, "seal/reseal", nil, &step); err != nil {
			return err
		}
		total += step.Done
	}
	fmt.Fprintf(cmd.OutOrStdout(), "Everything is sealed under the master key %s. The former one is needed for former backups only.\n", step.Key)
	return nil
}
