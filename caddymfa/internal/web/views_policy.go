package web

import (
	"strconv"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// Due is a stricter mode that will begin, told to a person who would not get in
// then with what they have.
type Due struct {
	Account string // its name
	At      time.Time
}

// OutcomeCount says how many people a mode would have one outcome for.
type OutcomeCount struct {
	Outcome mfa.Outcome
	People  int
}

// Text says it, as a part of a list.
func (o OutcomeCount) Text() Text {
	switch o.Outcome {
	case mfa.MustEnroll:
		return say("outcome.mustenroll", "n", o.People)
	case mfa.Prompted:
		return say("outcome.prompted", "n", o.People)
	case mfa.Asked:
		return say("outcome.asked", "n", o.People)
	case mfa.Vouched:
		return say("outcome.vouched", "n", o.People)
	case mfa.Free:
		return say("outcome.free", "n", o.People)
	}
	return say("outcome.blocked", "n", o.People)
}

// Label says the outcome for one person.
func (o OutcomeCount) Label() Text {
	switch o.Outcome {
	case mfa.MustEnroll:
		return say("outcome.one.mustenroll")
	case mfa.Prompted:
		return say("outcome.one.prompted")
	case mfa.Asked:
		return say("outcome.one.asked")
	case mfa.Vouched:
		return say("outcome.one.vouched")
	case mfa.Free:
		return say("outcome.one.free")
	}
	return say("outcome.one.blocked")
}

// modeName says a mode.
func modeName(mode mfa.Policy) Text {
	switch mode {
	case mfa.Required:
		return say("mode.required")
	case mfa.Suggested:
		return say("mode.suggested")
	}
	return say("mode.optional")
}

// ModeChoice is a mode that may be chosen, and what it would mean.
type ModeChoice struct {
	Mode    mfa.Policy
	Chosen  bool
	InForce bool
	Below   bool // laxer than the operator allows
	Would   []OutcomeCount
}

// Name says the mode.
func (m ModeChoice) Name() Text { return modeName(m.Mode) }

// What says what happens to somebody without a second factor.
func (m ModeChoice) What() Text {
	switch m.Mode {
	case mfa.Required:
		return say("mode.required.what")
	case mfa.Suggested:
		return say("mode.suggested.what")
	}
	return say("mode.optional.what")
}

// When a mode that is chosen begins.
const (
	AtOnce = "now"
	OnDate = "date"
	AsTest = "trial"
)

// PolicyForm is what the form of the settings holds.
type PolicyForm struct {
	Mode     mfa.Policy
	When     string // AtOnce, OnDate or AsTest
	Date     string // as typed: YYYY-MM-DD
	Accept   mfa.Kinds
	Age      time.Duration
	Remember time.Duration
}

// AdminPolicy is where an account's administrators choose how strict it is.
type AdminPolicy struct {
	Chrome
	Version  int64      // of what the form was made from
	Mode     mfa.Policy // in force
	Floor    mfa.Policy // the least that the operator allows; zero: anything
	By       string     // who set it; empty: not known
	At       time.Time
	ReadOnly bool     // the configuration's
	SSO      []string // names of the account's identity providers, whose settings take precedence
	Keys     bool     // security keys and passkeys can be added
	Accept   mfa.Kinds
	Age      time.Duration
	Remember time.Duration
	Plan     mfa.Policy // planned, to begin at PlanAt; zero: none
	PlanAt   time.Time
	Trial    mfa.Policy // only tried, since TrialAt; zero: none
	TrialAt  time.Time

	Manage  bool // the form is the page's matter, not a dialog's
	Form    PolicyForm
	Choices []ModeChoice
	Away    int // members who are not counted
	Problem Text
	// Cure leads to what helps against Problem; empty: nothing here does.
	Cure Action
}

// Name is the view's template.
func (AdminPolicy) Name() string { return "admin_policy" }

// Tab marks the page in the administration's navigation.
func (AdminPolicy) Tab() string { return "mfa" }

// ModeName says the mode in force.
func (v AdminPolicy) ModeName() Text { return modeName(v.Mode) }

// What says what the mode in force means.
func (v AdminPolicy) What() Text { return ModeChoice{Mode: v.Mode}.What() }

// PlanName says the planned mode.
func (v AdminPolicy) PlanName() Text { return modeName(v.Plan) }

// TrialName says the mode that is only tried.
func (v AdminPolicy) TrialName() Text { return modeName(v.Trial) }

// FloorName says the least that the operator allows.
func (v AdminPolicy) FloorName() Text { return modeName(v.Floor) }

// ByText says who set the mode in force.
func (v AdminPolicy) ByText() Text {
	switch v.By {
	case "":
		return say("policy.by.nobody")
	case "operator":
		return say("policy.by.operator")
	case "configuration":
		return say("policy.by.configuration")
	}
	return say("policy.by", "name", v.By)
}

// AcceptText says which kinds count.
func (v AdminPolicy) AcceptText() Text {
	if v.Accept == 0 {
		return say("policy.accept.any")
	}
	return say("policy.accept.webauthn")
}

// AgeText says how long a second factor lasts.
func (v AdminPolicy) AgeText() Text { return lasts(v.Age) }

// RememberText says how long a browser is remembered.
func (v AdminPolicy) RememberText() Text { return remembers(v.Remember) }

func lasts(d time.Duration) Text {
	switch {
	case d <= 0:
		return say("policy.age.session")
	case d < time.Hour:
		return say("policy.minutes", "n", int(d/time.Minute))
	}
	return say("policy.hours", "n", int(d/time.Hour))
}

func remembers(d time.Duration) Text {
	switch {
	case d <= 0:
		return say("policy.remember.never")
	case d < 24*time.Hour:
		return say("policy.hours", "n", max(1, int(d/time.Hour)))
	}
	return say("policy.days", "n", int(d/(24*time.Hour)))
}

// Span is a duration that may be chosen.
type Span struct {
	Value  string // as the form sends it
	Text   Text
	Chosen bool
}

// Ages lists how long a second factor may last, what is chosen now among them.
func (v AdminPolicy) Ages() []Span { return spans(v.Form.Age, ages, lasts) }

// Remembers lists how long a browser may be remembered.
func (v AdminPolicy) Remembers() []Span { return spans(v.Form.Remember, remembrances, remembers) }

var (
	ages         = []time.Duration{0, 15 * time.Minute, time.Hour, 4 * time.Hour, 8 * time.Hour}
	remembrances = []time.Duration{0, 24 * time.Hour, 7 * 24 * time.Hour, 14 * 24 * time.Hour, 30 * 24 * time.Hour}
)

func spans(chosen time.Duration, usual []time.Duration, text func(time.Duration) Text) []Span {
	var list []Span
	found := false
	for _, d := range usual {
		found = found || d == chosen
		list = append(list, Span{strconv.FormatInt(int64(d/time.Second), 10), text(d), d == chosen})
	}
	if !found {
		list = append(list, Span{strconv.FormatInt(int64(chosen/time.Second), 10), text(chosen), true})
	}
	return list
}

// NamedPerson is one line of a list of people.
type NamedPerson struct {
	Name  string // empty: none is known
	Email string
}

// AdminPolicyPeople names for whom a mode would have an outcome.
type AdminPolicyPeople struct {
	Chrome
	Mode    mfa.Policy
	Outcome mfa.Outcome
	Accept  string // the choice that was previewed, as the form sends it
	People  []NamedPerson
	Next    string // where the next page begins; empty: there is none
	First   bool   // this is the first page
}

// Name is the view's template.
func (AdminPolicyPeople) Name() string { return "admin_policy_people" }

// Tab marks the page in the administration's navigation.
func (AdminPolicyPeople) Tab() string { return "mfa" }

// ModeName says the mode.
func (v AdminPolicyPeople) ModeName() Text { return modeName(v.Mode) }

// ModeValue is the mode as an address names it.
func (v AdminPolicyPeople) ModeValue() string { return v.Mode.String() }

// OutcomeValue is the outcome as an address names it.
func (v AdminPolicyPeople) OutcomeValue() string { return v.Outcome.String() }

// Label says the outcome.
func (v AdminPolicyPeople) Label() Text { return OutcomeCount{Outcome: v.Outcome}.Label() }

// TrialPerson is what one person would have met.
type TrialPerson struct {
	NamedPerson
	Met []TrialMet
}

// TrialMet is an outcome that a person would have met, and when first.
type TrialMet struct {
	OutcomeCount
	First time.Time
}

// AdminTrial reports what a mode that is only tried would have meant.
type AdminTrial struct {
	Chrome
	Version  int64
	ReadOnly bool
	Mode     mfa.Policy // zero: nothing is tried
	Since    time.Time
	Would    []OutcomeCount
	People   []TrialPerson
	Next     string
	First    bool
	Problem  Text
	Cure     Action
}

// Name is the view's template.
func (AdminTrial) Name() string { return "admin_trial" }

// Tab marks the page in the administration's navigation.
func (AdminTrial) Tab() string { return "mfa" }

// ModeName says the mode.
func (v AdminTrial) ModeName() Text { return modeName(v.Mode) }
