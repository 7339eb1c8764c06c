package mfa

import "testing"

func TestOutcome(t *testing.T) {
	for _, test := range []struct {
		verdict Verdict
		reason  Reason
		want    Outcome
		enters  bool
	}{
		{Deny, NotMember, Blocked, false},
		{SignIn, NoSession, Blocked, false},
		{SSO, DomainEnforced, Blocked, false},
		{ChooseAccount, NoAccount, Blocked, false},
		{Verdict(99), "", Blocked, false},
		{Challenge, Enrolled, Asked, true},
		{Challenge, SecondFactorTooOld, Asked, true},
		{Allow, SecondFactor, Asked, true},
		{Allow, RememberedDevice, Asked, true},
		{Enroll, PolicyRequired, MustEnroll, false},
		{Enroll, KindNotAccepted, MustEnroll, false},
		{Suggest, PolicySuggested, Prompted, true},
		{Allow, ProviderPrecedence, Vouched, true},
		{Allow, ProviderVerified, Vouched, true},
		{Allow, Snoozed, Free, true},
		{Allow, PolicyOptional, Free, true},
	} {
		got := Decision{Verdict: test.verdict, Reason: test.reason}.Outcome()
		if got != test.want || got.Enters() != test.enters {
			t.Errorf("%s for %s: expected %s, got %s, which enters: %t", test.verdict, test.reason, test.want, got, got.Enters())
		}
	}
}

func TestOutcomeNames(t *testing.T) {
	for o := range Outcome(Outcomes) {
		if got, err := ParseOutcome(o.String()); err != nil || got != o {
			t.Errorf("%s is read as %s, %v", o, got, err)
		}
	}
	if got := Outcome(Outcomes).String(); got != "blocked" {
		t.Errorf("what is no outcome is %q", got)
	}
	if _, err := ParseOutcome("none"); err == nil {
		t.Error("an unknown name was read")
	}
}
