package caddymfa

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddymfa/gateway/caddymfa/internal/adminapi"
)

func init() {
	caddy.RegisterModule(Admin{})
}

// Admin serves what operators may do on Caddy's admin endpoint, below `/mfa/`.
// That endpoint has no sign-in of its own: whoever reaches it may take away any
// person's second factor, as they may replace the whole configuration. Keep it
// on the loopback address or a Unix socket.
type Admin struct{}

// CaddyModule returns the Caddy module information.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.mfa", New: func() caddy.Module { return new(Admin) }}
}

// Routes returns the one route, under which adminapi finds its own.
func (Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: adminapi.Prefix, Handler: caddy.AdminHandlerFunc(serveAdmin)}}
}

// starting is how long the app is waited for. Caddy lets apps serve a moment before
// it calls their configuration the running one, and whoever has seen the gate answer
// may go on to its API.
const starting = time.Second

// running returns the app of the running configuration, and waits for one.
func running(ctx context.Context, wait time.Duration) (*App, error) {
	late := time.After(wait)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		app, err := caddy.ActiveContext().AppIfConfigured("mfa")
		if err == nil {
			return app.(*App), nil
		}
		if !errors.Is(err, caddy.ErrNotConfigured) {
			return nil, err
		}
		select {
		case <-tick.C:
		case <-late:
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// serveAdmin looks for the app at every request: the admin endpoint belongs to
// the newest configuration, also to one whose apps then failed to start.
func serveAdmin(w http.ResponseWriter, r *http.Request) error {
	app, err := running(r.Context(), starting)
	if errors.Is(err, caddy.ErrNotConfigured) {
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable,
			Err: errors.New("the running configuration has no mfa app: put mfa into it and load it")}
	}
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
	}
	g, err := app.open(r.Context())
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: fmt.Errorf("the storage does not open: %w", err)}
	}
	api := adminapi.API{
		Operator: g.operator, CheckHash: checkHash, Base: app.Base, Origin: app.knownOrigin(),
	}
	// Not node.location: a store that is no file has only a key to tell, in
	// which there may be a password.
	if at, ok := app.life.node.opener.(interface{ Location() string }); ok {
		api.Location = at.Location()
	}
	err = api.Serve(w, r)
	refused := new(adminapi.Error)
	if !errors.As(err, &refused) {
		return err
	}
	if refused.Allow != "" {
		w.Header().Set("Allow", refused.Allow)
	}
	return caddy.APIError{HTTPStatus: refused.Status, Err: refused.Err}
}

// knownOrigin is where people reach the pages: the first configured origin, or
// else the address that the first server with our pages listens on, where people
// can use it as it is. A site on the HTTPS port has a name, which a listener does
// not know.
func (a *App) knownOrigin() string {
	switch {
	case len(a.Origins) > 0:
		return a.Origins[0]
	case strings.HasSuffix(a.life.address, ":443"):
		return ""
	}
	return a.life.address
}

// Interface guard
var _ caddy.AdminRouter = (*Admin)(nil)
