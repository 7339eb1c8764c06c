package operate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// CreateBreakGlass makes a code with which somebody enters one account once,
// without its identity provider, and with a second factor.
func (o *Operator) CreateBreakGlass(ctx context.Context, email, account string, life time.Duration) (code string, expires time.Time, err error) {
	u, err := o.User(ctx, email)
	if err != nil {
		return "", expires, err
	}
	if _, err := o.Account(ctx, account); err != nil {
		return "", expires, err
	}
	e := storage.Event{At: o.Now(), Action: "break_glass", Outcome: "ok", Reason: "issued", Actor: byOperator, User: u.ID, Account: account,
		Detail: "for " + life.String()}
	code, expires, err = o.Login.CreateBreakGlass(ctx, u.ID, account, life)
	switch {
	case errors.Is(err, login.ErrNotMember), errors.Is(err, login.ErrNoFactor), errors.Is(err, login.ErrBreakGlassFor):
		e.Outcome, e.Reason = "refused", "not_issued"
		o.Record(ctx, e)
		return "", expires, fmt.Errorf("%w: user %q: %w", ErrInvalid, u.Email, err)
	case err != nil:
		return "", expires, aboutUser(u.Email, err)
	}
	o.Record(ctx, e)
	return code, expires, nil
}

// Assurances adds up what each of an account's identity providers said lately.
func (o *Operator) Assurances(ctx context.Context, account string) ([]login.Assured, error) {
	if _, err := o.Account(ctx, account); err != nil {
		return nil, err
	}
	return o.Login.Assurances(ctx, account)
}
