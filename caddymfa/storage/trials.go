package storage

import (
	"context"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// TrialNote says what a mode that an account only tries would have meant to a
// person.
type TrialNote struct {
	Account string
	User    string
	Begun   time.Time // when the trial began: notes of one trial are never another's
	Outcome mfa.Outcome
	First   time.Time // the first request that it would have met
}

// TrialPerson is a person of a trial, and what they would have met, when first.
type TrialPerson struct {
	Person
	Outcomes map[mfa.Outcome]time.Time
}

// Trials keeps what modes that are only tried would have meant.
type Trials interface {
	// NoteTrial adds what was not noted before, in one write. What is about
	// somebody who is no member is dropped.
	NoteTrial(ctx context.Context, notes []TrialNote) error
	// TrialCounts says how many people met each outcome in a trial. Who met
	// several counts in each.
	TrialCounts(ctx context.Context, account string, begun time.Time) (map[mfa.Outcome]int, error)
	// TrialPeople lists up to limit people of a trial by user id, beginning
	// after the given one.
	TrialPeople(ctx context.Context, account string, begun time.Time, after string, limit int) ([]TrialPerson, error)
	// SweepTrials deletes up to limit notes of trials that are over, and returns
	// how many.
	SweepTrials(ctx context.Context, limit int) (int, error)
}
