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
	err = c.Admin.RemoveDomain(c.ctx, c.actor(), c.at["domain"], version)
	if errors.Is(err, storage.ErrConflict) {
		return nil, changed("The domain was changed since it was read.")
	}
	return nil, err
}
