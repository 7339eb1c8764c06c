package adminapi

import (
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Domain is an e-mail domain of an account.
type Domain struct {
	Name     string `json:"name"`
	Verified bool   `json:"verified"`
	Enforced bool   `json:"enforced"`
	Provider string `json:"provider,omitempty"` // where its people sign in; empty: here
	Declared bool   `json:"declared,omitempty"` // it is the configuration's, and needs no proof
	// The TXT record that proves it, and what the last look for it found.
	RecordName  string     `json:"record_name,omitempty"`
	RecordValue string     `json:"record_value,omitempty"`
	Checked     *time.Time `json:"checked,omitempty"`
	Finding     string     `json:"finding,omitempty"` // "proof", "other_records", "no_record", "no_answer" or "server_failure"
	// Missing is since when the proof of a verified domain has not been found, and
	// Ends when that makes it unverified.
	Missing *time.Time `json:"missing,omitempty"`
	Ends    *time.Time `json:"ends,omitempty"`
}

func domainJSON(d storage.Domain) Domain {
	out := Domain{
		Name: d.Name, Verified: d.Verified, Enforced: d.Enforce, Provider: d.Provider, Declared: d.Origin == storage.FromConfig,
		Checked: moment(d.Checked), Finding: d.Finding, Missing: moment(d.Missing),
	}
	if !out.Declared {
		record := admin.RecordOf(d)
		out.RecordName, out.RecordValue = record.Name, record.Value
	}
	if !d.Missing.IsZero() {
		out.Ends = moment(d.Missing.Add(admin.UnverifyAfter))
	}
	return out
}

// moment is a time that may not have been.
func moment(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}

func (c *call) listDomains() (any, error) {
	rows, err := c.Operator.Domains(c.ctx, c.at["account"])
	if err != nil {
		return nil, err
	}
	list := make([]Domain, len(rows))
	for i, row := range rows {
		list[i] = domainJSON(row)
	}
	return list, nil
}

// NewDomain is a domain to be claimed.
type NewDomain struct {
	Name string `json:"name"`
}

func (c *call) claimDomain() (any, error) {
	var in NewDomain
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	return oneDomain(c.Operator.ClaimDomain(c.ctx, c.at["account"], in.Name))
}

func oneDomain(d storage.Domain, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return domainJSON(d), nil
}

func (c *call) verifyDomain() (any, error) {
	return oneDomain(c.Operator.VerifyDomain(c.ctx, c.at["account"], c.at["domain"]))
}

// SignIn says where a domain's people sign in. What is not there stays as it is.
type SignIn struct {
	Provider *string `json:"provider,omitempty"` // empty: here
	Enforce  *bool   `json:"enforce,omitempty"`  // and nowhere else
}

func (c *call) setSignIn() (any, error) {
	var in SignIn
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	switch {
	case in.Provider == nil && in.Enforce == nil:
		return nil, invalid("name a provider, or say whether to enforce")
	case in.Provider != nil && in.Enforce != nil:
		return nil, invalid("name a provider or say whether to enforce, one after the other")
	case in.Provider != nil:
		return oneDomain(c.Operator.LinkDomain(c.ctx, c.at["account"], c.at["domain"], *in.Provider))
	}
	return oneDomain(c.Operator.EnforceDomain(c.ctx, c.at["account"], c.at["domain"], *in.Enforce))
}

func (c *call) removeDomain() (any, error) {
	return Done{}, c.Operator.RemoveDomain(c.ctx, c.at["account"], c.at["domain"])
}
