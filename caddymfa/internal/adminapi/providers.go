package adminapi

import (
	"cmp"
	"encoding/json"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// NewProvider is an identity provider to be connected to an account.
type NewProvider struct {
	Kind     string          `json:"kind"` // "oidc", "ldap"
	Name     string          `json:"name,omitempty"`
	Trust    string          `json:"trust,omitempty"` // "precedence" (which it is if left out), "verify" or "stack"
	Join     bool            `json:"join,omitempty"`
	Admins   []string        `json:"admins,omitempty"`
	Settings json.RawMessage `json:"settings"` // the kind's own, with its secrets
}

// Connected is a provider that was connected.
type Connected struct {
	ID string `json:"id"`
}

func (c *call) addProvider() (any, error) {
	var in NewProvider
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	trust, err := mfa.ParseTrust(cmp.Or(in.Trust, mfa.Precedence.String()))
	if err != nil {
		return nil, invalid("%w", err)
	}
	p, err := c.Operator.AddProvider(c.ctx, c.at["account"], admin.Connection{
		Kind: in.Kind, Name: cmp.Or(in.Name, in.Kind), Trust: trust, Linking: login.Linking{Join: in.Join, Admins: in.Admins, Source: in.Settings},
	})
	if err != nil {
		return nil, err
	}
	return Connected{ID: p.ID}, nil
}

// Test is whose password a directory is asked about.
type Test struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

// Tested is what came of a test.
type Tested struct {
	Passed bool   `json:"passed"`
	Reason string `json:"reason,omitempty"` // why not; empty: it could not be asked
	Email  string `json:"email,omitempty"`
	Name   string `json:"name,omitempty"`
}

func (c *call) testProvider() (any, error) {
	var in Test
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	trial, err := c.Operator.TestDirectory(c.ctx, c.at["account"], c.at["provider"], in.User, in.Password)
	if err != nil {
		return nil, err
	}
	return Tested{Passed: trial.Passed, Reason: trial.Reason, Email: trial.Who.Email, Name: trial.Who.Name}, nil
}

// Trust is what an account makes of a sign-in through a provider.
type Trust struct {
	Trust string `json:"trust"` // "precedence", "verify" or "stack"
}

func (c *call) setTrust() (any, error) {
	var in Trust
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	trust, err := mfa.ParseTrust(in.Trust)
	if err != nil {
		return nil, invalid("%w", err)
	}
	return Done{}, c.Operator.SetTrust(c.ctx, c.at["account"], c.at["provider"], trust)
}

func (c *call) disableProvider() (any, error) {
	return Done{}, c.Operator.SwitchProvider(c.ctx, c.at["account"], c.at["provider"], true)
}

func (c *call) enableProvider() (any, error) {
	return Done{}, c.Operator.SwitchProvider(c.ctx, c.at["account"], c.at["provider"], false)
}

func (c *call) removeProvider() (any, error) {
	return Done{}, c.Operator.RemoveProvider(c.ctx, c.at["account"], c.at["provider"])
}
