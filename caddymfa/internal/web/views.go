package web

import (
	"html/template"
	"strconv"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// View is what one page shows. A type becomes a view by embedding [Chrome] and
// naming its template: the file templates/<name>.html.
type View interface {
	Name() string
	chrome() Chrome
}

// Chrome is what every page has around its own matter.
type Chrome struct {
	Lang        string // the reader's language tag; empty: the default language
	CSRF        string // goes into every form
	SignedIn    bool   // somebody is, if only with the first factor
	Email       string // who
	UserName    string
	Account     string // the id of the account entered; empty: none yet
	AccountName string
	Several     bool // there is more than one account to choose from
	Notice      Notice
	Due         Due  // a stricter mode that will begin, for those it would keep out; zero: none
	PlainHTTP   bool // the page came unencrypted: say so
}

func (c Chrome) chrome() Chrome { return c }

// NoticeKind says how a notice looks. The zero value is no notice.
type NoticeKind string

// The kinds of notice.
const (
	NoticeOK    NoticeKind = "ok"
	NoticeWarn  NoticeKind = "warn"
	NoticeError NoticeKind = "error"
)

// Notice is a message above a page's matter: mostly what the last step did.
type Notice struct {
	Kind NoticeKind
	Text Text
}

// Login asks for the e-mail address, which decides where to sign in.
type Login struct {
	Chrome
	Email   string // as typed before
	Return  string // the path to come back to; checked by the caller, here and in all views
	Key     string // options for a passkey, as JSON; empty: none can be used
	Asked   Text   // why the rule wants this; zero: the person came by themselves. Here and in all views
	Problem Text   // what to correct; shown beside the form, here and in all views
}

// Name is the view's template.
func (Login) Name() string { return "login" }

// Password asks for the password. Nothing on it depends on whether the person
// exists.
type Password struct {
	Chrome
	Email    string // as typed
	Return   string
	Provider string // the name of a company's sign-in that would do as well; empty: none
	Asked    Text
	Problem  Text
}

// Name is the view's template.
func (Password) Name() string { return "password" }

// Leave takes the person to their identity provider. It must be a page:
// browsers hold a form to form-action along all of its redirects, so a posted
// form cannot end at another site.
type Leave struct {
	Chrome
	URL      string // where to; https, or http for a trial
	Provider string // its name; empty: not said
	Asked    Text
}

// Name is the view's template.
func (Leave) Name() string { return "leave" }

// Target is URL if it is the address of a page, and otherwise empty.
func (l Leave) Target() string {
	if strings.HasPrefix(l.URL, "https://") || strings.HasPrefix(l.URL, "http://") {
		return l.URL
	}
	return ""
}

// BreakGlass asks for an operator's one-time entry.
type BreakGlass struct {
	Chrome
	Return  string
	Problem Text
}

// Name is the view's template.
func (BreakGlass) Name() string { return "breakglass" }

// Challenge asks for a second factor.
type Challenge struct {
	Chrome
	Return     string
	Offer      mfa.Kinds // what the person can answer with
	Locked     bool      // the app was switched off after too many wrong codes
	Recovering bool      // the last try was a recovery code: Problem belongs to that form
	Key        string    // options for a security key, as JSON; empty: none can be used
	Rebind     bool      // what was shown does not count here, but allows to add a key that does
	// Remember is for how long this browser may be remembered; zero: not at all.
	Remember time.Duration
	Asked    Text
	Problem  Text
	Clock    time.Time // the server's time, shown with a wrong code; zero: not shown
}

// Name is the view's template.
func (Challenge) Name() string { return "challenge" }

// RememberText says what is offered.
func (c Challenge) RememberText() Text {
	if c.Remember < 24*time.Hour {
		return say("challenge.rememberhours", "n", max(1, int(c.Remember/time.Hour)))
	}
	return say("challenge.remember", "n", int(c.Remember/(24*time.Hour)))
}

// App reports whether a code from an app may be given.
func (c Challenge) App() bool { return c.Offer.Has(mfa.TOTP) && !c.Locked }

// Code reports whether a recovery code may be given.
func (c Challenge) Code() bool { return c.Offer.Has(mfa.Recovery) }

// EnrollTOTP sets up an authenticator app.
type EnrollTOTP struct {
	Chrome
	Return     string
	Reason     mfa.Reason // why the person is here; a reason that wants nothing of the kind: own wish
	Secret     string     // base32, without spaces
	Link       string     // the otpauth:// address
	QR         [][]bool   // the modules of the QR code of Link, without a quiet zone; true is dark
	DeviceName string     // as typed before; empty: the usual name
	Keys       bool       // a security key or passkey would do as well
	Asked      Text
	Problem    Text
	Clock      time.Time // the server's time, shown with a wrong code; zero: not shown
}

// Name is the view's template.
func (EnrollTOTP) Name() string { return "enroll_totp" }

// Why says what made the person come here.
func (e EnrollTOTP) Why() Text {
	switch e.Reason {
	case mfa.PolicyRequired:
		return say("enroll.why.required", "account", e.AccountName)
	case mfa.RouteRequires:
		return say("enroll.why.route", "account", e.AccountName)
	case mfa.PolicySuggested:
		return say("enroll.why.suggested", "account", e.AccountName)
	}
	return say("enroll.why.own")
}

// Must reports whether nothing else opens until this is done.
func (e EnrollTOTP) Must() bool {
	return e.Reason == mfa.PolicyRequired || e.Reason == mfa.RouteRequires || e.Reason == mfa.KindNotAccepted
}

// MayWait reports whether the person may say "Not now".
func (e EnrollTOTP) MayWait() bool { return e.Reason == mfa.PolicySuggested }

// URL is Link as an address that the template lets through: html/template
// knows only http, https and mailto. The server made it, and it is of no other
// scheme than otpauth.
func (e EnrollTOTP) URL() template.URL {
	if !strings.HasPrefix(e.Link, "otpauth://") {
		return ""
	}
	return template.URL(e.Link)
}

// quietZone is the white margin around a QR code, in modules, without which
// readers do not find it (ISO/IEC 18004 asks for four).
const quietZone = 4

// Path draws the QR code as one SVG path.
func (e EnrollTOTP) Path() string { return QRPath(e.QR) }

// Size is the side of the drawing, quiet zone included.
func (e EnrollTOTP) Size() int { return len(e.QR) + 2*quietZone }

// QRPath draws the dark modules of a QR code as the data of one SVG path, one
// unit a module, leaving the quiet zone free at the top and the left. Each run
// of dark modules in a row becomes one rectangle.
func QRPath(modules [][]bool) string {
	var d strings.Builder
	for y, row := range modules {
		for x := 0; x < len(row); x++ {
			if !row[x] {
				continue
			}
			from := x
			for x < len(row) && row[x] {
				x++
			}
			width := strconv.Itoa(x - from)
			d.WriteString("M" + strconv.Itoa(from+quietZone) + " " + strconv.Itoa(y+quietZone) +
				"h" + width + "v1h-" + width + "z")
		}
	}
	return d.String()
}

// EnrollKey adds a security key or passkey.
type EnrollKey struct {
	Chrome
	Return  string
	Reason  mfa.Reason // why the person is here
	Key     string     // options for the browser, as JSON
	Offered bool       // we came up with it, after a sign-in with a code
	Apps    bool       // an authenticator app would do as well
	Asked   Text
	Problem Text
}

// Name is the view's template.
func (EnrollKey) Name() string { return "enroll_key" }

// Why says what made the person come here.
func (e EnrollKey) Why() Text {
	switch {
	case e.Offered:
		return say("key.why.offered")
	case e.Reason == mfa.KindNotAccepted, e.Reason == mfa.PolicyRequired && !e.Apps:
		return say("key.why.only", "account", e.AccountName)
	}
	return say("key.why.own")
}

// Suggest invites the person to set up an authenticator.
type Suggest struct {
	Chrome
	Return string
	Keys   bool // a security key or passkey would do as well
	Days   int  // how long "Not now" holds
	Asked  Text
}

// Name is the view's template.
func (Suggest) Name() string { return "suggest" }

// RecoveryCodes shows a new set, once.
type RecoveryCodes struct {
	Chrome
	Return   string // where "Continue" leads; empty: the profile
	Codes    []string
	Replaced bool // there was a set before, which stopped working
}

// Name is the view's template.
func (RecoveryCodes) Name() string { return "recovery_codes" }

// AccountCard is one account in a list.
type AccountCard struct {
	ID          string
	Name        string
	Role        mfa.Role
	Policy      mfa.Policy
	Provider    string // the name of the identity provider that signs this person in here; empty: none
	Current     bool   // the session is in it
	NeedsFactor bool   // entering it leads to setting up an authenticator first
}

// RoleText says the person's role.
func (a AccountCard) RoleText() Text {
	if a.Role == mfa.RoleAdmin {
		return say("role.admin")
	}
	return say("role.member")
}

// PolicyText says what the account asks for. A provider takes precedence over
// the policy, here as in the decision.
func (a AccountCard) PolicyText() Text {
	switch {
	case a.Provider != "":
		return say("policy.provider", "provider", a.Provider)
	case a.Policy == mfa.Required:
		return say("policy.required")
	case a.Policy == mfa.Suggested:
		return say("policy.suggested")
	}
	return say("policy.optional")
}

// Accounts asks which account to enter.
type Accounts struct {
	Chrome
	Return    string
	Accounts  []AccountCard
	Forbidden bool // the account asked for is not one of the person's
	Asked     Text
}

// Name is the view's template.
func (Accounts) Name() string { return "accounts" }

// SetUp takes a password and the one-time code that allows to choose it. The
// code stands in the link's fragment, which never reaches the server; a script
// fills it in, and without one the person copies it.
type SetUp struct {
	Chrome
	Ticket    string // as sent before
	MinLength int
	Problem   Text
}

// Name is the view's template.
func (SetUp) Name() string { return "setup" }

// Forgot helps somebody who forgot their password.
type Forgot struct {
	Chrome
	Email   string // as typed before
	Mailed  bool   // mails can be sent; otherwise the page says whom to ask
	Sent    bool   // one is under way, if the address is somebody's
	Problem Text
}

// Name is the view's template.
func (Forgot) Name() string { return "forgot" }

// SignedOut says that a session has ended.
type SignedOut struct {
	Chrome
	Everywhere bool
	Deleted    bool   // the person is gone, and every session of theirs
	Elsewhere  string // where to sign out of the company's sign-in too; https, or http for a trial
	Provider   string // its name
}

// Target is Elsewhere if it is the address of a page, and otherwise empty.
func (s SignedOut) Target() string { return Leave{URL: s.Elsewhere}.Target() }

// Name is the view's template.
func (SignedOut) Name() string { return "signed_out" }

// Action is a way on from a message.
type Action struct {
	Label Text
	Path  string // below the base; empty: the message's Return itself
}

// Message says one thing that needs no page of its own. Status is the answer
// it usually comes with.
type Message struct {
	Chrome
	Status    int
	Title     Text
	Text      Text
	Names     []string // of the accounts that Text speaks of
	Actions   []Action
	Return    string // goes along with the actions
	Reference string // what to tell whoever helps
}

// Name is the view's template.
func (Message) Name() string { return "message" }
