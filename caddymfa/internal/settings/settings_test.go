package settings

import (
	"errors"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestApply(t *testing.T) {
	week := now.Add(7 * 24 * time.Hour)
	before := storage.Account{ID: "acme", Policy: mfa.Optional, PolicyBy: "operator", PolicyAt: now.Add(-time.Hour)}
	planned, tried := before, before
	planned.Next, planned.NextAt, planned.NextBy = mfa.Required, week, "boss"
	tried.Trial, tried.TrialAt = mfa.Required, now
	set := func(a storage.Account, mode mfa.Policy) storage.Account {
		a.Policy, a.PolicyBy, a.PolicyAt = mode, "ana", now
		return a
	}
	withRules := before
	withRules.PolicyBy, withRules.PolicyAt, withRules.Remember = "ana", now, time.Hour
	withRules.Trial, withRules.TrialAt = mfa.Required, now
	for name, test := range map[string]struct {
		from   storage.Account
		change Change
		want   storage.Account
	}{
		"at once":                           {before, Change{Mode: mfa.Required}, set(before, mfa.Required)},
		"a laxer mode leaves the plan":      {planned, Change{Mode: mfa.Suggested}, set(planned, mfa.Suggested)},
		"the planned mode ends the plan":    {planned, Change{Mode: mfa.Required}, set(before, mfa.Required)},
		"a laxer mode leaves the trial":     {tried, Change{Mode: mfa.Suggested}, set(tried, mfa.Suggested)},
		"the tried mode ends the trial":     {tried, Change{Mode: mfa.Required}, set(before, mfa.Required)},
		"a trial alone changes no rules":    {before, Change{Mode: mfa.Required, Trial: true}, tried},
		"rules change at once with a trial": {before, Change{Mode: mfa.Required, Trial: true, Rules: Rules{Remember: time.Hour}}, withRules},
	} {
		row := test.from
		test.change.Apply(&row, "ana", now)
		if row != test.want {
			t.Errorf("%s: expected %+v, got %+v", name, test.want, row)
		}
	}
	row := before
	Change{Mode: mfa.Required, From: week}.Apply(&row, "ana", now)
	if row.Policy != mfa.Optional || row.Next != mfa.Required || !row.NextAt.Equal(week) || row.NextBy != "ana" || row.PolicyBy != "operator" {
		t.Errorf("planned: %+v", row)
	}
	// A plan that is due is in force: who lowers the mode then means it.
	Change{Mode: mfa.Suggested}.Apply(&row, "bo", week)
	if row.Policy != mfa.Suggested || row.Next != 0 || row.PolicyBy != "bo" {
		t.Errorf("lowered after the day: %+v", row)
	}
}

func TestBegin(t *testing.T) {
	row := storage.Account{Policy: mfa.Optional, Next: mfa.Required, NextAt: now, NextBy: "ana", Trial: mfa.Suggested, TrialAt: now}
	if Begin(&row, now.Add(-time.Second)) || row.Policy != mfa.Optional {
		t.Errorf("begun too early: %+v", row)
	}
	if !Begin(&row, now.Add(time.Hour)) || row != (storage.Account{Policy: mfa.Required, PolicyBy: "ana", PolicyAt: now}) {
		t.Errorf("begun: %+v", row)
	}
	if Begin(&row, now.Add(time.Hour)) {
		t.Error("begun twice")
	}
	row = storage.Account{Policy: mfa.Required, PolicyBy: "bo", Next: mfa.Suggested, NextAt: now}
	if !Begin(&row, now) || row != (storage.Account{Policy: mfa.Required, PolicyBy: "bo"}) {
		t.Errorf("a plan that was overtaken: %+v", row)
	}
}

func TestCheck(t *testing.T) {
	a := mfa.Account{Policy: mfa.Suggested, Floor: mfa.Suggested}
	for name, test := range map[string]struct {
		change Change
		want   error
	}{
		"the same":                 {Change{Mode: mfa.Suggested}, nil},
		"stricter":                 {Change{Mode: mfa.Required}, nil},
		"stricter, soon":           {Change{Mode: mfa.Required, From: now.Add(time.Second)}, nil},
		"stricter, on trial":       {Change{Mode: mfa.Required, Trial: true}, nil},
		"nothing":                  {Change{}, ErrMode},
		"an unknown mode":          {Change{Mode: 9}, ErrMode},
		"below the floor":          {Change{Mode: mfa.Optional}, ErrFloor},
		"a trial of the same":      {Change{Mode: mfa.Suggested, Trial: true}, ErrNotStricter},
		"now is not a date":        {Change{Mode: mfa.Required, From: now}, ErrDate},
		"two years ahead":          {Change{Mode: mfa.Required, From: now.AddDate(2, 0, 0)}, ErrDate},
		"negative":                 {Change{Mode: mfa.Required, Rules: Rules{SecondFactorAge: -1}}, ErrSpan},
		"negative memory":          {Change{Mode: mfa.Required, Rules: Rules{Remember: -1}}, ErrSpan},
		"keys that nobody can add": {Change{Mode: mfa.Required, Rules: Rules{Accept: mfa.KindsOf(mfa.WebAuthn)}}, ErrNoKeys},
	} {
		if err := test.change.Check(a, false, now); !errors.Is(err, test.want) {
			t.Errorf("%s: expected %v, got %v", name, test.want, err)
		}
	}
	if err := (Change{Mode: mfa.Required, Rules: Rules{Accept: mfa.KindsOf(mfa.WebAuthn)}}).Check(a, true, now); err != nil {
		t.Errorf("keys that can be added: %v", err)
	}
}
