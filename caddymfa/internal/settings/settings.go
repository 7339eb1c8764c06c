// Package settings is how an account's MFA settings change: whoever changes them,
// on a page, by a program or by command, changes them here.
package settings

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Why a change is refused.
var (
	// ErrMode means that no mode was named.
	ErrMode = errors.New("a mode is needed: optional, suggested or required")
	// ErrFloor means that the operator wants more of every account.
	ErrFloor = errors.New("laxer than the operator's minimum_policy")
	// ErrNotStricter means that only a mode stricter than the one in force can
	// be tried or planned.
	ErrNotStricter = errors.New("only a mode stricter than the one in force can be tried or planned")
	// ErrDate means a moment that cannot be planned for.
	ErrDate = errors.New("a mode can be planned for a date within the next year")
	// ErrSpan means that a second factor would last, or a browser be remembered,
	// for no sensible time.
	ErrSpan = errors.New("a second factor lasts a minute at least, and a browser is remembered for a year at most")
	// ErrNoKeys means that nobody could add a security key or passkey.
	ErrNoKeys = errors.New("nobody can add a security key or passkey here: configure webauthn first")
)

// Rules are the options under a mode.
type Rules struct {
	Accept          mfa.Kinds     // the kinds of second factor that count; zero: all
	SecondFactorAge time.Duration // how long a second factor lasts; zero: the session
	Remember        time.Duration // for how long a browser may be remembered; zero: not at all
}

// RulesOf returns the options of an account.
func RulesOf(a storage.Account) Rules {
	return Rules{Accept: a.Accept, SecondFactorAge: a.SecondFactorAge, Remember: a.Remember}
}

// In returns the facts, had the account these rules.
func (r Rules) In(f mfa.Facts) mfa.Facts {
	f.Account.Accept, f.Account.SecondFactorAge, f.Account.Remember = r.Accept, r.SecondFactorAge, r.Remember
	return f
}

// Change is a mode and its options, and when the mode begins. Options change at
// once.
type Change struct {
	Mode  mfa.Policy
	Rules Rules
	// From is when the mode begins. Zero: at once.
	From time.Time
	// Trial only watches what the mode would do.
	Trial bool
}

// Check says whether the options make sense.
func (r Rules) Check() error {
	if r.SecondFactorAge < 0 || r.SecondFactorAge > 0 && r.SecondFactorAge < minAge || r.Remember < 0 || r.Remember > maxRemember {
		return ErrSpan
	}
	return nil
}

// Bounds of what can be set.
const (
	maxPlan     = 366 * 24 * time.Hour
	maxRemember = 366 * 24 * time.Hour
	minAge      = time.Minute
)

// Check says whether an account may be changed so. The account is as the gate
// knows it; keys says that security keys and passkeys can be added.
func (c Change) Check(a mfa.Account, keys bool, now time.Time) error {
	switch {
	case !c.Mode.Valid():
		return ErrMode
	case c.Mode < a.Floor:
		return ErrFloor
	case (c.Trial || !c.From.IsZero()) && c.Mode <= a.Mode(now):
		return ErrNotStricter
	case !c.From.IsZero() && (!c.From.After(now) || c.From.Sub(now) > maxPlan):
		return ErrDate
	case c.Rules.Accept != 0 && !keys:
		return ErrNoKeys
	}
	return c.Rules.Check()
}

// Enforced is the mode that holds as soon as the change is made.
func (c Change) Enforced(a mfa.Account, now time.Time) mfa.Policy {
	if c.Trial || !c.From.IsZero() {
		return a.Mode(now)
	}
	return c.Mode
}

// Apply edits an account's row.
func (c Change) Apply(row *storage.Account, by string, now time.Time) {
	atOnce := !c.Trial && c.From.IsZero()
	if atOnce || RulesOf(*row) != c.Rules {
		row.PolicyBy, row.PolicyAt = by, now
		row.Accept, row.SecondFactorAge, row.Remember = c.Rules.Accept, c.Rules.SecondFactorAge, c.Rules.Remember
	}
	switch {
	case c.Trial:
		row.Trial, row.TrialAt = c.Mode, now
	case !atOnce:
		row.Next, row.NextAt, row.NextBy = c.Mode, c.From, by
	default:
		// What is planned stays planned if it is still to come, and stricter.
		if !now.Before(row.NextAt) || row.Next <= c.Mode {
			Unplan(row)
		}
		if row.Trial <= c.Mode {
			EndTrial(row)
		}
		row.Policy = c.Mode
	}
}

// Unplan takes back a planned mode.
func Unplan(row *storage.Account) { row.Next, row.NextAt, row.NextBy = 0, time.Time{}, "" }

// EndTrial ends the trial of a mode.
func EndTrial(row *storage.Account) { row.Trial, row.TrialAt = 0, time.Time{} }

// Begin makes a planned mode that is due the account's own, and reports whether
// there was one. It has been in force since it was due, whoever noticed.
func Begin(row *storage.Account, now time.Time) bool {
	if !row.Next.Valid() || now.Before(row.NextAt) {
		return false
	}
	if row.Next > row.Policy {
		row.Policy, row.PolicyBy, row.PolicyAt = row.Next, row.NextBy, row.NextAt
	}
	if row.Trial <= row.Policy {
		EndTrial(row)
	}
	Unplan(row)
	return true
}

// Difference lists what changed in an account's settings, for the audit.
func Difference(from, to storage.Account) string {
	var list []string
	for _, each := range []struct{ name, from, to string }{
		{"mode", from.Policy.String(), to.Policy.String()},
		{"accepts", from.Accept.AcceptString(), to.Accept.AcceptString()},
		{"a second factor lasts", lasting(from.SecondFactorAge, "the session"), lasting(to.SecondFactorAge, "the session")},
		{"remembers a browser", lasting(from.Remember, "never"), lasting(to.Remember, "never")},
		{"planned", dated(from.Next, from.NextAt), dated(to.Next, to.NextAt)},
		{"trial", dated(from.Trial, time.Time{}), dated(to.Trial, time.Time{})},
	} {
		if each.from != each.to {
			list = append(list, fmt.Sprintf("%s: %s, was %s", each.name, each.to, each.from))
		}
	}
	if len(list) == 0 {
		return "unchanged"
	}
	return strings.Join(list, "; ")
}

func lasting(d time.Duration, none string) string {
	if d == 0 {
		return none
	}
	return d.String()
}

func dated(mode mfa.Policy, at time.Time) string {
	if at.IsZero() || !mode.Valid() {
		return mode.String()
	}
	return mode.String() + " from " + at.UTC().Format(time.RFC3339)
}
