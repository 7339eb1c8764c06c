package caddymfa

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/maypok86/otter/v2"
	"go.uber.org/zap"

	"github.com/caddymfa/gateway/caddymfa/factor"
	"github.com/caddymfa/gateway/caddymfa/factor/totp"
	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/api"
	"github.com/caddymfa/gateway/caddymfa/internal/facts"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/mail"
	"github.com/caddymfa/gateway/caddymfa/internal/operate"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/internal/trial"
	"github.com/caddymfa/gateway/caddymfa/internal/web"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// gate is everything that serving a request needs, once the store is open.
type gate struct {
	login    *login.Service
	web      *web.Server
	api      *api.API
	operator *operate.Operator
	admin    *admin.Service
	mail     *mail.Outbox // nil: nothing is mailed
	log      *zap.Logger
	trials   *trial.Recorder
	denied   *otter.Cache[denial, struct{}]
	streams  *streams
	plain    atomic.Bool // plain HTTP was warned about
	noted    time.Time   // the day for which housekeeping has noted how members stand
}

// gateOnce makes the gate when it is first needed.
type gateOnce struct {
	mu   sync.Mutex
	gate atomic.Pointer[gate]
}

// denial is a refusal that was recorded a moment ago.
type denial struct {
	session string
	account string
	reason  mfa.Reason
}

// denialQuiet is how long the same refusal of the same session is not recorded
// again: a page with fifty images is one refusal, not fifty rows.
const denialQuiet = time.Minute

func standardFactors() map[mfa.Kind]factor.Factor {
	return map[mfa.Kind]factor.Factor{mfa.TOTP: totp.Factor{}}
}

// open returns the gate. Whoever comes first opens the store, brings its schema
// up to date and applies what the configuration declares: the http app may serve
// requests before this app is started, and they wait for the same.
func (a *App) open(ctx context.Context) (*gate, error) {
	l := &a.life
	if g := l.gate.gate.Load(); g != nil {
		return g, nil
	}
	l.gate.mu.Lock()
	defer l.gate.mu.Unlock()
	if g := l.gate.gate.Load(); g != nil {
		return g, nil
	}
	ctx = context.WithoutCancel(ctx) // the others wait for this, too
	if err := l.node.open(ctx, a); err != nil {
		return nil, err
	}
	steps, err := a.newLogin(l.node)
	if err != nil {
		return nil, err
	}
	resolver, err := resolverAddress(a.Resolver)
	if err != nil {
		return nil, err
	}
	g := &gate{login: steps, log: l.log}
	g.admin = &admin.Service{Store: l.node.store, Login: steps, Now: now, DNS: admin.ResolverAt(resolver)}
	if g.mail = a.newOutbox(l.node.store, steps, g.admin); g.mail != nil {
		steps.Mail, steps.Record = g.mail, telling(steps.Record, g.mail)
	}
	g.admin.Record = steps.Record
	g.operator = &operate.Operator{Store: l.node.store, Login: steps, Admin: g.admin, Masters: l.node.masters, Now: now, Record: steps.Record}
	g.web = &web.Server{Base: a.Base, Origins: a.Origins, Login: steps, Admin: g.admin, Pages: l.pages, Fault: g.fault}
	g.api = &api.API{Base: a.Base + api.Path, Admin: g.admin, Limiter: steps.Limiter, Fault: g.fault}
	if g.trials, err = trial.New(l.node.store, func(doing string, err error) { l.log.Error(doing, zap.Error(err)) }); err != nil {
		return nil, err
	}
	if g.denied, err = otter.New(&otter.Options[denial, struct{}]{
		MaximumSize: 10_000, ExpiryCalculator: otter.ExpiryWriting[denial, struct{}](denialQuiet),
	}); err != nil {
		return nil, err
	}
	g.streams = &streams{now: now, judge: g.goesOn}
	if err := l.node.declare(ctx, a, g.operator, l.declared); err != nil {
		return nil, fmt.Errorf("applying the declared accounts and users: %w", err)
	}
	if a.Demonstration != nil {
		if err := a.demonstrate(ctx, g.operator); err != nil {
			return nil, fmt.Errorf("preparing the demonstration: %w", err)
		}
	}
	l.gate.gate.Store(g)
	return g, nil
}

// fault tells the operator what went wrong where a person only saw a page.
func (g *gate) fault(r *http.Request, doing string, err error) {
	g.log.Error("refused, since something failed", zap.String("doing", doing), zap.Error(err),
		zap.String("method", r.Method), zap.String("path", r.URL.Path))
	countFault()
}

// judged is one request with the decision on it.
type judged struct {
	facts.Gathered
	session  *storage.Session // nil: signed out
	account  string
	decision mfa.Decision
}

// judge decides about a request entering an account ("": the session's).
func (g *gate) judge(w http.ResponseWriter, r *http.Request, account string, route mfa.Route) (judged, error) {
	ctx := r.Context()
	cookie := session.Read(r, session.CookiesFor(r).Session)
	sess, renewed, err := g.login.Open(ctx, cookie, session.Audience(r.Host))
	if err != nil {
		return judged{}, err
	}
	if renewed != "" {
		g.web.SetSession(w, r, renewed)
	}
	if account == "" && sess != nil {
		account = sess.Account
	}
	j := judged{session: sess, account: account}
	if j.Gathered, err = g.login.Facts.Gather(ctx, sess, account, route, now()); err != nil {
		return j, err
	}
	j.decision = mfa.Decide(j.Facts)
	if j.Tenant != nil && j.Tenant.Trial.Valid() {
		g.trials.Watch(j.Facts, j.Tenant.Trial, j.Tenant.TrialAt)
	}
	return j, nil
}

// refused records a refusal, once a minute for the same one.
func (g *gate) refused(r *http.Request, j judged) {
	if j.decision.Verdict != mfa.Deny || j.session == nil {
		return
	}
	d := denial{j.session.ID, j.account, j.decision.Reason}
	if _, again := g.denied.GetIfPresent(d); again {
		return
	}
	g.denied.Set(d, struct{}{})
	account := j.account
	if j.Tenant == nil {
		account = "" // a name that somebody made up is not an account
	}
	g.login.Record(r.Context(), storage.Event{
		At: now(), Action: "enter", Outcome: "refused", Reason: string(j.decision.Reason), Actor: j.session.User,
		User: j.session.User, Account: account, Session: j.session.ID, Network: clientIP(r),
	})
}

// site says to the pages where they are being served.
func site(r *http.Request, account string) web.Site {
	target := r.RequestURI
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		target = original.URL.RequestURI()
	}
	return web.Site{Network: clientIP(r), Account: account, Target: target}
}

// clientIP is the client's address as Caddy determined it: never a header that
// anybody could send.
func clientIP(r *http.Request) string {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return ip
}

// warnPlain says once that the cookie travels unprotected.
func (g *gate) warnPlain(r *http.Request) {
	if r.TLS == nil && !g.plain.Load() && !g.plain.Swap(true) {
		g.log.Warn("serving over plain HTTP: the session cookie is not bound to a secure connection; use HTTPS for anything but a trial on this machine",
			zap.String("host", r.Host))
	}
}

// enteredAccount resolves the account that a handler is for. A placeholder that
// yields nothing is an account that nobody is a member of, never "no account".
func enteredAccount(repl *caddy.Replacer, configured string) string {
	if configured == "" {
		return ""
	}
	if account := repl.ReplaceAll(configured, ""); account != "" {
		return account
	}
	return "?"
}
