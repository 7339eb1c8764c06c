package web

import (
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// ProviderRow is an identity provider of an account, as its administrators see
// it.
type ProviderRow struct {
	ID        string
	Label     string // its name, or what stands for one
	Kind      string
	Issuer    string
	Trust     mfa.Trust
	Disabled  bool
	Origin    storage.Origin
	Tested    time.Time // zero: not since it changed
	Tester    string    // who did
	Percent   int       // of the sign-ins of the last 30 days, how many carried proof of several factors
	SignIns   int
	Days      int
	Chosen    bool // in a list to choose from
	TestsPass bool // it needs no test, or has passed one
}

// Declared reports whether the configuration owns it.
func (p ProviderRow) Declared() bool { return p.Origin == storage.FromConfig }

// Editable reports whether its settings can be changed here.
func (p ProviderRow) Editable() bool { return !p.Declared() && p.Kind == admin.KindOIDC }

// State says in a word or two how far it is.
func (p ProviderRow) State() Text {
	switch {
	case p.Disabled:
		return say("providers.state.disabled")
	case p.Declared():
		return say("providers.state.declared")
	case p.TestsPass:
		return say("providers.state.works")
	}
	return say("providers.state.untested")
}

// KindText says what kind of thing it is.
func (p ProviderRow) KindText() Text {
	switch p.Kind {
	case admin.KindOIDC:
		return say("providers.kind.oidc")
	case "ldap":
		return say("providers.kind.ldap")
	}
	return say("providers.kind.other", "kind", p.Kind)
}

// Lately says what it said about the sign-ins of the last weeks.
func (p ProviderRow) Lately() Text {
	if p.SignIns == 0 {
		return say("providers.lately.none", "days", p.Days)
	}
	return say("providers.lately", "percent", p.Percent, "n", p.SignIns, "days", p.Days)
}

// TrustText says what the account makes of a sign-in through it.
func (p ProviderRow) TrustText() Text {
	switch p.Trust {
	case mfa.Verify:
		return say("providers.trust.verify")
	case mfa.Stack:
		return say("providers.trust.stack")
	}
	return say("providers.trust.precedence")
}

// AdminProvider is one identity provider, or the form for a new one.
type AdminProvider struct {
	Chrome
	Provider    ProviderRow // the zero value: a new one
	Form        ProviderFields
	Version     int64
	Secret      bool   // there is a client secret, which is never shown
	RedirectURI string // to be registered at the provider; empty: it cannot be told
	LogoutURI   string
	Domains     []string // those that lead to it
	Problem     Text
}

// Name is the view's template.
func (AdminProvider) Name() string { return "admin_provider" }

// Tab marks the page in the administrators' navigation.
func (AdminProvider) Tab() string { return "sso" }

// New reports whether it is to be connected yet.
func (a AdminProvider) New() bool { return a.Provider.ID == "" }

// ProviderFields is what stands in the form. The client secret never does.
type ProviderFields struct {
	Name          string
	Issuer        string
	ClientID      string
	Public        bool
	Join          bool
	Tenants       string // several in one field, separated by spaces; so are all lists
	Scopes        string
	ACRValues     string
	MFAACRValues  string
	MaxAge        string // in minutes
	Prompt        string
	EmailClaim    string
	VerifiedClaim string
	AssumeEmail   bool
	NameClaim     string
	GroupsClaim   string
}

// More reports whether something stands in the fields that most never need.
func (f ProviderFields) More() bool {
	f.Name, f.Issuer, f.ClientID, f.Public, f.Join = "", "", "", false, false
	return f != ProviderFields{}
}

// AdminTested tells what came of a test sign-in.
type AdminTested struct {
	Chrome
	Provider ProviderRow
	Passed   bool
	Reason   string // why not: a stable code; empty: it could not be asked
	Who      identity.Identity
}

// Name is the view's template.
func (AdminTested) Name() string { return "admin_tested" }

// Tab marks the page in the administrators' navigation.
func (AdminTested) Tab() string { return "sso" }

// Why says what was wrong, and what helps.
func (a AdminTested) Why() Text {
	switch a.Reason {
	case "":
		return say("tested.why.unavailable")
	case "email_missing":
		return say("tested.why.missing")
	case "email_malformed":
		return say("tested.why.malformed")
	case "email_unverified":
		return say("tested.why.unverified")
	case "email_of_another_domain":
		return say("tested.why.domain", "email", a.Who.Email)
	case "changed_meanwhile":
		return say("tested.why.changed")
	}
	return say("tested.why.refused", "reason", a.Reason)
}

// Methods are what it said it asked for (amr).
func (a AdminTested) Methods() string { return strings.Join(a.Who.AMR, ", ") }
