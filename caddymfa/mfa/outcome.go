package mfa

import "fmt"

// Outcome is what a decision means to a person who has just signed in: the
// words of previews and reports.
type Outcome uint8

// The outcomes. The zero value keeps a person out.
const (
	// Blocked cannot enter, whatever they do themselves.
	Blocked Outcome = iota
	// MustEnroll enters once an authenticator is set up.
	MustEnroll
	// Prompted is invited to set one up, and may put it off.
	Prompted
	// Asked shows a second factor.
	Asked
	// Vouched is let in by the account's identity provider.
	Vouched
	// Free enters without a second factor.
	Free
)

// Outcomes is how many outcomes there are.
const Outcomes = 6

var outcomeNames = [Outcomes]string{"blocked", "must_enroll", "prompted", "asked", "vouched", "free"}

// String returns the outcome's name as used in JSON, addresses and the store.
func (o Outcome) String() string {
	if o >= Outcomes {
		return outcomeNames[Blocked]
	}
	return outcomeNames[o]
}

// ParseOutcome reads an outcome's name.
func ParseOutcome(s string) (Outcome, error) {
	for o, name := range outcomeNames {
		if name == s {
			return Outcome(o), nil
		}
	}
	return 0, fmt.Errorf("unknown outcome %q", s)
}

// Enters reports whether a person gets in with what they already have.
func (o Outcome) Enters() bool { return o == Prompted || o == Asked || o == Vouched || o == Free }

// Outcome says what the decision means to the person.
func (d Decision) Outcome() Outcome {
	switch d.Verdict {
	case Challenge:
		return Asked
	case Enroll:
		return MustEnroll
	case Suggest:
		return Prompted
	case Allow:
		switch d.Reason {
		case SecondFactor, RememberedDevice:
			return Asked
		case ProviderPrecedence, ProviderVerified:
			return Vouched
		}
		return Free
	}
	return Blocked
}
