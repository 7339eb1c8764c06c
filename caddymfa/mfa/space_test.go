package mfa

import (
	"slices"
	"time"
)

// situation describes one input of the rule in words. The oracle judges the
// words, the rule judges the Facts made of them, and neither sees the other's.
type situation struct {
	who
	place
	rules
	domain string // unclaimed, verified, pending, enforced, dangling
	came   string // provider of the session: none, corp, rival
	linked string // providers of the account: none, corp, blank
	second string // kind and age of the second factor
	has    Kinds  // what the person can answer with
	accept Kinds
	maxAge bool
	snooze string // never, running, over
}

// who asks, on which kind of route.
type who struct {
	public bool
	holder string // whose evidence: nobody, stranger, unproven, self
	first  string // age of the first factor
	barred bool   // the person was disabled
}

// place is the account being entered and the person's state in it.
type place struct{ account, member string }

// rules is the account's policy, and what is missing.
type rules struct {
	mode Policy
	lack string // nothing, policy, role, clock
}

var epoch = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// limit is both the route's limit and the window for changes, so that one
// space serves all three rules.
const limit = 10 * time.Minute

// ages are moments before epoch, on both sides of each boundary.
var ages = map[string]time.Time{
	"never":  {},
	"recent": epoch.Add(-time.Minute),
	"edge":   epoch.Add(-limit),
	"old":    epoch.Add(-limit - 1),
	"ahead":  epoch.Add(time.Minute),
	"forged": epoch.Add(time.Minute + 1),
}

// The values of each dimension, in the order of the situation's fields.
var (
	whos = []who{
		{true, "nobody", "recent", false}, {true, "self", "recent", true}, {true, "self", "recent", false},
		{false, "nobody", "recent", false}, {false, "stranger", "recent", false}, {false, "unproven", "recent", false}, {false, "self", "recent", true},
		{false, "self", "recent", false}, {false, "self", "edge", false}, {false, "self", "old", false}, {false, "self", "forged", false},
	}
	places  = []place{{"none", "none"}, {"on", "none"}, {"on", "invited"}, {"on", "joined"}, {"off", "none"}, {"off", "joined"}}
	rulings = []rules{{Optional, "nothing"}, {Suggested, "nothing"}, {Required, "nothing"}, {Optional, "policy"}, {Optional, "role"}, {Optional, "clock"}}
	domains = []string{"unclaimed", "verified", "pending", "enforced", "dangling"}
	cames   = []string{"none", "corp", "rival"}
	linkeds = []string{"none", "corp", "blank"}
	seconds = []string{"never", "never totp", "recent none", "recent totp", "edge totp", "old totp", "ahead totp", "forged totp", "recent webauthn", "recent recovery"}
	haves   = []Kinds{0, KindsOf(Recovery), KindsOf(TOTP), KindsOf(WebAuthn), KindsOf(TOTP, Recovery)}
	accepts = []Kinds{0, KindsOf(WebAuthn)}
	snoozes = []string{"never", "running", "over"}
	bools   = []bool{false, true}
)

// deck picks values out of a number, as digits of a mixed radix.
type deck struct{ rest int }

func pick[T any](d *deck, values []T) T {
	v := values[d.rest%len(values)]
	d.rest /= len(values)
	return v
}

// space is the number of situations.
var space = len(whos) * len(places) * len(rulings) * len(domains) * len(cames) * len(linkeds) *
	len(seconds) * len(haves) * len(accepts) * 2 * len(snoozes)

// at returns situation number n.
func at(n int) situation {
	d := deck{n}
	return situation{
		who: pick(&d, whos), place: pick(&d, places), rules: pick(&d, rulings),
		domain: pick(&d, domains), came: pick(&d, cames), linked: pick(&d, linkeds), second: pick(&d, seconds),
		has: pick(&d, haves), accept: pick(&d, accepts), maxAge: pick(&d, bools), snooze: pick(&d, snoozes),
	}
}

var (
	corpOnly  = []string{"other", "corp"}
	blankOnly = []string{""}
)

// facts builds the rule's input. What a situation calls missing is left zero.
func (s situation) facts() Facts {
	f := Facts{
		Now:      epoch,
		Account:  Account{ID: "acct", Policy: s.mode, Disabled: s.account == "off", Accept: s.accept},
		User:     User{ID: "ada", Disabled: s.barred},
		Member:   Member{Role: RoleMember},
		Domain:   Domain{Verified: s.domain != "unclaimed" && s.domain != "pending", Enforce: s.domain != "unclaimed" && s.domain != "verified"},
		Enrolled: s.has,
		Proof:    Proof{User: "ada", First: ages[s.first], FirstBy: ByPassword},
		Route:    Route{Public: s.public},
	}
	switch s.holder {
	case "nobody":
		f.Proof.User, f.User.ID = "", ""
	case "stranger":
		f.Proof.User = "eve"
	case "unproven":
		f.Proof.First = time.Time{}
	}
	if s.account == "none" {
		f.Account.ID = ""
	}
	switch s.member {
	case "invited":
		f.Member.State = Invited
	case "joined":
		f.Member.State = Joined
	}
	switch s.lack {
	case "policy":
		f.Account.Policy = 0
	case "role":
		f.Member.Role = 0
	case "clock":
		f.Now = time.Time{}
	}
	if s.domain != "unclaimed" && s.domain != "dangling" {
		f.Domain.Provider = "corp"
	}
	if s.came != "none" {
		f.Proof.Provider, f.Proof.FirstBy = s.came, BySSO
	}
	switch s.linked {
	case "corp":
		f.Account.Providers = corpOnly
	case "blank":
		f.Account.Providers = blankOnly
	}
	age, kind := s.answered()
	f.Proof.Second, f.Proof.SecondBy = ages[age], kind
	if s.maxAge {
		f.Route.MaxAge = limit
	}
	switch s.snooze {
	case "running":
		f.Member.SnoozedUntil = epoch.Add(1)
	case "over":
		f.Member.SnoozedUntil = epoch
	}
	return f
}

// answered splits the second factor's age from its kind.
func (s situation) answered() (age string, kind Kind) {
	switch s.second {
	case "never":
		return "never", 0
	case "never totp":
		return "never", TOTP
	case "recent none":
		return "recent", 0
	case "recent totp":
		return "recent", TOTP
	case "edge totp":
		return "edge", TOTP
	case "old totp":
		return "old", TOTP
	case "ahead totp":
		return "ahead", TOTP
	case "forged totp":
		return "forged", TOTP
	case "recent webauthn":
		return "recent", WebAuthn
	}
	return "recent", Recovery
}

// lately says whether an age counts where a limit is set.
func lately(age string) bool { return slices.Contains([]string{"recent", "edge", "ahead"}, age) }
