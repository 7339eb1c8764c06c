package web

import (
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// DomainRow is an e-mail domain of an account, as its administrators see it.
type DomainRow struct {
	storage.Domain
	ProviderName string // where its people sign in; empty: with us
}

// Declared reports whether the configuration owns it.
func (d DomainRow) Declared() bool { return d.Origin == storage.FromConfig }

// Lost reports whether its proof has gone.
func (d DomainRow) Lost() bool { return d.Verified && !d.Missing.IsZero() }

// Ends is when a proof that stays missing makes the domain unproven.
func (d DomainRow) Ends() time.Time { return d.Missing.Add(admin.UnverifyAfter) }

// State says in a word or two how far it is.
func (d DomainRow) State() Text {
	switch {
	case !d.Verified:
		return say("domains.state.pending")
	case d.Lost():
		return say("domains.state.lost")
	case d.Enforce:
		return say("domains.state.enforced")
	}
	return say("domains.state.verified")
}

// Where says where its people sign in.
func (d DomainRow) Where() Text {
	switch {
	case !d.Verified:
		return say("domains.where.pending")
	case d.ProviderName == "":
		return say("domains.where.here")
	case d.Enforce:
		return say("domains.where.enforced", "provider", d.ProviderName)
	}
	return say("domains.where.offered", "provider", d.ProviderName)
}

// Found says what the last look at DNS found.
func (d DomainRow) Found() Text {
	switch d.Finding {
	case admin.FoundProof:
		return say("domains.found.proof")
	case admin.FoundOther:
		return say("domains.found.other")
	case admin.FoundNothing:
		return say("domains.found.nothing")
	case admin.FoundSilence:
		return say("domains.found.silence")
	}
	return say("domains.found.failure")
}

// AdminSSO is where an account's administrators look after single sign-on.
type AdminSSO struct {
	Chrome
	Domains   []DomainRow
	Providers []ProviderRow
	Connect   bool // the operator has configured OpenID Connect
}

// Name is the view's template.
func (AdminSSO) Name() string { return "admin_sso" }

// Tab marks the page in the administrators' navigation.
func (AdminSSO) Tab() string { return "sso" }

// Begun reports whether there is anything yet.
func (a AdminSSO) Begun() bool { return len(a.Domains)+len(a.Providers) > 0 }

// AdminClaim asks which domain to claim.
type AdminClaim struct {
	Chrome
	Domain  string // as typed
	Problem Text
}

// Name is the view's template.
func (AdminClaim) Name() string { return "admin_claim" }

// Tab marks the page in the administrators' navigation.
func (AdminClaim) Tab() string { return "sso" }

// AdminDomain is one e-mail domain.
type AdminDomain struct {
	Chrome
	Domain    DomainRow
	Record    admin.DNSRecord
	Providers []ProviderRow // to choose from
	Untested  []ProviderRow // cannot be chosen yet
	Ready     admin.Readiness
	Problem   Text
}

// Name is the view's template.
func (AdminDomain) Name() string { return "admin_domain" }

// Tab marks the page in the administrators' navigation.
func (AdminDomain) Tab() string { return "sso" }

// Keepers names the administrators who get in without a provider.
func (a AdminDomain) Keepers() []string { return addresses(a.Ready.Keepers) }

// Need is one thing that enforcing a domain needs.
type Need struct {
	What Text
	Yes  bool
	Of   View
}

// Needs lists what enforcing the domain needs.
func (a AdminDomain) Needs() []Need {
	return []Need{
		{say("domain.ready.verified"), a.Ready.Verified, a},
		{say("domain.ready.linked"), a.Ready.Linked, a},
		{say("domain.ready.tested"), a.Ready.Tested, a},
		{say("domain.ready.keeper"), len(a.Ready.Keepers) > 0, a},
	}
}

func addresses(people []storage.User) []string {
	list := make([]string, len(people))
	for i, u := range people {
		list[i] = u.Email
	}
	return list
}

// AdminConfirm asks before something that people would notice, on a page of its
// own. Its form posts what it is about, and the version that was looked at.
type AdminConfirm struct {
	Chrome
	Title    Text
	Means    []Text // what happens, in the order in which it does
	Button   Text
	Danger   bool
	Action   string // path below the base
	Domain   string // what it is about: a domain, or
	Provider string // a provider's id
	Version  int64
	Turn     string // "on" or "off", where it turns something
	Back     string // path below the base
	Asks     bool   // it strands people, or might
	Stranded admin.Stranded
	Mail     bool // links can be mailed to them
}

// Name is the view's template.
func (AdminConfirm) Name() string { return "admin_confirm" }

// Tab marks the page in the administrators' navigation.
func (AdminConfirm) Tab() string { return "sso" }

// Some names the first of the stranded.
func (a AdminConfirm) Some() []string { return addresses(a.Stranded.Some) }

// More is how many of the stranded are not named.
func (a AdminConfirm) More() int { return a.Stranded.People - len(a.Stranded.Some) }

// AdminConflict says that somebody else was faster, and that nothing was done.
type AdminConflict struct {
	Chrome
	By   string // who; empty: not known any more
	At   time.Time
	Back string // path below the base
}

// Name is the view's template.
func (AdminConflict) Name() string { return "admin_conflict" }

// Tab marks the page in the administrators' navigation.
func (AdminConflict) Tab() string { return "sso" }

// AdminSetUps tells how people without a password get to choose one.
type AdminSetUps struct {
	Chrome
	Mailed    int
	Codes     []admin.SetUp
	Elsewhere []string  // addresses of people whom the operator must help
	Expires   time.Time // of the codes
	Page      string    // where the codes are used
	Domains   []string
	Next      string // goes on after this address; empty: that was all
}

// Name is the view's template.
func (AdminSetUps) Name() string { return "admin_setups" }

// Tab marks the page in the administrators' navigation.
func (AdminSetUps) Tab() string { return "sso" }
