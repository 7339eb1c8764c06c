package sqlite

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

func init() {
	caddy.RegisterModule(Module{})
}

// Module keeps accounts, people, sessions and everything else in one SQLite
// file. It needs no server and suits a single Caddy instance: the file must not
// be shared with a second one.
type Module struct {
	// The database file. It is created, readable by its owner only, when there
	// is none; its folder is, too. A relative path is taken from Caddy's working
	// directory. Global placeholders such as `{env.*}` are replaced when the
	// configuration is loaded. Default: `mfa/mfa.db` in Caddy's data directory.
	Path string `json:"path,omitempty"`

	file string // absolute
}

// CaddyModule returns the Caddy module information.
func (Module) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "mfa.storage.sqlite",
		New: func() caddy.Module { return new(Module) },
	}
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	sqlite [<path>]
func (m *Module) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume module name
	if d.NextArg() {
		m.Path = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	if d.NextBlock(0) {
		return d.Errf("unrecognized sqlite option '%s'", d.Val())
	}
	return nil
}

// Provision finds out which file is meant. It neither opens nor creates it.
func (m *Module) Provision(caddy.Context) error {
	path := m.Path
	if path == "" {
		path = filepath.Join(caddy.AppDataDir(), "mfa", "mfa.db")
	}
	path, err := caddy.NewReplacer().ReplaceOrErr(path, true, true)
	if err != nil {
		return fmt.Errorf("replacing placeholders in the path of the database: %w", err)
	}
	m.file, err = filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("finding the database: %w", err)
	}
	return nil
}

// Key implements [storage.Opener].
func (m *Module) Key() string { return "sqlite:" + m.file }

// Location returns the path of the database file, for people to read.
func (m *Module) Location() string { return m.file }

// Folder is where files that belong to the database may be kept.
func (m *Module) Folder() string { return filepath.Dir(m.file) }

// Backup copies the database into a new file while it is being used.
func (m *Module) Backup(ctx context.Context, to string) error { return Backup(ctx, m.file, to) }

// Open implements [storage.Opener].
func (m *Module) Open(ctx context.Context) (storage.Storage, error) {
	store, err := Open(ctx, m.file)
	if err != nil {
		return nil, err // and not a nil *sqlstore.Store in an interface that is not nil
	}
	return store, nil
}

// Interface guards
var (
	_ caddy.Module          = (*Module)(nil)
	_ caddy.Provisioner     = (*Module)(nil)
	_ caddyfile.Unmarshaler = (*Module)(nil)
	_ storage.Opener        = (*Module)(nil)
)
