package mfa

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// row is one line of the decision table: when it matches, what it says.
type row struct {
	name string
	when func(s situation) bool
	then func(s situation) Decision
}

func says(v Verdict, r Reason) func(situation) Decision {
	return func(situation) Decision { return Decision{Verdict: v, Reason: r} }
}

// table is the decision table once more, in words and without code in common
// with Decide. The first row that matches decides.
var table = []row{
	{"1 public route", func(s situation) bool { return s.public }, says(Allow, PublicRoute)},
	{"2 no valid session", func(s situation) bool { return s.holder != "self" }, says(SignIn, NoSession)},
	{"2 disabled person", func(s situation) bool { return s.barred }, says(Deny, UserDisabled)},
	{"3 no account chosen", func(s situation) bool { return s.account == "none" }, says(ChooseAccount, NoAccount)},
	{"3 not a joined member", func(s situation) bool { return s.member != "joined" }, says(Deny, NotMember)},
	{"3 account switched off", func(s situation) bool { return s.account == "off" }, says(Deny, AccountDisabled)},
	{"- something is missing", func(s situation) bool { return s.lack != "nothing" }, says(Deny, Undecidable)},
	{"4 an entry for another account", func(s situation) bool { return s.entry == "other" }, says(Deny, BreakGlassEntry)},
	{"4 enforced domain without a provider", func(s situation) bool { return s.domain == "dangling" && !entered(s) }, says(Deny, Undecidable)},
	{"4 enforced domain, came another way", func(s situation) bool { return s.domain == "enforced" && s.came != "corp" && !entered(s) },
		func(situation) Decision { return Decision{Verdict: SSO, Reason: DomainEnforced, Provider: "corp"} }},
	{"5 provider of this account, too long ago", func(s situation) bool { return ours(s, Precedence) && s.routed() && !lately(s.first) },
		func(situation) Decision { return Decision{Verdict: SSO, Reason: ProviderTooOld, Provider: "corp"} }},
	{"5 provider of this account", func(s situation) bool { return ours(s, Precedence) }, says(Allow, ProviderPrecedence)},
	{"5 provider that proved it, too long ago", func(s situation) bool { return ours(s, Verify) && s.proved != "never" && !s.lasting(s.proved) },
		func(situation) Decision { return Decision{Verdict: SSO, Reason: ProviderTooOld, Provider: "corp"} }},
	{"5 provider that proved it", func(s situation) bool { return ours(s, Verify) && s.proved != "never" }, says(Allow, ProviderVerified)},
	{"6 second factor in this session", func(s situation) bool { age, _ := s.answered(); return verified(s) && s.lasting(age) },
		says(Allow, SecondFactor)},
	{"6 remembered browser", func(s situation) bool { return known(s) && !entered(s) }, says(Allow, RememberedDevice)},
	{"7 second factor too long ago", func(s situation) bool { return verified(s) && usable(s) != 0 },
		func(s situation) Decision {
			return Decision{Verdict: Challenge, Reason: SecondFactorTooOld, Offer: offered(s)}
		}},
	{"7 has an authenticator that counts", func(s situation) bool { return usable(s) != 0 },
		func(s situation) Decision { return Decision{Verdict: Challenge, Reason: Enrolled, Offer: offered(s)} }},
	{"7 an entry, and nothing to show", entered, says(Deny, BreakGlassEntry)},
	{"7 has one that does not count", func(s situation) bool { return s.has.Has(TOTP) || s.has.Has(WebAuthn) }, says(Enroll, KindNotAccepted)},
	{"8 required", func(s situation) bool { return s.mode == Required || s.more == "floor" }, says(Enroll, PolicyRequired)},
	{"8 the route requires", situation.routed, says(Enroll, RouteRequires)},
	{"9 suggested", func(s situation) bool { return suggested(s) && s.snooze != "running" }, says(Suggest, PolicySuggested)},
	{"10 suggested, put off", suggested, says(Allow, Snoozed)},
	{"10 otherwise", func(situation) bool { return true }, says(Allow, PolicyOptional)},
}

// ours: the session came through a provider that this account linked and trusts
// that much.
func ours(s situation, t Trust) bool {
	return s.came == "corp" && s.linked == "corp" && s.trust == t && !entered(s)
}

// entered: an operator's entry for this account began the session.
func entered(s situation) bool { return s.entry == "acct" }

// suggested: the mode in force is to suggest.
func suggested(s situation) bool { return s.mode == Suggested || s.more == "due" }

// known: this browser is remembered for a second factor that still counts.
func known(s situation) bool {
	if usable(s) == 0 || s.routed() {
		return false
	}
	switch s.device {
	case "recent totp":
		return counts(s, TOTP)
	case "recent webauthn":
		return true
	}
	return false
}

// counts says whether the account lets a kind count.
func counts(s situation, k Kind) bool { return s.accept == 0 || k == WebAuthn }

// verified: a second factor of a kind that counts was shown at some time.
func verified(s situation) bool {
	age, kind := s.answered()
	return age != "never" && kind != 0 && counts(s, kind)
}

// usable is the kind of authenticator that the person has and that counts.
func usable(s situation) Kind {
	switch {
	case s.has.Has(WebAuthn):
		return WebAuthn
	case s.has.Has(TOTP) && counts(s, TOTP):
		return TOTP
	}
	return 0
}

// offered is what the challenge may be answered with.
func offered(s situation) Kinds {
	var offer Kinds
	for _, k := range []Kind{TOTP, WebAuthn, Recovery} {
		if s.has.Has(k) && counts(s, k) {
			offer |= Kinds(k)
		}
	}
	return offer
}

// want is the oracle's answer.
func want(s situation) Decision {
	for _, r := range table {
		if r.when(s) {
			return r.then(s)
		}
	}
	panic("the table has a last row")
}

// everywhere calls check for every situation, on all processors, until it has
// returned five complaints.
func everywhere(t *testing.T, check func(s situation, f Facts) string) {
	t.Helper()
	var complaints atomic.Int32
	var group sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		group.Go(func() {
			for n := w; n < space && complaints.Load() < 5; n += workers {
				s := at(n)
				if complaint := check(s, s.facts()); complaint != "" {
					complaints.Add(1)
					t.Errorf("%+v: %s", s, complaint)
				}
			}
		})
	}
	group.Wait()
}

func TestDecideIsTheTable(t *testing.T) {
	everywhere(t, func(s situation, f Facts) string {
		if got := Decide(f); got != want(s) {
			return fmt.Sprintf("Decide = %+v, the table says %+v", got, want(s))
		}
		return ""
	})
}

func TestEveryRowDecidesSomething(t *testing.T) {
	hits := make([]int, len(table))
	for n := 0; n < space; n += 13 {
		s := at(n)
		for i, r := range table {
			if r.when(s) {
				hits[i]++
				break
			}
		}
	}
	for i, r := range table {
		if hits[i] == 0 {
			t.Errorf("row %q is never reached by the situations walked", r.name)
		}
	}
}

// TestConsequences holds what DESIGN promises about the rule as a whole, each
// stated without the rows.
func TestConsequences(t *testing.T) {
	everywhere(t, func(s situation, f Facts) string {
		d := Decide(f)
		if d.Verdict == Allow && !s.public && (s.holder != "self" || s.barred || s.account != "on" || s.member != "joined" || s.lack != "nothing") {
			return "let in without being a known, joined member of a working account"
		}
		if f.Proof.Provider != "" && s.linked != "corp" {
			g := f
			g.Proof.Provider, g.Proof.FirstBy = "stranger", BySSO
			if s.domain != "enforced" && s.domain != "dangling" && Decide(g) != d {
				return "a provider that the account did not link made a difference"
			}
		}
		vouched := s.came == "corp" && s.linked == "corp" && (s.trust == Precedence || s.trust == Verify && s.proved != "never")
		if d.Verdict == Allow && !s.public && !vouched && s.has&Authenticators != 0 && !verified(s) && d.Reason != RememberedDevice {
			return "having an authenticator was taken for having shown it"
		}
		if d.Verdict == Allow && !s.public && s.entry != "" && (s.entry != "acct" || !verified(s)) {
			return "an operator's entry opened another account, or this one without a second factor"
		}
		if d.Reason == RememberedDevice {
			g := f
			if g.Account.Changed = g.Proof.Remembered; Decide(g).Verdict == Allow {
				return "a browser was remembered over a change of the account's rules"
			}
		}
		if d.Verdict == Challenge && d.Offer == 0 {
			return "asked for a second factor and offers none"
		}
		if d.Verdict == Allow {
			g := f
			g.Account.Policy, g.Account.Floor, g.Account.Next = Optional, 0, 0
			if f.Account.Policy.Valid() && Decide(g).Verdict != Allow {
				return "a milder policy is stricter"
			}
		}
		return ""
	})
}

// TestPolicyAsksNobodyLess raises the policy step by step: no person gets
// further by it, and the people who showed a second factor notice nothing.
func TestPolicyAsksNobodyLess(t *testing.T) {
	strictness := map[Verdict]int{Allow: 0, Suggest: 1, Challenge: 2, Enroll: 2, ChooseAccount: 3, SSO: 3, SignIn: 3, Deny: 4}
	everywhere(t, func(s situation, f Facts) string {
		if s.mode != Optional || s.more != "" {
			return ""
		}
		last := Decide(f)
		for _, mode := range []Policy{Suggested, Required} {
			f.Account.Policy = mode
			next := Decide(f)
			if strictness[next.Verdict] < strictness[last.Verdict] {
				return fmt.Sprintf("%v under %v comes after %v", next, mode, last)
			}
			if last.Reason == SecondFactor && next != last {
				return "a shown second factor stopped counting"
			}
			last = next
		}
		return ""
	})
}

// TestRoleDoesNotDecide: an administrator is under the same policy.
func TestRoleDoesNotDecide(t *testing.T) {
	everywhere(t, func(s situation, f Facts) string {
		if s.lack == "role" {
			return ""
		}
		d := Decide(f)
		f.Member.Role = RoleAdmin
		if Decide(f) != d {
			return "an administrator is judged differently"
		}
		return ""
	})
}

// changes is what DecideChange must say, in words.
func changes(s situation) Decision {
	age, kind := s.answered()
	switch {
	case s.holder != "self":
		return Decision{Verdict: SignIn, Reason: NoSession}
	case s.barred:
		return Decision{Verdict: Deny, Reason: UserDisabled}
	case s.lack == "clock":
		return Decision{Verdict: Deny, Reason: Undecidable}
	case !s.has.Has(TOTP) && !s.has.Has(WebAuthn):
		return Decision{Verdict: Allow, Reason: PolicyOptional}
	case kind == 0 || !lately(age):
		return Decision{Verdict: Challenge, Reason: SecondFactorTooOld, Offer: s.has}
	case kind == Recovery && !lately(s.first):
		return Decision{Verdict: SignIn, Reason: FirstFactorTooOld}
	}
	return Decision{Verdict: Allow, Reason: SecondFactor}
}

// profiles is what DecideProfile must say, in words.
func profiles(s situation) Decision {
	age, kind := s.answered()
	switch {
	case s.holder != "self":
		return Decision{Verdict: SignIn, Reason: NoSession}
	case s.barred:
		return Decision{Verdict: Deny, Reason: UserDisabled}
	case !s.has.Has(TOTP) && !s.has.Has(WebAuthn):
		return Decision{Verdict: Allow, Reason: PolicyOptional}
	case age == "never" || kind == 0:
		return Decision{Verdict: Challenge, Reason: Enrolled, Offer: s.has}
	}
	return Decision{Verdict: Allow, Reason: SecondFactor}
}

func TestDecideChangeAndProfile(t *testing.T) {
	everywhere(t, func(s situation, f Facts) string {
		if got := DecideChange(f); got != changes(s) {
			return fmt.Sprintf("DecideChange = %+v, want %+v", got, changes(s))
		}
		if got := DecideProfile(f); got != profiles(s) {
			return fmt.Sprintf("DecideProfile = %+v, want %+v", got, profiles(s))
		}
		return ""
	})
}

// administers is what DecideAdmin must say, in words; see administer.
func administers(s situation) Decision {
	s.public = false
	switch s.span {
	case "route":
		s.span = "nobody"
	case "both":
		s.span = "account"
	}
	d := want(s)
	if d.Verdict != Allow {
		return d
	}
	age, kind := s.answered()
	switch {
	case s.snooze != "never":
		return Decision{Verdict: Deny, Reason: NotAdmin}
	case s.domain == "pending":
		return d
	case ours(s, Precedence), ours(s, Verify) && s.proved != "never":
		if !lately(s.first) {
			return Decision{Verdict: SSO, Reason: ProviderTooOld, Provider: "corp"}
		}
		return d
	case (kind == TOTP || kind == WebAuthn) && counts(s, kind) && lately(age):
		return Decision{Verdict: Allow, Reason: SecondFactor}
	case usable(s) != 0:
		return Decision{Verdict: Challenge, Reason: SecondFactorTooOld, Offer: Kinds(usable(s))}
	}
	return Decision{Verdict: Enroll, Reason: AdminNeedsFactor}
}

// administer is DecideAdmin in a world where members are administrators unless
// they snoozed, and change things unless their domain is pending.
func administer(f Facts) Decision {
	f, change := appointed(f)
	return DecideAdmin(f, change)
}

func appointed(f Facts) (_ Facts, change bool) {
	if f.Member.Role != 0 && f.Member.SnoozedUntil.IsZero() {
		f.Member.Role = RoleAdmin
	}
	return f, f.Domain.Verified || !f.Domain.Enforce
}

func TestDecideAdmin(t *testing.T) {
	everywhere(t, func(s situation, f Facts) string {
		if got := administer(f); got != administers(s) {
			return fmt.Sprintf("DecideAdmin = %+v, want %+v", got, administers(s))
		}
		return ""
	})
}

// TestMode walks every combination of the modes that an account may be under.
func TestMode(t *testing.T) {
	all := []Policy{0, Optional, Suggested, Required}
	for _, own := range all {
		for _, floor := range all {
			for _, next := range all {
				for _, wait := range []time.Duration{-1, 0, 1} {
					a := Account{Policy: own, Floor: floor, Next: next, NextAt: epoch.Add(wait)}
					want := max(own, floor)
					if wait <= 0 {
						want = max(want, next)
					}
					if own == 0 {
						want = 0
					}
					if got := a.Mode(epoch); got != want {
						t.Errorf("%+v is under %v, want %v", a, got, want)
					}
				}
			}
		}
	}
}

// TestUnder: a mode that is tried is the only one, but for the operator's least.
func TestUnder(t *testing.T) {
	f := Facts{Account: Account{Policy: Optional, Next: Required, NextAt: epoch, Floor: Suggested}}
	for tried, want := range map[Policy]Policy{Optional: Suggested, Suggested: Suggested, Required: Required} {
		if got := f.Under(tried).Account.Mode(epoch.Add(time.Hour)); got != want {
			t.Errorf("under %v: %v, want %v", tried, got, want)
		}
	}
	if f.Account.Policy != Optional || f.Account.Next != Required {
		t.Error("trying a mode changed the facts")
	}
}

func TestZeroRefuses(t *testing.T) {
	if d := (Decision{}); d.Verdict != Deny {
		t.Errorf("the zero decision is %v", d.Verdict)
	}
	for name, decide := range map[string]func(Facts) Decision{
		"Decide": Decide, "DecideChange": DecideChange, "DecideProfile": DecideProfile, "DecideAdmin": administer,
	} {
		if d := decide(Facts{}); d.Verdict != SignIn {
			t.Errorf("%s of no facts = %+v", name, d)
		}
	}
	if got := Verdict(200).String(); got != "deny" {
		t.Errorf("an unknown verdict is called %q", got)
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	f := situation{who: who{holder: "self", first: "old"}, place: place{"on", "joined"}, rules: modes[1],
		domain: "verified", via: vias[5], second: "recent totp"}.facts()
	if n := testing.AllocsPerRun(100, func() { Decide(f) }); n != 0 {
		t.Errorf("Decide allocates %v times", n)
	}
}

func BenchmarkDecide(b *testing.B) {
	f := situation{who: who{holder: "self", first: "old"}, place: place{"on", "joined"}, rules: modes[1],
		domain: "unclaimed", via: vias[0], second: "recent totp"}.facts()
	for b.Loop() {
		Decide(f)
	}
}
