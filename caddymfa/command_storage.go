package caddymfa

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddymfa/gateway/caddymfa/internal/seal"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// storageCommand works on the store itself, whether or not a Caddy runs: what it
// does must also be possible when Caddy refuses to start.
func storageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "storage <command>",
		Short: "Looks after the store itself, also while Caddy does not run",
		Long: `
Opens the store that a configuration names (--config, or the Caddyfile of this
folder) and works on it directly. The admin API is not asked. Run it as the user
that Caddy runs as, with the same environment.
`,
	}
	cmd.AddCommand(storageStatusCommand(), storageMigrateCommand(), storageBackupCommand(), storageCopyCommand())
	onlySubcommands(cmd)
	return cmd
}

// configured is the store that a configuration names, without a gate.
type configured struct {
	app    *App
	opener storage.Opener
	close  context.CancelFunc
}

// configure reads a configuration. It opens no store, and looks at nothing else
// of the configuration: the rest may need what is not at hand here.
func configure(config, adapter string) (configured, error) {
	text, _, _, err := caddycmd.LoadConfig(config, adapter)
	if err != nil {
		return configured{}, fmt.Errorf("loading the configuration: %w", err)
	}
	if len(text) == 0 {
		return configured{}, errors.New("there is no Caddyfile here: name the configuration with --config")
	}
	var c struct {
		Apps struct {
			MFA json.RawMessage `json:"mfa"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return configured{}, fmt.Errorf("reading the configuration: %w", err)
	}
	app := new(App)
	if c.Apps.MFA != nil {
		if err := caddy.StrictUnmarshalJSON(c.Apps.MFA, app); err != nil {
			return configured{}, fmt.Errorf("reading the configuration of mfa: %w", err)
		}
	}
	base, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}})
	if err != nil {
		return configured{}, err
	}
	ctx, cancel := caddy.NewContext(base)
	opener, err := app.loadStorage(ctx)
	if err != nil {
		cancel()
		return configured{}, err
	}
	return configured{app: app, opener: opener, close: cancel}, nil
}

// where says where the store is, for people.
func (c configured) where() string { return location(c.opener) }

// open opens the store, and makes none where it would have to be made.
func (c configured) open(ctx context.Context) (storage.Storage, error) {
	if _, ok := c.opener.(hasFolder); ok {
		if _, err := os.Stat(c.where()); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no database %s yet: Caddy makes it when it starts, and so does `caddy mfa storage migrate`", c.where())
		}
	}
	return c.opener.Open(ctx)
}

// withStore does something with the store of the configuration that a command's
// flags name.
func withStore(cmd *cobra.Command, do func(context.Context, configured, storage.Storage) error) error {
	c, err := configure(configFlags(cmd))
	if err != nil {
		return err
	}
	defer c.close()
	ctx := cmd.Context()
	store, err := c.open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(ctx, c, store), store.Close())
}

func configFlags(cmd *cobra.Command) (config, adapter string) {
	flags := caddycmd.Flags{FlagSet: cmd.Flags()}
	return flags.String("config"), flags.String("adapter")
}

func storageStatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Says where the store is, its schema, its size and what it holds",
		Example: "  $ caddy mfa storage status --config /etc/caddy/Caddyfile",
		Args:    exactly(0),
	}
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withStore(cmd, func(ctx context.Context, c configured, store storage.Storage) error {
			status, err := examine(ctx, c, store)
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(cmd, status)
			}
			return pairs(cmd.OutOrStdout(), status.pairs())
		})
	}
	return cmd
}

// storeStatus is what there is to say about a store.
type storeStatus struct {
	Engine  string           `json:"engine"`
	Where   string           `json:"where"`
	Bytes   int64            `json:"bytes"`
	Schema  int              `json:"schema"`
	Program int              `json:"program"`
	Pending []string         `json:"pending"`
	Rows    map[string]int64 `json:"rows"`

	tables []storage.Table
}

func examine(ctx context.Context, c configured, store storage.Storage) (storeStatus, error) {
	status := storeStatus{Where: c.where(), Pending: []string{}, Rows: make(map[string]int64)}
	if module, ok := c.opener.(caddy.Module); ok {
		status.Engine = module.CaddyModule().ID.Name()
	}
	schema, err := store.Schema(ctx)
	if err != nil {
		return status, err
	}
	status.Schema, status.Program = schema.Version, schema.Latest
	status.Pending = append(status.Pending, schema.Pending...)
	if status.Bytes, err = store.Size(ctx); err != nil {
		return status, err
	}
	if status.tables, err = store.Tables(ctx); err != nil {
		return status, err
	}
	for _, t := range status.tables {
		status.Rows[t.Name] = t.Rows
	}
	return status, nil
}

func (s storeStatus) pairs() [][2]string {
	list := [][2]string{
		{"engine", s.Engine},
		{"where", s.Where},
		{"size", fmt.Sprintf("%.1f MiB", float64(s.Bytes)/(1<<20))},
		{"schema", fmt.Sprintf("%d; this program knows up to %d%s", s.Schema, s.Program, s.advice())},
	}
	if len(s.Pending) > 0 {
		list = append(list, [2]string{"pending", strings.Join(s.Pending, ", ")})
	}
	list = append(list, [2]string{})
	for _, t := range s.tables {
		list = append(list, [2]string{t.Name, strconv.FormatInt(t.Rows, 10)})
	}
	return list
}

// advice says what the versions mean for whoever wants to start Caddy.
func (s storeStatus) advice() string {
	switch {
	case s.Schema > s.Program:
		return " (newer than this program, which refuses it)"
	case s.Schema < s.Program:
		return " (brought up to date by `caddy mfa storage migrate`, or by the next start)"
	}
	return " (up to date)"
}

func storageMigrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Brings the store's schema up to date, and makes the store if there is none",
		Long: `
Brings the schema up to date, as the next start of Caddy would. There is no way
back but a backup. Each step is a transaction of its own; several may be started
at once. A schema that is newer than this program is refused.
`,
		Example: "  $ caddy mfa storage migrate --config /etc/caddy/Caddyfile",
		Args:    exactly(0),
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := configure(configFlags(cmd))
		if err != nil {
			return err
		}
		defer c.close()
		store, err := c.opener.Open(cmd.Context())
		if err != nil {
			return err
		}
		return errors.Join(migrate(cmd, store), store.Close())
	}
	return cmd
}

func migrate(cmd *cobra.Command, store storage.Storage) error {
	ctx := cmd.Context()
	before, err := store.Schema(ctx)
	if err != nil {
		return err
	}
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	for _, name := range before.Pending {
		fmt.Fprintln(cmd.OutOrStdout(), "applied", name)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "The schema has version %d, the newest that this program knows.\n", before.Latest)
	return nil
}

func storageBackupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup <file>",
		Short: "Copies the SQLite database into a new file, while Caddy runs or not",
		Long: `
Writes a copy of the SQLite database, as it is at one moment, into a new file that
only its owner can read. Caddy may go on meanwhile. The copy is checked before it
appears under its name.

The master key is not in it: back that up once, to another place. PostgreSQL has
its own tools for this (pg_dump, or your service's backups).
`,
		Example: `  $ caddy mfa storage backup /backup/mfa.db --config /etc/caddy/Caddyfile`,
		Args:    exactly(1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := configure(configFlags(cmd))
		if err != nil {
			return err
		}
		defer c.close()
		file, ok := c.opener.(interface {
			Backup(ctx context.Context, to string) error
		})
		if !ok {
			return fmt.Errorf("the store is %s: back it up with its own tools, such as pg_dump", c.where())
		}
		if err := file.Backup(cmd.Context(), args[0]); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "Backed up %s to %s. The master key is not in it.\n", c.where(), args[0])
		return nil
	}
	return cmd
}

func storageCopyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "copy --to <config>",
		Short: "Copies everything into another, empty store, such as from SQLite to PostgreSQL",
		Long: `
Copies everything that the store of one configuration (--config) holds into that
of another one (--to): accounts, people, authenticators, sessions and the audit.
Secrets stay sealed as they are, so both need the same master key: if the first
configuration has none, give the content of the file master.key as the second
one's master_key. People stay signed in.

Stop Caddy before, and start it with the second configuration after. The second
store must be empty. It is filled in one transaction: all of it is there in the
end, or none, and then the command can be run again. Nothing is changed in the
first store, to which you can return until Caddy has run on the second one.
`,
		Example: "  $ caddy mfa storage copy --config /etc/caddy/Caddyfile --to /etc/caddy/Caddyfile.postgres",
		Args:    exactly(0),
	}
	to := cmd.Flags().String("to", "", "Configuration file that names the store to copy into")
	toAdapter := cmd.Flags().String("to-adapter", "", "Name of the config adapter to apply to it")
	cmd.MarkFlagRequired("to")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withStore(cmd, func(ctx context.Context, from configured, source storage.Storage) error {
			target, err := configure(*to, *toAdapter)
			if err != nil {
				return fmt.Errorf("--to: %w", err)
			}
			defer target.close()
			if from.opener.Key() == target.opener.Key() {
				return errors.New("both configurations name the same store")
			}
			into, err := target.opener.Open(ctx)
			if err != nil {
				return err
			}
			return errors.Join(copyStore(cmd, from, target, source, into), into.Close())
		})
	}
	return cmd
}

func copyStore(cmd *cobra.Command, from, target configured, source, into storage.Storage) error {
	ctx := cmd.Context()
	copier, ok := into.(storage.Copier)
	if !ok {
		return fmt.Errorf("%s cannot take over another store", target.where())
	}
	schema, err := source.Schema(ctx)
	if err != nil {
		return err
	}
	if schema.Version < schema.Latest {
		return errors.New("the schema of the store to be copied is not up to date: run `caddy mfa storage migrate` on it first")
	}
	if err := opensWith(ctx, target.app, source); err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	if err := into.Migrate(ctx); err != nil {
		return err
	}
	var total int64
	if err := copier.CopyFrom(ctx, source, func(t storage.Table) {
		total += t.Rows
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d\n", t.Name, t.Rows)
	}); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "Copied %d rows from %s to %s, and counted them there.\n", total, from.where(), target.where())
	return nil
}

// opensWith makes sure that the master key which a configuration gives opens what
// is sealed in a store. A key file is nobody's to check: it is put there later.
func opensWith(ctx context.Context, app *App, store storage.Storage) error {
	if app.MasterKey == "" {
		return nil
	}
	if err := app.provisionKeys(); err != nil {
		return err
	}
	box, err := seal.New(app.life.masters...)
	if err != nil {
		return err
	}
	return box.Follow(ctx, store)
}
