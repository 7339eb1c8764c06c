package caddymfa

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/mfa"
)

func init() {
	caddy.RegisterModule(Guard{})
}

// guardLife is what a provisioned guard holds.
type guardLife struct {
	app    *App
	public publicPaths
	log    *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (Guard) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.mfa", New: func() caddy.Module { return new(Guard) }}
}

// Provision finds the app, and checks the public paths.
func (g *Guard) Provision(ctx caddy.Context) error {
	g.life.log = ctx.Logger()
	app, err := ctx.App("mfa")
	if err != nil {
		return fmt.Errorf("loading the mfa app: %w", err)
	}
	g.life.app = app.(*App)
	if g.life.public, err = parsePublic(g.Public); err != nil {
		return err
	}
	if g.InsecureForwardSessionCookie {
		g.life.log.Warn("insecure_forward_session_cookie is on: the app sees a cookie with which it can act as the person")
	}
	return nil
}

// Validate checks the configuration.
func (g *Guard) Validate() error {
	if g.SecondFactorMaxAge < 0 {
		return fmt.Errorf("second_factor_max_age must not be negative")
	}
	return nil
}

// ServeHTTP lets a request pass, or answers it.
func (g *Guard) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	stripIdentity(r)
	if g.life.public.match(r) {
		g.note(r, mfa.Decision{Verdict: mfa.Allow, Reason: mfa.PublicRoute})
		return g.pass(w, r, next, nil, "", "")
	}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	account := enteredAccount(repl, g.Account)
	gate, err := g.life.app.open(r.Context())
	if err != nil {
		// There is not even a page to show: the pages need the store, too.
		g.life.log.Error("refused, since the storage does not open", zap.Error(err))
		countFault()
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
	}
	gate.warnPlain(r)
	j, err := gate.judge(w, r, account, mfa.Route{MaxAge: time.Duration(g.SecondFactorMaxAge)})
	if err != nil {
		g.note(r, mfa.Decision{Verdict: mfa.Deny, Reason: mfa.Unavailable})
		gate.fault(r, "judging a request", err)
		gate.web.Unavailable(w, r, site(r, account))
		return nil
	}
	g.note(r, j.decision)
	if j.decision.Verdict != mfa.Allow {
		gate.refused(r, j)
		at := site(r, account)
		at.MaxAge = time.Duration(g.SecondFactorMaxAge)
		gate.web.Refuse(w, r, at, j.session, j.decision)
		return nil
	}
	if err := gate.identify(r, repl, j); err != nil {
		gate.fault(r, "signing the assertion", err)
		gate.web.Unavailable(w, r, site(r, account))
		return nil
	}
	return g.pass(w, r, next, gate.streams, j.session.ID, j.account)
}

// pass hands the request to the app, with nothing of ours that it has no use
// for, and keeps it from touching our cookies. What takes long is judged again
// among the streams; nil: never.
func (g *Guard) pass(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, among *streams, id, account string) error {
	if !g.InsecureForwardSessionCookie {
		session.Strip(r)
	}
	gw := &guardedWriter{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, own: w.Header()["Set-Cookie"], streams: among}
	gw.stream.session, gw.stream.account = id, account
	defer gw.leave()
	if among != nil && waits(r) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		r = r.WithContext(ctx)
		gw.stream.cancel = cancel
		gw.watch()
	}
	err := next.ServeHTTP(gw, r)
	if !gw.sent {
		gw.filter() // the header goes out later, or an error page does
	}
	if gw.stream.over.Load() {
		panic(http.ErrAbortHandler) // what went out must not pass for the whole answer
	}
	return err
}

// note tells the access log and the metrics what was decided, and handle_errors
// why something was refused.
func (g *Guard) note(r *http.Request, d mfa.Decision) {
	ctx := r.Context()
	if extra, ok := ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		extra.Set(zap.String("mfa", string(d.Reason)))
	}
	if d.Verdict != mfa.Allow {
		repl := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
		repl.Set("http.mfa.verdict", d.Verdict.String())
		repl.Set("http.mfa.reason", string(d.Reason))
	}
	countDecision(d)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Guard)(nil)
	_ caddy.Validator             = (*Guard)(nil)
	_ caddyhttp.MiddlewareHandler = (*Guard)(nil)
)
