package caddymfa

import (
	"encoding/json"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterDirective("mfa", parseDirective)
	// Like every other way to authenticate: after what changes the request's
	// path, and before whatever answers it or trusts its headers.
	httpcaddyfile.RegisterDirectiveOrder("mfa", httpcaddyfile.After, "forward_auth")
}

// parseDirective turns the directive into a guard and, beside it, the gate's own
// pages, which the directive's matcher must not cut off: they are served on the
// whole site, under the base path.
func parseDirective(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	if !h.Next() {
		return nil, h.ArgErr()
	}
	matcher, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	guard := new(Guard)
	if err := guard.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	base, err := configuredBase(h.Option("mfa"))
	if err != nil {
		return nil, h.WrapErr(err)
	}
	pages := caddyhttp.Route{
		MatcherSetsRaw: []caddy.ModuleMap{{"path": h.JSON(caddyhttp.MatchPath{base, base + "/*"})}},
		HandlersRaw:    []json.RawMessage{caddyconfig.JSONModuleObject(Pages{Account: guard.Account}, "handler", "mfa_pages", nil)},
		Terminal:       true,
	}
	guarded := caddyhttp.Route{
		HandlersRaw: []json.RawMessage{caddyconfig.JSONModuleObject(guard, "handler", "mfa", nil)},
	}
	if matcher != nil {
		guarded.MatcherSetsRaw = []caddy.ModuleMap{matcher}
	}
	return h.NewRoute(nil, &caddyhttp.Subroute{Routes: caddyhttp.RouteList{pages, guarded}}), nil
}

// defaultBase is where the gate's own pages are, unless the configuration says
// otherwise.
const defaultBase = "/.mfa"

// configuredBase returns the base path in the global option, if there is one.
func configuredBase(option any) (string, error) {
	app, ok := option.(httpcaddyfile.App)
	if !ok {
		return defaultBase, nil
	}
	var config struct {
		Base string `json:"base"`
	}
	if err := json.Unmarshal(app.Value, &config); err != nil {
		return "", err
	}
	if config.Base == "" {
		return defaultBase, nil
	}
	return config.Base, nil
}

// UnmarshalCaddyfile sets up the guard from Caddyfile tokens. Syntax:
//
//	mfa [<matcher>] {
//	    account               <id>|<placeholder>
//	    public                <paths...>
//	    second_factor_max_age <duration>
//	    insecure_forward_session_cookie
//	}
//
// The options are those of [Guard], and all of them may be left out. The option
// public may be repeated.
//
// Without a matcher the whole site is guarded. The gate's own pages are served
// on the whole site in any case, so the directive belongs directly into the site
// block: within a handle block, only what reaches that block reaches the pages.
// Where several mfa directives stand in one site, their matchers must not
// overlap: a guard takes the session cookie off the requests that it lets pass.
func (g *Guard) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := make(given)
	for d.NextBlock(0) {
		option := d.Val()
		if option == "public" {
			if err := g.unmarshalPublic(d); err != nil {
				return err
			}
			continue
		}
		if err := seen.once(d, option); err != nil {
			return err
		}
		switch option {
		case "account":
			if err := readText(d, &g.Account); err != nil {
				return err
			}
			if !strings.Contains(g.Account, "{") && !accountID.MatchString(g.Account) {
				return d.Errf("account %q: expected a placeholder, or an id of lower-case letters, digits and '-', at most 63", g.Account)
			}
		case "second_factor_max_age":
			if err := readDuration(d, &g.SecondFactorMaxAge); err != nil {
				return err
			}
		case "insecure_forward_session_cookie":
			if d.NextArg() {
				return d.ArgErr()
			}
			g.InsecureForwardSessionCookie = true
		default:
			return d.Errf("unrecognized mfa option '%s'", option)
		}
	}
	return nil
}

func (g *Guard) unmarshalPublic(d *caddyfile.Dispenser) error {
	paths := d.RemainingArgs()
	if len(paths) == 0 {
		return d.ArgErr()
	}
	if _, err := parsePublic(paths); err != nil {
		return d.WrapErr(err)
	}
	g.Public = append(g.Public, paths...)
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Guard)(nil)
