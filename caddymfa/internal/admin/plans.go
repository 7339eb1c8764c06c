package admin

import (
	"context"
	"fmt"

	"github.com/caddymfa/gateway/caddymfa/internal/settings"
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
