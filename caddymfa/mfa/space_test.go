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
	via
	second string // kind and age of the second factor
	has    Kinds  // what the person can answer with
	accept Kinds
	span   string // who limits the age of a second factor: nobody, route, account, both
	device string // what this browser is remembered for
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
	mode   Policy
	more   string // floor, due, pending: what there is besides the mode
	snooze string // never, running, over
	lack   string // nothing, policy, role, clock
}

// via is how the session came about, and what the account makes of it.
type via struct {
	came   string // provider of the session: none, corp, rival
	linked string // providers of the account: none, corp, blank
	trust  Trust
	proved string // age of the several factors that the provider verified
	entry  string // account that an operator's entry is for
}

var epoch = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// limit is the route's limit, the window for changes, and how long a browser is
// remembered, so that one space serves all rules; brief is the account's limit.
const (
	limit = 10 * time.Minute
	brief = time.Minute
)

// ages are moments before epoch, on both sides of each boundary.
var ages = map[string]time.Time{
	"never":  {},
	"recent": epoch.Add(-time.Minute),
	"edge":   epoch.Add(-limit),
	"old":    epoch.Add(-limit - 1),
	"ahead":  epoch.Add(time.Minute),
	"forged": epoch.Add(time.Minute + 1),
}

// The values of each dimension. Whoever is among selves, in the open place,
// under one of the modes, gets past row 3.
var (
	selves = []who{{false, "self", "edge", false}, {false, "self", "old", false}, {false, "self", "forged", false}}
	whos   = append([]who{
		{true, "nobody", "recent", false}, {true, "self", "recent", true}, {true, "self", "recent", false},
		{false, "nobody", "recent", false}, {false, "stranger", "recent", false}, {false, "unproven", "recent", false}, {false, "self", "recent", true},
		{false, "self", "recent", false},
	}, selves...)
	open   = place{"on", "joined"}
	places = []place{{"none", "none"}, {"on", "none"}, {"on", "invited"}, open, {"off", "none"}, {"off", "joined"}}
	modes  = []rules{
		{Optional, "", "never", "nothing"}, {Required, "", "never", "nothing"},
		{Suggested, "", "never", "nothing"}, {Suggested, "", "running", "nothing"}, {Suggested, "", "over", "nothing"},
		{Optional, "floor", "running", "nothing"}, {Optional, "due", "never", "nothing"}, {Optional, "pending", "never", "nothing"},
	}
	rulings = append([]rules{{0, "floor", "never", "policy"}, {Optional, "", "never", "role"}, {Optional, "", "never", "clock"}}, modes...)
	domains = []string{"unclaimed", "verified", "pending", "enforced", "dangling"}
	vias    = []via{
		{"none", "none", 0, "never", ""}, {"none", "blank", Precedence, "never", ""}, {"none", "corp", Precedence, "never", ""},
		{"corp", "none", 0, "recent", ""}, {"corp", "corp", 0, "recent", ""},
		{"corp", "corp", Precedence, "never", ""}, {"corp", "corp", Precedence, "old", ""},
		{"corp", "corp", Verify, "never", ""}, {"corp", "corp", Verify, "recent", ""}, {"corp", "corp", Verify, "edge", ""}, {"corp", "corp", Verify, "old", ""},
		{"corp", "corp", Stack, "recent", ""},
		{"rival", "corp", Precedence, "recent", ""}, {"rival", "none", 0, "recent", ""},
		{"none", "none", 0, "never", "acct"}, {"corp", "corp", Precedence, "never", "acct"}, {"none", "corp", Precedence, "never", "other"},
	}
	seconds = []string{"never", "never totp", "recent none", "recent totp", "edge totp", "old totp", "ahead totp", "forged totp", "recent webauthn", "recent recovery"}
	haves   = []Kinds{0, KindsOf(Recovery), KindsOf(TOTP), KindsOf(WebAuthn), KindsOf(TOTP, Recovery)}
	accepts = []Kinds{0, KindsOf(WebAuthn)}
	spans   = []string{"nobody", "route", "account", "both"}
	devices = []string{"unknown", "recent totp", "old totp", "changed since", "not offered", "recent webauthn", "recent recovery"}
)

// deck picks values out of a number, as digits of a mixed radix.
type deck struct{ rest int }

func pick[T any](d *deck, values []T) T {
	v := values[d.rest%len(values)]
	d.rest /= len(values)
	return v
}

// stride is how the situations that end before row 4 go through everything that
// rows 1 to 3 do not look at. It has no divisor in common with any dimension, so
// that every two values meet.
const stride = 131

// The number of situations: all that get past row 3, and of the others every
// who, place and rules with a share of the rest.
var (
	rest     = len(domains) * len(vias) * len(seconds) * len(haves) * len(accepts) * len(spans) * len(devices)
	reaching = len(selves) * len(modes) * rest
	space    = reaching + len(whos)*len(places)*len(rulings)*(rest/stride)
)

// at returns situation number n.
func at(n int) situation {
	var s situation
	d := deck{n}
	if n < reaching {
		s.who, s.place, s.rules = pick(&d, selves), open, pick(&d, modes)
	} else {
		d.rest -= reaching
		s.who, s.place, s.rules = pick(&d, whos), pick(&d, places), pick(&d, rulings)
		d.rest *= stride
	}
	s.domain, s.via, s.second, s.has = pick(&d, domains), pick(&d, vias), pick(&d, seconds), pick(&d, haves)
	s.accept, s.span, s.device = pick(&d, accepts), pick(&d, spans), pick(&d, devices)
	return s
}

// The providers that an account linked.
var (
	corpOnly = map[Trust][]Provider{}
	blank    = []Provider{{"", Precedence}}
)

func init() {
	for t := range Stack + 1 {
		corpOnly[t] = []Provider{{"other", Precedence}, {"corp", t}}
	}
}

// facts builds the rule's input. What a situation calls missing is left zero.
func (s situation) facts() Facts {
	f := Facts{
		Now:      epoch,
		Account:  Account{ID: "acct", Policy: s.mode, Disabled: s.account == "off", Accept: s.accept},
		User:     User{ID: "ada", Disabled: s.barred},
		Member:   Member{Role: RoleMember},
		Domain:   Domain{Verified: s.domain != "unclaimed" && s.domain != "pending", Enforce: s.domain != "unclaimed" && s.domain != "verified"},
		Enrolled: s.has,
		Proof:    Proof{User: "ada", First: ages[s.first], FirstBy: ByPassword, BreakGlass: s.entry, ProviderSecond: ages[s.proved]},
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
		f.Account.Providers = corpOnly[s.trust]
	case "blank":
		f.Account.Providers = blank
	}
	age, kind := s.answered()
	f.Proof.Second, f.Proof.SecondBy = ages[age], kind
	if s.span == "route" || s.span == "both" {
		f.Route.MaxAge = limit
	}
	if s.span == "account" || s.span == "both" {
		f.Account.SecondFactorAge = brief
	}
	switch s.more {
	case "floor":
		f.Account.Floor = Required
	case "due":
		f.Account.Next, f.Account.NextAt = Suggested, epoch
	case "pending":
		f.Account.Next, f.Account.NextAt = Required, epoch.Add(1)
	}
	s.remember(&f)
	switch s.snooze {
	case "running":
		f.Member.SnoozedUntil = epoch.Add(1)
	case "over":
		f.Member.SnoozedUntil = epoch
	}
	return f
}

// remember fills in what this browser is remembered for.
func (s situation) remember(f *Facts) {
	f.Account.Remember, f.Account.Changed = limit, epoch.Add(-time.Hour)
	f.Proof.Remembered, f.Proof.RememberedBy = ages["recent"], TOTP
	switch s.device {
	case "unknown":
		f.Proof.Remembered, f.Proof.RememberedBy = time.Time{}, 0
	case "old totp":
		f.Proof.Remembered = ages["old"]
	case "changed since":
		f.Account.Changed = f.Proof.Remembered
	case "not offered":
		f.Account.Remember, f.Proof.Remembered = 0, ages["ahead"]
	case "recent webauthn":
		f.Proof.RememberedBy = WebAuthn
	case "recent recovery":
		f.Proof.RememberedBy = Recovery
	}
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

// lately says whether an age is within the limit of routes and changes.
func lately(age string) bool { return slices.Contains([]string{"recent", "edge", "ahead"}, age) }

// lasting says whether an age is within what the route and the account allow.
func (s situation) lasting(age string) bool {
	switch s.span {
	case "nobody":
		return true
	case "route":
		return lately(age)
	}
	return age == "recent" || age == "ahead"
}

// routed says whether the route wants a fresh second factor.
func (s situation) routed() bool { return s.span == "route" || s.span == "both" }
