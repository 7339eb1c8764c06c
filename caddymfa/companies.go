package caddymfa

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/operate"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// provisionIdentity loads the kinds of identity providers: those that are
// configured, and those that are built in with their defaults.
func (a *App) provisionIdentity(ctx caddy.Context) error {
	raw := make(caddy.ModuleMap)
	for _, m := range caddy.GetModules("mfa.identity") {
		raw[m.ID.Name()] = json.RawMessage("{}")
	}
	for name, configured := range a.IdentityRaw {
		raw[name] = configured
	}
	a.IdentityRaw = raw
	mods, err := ctx.LoadModule(a, "IdentityRaw")
	if err != nil {
		return fmt.Errorf("loading the kinds of identity providers: %w", err)
	}
	a.life.companies = make(map[string]identity.Source)
	for name, mod := range mods.(map[string]any) {
		source, ok := mod.(identity.Source)
		if !ok || source.Kind() != name {
			return fmt.Errorf("module mfa.identity.%s (%T) is no kind of identity provider", name, mod)
		}
		a.life.companies[name] = source
	}
	return nil
}

// checkOrigins says what is wrong with the addresses by which people come.
func checkOrigins(origins []string) error {
	for _, text := range origins {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Scheme+"://"+u.Host != text {
			return fmt.Errorf("origin %q: expected only a scheme and a host, such as https://portal.example.com", text)
		}
		if u.Scheme == "http" && u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1" && u.Hostname() != "::1" {
			return fmt.Errorf("origin %q: identity providers send people back with what opens a session: it needs https", text)
		}
	}
	return nil
}

var (
	domainName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$`)
	providerID = accountID
)

// declareCompany reads the domains and identity providers of a declared
// account. Provider ids are made unique among all accounts by the account's.
func (c AccountConfig) declareCompany(to *operate.DeclaredAccount) error {
	var ids []string
	for _, p := range c.Providers {
		if p.ID == "" {
			p.ID = p.Kind
		}
		switch {
		case !providerID.MatchString(p.ID):
			return fmt.Errorf("identity provider %q: expected an id of lower-case letters, digits and '-', at most 63", p.ID)
		case slices.Contains(ids, p.ID):
			return fmt.Errorf("identity provider %q is declared twice: give each an id", p.ID)
		}
		ids = append(ids, p.ID)
		declared := operate.DeclaredProvider{ID: c.ID + "/" + p.ID, Kind: p.Kind, Name: p.Name, Trust: mfa.Precedence}
		var err error
		if p.Trust != "" {
			if declared.Trust, err = mfa.ParseTrust(p.Trust); err != nil {
				return fmt.Errorf("identity provider %q: %w", p.ID, err)
			}
		}
		declared.Linking = login.Linking{Join: p.Join, Admins: p.Admins}
		if declared.Linking.Source, err = replaceSettings(p.Settings); err != nil {
			return fmt.Errorf("identity provider %q: %w", p.ID, err)
		}
		to.Providers = append(to.Providers, declared)
	}
	seen := make(map[string]bool)
	for _, d := range c.Domains {
		if d.Provider == "" && len(ids) == 1 {
			d.Provider = ids[0]
		}
		switch {
		case !domainName.MatchString(d.Name):
			return fmt.Errorf("domain %q: expected an e-mail domain in lower case, such as acme.example", d.Name)
		case seen[d.Name]:
			return fmt.Errorf("domain %q is declared twice", d.Name)
		case d.Provider == "" && d.Enforce:
			return fmt.Errorf("domain %q: enforce needs to know which identity provider signs its people in", d.Name)
		case d.Provider != "" && !slices.Contains(ids, d.Provider):
			return fmt.Errorf("domain %q: the account declares no identity provider %q", d.Name, d.Provider)
		}
		seen[d.Name] = true
		row := storage.Domain{Name: d.Name, Enforce: d.Enforce}
		if d.Provider != "" {
			row.Provider = c.ID + "/" + d.Provider
		}
		to.Domains = append(to.Domains, row)
	}
	return nil
}

// replaceSettings replaces the strings of an operator's settings that are one
// placeholder, which keeps secrets out of the configuration that Caddy saves.
func replaceSettings(raw json.RawMessage) (json.RawMessage, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return json.RawMessage("{}"), nil
	}
	var settings any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&settings); err != nil {
		return nil, fmt.Errorf("reading the settings: %w", err)
	}
	settings, err := replaceStrings(settings)
	if err != nil {
		return nil, err
	}
	return json.Marshal(settings)
}

func replaceStrings(v any) (any, error) {
	var err error
	switch v := v.(type) {
	case string:
		if !strings.HasPrefix(v, "{env.") && !strings.HasPrefix(v, "{file.") || !strings.HasSuffix(v, "}") {
			return v, nil
		}
		text, err := caddy.NewReplacer().ReplaceOrErr(v, true, true)
		if err != nil {
			return nil, fmt.Errorf("replacing placeholders in the settings: %w", err)
		}
		return strings.TrimRight(text, "\r\n"), nil
	case []any:
		for i := range v {
			if v[i], err = replaceStrings(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key := range v {
			if v[key], err = replaceStrings(v[key]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}
