package caddymfa

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddymfa/gateway/caddymfa/internal/api"
	"github.com/caddymfa/gateway/caddymfa/mfa"
)

func init() {
	caddy.RegisterModule(Pages{})
}

// pagesLife is what a provisioned handler holds.
type pagesLife struct {
	app *App
	log *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (Pages) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.mfa_pages", New: func() caddy.Module { return new(Pages) }}
}

// Provision finds the app.
func (p *Pages) Provision(ctx caddy.Context) error {
	p.life.log = ctx.Logger()
	app, err := ctx.App("mfa")
	if err != nil {
		return fmt.Errorf("loading the mfa app: %w", err)
	}
	p.life.app = app.(*App)
	p.life.app.servedBy(ctx)
	return nil
}

// ServeHTTP serves one of the gate's own pages.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	gate, err := p.life.app.open(r.Context())
	if err != nil {
		p.life.log.Error("refused, since the storage does not open", zap.Error(err))
		countFault()
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
	}
	gate.warnPlain(r)
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	account := enteredAccount(repl, p.Account)
	if r.URL.Path == p.life.app.Base+"/verify" {
		return p.verify(gate, w, r, repl, account)
	}
	if strings.HasPrefix(r.URL.Path, p.life.app.Base+api.Path+"/") {
		here := site(r, account)
		gate.api.ServeHTTP(w, r, api.Site{Network: here.Network, Account: here.Account})
		return nil
	}
	gate.web.ServeHTTP(w, r, site(r, account))
	return nil
}

// verify answers another proxy that asks whether a request may pass
// (forward-auth): the identity headers go back to it with status 200. It always
// gets the answer for programs, since a proxy hands a redirect on as it likes.
func (p *Pages) verify(gate *gate, w http.ResponseWriter, r *http.Request, repl *caddy.Replacer, account string) error {
	stripIdentity(r)
	r.Header.Del("Accept")
	r.Header.Del("Sec-Fetch-Mode")
	j, err := gate.judge(w, r, account, mfa.Route{})
	if err != nil {
		gate.fault(r, "judging a request", err)
		gate.web.Unavailable(w, r, site(r, account))
		return nil
	}
	countDecision(j.decision)
	if j.decision.Verdict != mfa.Allow {
		gate.refused(r, j)
		gate.web.Refuse(w, r, site(r, account), j.session, j.decision)
		return nil
	}
	if err := gate.identify(r, repl, j); err != nil {
		gate.fault(r, "signing the assertion", err)
		gate.web.Unavailable(w, r, site(r, account))
		return nil
	}
	for _, name := range identityHeaders {
		w.Header().Set(name, r.Header.Get(name))
	}
	if due := r.Header.Get(headerDue); due != "" {
		w.Header().Set(headerDue, due)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Pages)(nil)
	_ caddyhttp.MiddlewareHandler = (*Pages)(nil)
)
