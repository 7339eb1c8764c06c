package admin

import (
	"context"

	"github.com/caddymfa/gateway/caddymfa/internal/settings"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Settings is what an account's administrators may know of its settings.
type Settings struct {
	Account  storage.Account
	Mode     mfa.Policy // in force
	Floor    mfa.Policy // the least that the operator allows; zero: anything
	By       string     // who set the mode, as [Service.Who] says
	ReadOnly bool       // the configuration owns them
	Keys     bool       // security keys and passkeys can be added
	// Overriding names the identity providers whose settings take precedence.
	Overriding []string
}

// Settings returns an account's settings.
func (s *Service) Settings(ctx context.Context, a Actor) (Settings, error) {
	row, err := s.Store.Account(ctx, a.Account)
	if err != nil {
		return Settings{}, err
	}
	tenant, err := s.Login.Facts.Tenant(ctx, a.Account)
	if err != nil {
		return Settings{}, err
	}
	set := Settings{
		Account: row, Mode: tenant.Account.Mode(s.Now()), Floor: tenant.Account.Floor,
		ReadOnly: row.Origin == storage.FromConfig, Keys: s.Login.Keys != nil,
	}
	if set.By, err = s.Who(ctx, row.PolicyBy); err != nil {
		return Settings{}, err
	}
	providers, err := s.Store.ProvidersOf(ctx, a.Account)
	if err != nil {
		return Settings{}, err
	}
	for _, p := range providers {
		if !p.Disabled && p.Trust == mfa.Precedence {
			set.Overriding = append(set.Overriding, p.Name)
		}
	}
	return set, nil
}

// Report says what a mode that is only tried would have meant so far.
type Report struct {
	Account  storage.Account
	ReadOnly bool
	Counts   [mfa.Outcomes]int // how many people met each outcome
	People   []storage.TrialPerson
	Next     string // where the next page of people begins; empty: there is none
}

// Trial reports on the account's trial, with a page of its people after the
// given one.
func (s *Service) Trial(ctx context.Context, a Actor, after string) (Report, error) {
	row, err := s.Store.Account(ctx, a.Account)
	if err != nil {
		return Report{}, err
	}
	r := Report{Account: row, ReadOnly: row.Origin == storage.FromConfig}
	if !row.Trial.Valid() {
		return r, nil
	}
	counts, err := s.Store.TrialCounts(ctx, a.Account, row.TrialAt)
	if err != nil {
		return Report{}, err
	}
	for o, people := range counts {
		r.Counts[o] = people
	}
	if r.People, err = s.Store.TrialPeople(ctx, a.Account, row.TrialAt, after, PeoplePage+1); err != nil {
		return Report{}, err
	}
	if len(r.People) > PeoplePage {
		r.People = r.People[:PeoplePage]
		r.Next = r.People[PeoplePage-1].ID
	}
	return r, nil
}

// EnforceTrial makes the mode that was only tried the account's own.
func (s *Service) EnforceTrial(ctx context.Context, a Actor, version int64) error {
	row, err := s.Store.Account(ctx, a.Account)
	if err != nil {
		return err
	}
	if !row.Trial.Valid() {
		return settings.ErrNotStricter
	}
	_, err = s.ChangePolicy(ctx, a, version, settings.Change{Mode: row.Trial, Rules: settings.RulesOf(row)})
	return err
}
