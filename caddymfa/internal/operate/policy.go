package operate

import (
	"context"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/settings"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// PolicyChange is what to change about an account's policy. Options that are nil
// stay as they are.
type PolicyChange struct {
	Policy          mfa.Policy
	Accept          *mfa.Kinds     // the kinds of second factor that count; zero: all
	SecondFactorAge *time.Duration // how long a second factor lasts; zero: the session
	Remember        *time.Duration // for how long a browser may be remembered; zero: not at all
	From            time.Time      // when the policy begins; zero: at once
	Trial           bool           // only report what the policy would do
	DropPlans       bool           // first takes back what is planned, and ends what is tried
}

// SetPolicy changes an account's policy, and returns the account as it was and
// as it is. What begins at once is in force when this returns. A policy that is
// set at once ends plans for, and trials of, the same or a laxer one.
func (o *Operator) SetPolicy(ctx context.Context, id string, want PolicyChange) (former, changed storage.Account, err error) {
	tenant, err := o.Login.Facts.Tenant(ctx, id)
	if err != nil {
		return former, changed, aboutAccount(id, err)
	}
	changed, err = o.Store.UpdateAccount(ctx, id, func(a *storage.Account) error {
		if a.Origin == storage.FromConfig {
			return errReadOnly
		}
		former = *a
		if want.DropPlans {
			settings.Begin(a, o.Now()) // what is due has begun
			settings.Unplan(a)
			settings.EndTrial(a)
		}
		c := settings.Change{Mode: want.Policy, Rules: settings.RulesOf(*a), From: want.From, Trial: want.Trial}
		if want.Accept != nil {
			c.Rules.Accept = *want.Accept
		}
		if want.SecondFactorAge != nil {
			c.Rules.SecondFactorAge = *want.SecondFactorAge
		}
		if want.Remember != nil {
			c.Rules.Remember = *want.Remember
		}
		if err := c.Check(tenant.Account, o.Login.Keys != nil, o.Now()); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		c.Apply(a, byOperator, o.Now())
		return nil
	})
	if err != nil {
		return former, changed, aboutAccount(id, err)
	}
	o.record(ctx, storage.Event{Action: "set_policy", Reason: changed.Policy.String(), Account: id, Detail: settings.Difference(former, changed)})
	return former, changed, nil
}
