package web

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// at is the address of a page about one thing, below the base.
func at(page, name, value string) string {
	return page + "?" + url.Values{name: {value}}.Encode()
}

func domainAt(name string) string { return at("/admin/sso/domain", "name", name) }

// version is the one that the form was made for.
func (c *call) version() int64 { return versionOf(c.form) }

// versionOf is the version in a form. Nonsense is nobody's.
func versionOf(form url.Values) int64 {
	n, err := strconv.ParseInt(form.Get("version"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// notAdministered answers what the steps of administrators refuse, with where
// its author looks next. Anything else comes back.
func (c *call) notAdministered(err error, back string) error {
	var conflict *admin.Conflict
	switch {
	case errors.As(err, &conflict):
		by, err := c.s.Admin.Who(c.r.Context(), conflict.By)
		if err != nil {
			return err
		}
		return c.show(http.StatusConflict, AdminConflict{Chrome: c.chrome(), By: by, At: conflict.At, Back: back})
	case errors.Is(err, storage.ErrNotFound): // or another account's, which is the same
		c.message(MessageNotFound)
		return nil
	case errors.Is(err, login.ErrReadOnly):
		c.message(MessageForbidden)
		return nil
	}
	return err
}

// showSSO lists the account's domains and identity providers.
func (c *call) showSSO() error {
	actor, done, err := c.administer(false, "/admin/sso")
	if done || err != nil {
		return err
	}
	v := AdminSSO{Chrome: c.chrome(), Connect: c.s.Admin.Connects()}
	if v.Providers, err = c.providerRows(actor); err != nil {
		return err
	}
	domains, err := c.s.Admin.Domains(c.r.Context(), actor.Account)
	if err != nil {
		return err
	}
	for _, d := range domains {
		v.Domains = append(v.Domains, domainRow(d, v.Providers))
	}
	return c.show(http.StatusOK, v)
}

func domainRow(d storage.Domain, providers []ProviderRow) DomainRow {
	row := DomainRow{Domain: d}
	for _, p := range providers {
		if p.ID == d.Provider {
			row.ProviderName = p.Label
		}
	}
	return row
}

func (c *call) showClaim() error {
	_, done, err := c.administer(true, "/admin/sso/claim")
	if done || err != nil {
		return err
	}
	return c.show(http.StatusOK, AdminClaim{Chrome: c.chrome(), Domain: c.kept().Get("domain")})
}

func (c *call) postClaim() error {
	actor, done, err := c.administer(true, c.keep("/admin/sso/claim", "domain"))
	if done || err != nil {
		return err
	}
	typed := c.form.Get("domain")
	d, err := c.s.Admin.ClaimDomain(c.r.Context(), actor, typed)
	problem := Text{}
	switch {
	case errors.Is(err, admin.ErrDomainName):
		problem = say("claim.problem.name")
	case errors.Is(err, admin.ErrDomainSuffix):
		problem = say("claim.problem.suffix")
	case errors.Is(err, admin.ErrDomainMail):
		problem = say("claim.problem.mail")
	case errors.Is(err, admin.ErrDomainMany):
		problem = say("claim.problem.many", "n", admin.MaxDomains)
	case err != nil:
		return err
	default:
		c.redirect(c.s.Base + domainAt(d.Name))
		return nil
	}
	if len(typed) > 253 {
		typed = ""
	}
	return c.show(http.StatusUnprocessableEntity, AdminClaim{Chrome: c.chrome(), Domain: typed, Problem: problem})
}

// showDomain shows one domain: its proof, and where its people sign in.
func (c *call) showDomain() error {
	name := c.r.URL.Query().Get("name")
	actor, done, err := c.administer(false, domainAt(name))
	if done || err != nil {
		return err
	}
	return c.domainPage(http.StatusOK, actor, name, Text{})
}

func (c *call) domainPage(status int, actor admin.Actor, name string, problem Text) error {
	d, err := c.s.Admin.Domain(c.r.Context(), actor.Account, name)
	if err != nil {
		return c.notAdministered(err, "/admin/sso")
	}
	v := AdminDomain{Chrome: c.chrome(), Record: admin.RecordOf(d), Problem: problem}
	if v.Ready, err = c.s.Admin.Ready(c.r.Context(), d); err != nil {
		return err
	}
	rows, err := c.providerRows(actor)
	if err != nil {
		return err
	}
	v.Domain = domainRow(d, rows)
	for _, p := range rows {
		p.Chosen = p.ID == d.Provider
		switch {
		case p.Chosen, !p.Disabled && p.TestsPass:
			v.Providers = append(v.Providers, p)
		case !p.Disabled:
			v.Untested = append(v.Untested, p)
		}
	}
	return c.show(status, v)
}

// postVerify looks for the proof now.
func (c *call) postVerify() error {
	name := c.form.Get("name")
	actor, done, err := c.administer(true, domainAt(name))
	if done || err != nil {
		return err
	}
	d, err := c.s.Admin.VerifyDomain(c.r.Context(), actor, name)
	if err != nil {
		return c.notAdministered(err, domainAt(name))
	}
	if d.Finding != admin.FoundProof {
		c.redirect(c.s.Base + domainAt(name)) // the page says what was found
		return nil
	}
	c.redirect(c.s.Base + domainAt(name) + "&notice=domain-checked")
	return nil
}

func (c *call) postLink() error {
	name := c.form.Get("name")
	actor, done, err := c.administer(true, domainAt(name))
	if done || err != nil {
		return err
	}
	_, err = c.s.Admin.LinkDomain(c.r.Context(), actor, name, c.version(), c.form.Get("provider"))
	if errors.Is(err, admin.ErrNotReady) {
		return c.domainPage(http.StatusConflict, actor, name, say("domain.changed"))
	}
	if err != nil {
		return c.notAdministered(err, domainAt(name))
	}
	c.redirect(c.s.Base + domainAt(name) + "&notice=domain-saved")
	return nil
}

// showEnforce asks before a domain is enforced, or freed.
func (c *call) showEnforce() error {
	name := c.r.URL.Query().Get("name")
	actor, done, err := c.administer(true, at("/admin/sso/domain/enforce", "name", name))
	if done || err != nil {
		return err
	}
	d, err := c.s.Admin.Domain(c.r.Context(), actor.Account, name)
	if err != nil {
		return c.notAdministered(err, "/admin/sso")
	}
	v := AdminConfirm{Chrome: c.chrome(), Action: "/admin/sso/domain/enforce", Domain: name, Version: d.Version, Back: domainAt(name)}
	if d.Enforce {
		v.Title, v.Button, v.Turn, v.Danger = say("confirm.stop.title", "domain", name), say("confirm.stop.next"), "off", true
		v.Means = []Text{say("confirm.stop.all", "domain", name)}
		return c.confirm(actor, v, []string{name})
	}
	ready, err := c.s.Admin.Ready(c.r.Context(), d)
	if err != nil {
		return err
	}
	if !ready.OK() {
		c.redirect(c.s.Base + domainAt(name)) // which says what is missing
		return nil
	}
	rows, err := c.providerRows(actor)
	if err != nil {
		return err
	}
	v.Title, v.Button, v.Turn = say("confirm.enforce.title", "domain", name), say("confirm.enforce.next"), "on"
	v.Means = []Text{
		say("confirm.enforce.all", "domain", name, "provider", domainRow(d, rows).ProviderName),
		say("confirm.enforce.password"),
		say("confirm.enforce.keeper", "email", ready.Keepers[0].Email),
	}
	return c.show(http.StatusOK, v)
}

// confirm shows what ends the sign-in of people at their company, with who would
// have no way in.
func (c *call) confirm(actor admin.Actor, v AdminConfirm, domains []string) error {
	var err error
	v.Asks, v.Mail = true, c.s.Admin.Mails()
	if v.Stranded, err = c.s.Admin.Stranded(c.r.Context(), actor.Account, domains); err != nil {
		return err
	}
	return c.show(http.StatusOK, v)
}

// ended tells what was ended, and gives those whom it strands a way in if their
// administrator wants that.
func (c *call) ended(actor admin.Actor, domains []string, page string) error {
	if c.form.Get("setups") == "" || len(domains) == 0 {
		c.redirect(c.s.Base + page)
		return nil
	}
	return c.setUps(actor, domains, "")
}

func (c *call) postEnforce() error {
	name := c.form.Get("name")
	actor, done, err := c.administer(true, at("/admin/sso/domain/enforce", "name", name))
	if done || err != nil {
		return err
	}
	on := c.form.Get("turn") == "on"
	_, err = c.s.Admin.EnforceDomain(c.r.Context(), actor, name, c.version(), on)
	if errors.Is(err, admin.ErrNotReady) {
		return c.domainPage(http.StatusConflict, actor, name, say("domain.changed"))
	}
	if err != nil {
		return c.notAdministered(err, domainAt(name))
	}
	if on {
		c.redirect(c.s.Base + domainAt(name) + "&notice=domain-enforced")
		return nil
	}
	return c.ended(actor, []string{name}, domainAt(name)+"&notice=domain-free")
}

func (c *call) showRemoveDomain() error {
	name := c.r.URL.Query().Get("name")
	actor, done, err := c.administer(true, at("/admin/sso/domain/remove", "name", name))
	if done || err != nil {
		return err
	}
	d, err := c.s.Admin.Domain(c.r.Context(), actor.Account, name)
	if err != nil {
		return c.notAdministered(err, "/admin/sso")
	}
	return c.confirm(actor, AdminConfirm{
		Chrome: c.chrome(), Title: say("confirm.remove.title", "domain", name), Button: say("confirm.remove.next"), Danger: true,
		Means:  []Text{say("confirm.remove.all"), say("confirm.remove.again")},
		Action: "/admin/sso/domain/remove", Domain: name, Version: d.Version, Back: domainAt(name),
	}, []string{name})
}

func (c *call) postRemoveDomain() error {
	name := c.form.Get("name")
	actor, done, err := c.administer(true, at("/admin/sso/domain/remove", "name", name))
	if done || err != nil {
		return err
	}
	if err := c.s.Admin.RemoveDomain(c.r.Context(), actor, name, c.version()); err != nil {
		return c.notAdministered(err, domainAt(name))
	}
	return c.ended(actor, []string{name}, "/admin/sso?notice=domain-removed")
}

// postSetUps goes on with the set-ups of people without a password.
func (c *call) postSetUps() error {
	actor, done, err := c.administer(true, "/admin/sso")
	if done || err != nil {
		return err
	}
	return c.setUps(actor, c.form["name"], c.form.Get("after"))
}

// setUps lets people choose a password, and tells how.
func (c *call) setUps(actor admin.Actor, domains []string, after string) error {
	list, next, err := c.s.Admin.OfferPasswords(c.r.Context(), actor, domains, after)
	if err != nil {
		return err
	}
	v := AdminSetUps{Chrome: c.chrome(), Domains: domains, Next: next, Page: c.s.Base + "/setup"}
	if origin, ok := c.origin(); ok {
		v.Page = origin + v.Page
	}
	for _, s := range list {
		switch {
		case s.Mailed:
			v.Mailed++
		case s.Elsewhere:
			v.Elsewhere = append(v.Elsewhere, s.Email)
		default:
			v.Codes, v.Expires = append(v.Codes, s), s.Expires
		}
	}
	return c.show(http.StatusOK, v)
}
