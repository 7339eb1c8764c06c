package mfa

import "time"

// Facts is everything that the rule may look at. A caller that cannot
// establish a fact leaves it zero, and zero never opens a door.
type Facts struct {
	Now     time.Time
	Account Account
	User    User
	Member  Member
	Domain  Domain
	// Enrolled holds the kinds the person can answer with now: authenticators,
	// and Recovery while unused codes are left.
	Enrolled Kinds
	Proof    Proof
	Route    Route
}

// Account is the account being entered. An empty ID means that none was chosen.
type Account struct {
	ID     string
	Policy Policy
	// Floor is the least that the operator wants of every account. Zero: nothing.
	Floor Policy
	// Next is a stricter mode that begins at NextAt. Zero: none is planned.
	Next      Policy
	NextAt    time.Time
	Disabled  bool
	Providers []Provider // the identity providers that this account linked
	// Accept holds the kinds of second factor that count here. Zero: all of them.
	Accept Kinds
	// SecondFactorAge is how long a second factor lasts here. Zero: as long as
	// the session.
	SecondFactorAge time.Duration
	// Remember is how long a browser that showed a second factor is remembered.
	// Zero: not at all.
	Remember time.Duration
	// Changed is when the account's rules were last changed; what was remembered
	// before does not count.
	Changed time.Time
}

// Mode returns the mode in force: the strictest of the account's own, the
// operator's least and, once it is due, the planned one. An account without a
// mode has none.
func (a Account) Mode(now time.Time) Policy {
	if !a.Policy.Valid() {
		return 0
	}
	mode := max(a.Policy, a.Floor)
	if !now.Before(a.NextAt) {
		mode = max(mode, a.Next)
	}
	return mode
}

// trust returns what the account makes of a sign-in through a provider: nothing,
// unless it linked that provider.
func (a Account) trust(provider string) Trust {
	if provider == "" {
		return 0
	}
	for _, p := range a.Providers {
		if p.ID == provider {
			return p.Trust
		}
	}
	return 0
}

// accepted returns the kinds that count.
func (a Account) accepted() Kinds {
	if a.Accept == 0 {
		return Authenticators | Kinds(Recovery)
	}
	return a.Accept
}

// strong returns the authenticators that count.
func (a Account) strong() Kinds { return a.accepted() & Authenticators }

// User is the session's person.
type User struct {
	ID       string
	Disabled bool
}

// Member is the person's membership in the account being entered.
type Member struct {
	Role         Role
	State        MemberState
	SnoozedUntil time.Time // until when "Not now" holds; zero: never said
}

// Domain is what the account being entered decided about the person's e-mail
// domain. The zero value is a domain that the account did not claim.
type Domain struct {
	Verified bool
	Enforce  bool
	Provider string // id of the identity provider that signs this domain's people in
}

// Route is what the operator declared for the path being asked for.
type Route struct {
	Public bool
	// MaxAge is how old a second factor may be here. Zero: as old as the
	// session. A route that sets it is never entered without a second factor.
	MaxAge time.Duration
}

// Verdict says what the gate does. The zero value denies.
type Verdict uint8

// The verdicts.
const (
	Deny          Verdict = iota // refuse, and say why
	SignIn                       // ask for the first factor
	SSO                          // send to the account's identity provider
	ChooseAccount                // ask which account to enter
	Challenge                    // ask for a second factor
	Enroll                       // allow nothing but setting up an authenticator
	Suggest                      // invite to set one up, with "Not now"
	Allow                        // let pass
)

var verdictNames = [...]string{"deny", "sign_in", "sso", "choose_account", "challenge", "enroll", "suggest", "allow"}

// String returns the verdict's name as used in logs, metrics and JSON.
func (v Verdict) String() string {
	if int(v) >= len(verdictNames) {
		return verdictNames[Deny]
	}
	return verdictNames[v]
}

// Reason says which rule decided. It is stable and may be matched on.
type Reason string

// The reasons, in the order of the table.
const (
	Undecidable        Reason = "undecidable"           // the facts contradict one another or are missing
	Unavailable        Reason = "unavailable"           // the facts could not be read; set by callers, never by Decide
	PublicRoute        Reason = "public_route"          // row 1
	NoSession          Reason = "no_session"            // row 2
	UserDisabled       Reason = "user_disabled"         // row 2: the person was switched off by the operator
	NoAccount          Reason = "no_account"            // row 3: signed in, but no account was chosen
	NotMember          Reason = "not_member"            // row 3: also for an account that does not exist
	AccountDisabled    Reason = "account_disabled"      // row 3: the account was switched off by the operator
	DomainEnforced     Reason = "domain_enforced"       // row 4
	BreakGlassEntry    Reason = "break_glass"           // row 4: an operator's entry opens one account, with a second factor
	ProviderPrecedence Reason = "provider_precedence"   // row 5
	ProviderVerified   Reason = "provider_verified"     // row 5: the provider proved several factors
	ProviderTooOld     Reason = "provider_too_old"      // row 5: a fresh sign-in at the provider is wanted
	SecondFactor       Reason = "second_factor"         // row 6
	RememberedDevice   Reason = "remembered_device"     // row 6: this browser showed one, and was to be remembered
	Enrolled           Reason = "enrolled"              // row 7: the person has an authenticator
	SecondFactorTooOld Reason = "second_factor_too_old" // row 7: the route or the account wants a fresh one
	KindNotAccepted    Reason = "kind_not_accepted"     // row 7: none of the person's authenticators counts in this account
	PolicyRequired     Reason = "policy_required"       // row 8
	RouteRequires      Reason = "route_requires"        // row 8: the route, not the policy, wants a second factor
	PolicySuggested    Reason = "policy_suggested"      // row 9
	Snoozed            Reason = "snoozed"               // row 10: "Not now" was said
	PolicyOptional     Reason = "policy_optional"       // row 10
	FirstFactorTooOld  Reason = "first_factor_too_old"  // DecideChange: a recovery code alone re-binds nothing
	NotAdmin           Reason = "not_admin"             // DecideAdmin: a member, but no administrator
	AdminNeedsFactor   Reason = "admin_needs_factor"    // DecideAdmin: who has none cannot change the account's rules
)

// Decision is what the gate does with one request, and why.
type Decision struct {
	Verdict  Verdict
	Reason   Reason
	Offer    Kinds  // with Challenge: the kinds the person can answer with
	Provider string // with SSO: the identity provider to go to
}

// Decide is the one rule: what happens to a request, from facts alone. It is
// pure and total, and any state it cannot make sense of is denied. The first
// matching row wins; the rows are those of the decision table in the README.
func Decide(f Facts) Decision {
	// Row 1: the operator declared the route public.
	if f.Route.Public {
		return Decision{Verdict: Allow, Reason: PublicRoute}
	}
	// Row 2: no valid session. Evidence about somebody else is no evidence.
	if f.Proof.User == "" || f.Proof.First.IsZero() || f.Proof.User != f.User.ID {
		return Decision{Verdict: SignIn, Reason: NoSession}
	}
	if f.User.Disabled {
		return Decision{Verdict: Deny, Reason: UserDisabled}
	}
	// Row 3: not a joined member of the account.
	if f.Account.ID == "" {
		return Decision{Verdict: ChooseAccount, Reason: NoAccount}
	}
	if f.Member.State != Joined {
		return Decision{Verdict: Deny, Reason: NotMember}
	}
	if f.Account.Disabled {
		return Decision{Verdict: Deny, Reason: AccountDisabled}
	}
	mode := f.Account.Mode(f.Now)
	if !mode.Valid() || f.Member.Role == 0 || f.Now.IsZero() {
		return Decision{Verdict: Deny, Reason: Undecidable}
	}
	// Row 4: the account sends this domain's people to its identity provider. An
	// operator's entry stands in for a provider that is down, in one account.
	entry := f.Proof.BreakGlass != ""
	if entry && f.Proof.BreakGlass != f.Account.ID {
		return Decision{Verdict: Deny, Reason: BreakGlassEntry}
	}
	if !entry && f.Domain.Verified && f.Domain.Enforce && (f.Proof.Provider == "" || f.Proof.Provider != f.Domain.Provider) {
		if f.Domain.Provider == "" {
			return Decision{Verdict: Deny, Reason: Undecidable}
		}
		return Decision{Verdict: SSO, Reason: DomainEnforced, Provider: f.Domain.Provider}
	}
	// Row 5: a provider that this account linked takes precedence over its
	// policy, unless the operator wants more than its word. Another account's
	// provider vouches for nothing here.
	trust, again := Trust(0), Decision{Verdict: SSO, Reason: ProviderTooOld, Provider: f.Proof.Provider}
	if !entry {
		trust = f.Account.trust(f.Proof.Provider)
	}
	if trust == Precedence {
		if f.Route.MaxAge > 0 && !fresh(f.Now, f.Proof.First, f.Route.MaxAge) {
			return again
		}
		return Decision{Verdict: Allow, Reason: ProviderPrecedence}
	}
	// A provider that proved several factors once can do so again; one that did
	// not is not asked again, or the browser would go round in circles.
	if trust == Verify && !f.Proof.ProviderSecond.IsZero() {
		if f.lasts() > 0 && !fresh(f.Now, f.Proof.ProviderSecond, f.lasts()) {
			return again
		}
		return Decision{Verdict: Allow, Reason: ProviderVerified}
	}
	// Row 6: a second factor that counts here was verified in this session,
	// recently enough, or in this browser, if the account lets it be remembered.
	accepted := f.Account.accepted()
	proven := !f.Proof.Second.IsZero() && accepted.Has(f.Proof.SecondBy)
	if proven && (f.lasts() <= 0 || fresh(f.Now, f.Proof.Second, f.lasts())) {
		return Decision{Verdict: Allow, Reason: SecondFactor}
	}
	if !entry && f.remembered() {
		return Decision{Verdict: Allow, Reason: RememberedDevice}
	}
	// Row 7: whoever has an authenticator is asked for it, in any mode.
	if f.Enrolled&f.Account.strong() != 0 {
		why := Enrolled
		if proven {
			why = SecondFactorTooOld
		}
		return Decision{Verdict: Challenge, Reason: why, Offer: f.Enrolled & accepted}
	}
	// An operator's entry is worth nothing without a second factor, and must not
	// be the way to set one up.
	if entry {
		return Decision{Verdict: Deny, Reason: BreakGlassEntry}
	}
	// An authenticator that does not count here must not make entering easier
	// than having it counted would: whatever the mode, one that counts is needed.
	if f.Enrolled&Authenticators != 0 {
		return Decision{Verdict: Enroll, Reason: KindNotAccepted}
	}
	// Row 8: nothing but enrolment.
	if mode == Required {
		return Decision{Verdict: Enroll, Reason: PolicyRequired}
	}
	if f.Route.MaxAge > 0 {
		return Decision{Verdict: Enroll, Reason: RouteRequires}
	}
	// Row 9: invite, unless "Not now" still holds.
	if mode == Suggested {
		if f.Now.Before(f.Member.SnoozedUntil) {
			return Decision{Verdict: Allow, Reason: Snoozed}
		}
		return Decision{Verdict: Suggest, Reason: PolicySuggested}
	}
	// Row 10.
	return Decision{Verdict: Allow, Reason: PolicyOptional}
}

// lasts returns how old a second factor may be: as the route or the account
// says, whichever is stricter. Zero: as old as the session.
func (f Facts) lasts() time.Duration {
	account, route := f.Account.SecondFactorAge, f.Route.MaxAge
	switch {
	case account <= 0:
		return route
	case route <= 0:
		return account
	}
	return min(account, route)
}

// remembered reports whether this browser's earlier second factor still counts
// here. A route that wants a fresh one is not satisfied by memory, and a person
// who has no authenticator any more has nothing to be remembered for.
func (f Facts) remembered() bool {
	return f.Account.Remember > 0 && f.Route.MaxAge <= 0 &&
		f.Enrolled&f.Account.strong() != 0 && f.Account.strong().Has(f.Proof.RememberedBy) &&
		f.Proof.Remembered.After(f.Account.Changed) && fresh(f.Now, f.Proof.Remembered, f.Account.Remember)
}

// Under returns the same facts, had the account the given mode and no other
// planned: for previews, and for trying a mode without enforcing it.
func (f Facts) Under(mode Policy) Facts {
	f.Account.Policy, f.Account.Next, f.Account.NextAt = mode, 0, time.Time{}
	return f
}

// ChangeWindow is how recently a second factor must have been shown to change
// authenticators, recovery codes or the password.
const ChangeWindow = 10 * time.Minute

// DecideChange says whether the session's person may now change their own
// authenticators, recovery codes or password. It needs no account: a person's
// authenticators are their own. It answers Allow, Challenge (show a second
// factor again), SignIn (show the password again) or Deny.
func DecideChange(f Facts) Decision {
	if f.Proof.User == "" || f.Proof.First.IsZero() || f.Proof.User != f.User.ID {
		return Decision{Verdict: SignIn, Reason: NoSession}
	}
	if f.User.Disabled {
		return Decision{Verdict: Deny, Reason: UserDisabled}
	}
	if f.Now.IsZero() {
		return Decision{Verdict: Deny, Reason: Undecidable}
	}
	if f.Enrolled&Authenticators == 0 {
		return Decision{Verdict: Allow, Reason: PolicyOptional}
	}
	if f.Proof.SecondBy == 0 || !fresh(f.Now, f.Proof.Second, ChangeWindow) {
		return Decision{Verdict: Challenge, Reason: SecondFactorTooOld, Offer: f.Enrolled}
	}
	// A found recovery code must not be enough to take a person's place.
	if f.Proof.SecondBy == Recovery && !fresh(f.Now, f.Proof.First, ChangeWindow) {
		return Decision{Verdict: SignIn, Reason: FirstFactorTooOld}
	}
	return Decision{Verdict: Allow, Reason: SecondFactor}
}

// DecideProfile says whether the session's person may see their own pages. It
// needs no account, so that people without one, and those who must enrol first,
// still reach them. Whoever knows only the password of a person with an
// authenticator does not.
func DecideProfile(f Facts) Decision {
	if f.Proof.User == "" || f.Proof.First.IsZero() || f.Proof.User != f.User.ID {
		return Decision{Verdict: SignIn, Reason: NoSession}
	}
	if f.User.Disabled {
		return Decision{Verdict: Deny, Reason: UserDisabled}
	}
	if f.Enrolled&Authenticators == 0 {
		return Decision{Verdict: Allow, Reason: PolicyOptional}
	}
	if f.Proof.Second.IsZero() || f.Proof.SecondBy == 0 {
		return Decision{Verdict: Challenge, Reason: Enrolled, Offer: f.Enrolled}
	}
	return Decision{Verdict: Allow, Reason: SecondFactor}
}

// DecideAdmin says whether the session's person may see, or change, how the
// account being entered is administered. They must be let into the account, and
// be its administrator. A change also needs a second factor, or the account's
// own provider's word, from within [ChangeWindow]; a recovery code is for
// getting in, and changes nothing for others.
func DecideAdmin(f Facts, change bool) Decision {
	f.Route = Route{}
	d := Decide(f)
	if d.Verdict != Allow {
		return d
	}
	if f.Member.Role != RoleAdmin {
		return Decision{Verdict: Deny, Reason: NotAdmin}
	}
	if !change {
		return d
	}
	if d.Reason == ProviderPrecedence || d.Reason == ProviderVerified {
		if !fresh(f.Now, f.Proof.First, ChangeWindow) {
			return Decision{Verdict: SSO, Reason: ProviderTooOld, Provider: f.Proof.Provider}
		}
		return d
	}
	if f.Account.strong().Has(f.Proof.SecondBy) && fresh(f.Now, f.Proof.Second, ChangeWindow) {
		return Decision{Verdict: Allow, Reason: SecondFactor}
	}
	if f.Enrolled&f.Account.strong() != 0 {
		return Decision{Verdict: Challenge, Reason: SecondFactorTooOld, Offer: f.Enrolled & f.Account.strong()}
	}
	return Decision{Verdict: Enroll, Reason: AdminNeedsFactor}
}

// skew is how far ahead another node's clock may be before evidence from it is
// taken for a forgery rather than a difference between clocks.
const skew = time.Minute

// fresh reports whether t lies within the last age, or at most skew ahead. The
// zero time is as old as time can be.
func fresh(now, t time.Time, age time.Duration) bool {
	return now.Sub(t) <= age && t.Sub(now) <= skew
}
