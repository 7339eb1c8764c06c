package admin

import (
	"context"
	"errors"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/settings"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// ErrNoAdministrator means that no administrator would get in.
var ErrNoAdministrator = errors.New("no administrator would get in")

// Changed means that somebody else changed the settings since they were read.
type Changed struct {
	By string // e-mail address, "operator" or "configuration"; empty: not known any more
	At time.Time
	To mfa.Policy // the mode that they set
}

func (c *Changed) Error() string { return "changed by someone else meanwhile" }

// LockedOut means that whoever made the change would not get in any more.
type LockedOut struct{ Decision mfa.Decision }

func (l *LockedOut) Error() string { return "would lock its author out: " + string(l.Decision.Reason) }

// ChangePolicy changes the account's settings. What it changes is in force when
// it returns. Nobody can lock themselves out with it, or all administrators.
// version is that of the account when the settings were read.
func (s *Service) ChangePolicy(ctx context.Context, a Actor, version int64, c settings.Change) (storage.Account, error) {
	now := s.Now()
	if err := s.unchanged(ctx, a, version); err != nil {
		return storage.Account{}, err
	}
	tenant, groups, err := s.census(ctx, a.Account)
	if err != nil {
		return storage.Account{}, err
	}
	if err := c.Check(tenant.Account, s.Login.Keys != nil, now); err != nil {
		return storage.Account{}, err
	}
	// What is planned must be passable as well, or its day would lock people out.
	for _, mode := range []mfa.Policy{c.Enforced(tenant.Account, now), c.Mode} {
		if mode == c.Mode && c.Trial {
			continue
		}
		if err := s.passable(ctx, a, c.Rules, mode); err != nil {
			return storage.Account{}, err
		}
		if s.preview(tenant, groups, c.Rules, mode).Admins == 0 {
			return storage.Account{}, ErrNoAdministrator
		}
	}
	return s.edit(ctx, a, version, func(row *storage.Account) { c.Apply(row, a.User, now) })
}

// unchanged refuses a change to what was read too long ago, before anything else
// is said about it.
func (s *Service) unchanged(ctx context.Context, a Actor, version int64) error {
	row, err := s.Store.Account(ctx, a.Account)
	switch {
	case err != nil:
		return err
	case row.Origin == storage.FromConfig:
		return login.ErrReadOnly
	case row.Version != version:
		return s.whoChanged(ctx, a.Account)
	}
	return nil
}

// passable refuses what the acting administrator could not pass. A program has
// no session that could be locked out.
func (s *Service) passable(ctx context.Context, a Actor, rules settings.Rules, mode mfa.Policy) error {
	if a.Session == "" {
		return nil
	}
	sess, err := s.Login.Facts.Session(ctx, a.Session)
	if err != nil {
		return err
	}
	g, err := s.Login.Gather(ctx, sess, a.Account)
	if err != nil {
		return err
	}
	d := mfa.Decide(rules.In(g.Facts).Under(mode))
	if d.Verdict == mfa.Allow || d.Verdict == mfa.Challenge {
		return nil
	}
	return &LockedOut{d}
}

// whoChanged says who changed the settings last.
func (s *Service) whoChanged(ctx context.Context, account string) error {
	events, err := s.Store.Events(ctx, storage.EventQuery{Account: account, Action: "set_policy", Limit: 1})
	if err != nil {
		return err
	}
	row, err := s.Store.Account(ctx, account)
	if err != nil {
		return err
	}
	c := &Changed{To: row.Policy}
	if len(events) > 0 {
		c.At = events[0].At
		if c.By, err = s.Who(ctx, events[0].Actor); err != nil {
			return err
		}
	}
	return c
}

// EndTrial ends the trial of a mode, if there is one.
func (s *Service) EndTrial(ctx context.Context, a Actor, version int64) error {
	_, err := s.edit(ctx, a, version, settings.EndTrial)
	return err
}

// CancelPlan takes back a mode that was planned, if it has not begun.
func (s *Service) CancelPlan(ctx context.Context, a Actor, version int64) error {
	_, err := s.edit(ctx, a, version, func(row *storage.Account) {
		if s.Now().Before(row.NextAt) {
			settings.Unplan(row)
		}
	})
	return err
}

// edit changes the account's row if it is as it was read, and writes the audit.
func (s *Service) edit(ctx context.Context, a Actor, version int64, change func(*storage.Account)) (storage.Account, error) {
	moved := errors.New("the row has another version now")
	var former storage.Account
	row, err := s.Store.UpdateAccount(ctx, a.Account, func(row *storage.Account) error {
		if row.Origin == storage.FromConfig {
			return login.ErrReadOnly
		}
		if row.Version != version {
			return moved
		}
		former = *row
		change(row)
		return nil
	})
	if errors.Is(err, moved) {
		return storage.Account{}, s.whoChanged(ctx, a.Account)
	}
	if err != nil {
		return storage.Account{}, err
	}
	s.record(ctx, a, storage.Event{Action: "set_policy", Outcome: "ok", Reason: row.Policy.String(), Detail: settings.Difference(former, row)})
	return row, nil
}
