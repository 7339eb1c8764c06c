package caddymfa

import (
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddymfa/gateway/caddymfa/notify"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("mfa", parseApp)
}

// parseApp reads the global option into the configuration of the app.
func parseApp(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		d.Next() // errors name the line of the current token
		return nil, d.Err("the global option mfa is given twice: put everything into one block")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "mfa", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile sets up the app from Caddyfile tokens. Syntax:
//
//	mfa {
//	    storage            <module> [<args...>] { ... }
//	    webauthn           <domain> { ... }
//	    mail               <module> [<args...>] { ... }
//	    identity           <kind> { ... }
//	    origin             <scheme and host...>
//	    master_key         <placeholder>
//	    former_master_keys <placeholders...>
//	    base               <path>
//	    name               <text>
//	    issuer             <text>
//	    signing_algorithm  ES256|EdDSA
//	    token_lifetime     <duration>
//	    session_idle       <duration>
//	    session_absolute   <duration>
//	    snooze             <duration>
//	    minimum_policy     optional|suggested|required
//	    resolver           <address>[:<port>]
//	    remember_sessions  <number>
//	    insecure_stale_for <duration>
//	    passwords_at_once  <number>
//
//	    account <id> {
//	        name   <text>
//	        policy optional|suggested|required
//	        accept any|webauthn
//	        second_factor_age <duration>
//	        remember <duration>
//	        domain <name> {
//	            provider <id>
//	            enforce
//	        }
//	        <kind> <args...> {
//	            id     <id>
//	            name   <text>
//	            trust  precedence|verify|stack
//	            join
//	            admins <groups...>
//	            ...
//	        }
//	    }
//	    user <email> {
//	        name     <text>
//	        password <hash>|<placeholder>
//	        account  <id> [member|admin]
//	    }
//
//	    demonstration {
//	        password <text>
//	        account  <id> { ... }
//	        user     <email> { ... }
//	    }
//	}
//
// The options are those of [App], and all of them may be left out. The options
// account, user, identity and origin may be repeated; so may account within user,
// and domains and identity providers within account. Each of the others stands
// once. The kinds of identity providers are those built in, such as oidc, and
// what else may stand in their blocks is theirs. People of a demonstration have no password of their own.
// Secrets are written as placeholders, which keep them out of the configuration
// that Caddy saves; `{$...}` is none, since it is replaced in the text.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume option name
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := make(given)
	for d.NextBlock(0) {
		if err := a.unmarshalOption(d, seen); err != nil {
			return err
		}
	}
	return nil
}

func (a *App) unmarshalOption(d *caddyfile.Dispenser, seen given) error {
	option := d.Val()
	switch option {
	case "account":
		return unmarshalAccount(d, &a.Accounts)
	case "user":
		return unmarshalUser(d, &a.Users, false)
	case "identity":
		return a.unmarshalIdentity(d)
	case "origin":
		return a.unmarshalOrigins(d)
	}
	if err := seen.once(d, option); err != nil {
		return err
	}
	switch option {
	case "storage":
		return a.unmarshalStorage(d)
	case "webauthn":
		return a.unmarshalFactor(d)
	case "mail":
		return a.unmarshalMail(d)
	case "master_key":
		return readSecret(d, &a.MasterKey)
	case "former_master_keys":
		return readSecrets(d, &a.FormerMasterKeys)
	case "base":
		return a.unmarshalBase(d)
	case "name":
		return readText(d, &a.Name)
	case "issuer":
		return readText(d, &a.Issuer)
	case "signing_algorithm":
		return readChoice(d, &a.SigningAlgorithm, "ES256", "EdDSA")
	case "token_lifetime":
		return readDuration(d, &a.TokenLifetime)
	case "session_idle":
		return readDuration(d, &a.SessionIdle)
	case "session_absolute":
		return readDuration(d, &a.SessionAbsolute)
	case "snooze":
		return readDuration(d, &a.Snooze)
	case "minimum_policy":
		return readChoice(d, &a.MinimumPolicy, "optional", "suggested", "required")
	case "resolver":
		return a.unmarshalResolver(d)
	case "remember_sessions":
		return readNumber(d, &a.RememberSessions)
	case "insecure_stale_for":
		return readDuration(d, &a.InsecureStaleFor)
	case "passwords_at_once":
		return readNumber(d, &a.PasswordsAtOnce)
	case "demonstration":
		a.Demonstration = new(Demonstration)
		return a.Demonstration.unmarshal(d)
	}
	return d.Errf("unrecognized mfa option '%s'", option)
}

// unmarshalStorage reads which store to use, in the words of that store.
func (a *App) unmarshalStorage(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	unm, err := caddyfile.UnmarshalModule(d, "mfa.storage."+name)
	if err != nil {
		return err
	}
	if _, ok := unm.(storage.Opener); !ok {
		return d.Errf("module mfa.storage.%s (%T) is no storage", name, unm)
	}
	a.StorageRaw = caddyconfig.JSONModuleObject(unm, "module", name, nil)
	return nil
}

// unmarshalFactor reads a kind of second factor, in the words of that kind.
func (a *App) unmarshalFactor(d *caddyfile.Dispenser) error {
	name := d.Val()
	unm, err := caddyfile.UnmarshalModule(d, "mfa.factors."+name)
	if err != nil {
		return err
	}
	if a.FactorsRaw == nil {
		a.FactorsRaw = make(caddy.ModuleMap)
	}
	a.FactorsRaw[name] = caddyconfig.JSON(unm, nil)
	return nil
}

// unmarshalMail reads what carries mails, in the words of that module.
func (a *App) unmarshalMail(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	unm, err := caddyfile.UnmarshalModule(d, "mfa.notifiers."+name)
	if err != nil {
		return err
	}
	if _, ok := unm.(notify.Notifier); !ok {
		return d.Errf("module mfa.notifiers.%s (%T) carries no mails", name, unm)
	}
	a.MailRaw = caddyconfig.JSONModuleObject(unm, "module", name, nil)
	return nil
}

func (a *App) unmarshalBase(d *caddyfile.Dispenser) error {
	if err := readText(d, &a.Base); err != nil {
		return err
	}
	if !basePath.MatchString(a.Base) {
		return d.Errf("base %q: expected a path such as /.mfa, without a slash at the end", a.Base)
	}
	return nil
}

func (a *App) unmarshalResolver(d *caddyfile.Dispenser) error {
	if err := readText(d, &a.Resolver); err != nil {
		return err
	}
	if _, err := resolverAddress(a.Resolver); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// given remembers which options a block has had.
type given map[string]bool

// once refuses an option that was already there: of two values for one setting,
// one is not what its author believes to be in force.
func (g given) once(d *caddyfile.Dispenser, option string) error {
	if g[option] {
		return d.Errf("%s is given twice", option)
	}
	g[option] = true
	return nil
}

// The readers below take the arguments of the option that the dispenser stands
// at, and refuse missing, empty and additional ones.

func readText(d *caddyfile.Dispenser, to *string) error {
	option := d.Val()
	if !d.NextArg() {
		return d.ArgErr()
	}
	if *to = d.Val(); *to == "" {
		return d.Errf("%s must not be empty", option)
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

func readChoice(d *caddyfile.Dispenser, to *string, choices ...string) error {
	option := d.Val()
	if err := readText(d, to); err != nil {
		return err
	}
	for _, choice := range choices {
		if *to == choice {
			return nil
		}
	}
	return d.Errf("unknown %s %q: choose %s", option, *to, strings.Join(choices, " or "))
}

func readNumber(d *caddyfile.Dispenser, to *int) error {
	option, text := d.Val(), ""
	if err := readText(d, &text); err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return d.Errf("%s: expected a whole number above 0, got %q", option, text)
	}
	*to = n
	return nil
}

// readDuration refuses zero as well, which would quietly mean the default.
func readDuration(d *caddyfile.Dispenser, to *caddy.Duration) error {
	option, text := d.Val(), ""
	if err := readText(d, &text); err != nil {
		return err
	}
	duration, err := caddy.ParseDuration(text)
	if err != nil || duration <= 0 {
		return d.Errf("%s: expected a duration above 0 such as 90s, 15m, 2h or 7d, got %q", option, text)
	}
	*to = caddy.Duration(duration)
	return nil
}

func readSecret(d *caddyfile.Dispenser, to *string) error {
	option, secrets := d.Val(), []string(nil)
	if err := readSecrets(d, &secrets); err != nil {
		return err
	}
	if len(secrets) > 1 {
		return d.Errf("%s takes one placeholder, got %d", option, len(secrets))
	}
	*to = secrets[0]
	return nil
}

// readSecrets takes placeholders only, and never repeats what it got instead.
func readSecrets(d *caddyfile.Dispenser, to *[]string) error {
	option := d.Val()
	secrets := d.RemainingArgs()
	if len(secrets) == 0 {
		return d.ArgErr()
	}
	for _, secret := range secrets {
		if !isPlaceholder(secret) {
			return d.Errf("%s: a secret must not stand in the configuration, which Caddy saves and shows: "+
				"give a placeholder such as {env.MFA_MASTER_KEY} or {file./run/secrets/mfa-master-key} ({$...} is none)", option)
		}
	}
	*to = secrets
	return nil
}

func isPlaceholder(s string) bool {
	return len(s) > 2 && s[0] == '{' && s[len(s)-1] == '}'
}

// Interface guard
var _ caddyfile.Unmarshaler = (*App)(nil)
