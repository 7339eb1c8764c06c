package web

import (
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// ProfileOverview is the first of the person's own pages.
type ProfileOverview struct {
	Chrome
	Authenticators int
	CodesLeft      int
	Sessions       int
	Accounts       int
	Provider       string // the name of the identity provider this session came through; empty: none
}

// Name is the view's template.
func (ProfileOverview) Name() string { return "profile" }

// Tab marks the page in the profile's navigation.
func (ProfileOverview) Tab() string { return "overview" }

// Authenticator is one row of the person's authenticators.
type Authenticator struct {
	ID       string
	Name     string
	Kind     mfa.Kind
	Disabled bool // by too many wrong answers
	Added    time.Time
	Used     time.Time // zero: never
}

// KindText says what kind of thing it is.
func (a Authenticator) KindText() Text {
	if a.Kind == mfa.WebAuthn {
		return say("kind.webauthn")
	}
	return say("kind.totp")
}

// ProfileSecurity is where the person manages how they prove who they are.
type ProfileSecurity struct {
	Chrome
	Authenticators []Authenticator
	Full           bool // no more may be added
	Keys           bool // security keys and passkeys can be added
	CodesLeft      int
	CodesTotal     int
	Password       bool // the person has a password that can be changed here
	MinLength      int
	Provider       string // the name of the identity provider this session came through; empty: none
	Devices        []DeviceRow
	Deletable      bool // the person may delete themselves
	Problem        Text // about the password form
}

// DeviceRow is a browser that is remembered after a second factor.
type DeviceRow struct {
	SessionRow // as far as it is known of it: ID, Browser and Network
	Shown      time.Time
}

// Name is the view's template.
func (ProfileSecurity) Name() string { return "profile_security" }

// Tab marks the page in the profile's navigation.
func (ProfileSecurity) Tab() string { return "security" }

// ConfirmRemove asks before an authenticator is removed. Its form posts the
// same fields as the button that led here, and confirm=yes.
type ConfirmRemove struct {
	Chrome
	Factor     string // its id
	FactorName string
	Last       bool     // no other is left, so the recovery codes end with it
	RequiredBy []string // names of the accounts that will ask to set one up again
}

// Name is the view's template.
func (ConfirmRemove) Name() string { return "confirm_remove" }

// ProfileDelete asks before the person deletes themselves.
type ProfileDelete struct {
	Chrome
	Leaves   []string // names of the accounts that they belong to
	Provider string   // the name of the identity provider that this session came through; empty: none
	Password bool     // theirs is to be given
	Problem  Text
}

// Name is the view's template.
func (ProfileDelete) Name() string { return "profile_delete" }

// SessionRow is one browser that is signed in, or was.
type SessionRow struct {
	ID          string
	Browser     string // the User-Agent as sent
	Network     string
	AccountName string // empty: none entered
	Provider    string // the name of the identity provider it came through
	Proof       mfa.Proof
	SignedIn    time.Time
	Seen        time.Time
	Current     bool
	Ended       time.Time      // zero: it goes on
	How         storage.Ending // what ended it; empty: time
	Unused      bool           // it ended because nobody used it
}

// HowText says how the session ended.
func (s SessionRow) HowText() Text {
	switch {
	case s.How == storage.EndedTogether:
		return say("sessions.ended.together")
	case s.How == storage.EndedByAccount:
		return say("sessions.ended.account")
	case s.How == storage.EndedByIssuer:
		return say("sessions.ended.provider")
	case s.How != "":
		return say("sessions.ended.alone")
	case s.Unused:
		return say("sessions.ended.unused")
	}
	return say("sessions.ended.limit")
}

// Steps says what was shown to sign in.
func (s SessionRow) Steps() []Text {
	var steps []Text
	switch {
	case s.Provider != "":
		steps = append(steps, say("steps.provider", "provider", s.Provider))
	case s.Proof.Provider != "":
		steps = append(steps, say("steps.sso"))
	case s.Proof.FirstBy == mfa.ByEntry:
		steps = append(steps, say("steps.breakglass"))
	case !s.Proof.First.IsZero():
		steps = append(steps, say("steps.password"))
	}
	if s.Proof.Second.IsZero() {
		return steps
	}
	switch s.Proof.SecondBy {
	case mfa.TOTP:
		steps = append(steps, say("steps.totp"))
	case mfa.WebAuthn:
		steps = append(steps, say("steps.webauthn"))
	case mfa.Recovery:
		steps = append(steps, say("steps.recovery"))
	}
	return steps
}

// Said is what the provider said of the sign-in, in its own words.
func (s SessionRow) Said() string {
	return strings.TrimSpace(s.Proof.ProviderAMR + " " + s.Proof.ProviderACR)
}

// Device says the browser in two words. What a browser says of itself proves
// nothing; it only helps its owner to recognise it.
func (s SessionRow) Device() Text {
	browser, system := named(s.Browser, browserNames), named(s.Browser, systemNames)
	switch {
	case browser != "" && system != "":
		return say("device.both", "browser", browser, "system", system)
	case browser != "":
		return say("device.one", "name", browser)
	case system != "":
		return say("device.one", "name", system)
	}
	return say("device.unknown")
}

// nameMark is a name, and what in a User-Agent gives it away.
type nameMark struct{ mark, name string }

// Most browsers also claim to be others, so the order matters: the particular
// stands before what it claims to be.
var (
	browserNames = []nameMark{
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser", "Samsung Internet"}, {"Vivaldi", "Vivaldi"},
		{"Firefox/", "Firefox"}, {"FxiOS", "Firefox"}, {"CriOS", "Chrome"}, {"Chromium", "Chromium"},
		{"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"},
	}
	systemNames = []nameMark{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"},
		{"Macintosh", "Mac"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"},
	}
)

// named returns the name of the first mark that agent contains.
func named(agent string, names []nameMark) string {
	for _, n := range names {
		if strings.Contains(agent, n.mark) {
			return n.name
		}
	}
	return ""
}

// ProfileSessions lists where the person is signed in, and was.
type ProfileSessions struct {
	Chrome
	Sessions []SessionRow
	Past     []SessionRow // the newest
}

// Name is the view's template.
func (ProfileSessions) Name() string { return "profile_sessions" }

// Tab marks the page in the profile's navigation.
func (ProfileSessions) Tab() string { return "sessions" }

// ProfileAccounts lists the accounts that the person belongs to.
type ProfileAccounts struct {
	Chrome
	Accounts []AccountCard
}

// Name is the view's template.
func (ProfileAccounts) Name() string { return "profile_accounts" }

// Tab marks the page in the profile's navigation.
func (ProfileAccounts) Tab() string { return "accounts" }
