package adminapi

import (
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// BreakGlassFor says which account an entry opens, for how long, and where the
// person will open its link.
type BreakGlassFor struct {
	Account string `json:"account"`
	For     string `json:"for,omitempty"`    // a duration. Empty: an hour
	Origin  string `json:"origin,omitempty"` // as for a set-up link
}

// BreakGlass is what a person needs for entering once.
type BreakGlass struct {
	Code    string    `json:"code"`
	Expires time.Time `json:"expires"`
	Link    string    `json:"link,omitempty"` // empty: no origin was known
}

func (c *call) createBreakGlass() (any, error) {
	var in BreakGlassFor
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	life := time.Hour
	if in.For != "" {
		var err error
		if life, err = time.ParseDuration(in.For); err != nil {
			return nil, invalid("for %q: expected a duration such as 30m or 2h", in.For)
		}
	}
	origin, err := c.originFor(in.Origin)
	if err != nil {
		return nil, err
	}
	code, expires, err := c.Operator.CreateBreakGlass(c.ctx, c.at["user"], in.Account, life)
	if err != nil {
		return nil, err
	}
	out := BreakGlass{Code: code, Expires: expires.UTC()}
	if origin != "" {
		out.Link = origin + c.Base + "/breakglass#" + code
	}
	return out, nil
}

// Provider is an account's identity provider, without its settings, and what it
// said lately about the sign-ins that it vouched for.
type Provider struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	Name     string `json:"name,omitempty"`
	Issuer   string `json:"issuer,omitempty"`
	Trust    string `json:"trust"`
	Disabled bool   `json:"disabled,omitempty"`
	Declared bool   `json:"declared,omitempty"`
	Days     int    `json:"days"` // how far back the counts go
	SignIns  int    `json:"sign_ins"`
	WithMFA  int    `json:"with_mfa"`
	Percent  int    `json:"percent"` // of the sign-ins, how many carried proof of several factors
}

func (c *call) listProviders() (any, error) {
	rows, err := c.Operator.Assurances(c.ctx, c.at["account"])
	if err != nil {
		return nil, err
	}
	list := make([]Provider, len(rows))
	for i, row := range rows {
		p := row.Provider
		list[i] = Provider{
			ID: p.ID, Kind: p.Kind, Name: p.Name, Issuer: p.Issuer, Trust: p.Trust.String(), Disabled: p.Disabled,
			Declared: p.Origin == storage.FromConfig, Days: int(login.AssuranceTime / (24 * time.Hour)),
			SignIns: row.SignIns, WithMFA: row.WithMFA, Percent: row.Percent(),
		}
	}
	return list, nil
}
