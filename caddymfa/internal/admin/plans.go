package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/settings"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// page is how many rows are read at once.
const page = 200

// planned calls do for every account that a stricter mode is planned for.
func (s *Service) planned(ctx context.Context, do func(storage.Account) error) error {
	for after := ""; ; {
		rows, err := s.Store.AccountsPlanned(ctx, after, page)
		if err != nil {
			return err
		}
		for _, row := range rows {
			after = row.ID
			if err := do(row); err != nil {
				return fmt.Errorf("planned mode of account %q: %w", row.ID, err)
			}
		}
		if len(rows) < page {
			return nil
		}
	}
}

// Reminder tells a person that a stricter mode will begin which would not let
// them in with what they have.
type Reminder struct {
	Key     string // of one person, account, date and stage; never told twice
	To      string // the address
	User    string
	Account string
	Mode    mfa.Policy
	At      time.Time // when it begins
	Until   time.Time // when it is too late to tell
}

// stages are how long before a planned mode begins people are told.
var stages = []struct {
	name   string
	before time.Duration
}{{"week", 7 * 24 * time.Hour}, {"day", 24 * time.Hour}}

// Remind tells the people whom planned modes would keep out, a week and a day
// before. Tell is called again with the same key after a restart, and by other
// nodes; to tell only once is its business. A stage that is over when the plan
// is made is left out in favour of the next one.
func (s *Service) Remind(ctx context.Context, tell func(context.Context, Reminder) error) error {
	now := s.Now()
	return s.planned(ctx, func(row storage.Account) error {
		stage, until := "", row.NextAt
		for i, each := range stages {
			if !now.Before(row.NextAt.Add(-each.before)) {
				stage, until = each.name, row.NextAt
				if i+1 < len(stages) {
					until = row.NextAt.Add(-stages[i+1].before)
				}
			}
		}
		if stage == "" || !now.Before(row.NextAt) || row.Disabled {
			return nil
		}
		tenant, groups, err := s.census(ctx, row.ID)
		if err != nil {
			return err
		}
		for _, g := range groups {
			if !present(tenant, g.Standing) || s.outcome(tenant, g.Standing, settings.RulesOf(row), row.Next) != mfa.MustEnroll {
				continue
			}
			if err := s.remindAll(ctx, row, g.Standing, stage, until, tell); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Service) remindAll(ctx context.Context, row storage.Account, st storage.Standing, stage string, until time.Time, tell func(context.Context, Reminder) error) error {
	for after := ""; ; {
		people, err := s.Store.PeopleAlike(ctx, row.ID, st, s.Now(), after, page)
		if err != nil {
			return err
		}
		for _, p := range people {
			after = p.ID
			if err := tell(ctx, Reminder{
				Key: fmt.Sprintf("plan/%s/%s/%d/%s", row.ID, p.ID, row.NextAt.Unix(), stage),
				To:  p.Email, User: p.ID, Account: row.ID, Mode: row.Next, At: row.NextAt, Until: until,
			}); err != nil {
				return err
			}
		}
		if len(people) < page {
			return nil
		}
	}
}

// Concerns reports whether a mode that was planned to begin at a time still is,
// and would still keep the person out: a mail may have waited for its server.
func (s *Service) Concerns(ctx context.Context, account, user string, at time.Time) (bool, error) {
	row, err := s.Store.Account(ctx, account)
	if err != nil || row.Disabled || !row.Next.Valid() || !row.NextAt.Equal(at) || !s.Now().Before(at) {
		return false, err
	}
	u, err := s.Store.User(ctx, user)
	if err != nil {
		return false, err
	}
	g, err := s.Login.Gather(ctx, &storage.Session{User: user}, account)
	if err != nil || g.Tenant == nil {
		return false, err
	}
	st := storage.Standing{
		State: g.Facts.Member.State, Role: g.Facts.Member.Role, Disabled: u.Disabled,
		Password: u.PasswordHash != "", Enrolled: g.Facts.Enrolled, Domain: storage.DomainOf(u.Email),
	}
	return present(g.Tenant, st) && s.outcome(g.Tenant, st, settings.RulesOf(row), row.Next) == mfa.MustEnroll, nil
}

// BeginPlans writes down that planned modes which are due have begun. They are
// in force since they were due, whether or not this ran; of many nodes one
// writes the audit.
func (s *Service) BeginPlans(ctx context.Context) error {
	return s.planned(ctx, func(row storage.Account) error {
		if s.Now().Before(row.NextAt) {
			return nil
		}
		var former storage.Account
		begun := false
		changed, err := s.Store.UpdateAccount(ctx, row.ID, func(a *storage.Account) error {
			former = *a
			begun = settings.Begin(a, s.Now())
			return nil
		})
		if err != nil || !begun {
			return err
		}
		s.Record(ctx, storage.Event{
			At: s.Now(), Action: "begin_policy", Outcome: "ok", Reason: changed.Policy.String(), Actor: former.NextBy, Account: row.ID,
			Detail: settings.Difference(former, changed),
		})
		return nil
	})
}
