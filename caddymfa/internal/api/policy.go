package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/settings"
	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// PolicyChange is a mode and all its options, and when the mode begins.
type PolicyChange struct {
	Mode            mode       `json:"mode"`
	Accept          []string   `json:"accept" jsonschema:"the kinds of second factor that are to count; empty: any"`
	SecondFactorAge int        `json:"second_factor_age" jsonschema:"how many seconds a second factor is to last; 0: as long as the session"`
	Remember        int        `json:"remember" jsonschema:"how many seconds a browser may be remembered; 0: it may not"`
	From            *time.Time `json:"from,omitempty" jsonschema:"when the mode is to begin, if it is stricter than the one in force; absent: at once"`
	Trial           bool       `json:"trial,omitempty" jsonschema:"only to watch what the mode would do"`
}

// setPolicy is the page's step, with the page's protections.
func (c *call) setPolicy() (any, error) {
	version, err := c.version()
	if err != nil {
		return nil, err
	}
	var in PolicyChange
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	change := settings.Change{Trial: in.Trial, Rules: settings.Rules{
		SecondFactorAge: seconds(in.SecondFactorAge), Remember: seconds(in.Remember),
	}}
	if change.Mode, err = mfa.ParsePolicy(string(in.Mode)); err != nil {
		return nil, invalid("mode: %v.", err)
	}
	for _, name := range in.Accept {
		kind, err := mfa.ParseKind(name)
		if err != nil {
			return nil, invalid("accept: %v.", err)
		}
		change.Rules.Accept |= mfa.KindsOf(kind)
	}
	if in.From != nil {
		change.From = *in.From
	}
	if _, err := c.Admin.ChangePolicy(c.ctx, c.actor(), version, change); err != nil {
		return nil, policyRefused(err)
	}
	return c.policy()
}

// maxSeconds is more than anything lasts; what is longer would overflow.
const maxSeconds = 1 << 30

func seconds(n int) time.Duration { return time.Duration(max(-1, min(n, maxSeconds))) * time.Second }

func (c *call) cancelPlan() (any, error) {
	version, err := c.version()
	if err != nil {
		return nil, err
	}
	return nil, policyRefused(c.Admin.CancelPlan(c.ctx, c.actor(), version))
}

func (c *call) endTrial() (any, error) {
	version, err := c.version()
	if err != nil {
		return nil, err
	}
	return nil, policyRefused(c.Admin.EndTrial(c.ctx, c.actor(), version))
}

// policyRefused gives a refused change of the policy its words.
func policyRefused(err error) error {
	if other := new(admin.Changed); errors.As(err, &other) {
		return changedBy("The policy was changed since it was read", other.By)
	}
	if errors.Is(err, admin.ErrNoAdministrator) {
		return problem(http.StatusUnprocessableEntity, "no_administrator", "No administrator would get in any more.")
	}
	for _, no := range []error{settings.ErrFloor, settings.ErrNotStricter, settings.ErrDate, settings.ErrSpan, settings.ErrNoKeys} {
		if errors.Is(err, no) {
			return problem(http.StatusUnprocessableEntity, "policy_refused", "%v.", no)
		}
	}
	return err
}
