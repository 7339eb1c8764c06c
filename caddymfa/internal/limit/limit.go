// Package limit decides how often something may be tried. A try is counted
// before it is checked, in one write, so that parallel tries cannot outrun the
// count.
package limit

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Rule is how often one thing may be tried. The zero value allows nothing.
type Rule struct {
	Name    string        // part of the counter's key
	Free    int           // failures in a row before delays begin
	Delay   time.Duration // after the first failure past Free; doubles with each
	Longest time.Duration // the longest delay
	// Forget is how long after the last try a row of failures is forgotten.
	// Zero: never.
	Forget time.Duration
	// Cap is how many failures in a row end it for good. Zero: never.
	Cap int
	// RollingCap is how many failures within Window end it for good. Zero: never.
	RollingCap int
	Window     time.Duration
}

// The rules.
var (
	// Password counts wrong passwords per person, from browsers nobody has
	// signed in with before.
	Password = Rule{Name: "password", Free: 5, Delay: 2 * time.Second, Longest: 5 * time.Minute, Forget: 24 * time.Hour}
	// KnownBrowser counts wrong passwords per person and browser that this
	// person has signed in with, so that strangers cannot make them wait.
	KnownBrowser = Rule{Name: "known_browser", Free: 5, Delay: 2 * time.Second, Longest: 5 * time.Minute, Forget: 24 * time.Hour}
	// Network counts wrong passwords per client network, whoever they were for.
	Network = Rule{Name: "network", Free: 100, Delay: time.Second, Longest: time.Minute, Forget: 10 * time.Minute}
	// Mailed counts mails that somebody who is not signed in had sent to an
	// address, so that nobody's mailbox can be filled with them.
	Mailed = Rule{Name: "mailed", Free: 3, Delay: 15 * time.Minute, Longest: 6 * time.Hour, Forget: 24 * time.Hour}
	// Invitations counts how many people an account invites: mails go to addresses
	// that nobody has proven.
	Invitations = Rule{Name: "invitations", Free: 500, Delay: 10 * time.Second, Longest: time.Minute, Forget: 24 * time.Hour}
	// BadToken counts tokens of programs that are none, per client network.
	BadToken = Rule{Name: "bad_token", Free: 20, Delay: time.Second, Longest: time.Minute, Forget: 10 * time.Minute}
	// SecondFactor counts wrong answers per person and kind. It is reachable
	// only after the first factor. The caps are those of NIST SP 800-63B-4,
	// section 3.2.2, made stricter.
	SecondFactor = Rule{Name: "second_factor", Free: 5, Delay: 2 * time.Second, Longest: 15 * time.Minute,
		Cap: 20, RollingCap: 50, Window: 30 * 24 * time.Hour}
	// BackChannel counts logout tokens that were refused, per client network:
	// each may make us ask a provider for its keys.
	BackChannel = Rule{Name: "back_channel", Free: 50, Delay: time.Second, Longest: time.Minute, Forget: 10 * time.Minute}
)

// Wait means that it is too early for another try.
type Wait struct{ Until time.Time }

func (w *Wait) Error() string {
	return "too many tries: wait until " + w.Until.UTC().Format(time.RFC3339)
}

// ErrCapped means that there were too many failures for any further try.
var ErrCapped = errors.New("too many tries: disabled")

// Limiter applies rules to counters in storage.
type Limiter struct {
	Store storage.Attempts
	Now   func() time.Time
	// MAC hides what is counted from whoever reads the database.
	MAC func(purpose string, data ...string) []byte
}

// Try counts one try, or refuses it with a *Wait or ErrCapped.
func (l *Limiter) Try(ctx context.Context, r Rule, what ...string) error {
	now := l.Now()
	return l.Store.UpdateAttempt(ctx, l.key(r, what), func(a *storage.Attempt) error {
		return r.try(a, now)
	})
}

// Succeeded takes back the try that turned out right.
func (l *Limiter) Succeeded(ctx context.Context, r Rule, what ...string) error {
	return l.Store.UpdateAttempt(ctx, l.key(r, what), func(a *storage.Attempt) error {
		a.Consecutive, a.Blocked = 0, time.Time{}
		a.Rolling = max(a.Rolling-1, 0)
		return nil
	})
}

// TakeBack takes back one try and leaves earlier failures standing: for
// counters that a stranger's success must not clear, and for faults of ours.
func (l *Limiter) TakeBack(ctx context.Context, r Rule, what ...string) error {
	return l.Store.UpdateAttempt(ctx, l.key(r, what), func(a *storage.Attempt) error {
		a.Consecutive, a.Rolling = max(a.Consecutive-1, 0), max(a.Rolling-1, 0)
		if a.Consecutive <= r.Free {
			a.Blocked = time.Time{}
		}
		return nil
	})
}

// Forget clears a counter: the thing counted was bound anew.
func (l *Limiter) Forget(ctx context.Context, r Rule, what ...string) error {
	return l.Store.UpdateAttempt(ctx, l.key(r, what), func(a *storage.Attempt) error {
		*a = storage.Attempt{Key: a.Key, Last: l.Now()}
		return nil
	})
}

// Once lets one caller pass, ever; the others get ErrCapped. It is for things
// that expire long before counters are swept.
func (l *Limiter) Once(ctx context.Context, what ...string) error {
	return l.Store.UpdateAttempt(ctx, l.key(Rule{Name: "once"}, what), func(a *storage.Attempt) error {
		if a.Rolling > 0 {
			return ErrCapped
		}
		a.Rolling, a.Last = 1, l.Now()
		return nil
	})
}

// NotYet takes Once back, when what it was for failed and will be tried again.
func (l *Limiter) NotYet(ctx context.Context, what ...string) error {
	return l.Forget(ctx, Rule{Name: "once"}, what...)
}

func (r Rule) try(a *storage.Attempt, now time.Time) error {
	if r.Forget > 0 && now.Sub(a.Last) > r.Forget {
		a.Consecutive = 0
	}
	if r.Window > 0 && now.Sub(a.Window) > r.Window {
		a.Window, a.Rolling = now, 0
	}
	if r.Cap > 0 && a.Consecutive >= r.Cap || r.RollingCap > 0 && a.Rolling >= r.RollingCap {
		return ErrCapped
	}
	if now.Before(a.Blocked) {
		return &Wait{Until: a.Blocked}
	}
	a.Consecutive++
	a.Rolling++
	a.Last = now
	if over := a.Consecutive - r.Free; over >= 0 {
		a.Blocked = now.Add(r.delay(over))
	}
	return nil
}

func (r Rule) delay(over int) time.Duration {
	d := r.Delay
	for range over {
		if d *= 2; d >= r.Longest {
			return r.Longest
		}
	}
	return d
}

func (l *Limiter) key(r Rule, what []string) string {
	return r.Name + ":" + base64.RawURLEncoding.EncodeToString(l.MAC("limit "+r.Name, what...)[:18])
}

// NetworkOf names the network that a client's address belongs to: IPv4 by
// address, IPv6 by /64, since one customer gets a whole /64. An address that
// cannot be read is counted under its own text.
func NetworkOf(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return fmt.Sprintf("unreadable:%.64q", ip)
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a.String()
	}
	return p.String()
}
