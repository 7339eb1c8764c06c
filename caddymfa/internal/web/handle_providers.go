package web

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func providerAt(id string) string { return at("/admin/sso/provider", "id", id) }

// providerRows lists the account's identity providers with what they said
// lately.
func (c *call) providerRows(actor admin.Actor) ([]ProviderRow, error) {
	said, err := c.s.Login.Assurances(c.r.Context(), actor.Account)
	if err != nil {
		return nil, err
	}
	rows := make([]ProviderRow, len(said))
	for i, a := range said {
		p := a.Provider
		rows[i] = ProviderRow{
			ID: p.ID, Label: cmp.Or(p.Name, p.Issuer, p.ID), Kind: p.Kind, Issuer: p.Issuer, Trust: p.Trust, Disabled: p.Disabled, Origin: p.Origin,
			Tested: p.Tested, TestsPass: admin.Tested(p),
			SignIns: a.SignIns, Percent: a.Percent(), Days: int(login.AssuranceTime / (24 * time.Hour)),
		}
		if rows[i].Tester, err = c.s.Admin.Who(c.r.Context(), p.TestedBy); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func (c *call) providerRow(actor admin.Actor, id string) (ProviderRow, error) {
	rows, err := c.providerRows(actor)
	if err != nil {
		return ProviderRow{}, err
	}
	for _, row := range rows {
		if row.ID == id {
			return row, nil
		}
	}
	return ProviderRow{}, storage.ErrNotFound
}

// showAdminProvider shows one identity provider, or the form for a new one.
func (c *call) showAdminProvider() error {
	id := c.r.URL.Query().Get("id")
	page := "/admin/sso/provider"
	if id != "" {
		page = providerAt(id)
	}
	actor, done, err := c.administer(false, page)
	if done || err != nil {
		return err
	}
	if id == "" {
		if !c.s.Admin.Connects() {
			c.message(MessageNotFound)
			return nil
		}
		fields, _, _ := typedProvider(c.kept())
		return c.providerPage(http.StatusOK, actor, AdminProvider{Form: fields})
	}
	p, err := c.s.Admin.Provider(c.r.Context(), actor.Account, id)
	if err != nil {
		return c.notAdministered(err, "/admin/sso")
	}
	v := AdminProvider{Provider: ProviderRow{ID: id}, Form: fieldsOf(p), Version: p.Version, Secret: p.Secret}
	if kept := c.kept(); kept != nil {
		fields, form, _ := typedProvider(kept)
		v.Form, v.Version = fields, form.Version
	}
	return c.providerPage(http.StatusOK, actor, v)
}

// providerPage fills in what does not depend on what was typed.
func (c *call) providerPage(status int, actor admin.Actor, v AdminProvider) error {
	v.Chrome = c.chrome()
	if origin, ok := c.origin(); ok {
		v.RedirectURI, v.LogoutURI = origin+c.s.Base+"/sso/callback", origin+c.s.Base+"/sso/backchannel-logout"
	}
	if v.New() {
		return c.show(status, v)
	}
	var err error
	if v.Provider, err = c.providerRow(actor, v.Provider.ID); err != nil {
		return c.notAdministered(err, "/admin/sso")
	}
	if v.Domains, err = c.s.Admin.DomainsOf(c.r.Context(), actor.Account, v.Provider.ID); err != nil {
		return err
	}
	return c.show(status, v)
}

func fieldsOf(p admin.Provider) ProviderFields {
	o := p.OIDC
	f := ProviderFields{
		Name: p.Name, Issuer: o.Issuer, ClientID: o.ClientID, Public: p.ID != "" && !p.Secret, Join: p.Join,
		Tenants: strings.Join(o.Tenants, " "), Scopes: strings.Join(o.Scopes, " "), ACRValues: strings.Join(o.ACRValues, " "),
		MFAACRValues: strings.Join(o.MFAACRValues, " "), Prompt: o.Prompt, EmailClaim: o.EmailClaim, VerifiedClaim: o.EmailVerifiedClaim,
		AssumeEmail: o.InsecureAssumeEmailVerified, NameClaim: o.NameClaim, GroupsClaim: o.GroupsClaim,
	}
	if o.MaxAge > 0 {
		f.MaxAge = strconv.Itoa(int((time.Duration(o.MaxAge) + time.Minute - 1) / time.Minute))
	}
	return f
}

// providerTyped are the fields of the form that outlive a challenge: all but the
// secret.
var providerTyped = []string{"version", "name", "issuer", "client_id", "public", "join", "tenants", "scopes", "acr_values", "mfa_acr_values",
	"max_age", "prompt", "email_claim", "email_verified_claim", "assume_email", "name_claim", "groups_claim"}

// typedProvider reads the form. It never keeps the secret for the page.
func typedProvider(typed url.Values) (f ProviderFields, form admin.ProviderForm, problem Text) {
	text := func(name string) string { return strings.TrimSpace(typed.Get(name)) }
	f = ProviderFields{
		Name: text("name"), Issuer: text("issuer"), ClientID: text("client_id"), Public: text("public") != "", Join: text("join") != "",
		Tenants: text("tenants"), Scopes: text("scopes"), ACRValues: text("acr_values"), MFAACRValues: text("mfa_acr_values"),
		MaxAge: text("max_age"), Prompt: text("prompt"), EmailClaim: text("email_claim"), VerifiedClaim: text("email_verified_claim"),
		AssumeEmail: text("assume_email") != "", NameClaim: text("name_claim"), GroupsClaim: text("groups_claim"),
	}
	form = admin.ProviderForm{
		ID: typed.Get("id"), Name: f.Name, Join: f.Join, Public: f.Public,
		OIDC: admin.OIDC{
			Issuer: f.Issuer, ClientID: f.ClientID, ClientSecret: text("client_secret"),
			Tenants: strings.Fields(f.Tenants), Scopes: strings.Fields(f.Scopes), ACRValues: strings.Fields(f.ACRValues),
			MFAACRValues: strings.Fields(f.MFAACRValues), Prompt: f.Prompt, EmailClaim: f.EmailClaim, EmailVerifiedClaim: f.VerifiedClaim,
			InsecureAssumeEmailVerified: f.AssumeEmail, NameClaim: f.NameClaim, GroupsClaim: f.GroupsClaim,
		},
	}
	if form.ID != "" {
		form.Version = versionOf(typed)
	}
	if f.MaxAge == "" {
		return f, form, Text{}
	}
	minutes, err := strconv.Atoi(f.MaxAge)
	if err != nil || minutes < 1 || minutes > 60*24*365 {
		return f, form, say("provider.problem.minutes")
	}
	form.OIDC.MaxAge = admin.Period(time.Duration(minutes) * time.Minute)
	return f, form, Text{}
}

// postProvider connects a provider, or changes one.
func (c *call) postProvider() error {
	id := c.form.Get("id")
	page := "/admin/sso/provider"
	if id != "" {
		page = providerAt(id)
	}
	actor, done, err := c.administer(true, c.keep(page, providerTyped...))
	if done || err != nil {
		return err
	}
	fields, form, problem := typedProvider(c.form)
	v := AdminProvider{Provider: ProviderRow{ID: id}, Form: fields, Version: form.Version, Problem: problem}
	status := http.StatusUnprocessableEntity
	if id != "" {
		was, err := c.s.Admin.Provider(c.r.Context(), actor.Account, id)
		if err != nil {
			return c.notAdministered(err, "/admin/sso")
		}
		v.Secret = was.Secret
	}
	if problem.Key == "" {
		saved, err := c.s.Admin.SaveProvider(c.r.Context(), actor, form)
		var conflict *admin.Conflict
		switch {
		case err == nil:
			notice := "provider-saved"
			if admin.Tested(saved.IdentityProvider) {
				notice = "provider-named"
			}
			c.redirect(c.s.Base + providerAt(saved.ID) + "&notice=" + notice)
			return nil
		case errors.Is(err, admin.ErrProviderName):
			v.Problem = say("provider.problem.name")
		case errors.Is(err, admin.ErrSecretAgain):
			v.Problem = say("provider.problem.secret")
		case errors.Is(err, admin.ErrProviderMany):
			v.Problem = say("provider.problem.many", "n", admin.MaxProviders)
		case errors.Is(err, admin.ErrSettings):
			v.Problem = say("provider.problem.settings", "detail", err.Error())
		case errors.As(err, &conflict):
			if v.Problem, v.Version, err = c.overtaken(actor, id, conflict); err != nil {
				return err
			}
			status = http.StatusConflict
		default:
			return c.notAdministered(err, page)
		}
	}
	return c.providerPage(status, actor, v)
}

// overtaken says who was faster, and which version the next try replaces.
func (c *call) overtaken(actor admin.Actor, id string, conflict *admin.Conflict) (Text, int64, error) {
	now, err := c.s.Admin.Provider(c.r.Context(), actor.Account, id)
	if err != nil {
		return Text{}, 0, err
	}
	by, err := c.s.Admin.Who(c.r.Context(), conflict.By)
	if err != nil || by == "" {
		return say("provider.problem.conflictsomebody"), now.Version, err
	}
	return say("provider.problem.conflict", "name", by), now.Version, nil
}

// postTest takes the administrator to a provider's sign-in. What comes of it
// says whether the settings work, and changes nothing of their session.
func (c *call) postTest() error {
	id := c.form.Get("id")
	actor, done, err := c.administer(true, providerAt(id))
	if done || err != nil {
		return err
	}
	p, err := c.s.Admin.Provider(c.r.Context(), actor.Account, id)
	if err != nil {
		return c.notAdministered(err, "/admin/sso")
	}
	if p.Disabled || p.Kind != admin.KindOIDC { // a directory has no page to be sent to
		c.redirect(c.s.Base + providerAt(id))
		return nil
	}
	company, err := c.s.Login.CompanyNamed(c.r.Context(), id)
	if err != nil {
		return err
	}
	return c.leave(company, login.Ask{Test: p.Version}, providerAt(id), Text{})
}

// tested ends a test sign-in.
func (c *call) tested(asked login.Asked) error {
	actor, done, err := c.administer(true, providerAt(asked.Provider))
	if done || err != nil {
		return err
	}
	if err := c.writeFlow(); err != nil {
		return err
	}
	trial, err := c.s.Admin.TestProvider(c.r.Context(), actor, asked, c.r.URL.Query())
	if errors.Is(err, login.ErrStartAgain) {
		c.message(MessageStartAgain)
		return nil
	}
	if err != nil {
		return c.notAdministered(err, "/admin/sso")
	}
	return c.testedPage(actor, asked.Provider, trial)
}

func (c *call) testedPage(actor admin.Actor, id string, trial admin.Trial) error {
	row, err := c.providerRow(actor, id)
	if err != nil {
		return c.notAdministered(err, "/admin/sso")
	}
	status := http.StatusOK
	if !trial.Passed {
		status = http.StatusBadGateway
	}
	return c.show(status, AdminTested{Chrome: c.chrome(), Provider: row, Passed: trial.Passed, Reason: trial.Reason, Who: trial.Who})
}

// showSwitchProvider asks before a provider is switched off or on.
func (c *call) showSwitchProvider() error { return c.confirmProvider("/admin/sso/provider/switch") }

// showRemoveProvider asks before a provider is removed.
func (c *call) showRemoveProvider() error { return c.confirmProvider("/admin/sso/provider/remove") }

func (c *call) confirmProvider(action string) error {
	id := c.r.URL.Query().Get("id")
	actor, done, err := c.administer(true, at(action, "id", id))
	if done || err != nil {
		return err
	}
	p, err := c.s.Admin.Provider(c.r.Context(), actor.Account, id)
	if err != nil {
		return c.notAdministered(err, "/admin/sso")
	}
	label := cmp.Or(p.Name, p.Issuer, p.ID)
	v := AdminConfirm{Chrome: c.chrome(), Action: action, Provider: id, Version: p.Version, Back: providerAt(id), Danger: true}
	switch {
	case action == "/admin/sso/provider/remove":
		v.Title, v.Button = say("confirm.forget.title", "provider", label), say("confirm.forget.next")
		v.Means = []Text{say("confirm.forget.all"), say("confirm.disable.enforce")}
	case p.Disabled:
		v.Title, v.Button, v.Turn, v.Danger = say("confirm.enable.title", "provider", label), say("confirm.enable.next"), "on", false
		v.Means = []Text{say("confirm.enable.all")}
		return c.show(http.StatusOK, v)
	default:
		v.Title, v.Button, v.Turn = say("confirm.disable.title", "provider", label), say("confirm.disable.next"), "off"
		v.Means = []Text{say("confirm.disable.all"), say("confirm.disable.enforce")}
	}
	domains, err := c.s.Admin.DomainsOf(c.r.Context(), actor.Account, id)
	if err != nil {
		return err
	}
	return c.confirm(actor, v, domains)
}

func (c *call) postSwitchProvider() error {
	id := c.form.Get("id")
	actor, done, err := c.administer(true, at("/admin/sso/provider/switch", "id", id))
	if done || err != nil {
		return err
	}
	domains, err := c.s.Admin.DomainsOf(c.r.Context(), actor.Account, id)
	if err != nil {
		return err
	}
	off := c.form.Get("turn") != "on"
	if err := c.s.Admin.SwitchProvider(c.r.Context(), actor, id, c.version(), off); err != nil {
		return c.notAdministered(err, providerAt(id))
	}
	if !off {
		c.redirect(c.s.Base + providerAt(id) + "&notice=provider-on")
		return nil
	}
	return c.ended(actor, domains, providerAt(id)+"&notice=provider-off")
}

func (c *call) postRemoveProvider() error {
	id := c.form.Get("id")
	actor, done, err := c.administer(true, at("/admin/sso/provider/remove", "id", id))
	if done || err != nil {
		return err
	}
	domains, err := c.s.Admin.DomainsOf(c.r.Context(), actor.Account, id)
	if err != nil {
		return err
	}
	if err := c.s.Admin.RemoveProvider(c.r.Context(), actor, id, c.version()); err != nil {
		return c.notAdministered(err, providerAt(id))
	}
	return c.ended(actor, domains, "/admin/sso?notice=provider-removed")
}
