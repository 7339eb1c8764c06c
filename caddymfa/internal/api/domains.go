package api

import (
	"errors"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Claim is a domain to be claimed.
type Claim struct {
	Name string `json:"name" jsonschema:"such as acme.example"`
}

// DomainList lists an account's domains.
type DomainList struct {
	Domains []Domain `json:"domains"`
}

// Domain is a domain that the account has claimed.
type Domain struct {
	Name     string     `json:"name"`
	Verified bool       `json:"verified"`
	Enforced bool       `json:"enforced" jsonschema:"its people are sent to the identity provider"`
	Provider string     `json:"provider,omitempty" jsonschema:"the id of the identity provider"`
	Record   *Record    `json:"record,omitempty" jsonschema:"what to publish as proof; absent: nothing is needed"`
	Checked  *time.Time `json:"checked,omitempty" jsonschema:"when the record was last looked for"`
	Finding  string     `json:"finding,omitempty" jsonschema:"what was found then"`
	Declared bool       `json:"declared" jsonschema:"the gate's configuration owns it, and it cannot be changed here"`
}

// Link says through which identity provider people of a domain sign in.
type Link struct {
	Provider string `json:"provider" jsonschema:"the id of the identity provider; empty: none"`
}

// Enforcing says whether a domain is to be enforced.
type Enforcing struct {
	Enforced bool `json:"enforced" jsonschema:"its people are sent to the identity provider, and no password of theirs is taken"`
}

// Readiness says what enforcing a domain needs, and what of it is there.
type Readiness struct {
	Ready    bool `json:"ready" jsonschema:"nothing is missing"`
	Verified bool `json:"verified"`
	Linked   bool `json:"linked" jsonschema:"to an identity provider that is not disabled"`
	Tested   bool `json:"tested" jsonschema:"an administrator signed in through it since its settings changed"`
	Keepers  int  `json:"keepers" jsonschema:"how many administrators would get in without it; it takes one"`
	Stranded int  `json:"without_password" jsonschema:"how many people of the domain could not sign in if it were no longer enforced"`
}

// Offered is how many people were mailed a link.
type Offered struct {
	Mailed int    `json:"mailed"`
	Next   string `json:"next,omitempty" jsonschema:"the after with which to go on; absent: that was everybody"`
}

// Record is a TXT record.
type Record struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func domainOf(d storage.Domain) Domain {
	seen := Domain{Name: d.Name, Verified: d.Verified, Enforced: d.Enforce, Provider: d.Provider, Checked: when(d.Checked),
		Finding: d.Finding, Declared: d.Origin == storage.FromConfig}
	if d.Token != "" {
		r := admin.RecordOf(d)
		seen.Record = &Record{Name: r.Name, Value: r.Value}
	}
	return seen
}

func (c *call) listDomains() (any, error) {
	rows, err := c.Admin.Domains(c.ctx, c.token.Account)
	if err != nil {
		return nil, err
	}
	list := DomainList{Domains: make([]Domain, len(rows))}
	for i, row := range rows {
		list.Domains[i] = domainOf(row)
	}
	return list, nil
}

func (c *call) domain() (any, error) {
	row, err := c.Admin.Domain(c.ctx, c.token.Account, c.at["domain"])
	if err != nil {
		return nil, err
	}
	c.tag = tagOf(row.Version)
	return domainOf(row), nil
}

func (c *call) claimDomain() (any, error) {
	var in Claim
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	row, err := c.Admin.ClaimDomain(c.ctx, c.actor(), in.Name)
	for _, no := range []error{admin.ErrDomainName, admin.ErrDomainSuffix, admin.ErrDomainMail} {
		if errors.Is(err, no) {
			return nil, invalid("name: %v.", no)
		}
	}
	if err != nil {
		return nil, err
	}
	return domainOf(row), nil
}

func (c *call) verifyDomain() (any, error) {
	row, err := c.Admin.VerifyDomain(c.ctx, c.actor(), c.at["domain"])
	if err != nil {
		return nil, err
	}
	return domainOf(row), nil
}

func (c *call) removeDomain() (any, error) {
	version, err := c.version()
	if err != nil {
		return nil, err
	}
	return nil, c.ssoRefused(c.Admin.RemoveDomain(c.ctx, c.actor(), c.at["domain"], version))
}

func (c *call) linkDomain() (any, error) {
	version, err := c.version()
	if err != nil {
		return nil, err
	}
	var in Link
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	return c.domainNow(c.Admin.LinkDomain(c.ctx, c.actor(), c.at["domain"], version, in.Provider))
}

func (c *call) enforceDomain() (any, error) {
	version, err := c.version()
	if err != nil {
		return nil, err
	}
	var in Enforcing
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	return c.domainNow(c.Admin.EnforceDomain(c.ctx, c.actor(), c.at["domain"], version, in.Enforced))
}

// domainNow answers with a domain as a change left it.
func (c *call) domainNow(row storage.Domain, err error) (any, error) {
	if err != nil {
		return nil, c.ssoRefused(err)
	}
	c.tag = tagOf(row.Version)
	return domainOf(row), nil
}

func (c *call) readiness() (any, error) {
	row, err := c.Admin.Domain(c.ctx, c.token.Account, c.at["domain"])
	if err != nil {
		return nil, err
	}
	ready, err := c.Admin.Ready(c.ctx, row)
	if err != nil {
		return nil, err
	}
	stranded, err := c.Admin.Stranded(c.ctx, c.token.Account, []string{row.Name})
	if err != nil {
		return nil, err
	}
	return Readiness{Ready: ready.OK(), Verified: ready.Verified, Linked: ready.Linked, Tested: ready.Tested, Keepers: len(ready.Keepers),
		Stranded: stranded.People}, nil
}

// offerPasswords mails links only: a code that lets somebody in goes through no
// program.
func (c *call) offerPasswords() (any, error) {
	row, err := c.Admin.Domain(c.ctx, c.token.Account, c.at["domain"])
	if err != nil {
		return nil, err
	}
	if !c.Admin.Mails() {
		return nil, admin.ErrNoMail
	}
	list, next, err := c.Admin.OfferPasswords(c.ctx, c.actor(), []string{row.Name}, c.ask.Get("after"))
	return Offered{Mailed: len(list), Next: next}, err
}
