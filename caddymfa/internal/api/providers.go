package api

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// ProviderList lists an account's identity providers.
type ProviderList struct {
	Providers []Provider `json:"providers"`
}

// Provider is an identity provider of the account, without its secret.
type Provider struct {
	ID       string     `json:"id"`
	Name     string     `json:"name" jsonschema:"what people see"`
	Kind     string     `json:"kind" jsonschema:"oidc, or one that the operator connects"`
	Issuer   string     `json:"issuer,omitempty" jsonschema:"who it says it is, where its kind proves that"`
	Trust    trust      `json:"trust" jsonschema:"what a sign-in through it counts for; the operator decides"`
	Join     bool       `json:"join" jsonschema:"people of verified domains become members by signing in through it"`
	OIDC     *OIDC      `json:"oidc,omitempty" jsonschema:"the settings, if it is of the kind oidc"`
	Secret   bool       `json:"secret" jsonschema:"it has a client secret, which nobody can read"`
	Disabled bool       `json:"disabled"`
	Tested   *time.Time `json:"tested,omitempty" jsonschema:"when an administrator last signed in through it as a test; absent: not since its settings changed"`
	Usable   bool       `json:"usable" jsonschema:"domains can be linked to it: it was tested, or the gate's configuration owns it, and it is not disabled"`
	Domains  []string   `json:"domains" jsonschema:"those that are linked to it"`
	SignIns  int        `json:"sign_ins" jsonschema:"through it, in the last 30 days"`
	WithMFA  int        `json:"with_mfa" jsonschema:"how many of them it vouched for with several factors"`
	Declared bool       `json:"declared" jsonschema:"the gate's configuration owns it, and it cannot be changed here"`

	version int64
}

// trust is the name of what a sign-in through a provider counts for.
type trust string

// OIDC is what an account says about its OpenID Connect provider, except for the
// secret.
type OIDC struct {
	Issuer             string   `json:"issuer" jsonschema:"where it is, such as https://login.acme.example"`
	ClientID           string   `json:"client_id"`
	Tenants            []string `json:"tenants,omitempty" jsonschema:"the tenants whose people may sign in, for an issuer that many share"`
	Scopes             []string `json:"scopes,omitempty" jsonschema:"what to ask for besides openid; absent: email and profile"`
	ACRValues          []string `json:"acr_values,omitempty" jsonschema:"the authentication contexts to ask for"`
	MFAACRValues       []string `json:"mfa_acr_values,omitempty" jsonschema:"the authentication contexts that mean several factors"`
	MaxAge             int      `json:"max_age,omitempty" jsonschema:"how many seconds old a sign-in there may be; absent: as old as it lets it be"`
	Prompt             string   `json:"prompt,omitempty" jsonschema:"what it must ask even if it knows the browser: login, consent or select_account"`
	EmailClaim         string   `json:"email_claim,omitempty"`
	EmailVerifiedClaim string   `json:"email_verified_claim,omitempty"`
	AssumeVerified     bool     `json:"insecure_assume_email_verified,omitempty" jsonschema:"takes every address for verified; it is as safe as the provider"`
	NameClaim          string   `json:"name_claim,omitempty"`
	GroupsClaim        string   `json:"groups_claim,omitempty"`
}

// ProviderChange is an identity provider as it is to be, all of it.
type ProviderChange struct {
	Name         string `json:"name" jsonschema:"what people see"`
	Join         bool   `json:"join" jsonschema:"people of verified domains become members by signing in through it"`
	OIDC         OIDC   `json:"oidc"`
	ClientSecret string `json:"client_secret,omitempty" jsonschema:"absent: the one there is; a new issuer needs it again"`
	Public       bool   `json:"public,omitempty" jsonschema:"there is no client secret; one that was there is forgotten"`
}

// Disabling says whether a provider is to be disabled.
type Disabling struct {
	Disabled bool `json:"disabled"`
}

func oidcOf(o admin.OIDC) *OIDC {
	return &OIDC{
		Issuer: o.Issuer, ClientID: o.ClientID, Tenants: o.Tenants, Scopes: o.Scopes, ACRValues: o.ACRValues, MFAACRValues: o.MFAACRValues,
		MaxAge: int(time.Duration(o.MaxAge).Seconds()), Prompt: o.Prompt, EmailClaim: o.EmailClaim, EmailVerifiedClaim: o.EmailVerifiedClaim,
		AssumeVerified: o.InsecureAssumeEmailVerified, NameClaim: o.NameClaim, GroupsClaim: o.GroupsClaim,
	}
}

func (in ProviderChange) form() admin.ProviderForm {
	o := in.OIDC
	return admin.ProviderForm{Name: in.Name, Join: in.Join, Public: in.Public, OIDC: admin.OIDC{
		Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: in.ClientSecret, Tenants: o.Tenants, Scopes: o.Scopes, ACRValues: o.ACRValues,
		MFAACRValues: o.MFAACRValues, MaxAge: admin.Period(seconds(o.MaxAge)), Prompt: o.Prompt, EmailClaim: o.EmailClaim,
		EmailVerifiedClaim: o.EmailVerifiedClaim, InsecureAssumeEmailVerified: o.AssumeVerified, NameClaim: o.NameClaim, GroupsClaim: o.GroupsClaim,
	}}
}

func (c *call) providers() ([]Provider, error) {
	rows, err := c.Admin.Providers(c.ctx, c.token.Account)
	if err != nil {
		return nil, err
	}
	domains, err := c.Admin.Domains(c.ctx, c.token.Account)
	if err != nil {
		return nil, err
	}
	said, err := c.Admin.Login.Assurances(c.ctx, c.token.Account)
	if err != nil {
		return nil, err
	}
	list := make([]Provider, len(rows))
	for i, row := range rows {
		p := Provider{
			ID: row.ID, Name: row.Name, Kind: row.Kind, Issuer: row.Issuer, Trust: trust(row.Trust.String()), Join: row.Join, Secret: row.Secret,
			Disabled: row.Disabled, Tested: when(row.Tested), Usable: !row.Disabled && admin.Tested(row.IdentityProvider), Domains: []string{},
			Declared: row.Origin == storage.FromConfig, version: row.Version,
		}
		if row.Kind == admin.KindOIDC {
			p.OIDC = oidcOf(row.OIDC)
		}
		for _, d := range domains {
			if d.Provider == row.ID {
				p.Domains = append(p.Domains, d.Name)
			}
		}
		if j := slices.IndexFunc(said, func(a login.Assured) bool { return a.Provider.ID == row.ID }); j >= 0 {
			p.SignIns, p.WithMFA = said[j].SignIns, said[j].WithMFA
		}
		list[i] = p
	}
	return list, nil
}

func (c *call) listProviders() (any, error) {
	list, err := c.providers()
	return ProviderList{Providers: list}, err
}

func (c *call) provider() (any, error) { return c.readProvider(c.at["provider"]) }

// readProvider answers with a provider as it is now.
func (c *call) readProvider(id string) (any, error) {
	list, err := c.providers()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(p Provider) bool { return p.ID == id })
	if i < 0 { // another account's is none
		return nil, storage.ErrNotFound
	}
	c.tag = tagOf(list[i].version)
	return list[i], nil
}

func (c *call) connectProvider() (any, error) { return c.saveProvider("", 0) }

func (c *call) setProvider() (any, error) {
	version, err := c.version()
	if err != nil {
		return nil, err
	}
	return c.saveProvider(c.at["provider"], version)
}

func (c *call) saveProvider(id string, version int64) (any, error) {
	var in ProviderChange
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.Public && in.ClientSecret != "" {
		return nil, invalid("client_secret: public says that there is none.")
	}
	form := in.form()
	form.ID, form.Version = id, version
	saved, err := c.Admin.SaveProvider(c.ctx, c.actor(), form)
	if err != nil {
		return nil, c.ssoRefused(err)
	}
	return c.readProvider(saved.ID)
}

func (c *call) disableProvider() (any, error) {
	version, err := c.version()
	if err != nil {
		return nil, err
	}
	var in Disabling
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := c.Admin.SwitchProvider(c.ctx, c.actor(), c.at["provider"], version, in.Disabled); err != nil {
		return nil, c.ssoRefused(err)
	}
	return c.provider()
}

func (c *call) removeProvider() (any, error) {
	version, err := c.version()
	if err != nil {
		return nil, err
	}
	return nil, c.ssoRefused(c.Admin.RemoveProvider(c.ctx, c.actor(), c.at["provider"], version))
}

// ssoRefused gives a refused change of a provider or a domain its words.
func (c *call) ssoRefused(err error) error {
	if other := new(admin.Conflict); errors.As(err, &other) {
		by, err := c.Admin.Who(c.ctx, other.By)
		if err != nil {
			return err
		}
		return changedBy("It was changed since it was read", by)
	}
	switch {
	case errors.Is(err, admin.ErrProviderName):
		return invalid("name: %v.", admin.ErrProviderName)
	case errors.Is(err, admin.ErrSettings):
		return problem(http.StatusUnprocessableEntity, "settings_refused", "oidc: %v.", err)
	case errors.Is(err, admin.ErrSecretAgain):
		return problem(http.StatusUnprocessableEntity, "secret_needed", "client_secret: %v.", admin.ErrSecretAgain)
	case errors.Is(err, admin.ErrUntested):
		return problem(http.StatusConflict, "untested", "%v. An administrator can, in a browser, at %s; a program cannot.", err, c.page("/admin/sso"))
	case errors.Is(err, admin.ErrNotReady):
		return problem(http.StatusConflict, "not_ready", "%v.", err)
	}
	return err
}

// page is where an administrator finds one of the pages.
func (c *call) page(path string) string {
	at := url.URL{Path: strings.TrimSuffix(c.Base, Path) + path}
	return at.EscapedPath()
}
