package caddymfa

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddymfa/gateway/caddymfa/factor"
	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/internal/audit"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/operate"
	"github.com/caddymfa/gateway/caddymfa/internal/seal"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/internal/settings"
	"github.com/caddymfa/gateway/caddymfa/internal/web"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/notify"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func init() {
	caddy.RegisterModule(App{})
}

// lifecycle is what one instance of the app holds from Provision to Cleanup.
type lifecycle struct {
	log       *zap.Logger
	audit     *zap.Logger
	ctx       caddy.Context
	masters   [][]byte // nil: the key file
	pages     *web.Renderer
	declared  operate.Declaration
	node      *node
	release   func() // gives back the node; nil: nothing was taken
	gate      *gateOnce
	keys      keysModule                 // nil: no security keys
	companies map[string]identity.Source // kinds of identity providers
	opened    *login.Companies           // identity providers in use; nil: none yet
	notifier  notify.Notifier            // nil: no mails
	stop      context.CancelFunc
	address   string // of the first server that serves the pages
}

// now is the clock of everything that the module does.
var now = time.Now

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "mfa", New: func() caddy.Module { return new(App) }}
}

// Provision sets defaults and resolves placeholders. It opens and creates
// nothing, since `caddy validate` runs it too.
func (a *App) Provision(ctx caddy.Context) error {
	l := &a.life
	l.ctx, l.log, l.gate = ctx, ctx.Logger(), new(gateOnce)
	l.audit = l.log.Named("audit")
	if a.Base == "" {
		a.Base = defaultBase
	}
	if a.Name == "" {
		a.Name = "Partner portal"
	}
	if a.Issuer == "" {
		a.Issuer = "caddymfa"
	}
	if a.SigningAlgorithm == "" {
		a.SigningAlgorithm = "ES256"
	}
	if a.Snooze == 0 {
		a.Snooze = caddy.Duration(7 * 24 * time.Hour)
	}
	if a.RememberSessions == 0 {
		a.RememberSessions = 100_000
	}
	if a.PasswordsAtOnce == 0 {
		a.PasswordsAtOnce = runtime.GOMAXPROCS(0)
	}
	if err := a.provisionKeys(); err != nil {
		return err
	}
	var err error
	if l.declared, err = a.declaration(); err != nil {
		return err
	}
	if err := a.provisionFactors(ctx); err != nil {
		return err
	}
	if err := a.provisionIdentity(ctx); err != nil {
		return err
	}
	if err := a.provisionMail(ctx); err != nil {
		return err
	}
	for _, account := range l.declared.Accounts {
		for _, p := range account.Providers {
			source, ok := l.companies[p.Kind]
			if !ok {
				return fmt.Errorf("account %q: there is no kind of identity provider %q", account.ID, p.Kind)
			}
			if _, err := source.Check(p.Linking.Source); err != nil {
				return fmt.Errorf("account %q: identity provider %q: %w", account.ID, p.ID, err)
			}
		}
		if account.Rules.Accept != 0 && l.keys == nil {
			return fmt.Errorf("account %q accepts security keys and passkeys only, but nobody can add one: configure webauthn", account.ID)
		}
	}
	if l.pages, err = web.NewRenderer(a.Base); err != nil {
		return fmt.Errorf("preparing the pages: %w", err)
	}
	if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	opener, err := a.loadStorage(ctx)
	if err != nil {
		return err
	}
	if _, ok := opener.(hasFolder); !ok && l.masters == nil {
		return errors.New("this storage needs master_key: every node of one database must seal with the same key (openssl rand -base64 32)")
	}
	return a.takeNode(opener)
}

// loadStorage finds out which store is meant. It neither opens nor makes it.
func (a *App) loadStorage(ctx caddy.Context) (storage.Opener, error) {
	if a.StorageRaw == nil {
		a.StorageRaw = []byte(`{"module":"sqlite"}`)
	}
	mod, err := ctx.LoadModule(a, "StorageRaw")
	if err != nil {
		return nil, fmt.Errorf("loading the storage: %w", err)
	}
	return mod.(storage.Opener), nil
}

// keysModule is a module of the namespace mfa.factors that answers with keys.
type keysModule interface {
	Keys(name, address string) (factor.Keys, error)
}

func (a *App) provisionFactors(ctx caddy.Context) error {
	if a.FactorsRaw == nil {
		return nil
	}
	mods, err := ctx.LoadModule(a, "FactorsRaw")
	if err != nil {
		return fmt.Errorf("loading the kinds of second factor: %w", err)
	}
	for name, mod := range mods.(map[string]any) {
		keys, ok := mod.(keysModule)
		if !ok || a.life.keys != nil {
			return fmt.Errorf("factor %q: expected one module for security keys and passkeys", name)
		}
		a.life.keys = keys
	}
	return nil
}

func (a *App) provisionKeys() error {
	if a.MasterKey == "" {
		if len(a.FormerMasterKeys) > 0 {
			return errors.New("former_master_keys needs master_key: say which key seals now")
		}
		return nil
	}
	for i, text := range append([]string{a.MasterKey}, a.FormerMasterKeys...) {
		text, err := caddy.NewReplacer().ReplaceOrErr(text, true, true)
		if err != nil {
			return fmt.Errorf("replacing placeholders in master key %d: %w", i, err)
		}
		key, err := seal.ParseKey(text)
		if err != nil {
			return fmt.Errorf("master key %d: %w", i, err)
		}
		a.life.masters = append(a.life.masters, key)
	}
	return nil
}

var (
	accountID = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	basePath  = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)
)

// Validate checks what the configuration says.
func (a *App) Validate() error {
	if !basePath.MatchString(a.Base) || strings.Contains(a.Base+"/", "/../") || strings.Contains(a.Base+"/", "/./") {
		return fmt.Errorf("base %q: expected a path such as /.mfa, without a slash at the end", a.Base)
	}
	if a.SigningAlgorithm != "ES256" && a.SigningAlgorithm != "EdDSA" {
		return fmt.Errorf("signing_algorithm %q: choose ES256 or EdDSA", a.SigningAlgorithm)
	}
	if err := checkOrigins(a.Origins); err != nil {
		return err
	}
	if _, err := resolverAddress(a.Resolver); err != nil {
		return err
	}
	limits := a.limits()
	if limits.Token < 10*time.Second || limits.Idle < limits.Token || limits.Absolute < limits.Idle {
		return fmt.Errorf("expected 10s <= token_lifetime <= session_idle <= session_absolute, got %s, %s and %s",
			limits.Token, limits.Idle, limits.Absolute)
	}
	if limits.Absolute > 7*24*time.Hour {
		return fmt.Errorf("session_absolute %s: at most 7 days, since retired signing keys are kept that long", limits.Absolute)
	}
	if a.InsecureStaleFor < 0 || time.Duration(a.InsecureStaleFor) > limits.Token {
		return fmt.Errorf("insecure_stale_for %s: at most token_lifetime (%s), since no token can be renewed while the database is down",
			time.Duration(a.InsecureStaleFor), limits.Token)
	}
	if a.RememberSessions < 1 || a.PasswordsAtOnce < 1 || a.Snooze < 0 {
		return errors.New("remember_sessions, passwords_at_once and snooze must be positive")
	}
	return nil
}

func (a *App) limits() session.Limits {
	return session.Limits{
		Token: time.Duration(a.TokenLifetime), Idle: time.Duration(a.SessionIdle), Absolute: time.Duration(a.SessionAbsolute),
	}.Defaults()
}

// Start opens the store, unless a request came first, and begins housekeeping.
func (a *App) Start() error {
	g, err := a.open(a.life.ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(a.life.ctx))
	a.life.stop = stop
	go a.keepHouse(ctx, g)
	go g.trials.Run(ctx)
	if g.mail != nil {
		go g.mail.Run(ctx)
	}
	return nil
}

// Stop ends the housekeeping. It closes nothing: requests may still be served
// by this instance.
func (a *App) Stop() error {
	if a.life.stop != nil {
		a.life.stop()
	}
	return nil
}

// Cleanup gives back what this instance took, also after a failed Provision.
// The last one to do so closes the store.
func (a *App) Cleanup() error {
	var err error
	if a.life.opened != nil {
		err = a.life.opened.Close()
	}
	if a.life.release != nil {
		a.life.release()
		a.life.release = nil
	}
	return err
}

// resolverAddress reads the option resolver into what is dialled; "" is the
// system's.
func resolverAddress(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if ip, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(ip, 53).String(), nil
	}
	at, err := netip.ParseAddrPort(text)
	if err != nil || at.Port() == 0 {
		return "", fmt.Errorf("resolver %q: expected an address such as 192.0.2.53 or [2001:db8::53]:5353", text)
	}
	return at.String(), nil
}

// declaration reads the declared accounts and people.
func (a *App) declaration() (operate.Declaration, error) {
	accounts, users, err := declare(a.Accounts, a.Users)
	d := operate.Declaration{Accounts: accounts, Users: users}
	if err == nil && a.MinimumPolicy != "" {
		if d.Floor, err = mfa.ParsePolicy(a.MinimumPolicy); err != nil {
			err = fmt.Errorf("minimum_policy: %w", err)
		}
	}
	return d, err
}

func declare(accounts []AccountConfig, users []UserConfig) ([]operate.DeclaredAccount, []operate.DeclaredUser, error) {
	var das []operate.DeclaredAccount
	var dus []operate.DeclaredUser
	seen := make(map[string]bool)
	for _, c := range accounts {
		policy, err := mfa.ParsePolicy(c.Policy)
		switch {
		case !accountID.MatchString(c.ID):
			return nil, nil, fmt.Errorf("account %q: expected an id of lower-case letters, digits and '-', at most 63", c.ID)
		case err != nil:
			return nil, nil, fmt.Errorf("account %q: %w", c.ID, err)
		case seen[c.ID]:
			return nil, nil, fmt.Errorf("account %q is declared twice", c.ID)
		}
		seen[c.ID] = true
		accept := mfa.Kinds(0)
		if c.Accept != "" {
			if accept, err = mfa.ParseAccept(c.Accept); err != nil {
				return nil, nil, fmt.Errorf("account %q: %w", c.ID, err)
			}
		}
		name := c.Name
		if name == "" {
			name = c.ID
		}
		rules := settings.Rules{Accept: accept, SecondFactorAge: time.Duration(c.SecondFactorAge), Remember: time.Duration(c.Remember)}
		if err := rules.Check(); err != nil {
			return nil, nil, fmt.Errorf("account %q: %w", c.ID, err)
		}
		account := operate.DeclaredAccount{ID: c.ID, Name: name, Policy: policy, Rules: rules}
		if err := c.declareCompany(&account); err != nil {
			return nil, nil, fmt.Errorf("account %q: %w", c.ID, err)
		}
		das = append(das, account)
	}
	for _, c := range users {
		email, err := storage.NormaliseEmail(c.Email)
		if err != nil {
			return nil, nil, fmt.Errorf("user %q: %w", c.Email, err)
		}
		if seen[email] {
			return nil, nil, fmt.Errorf("user %q is declared twice", email)
		}
		seen[email] = true
		u := operate.DeclaredUser{Email: email, Name: c.Name}
		if c.PasswordHash != "" {
			if u.PasswordHash, err = caddy.NewReplacer().ReplaceOrErr(c.PasswordHash, true, true); err != nil {
				return nil, nil, fmt.Errorf("user %q: replacing placeholders in the password hash: %w", email, err)
			}
			if err := checkHash(u.PasswordHash); err != nil {
				return nil, nil, fmt.Errorf("user %q: %w", email, err)
			}
		}
		for _, m := range c.Memberships {
			role := mfa.RoleMember
			if m.Role != "" {
				if role, err = mfa.ParseRole(m.Role); err != nil {
					return nil, nil, fmt.Errorf("user %q: %w", email, err)
				}
			}
			if !accountID.MatchString(m.Account) {
				return nil, nil, fmt.Errorf("user %q: %q is no account id", email, m.Account)
			}
			u.Memberships = append(u.Memberships, operate.DeclaredMembership{Account: m.Account, Role: role})
		}
		dus = append(dus, u)
	}
	return das, dus, nil
}

// newLogin wires the steps of signing in.
func (a *App) newLogin(n *node) (*login.Service, error) {
	sessions, err := session.NewManager(n.store, n.keys, now, a.limits(), a.Issuer, a.RememberSessions)
	if err != nil {
		return nil, err
	}
	var keys factor.Keys
	if a.life.keys != nil {
		if keys, err = a.life.keys.Keys(a.Name, a.life.address); err != nil {
			return nil, err
		}
	}
	a.life.opened = &login.Companies{Store: n.store, Box: n.box, Sources: a.life.companies}
	return &login.Service{
		Companies: a.life.opened,
		Keys:      keys, Store: n.store, Facts: n.facts, Sessions: sessions, Box: n.box, Passwords: n.passwords,
		Limiter: &limit.Limiter{Store: n.store, Now: now, MAC: n.box.MAC},
		Factors: standardFactors(), Now: now, Issuer: a.Name, Snooze: time.Duration(a.Snooze), Pages: a.pagesAddress(),
		Record: (&auditor{rows: audit.Log{Store: n.store, Box: n.box}, log: a.life.audit, fault: a.life.log}).record,
	}, nil
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.Validator    = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
