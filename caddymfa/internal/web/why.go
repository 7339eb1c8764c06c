package web

import (
	"slices"

	"github.com/caddymfa/gateway/caddymfa/internal/facts"
	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// purpose is what a person is about to do when a page asks something of them.
// The same reason reads differently for each.
type purpose uint8

const (
	toEnter      purpose = iota // the account
	toEnterPart                 // a part of it that the operator guards more closely
	toAdminister                // the account's settings
	toSeeOwn                    // their own pages
)

// ours reports whether a page of ours asks, by a rule of its own.
func (p purpose) ours() bool { return p == toAdminister || p == toSeeOwn }

// wanted is what the place that the person is going to still asks for.
func (c *call) wanted(g facts.Gathered) (mfa.Decision, purpose) {
	d, to := mfa.Decide(g.Facts), c.returnTo()
	if d.Verdict == mfa.Challenge || !c.own(to) {
		if route, account := g.Facts.Route.MaxAge, g.Facts.Account.SecondFactorAge; route > 0 && (account <= 0 || route < account) {
			return d, toEnterPart
		}
		return d, toEnter
	}
	if c.administers(to) {
		return mfa.DecideAdmin(g.Facts, true), toAdminister
	}
	if d := mfa.DecideProfile(g.Facts); d.Verdict != mfa.Allow {
		return d, toSeeOwn
	}
	return mfa.DecideChange(g.Facts), toSeeOwn
}

// asked says why the rule wants one of the given things of the person; the zero
// Text: it does not, and they came by themselves.
func (c *call) asked(g facts.Gathered, around Chrome, verdicts ...mfa.Verdict) Text {
	d, to := c.wanted(g)
	if !slices.Contains(verdicts, d.Verdict) {
		return Text{}
	}
	return why(d.Reason, to, around.AccountName)
}

// why says which rule of which account asks, for every reason of the decision
// that makes a page ask; of all others, nothing. account is the name of the one
// being entered.
func why(reason mfa.Reason, to purpose, account string) Text {
	said := whyHere(reason, to, account)
	if account == "" && len(said.Args) > 0 {
		return say("why.unnamed")
	}
	return said
}

func whyHere(reason mfa.Reason, to purpose, account string) Text {
	switch reason {
	case mfa.NoSession:
		return say("why.nosession")
	case mfa.NoAccount:
		return say("why.noaccount")
	case mfa.DomainEnforced:
		return say("why.domain", "account", account)
	case mfa.ProviderTooOld:
		if to == toAdminister {
			return say("why.provider.admin", "account", account)
		}
		return say("why.provider", "account", account)
	case mfa.Enrolled:
		if to == toSeeOwn {
			return say("why.enrolled.own")
		}
		return say("why.enrolled", "account", account)
	case mfa.SecondFactorTooOld:
		switch to {
		case toEnterPart:
			return say("why.fresh.part", "account", account)
		case toAdminister:
			return say("why.fresh.admin", "account", account)
		case toSeeOwn:
			return say("why.fresh.own")
		}
		return say("why.fresh", "account", account)
	case mfa.FirstFactorTooOld:
		return say("why.recovery")
	case mfa.KindNotAccepted:
		return say("why.kind", "account", account)
	case mfa.PolicyRequired:
		return say("why.required", "account", account)
	case mfa.RouteRequires:
		return say("why.route", "account", account)
	case mfa.PolicySuggested:
		return say("why.suggested", "account", account)
	case mfa.AdminNeedsFactor:
		return say("why.admin", "account", account)
	}
	return Text{}
}

// whyCompany says why somebody who is not signed in yet goes to their company.
// It names no account: whoever types an address would learn whose it is.
var whyCompany = say("why.company")

// whyAgain says why somebody who is signed in is asked to sign in, where no rule
// of the decision wants it.
var whyAgain = say("why.again")
