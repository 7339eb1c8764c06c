// Package login is what a person does to get in and to look after their own
// credentials: one method per step. Each step leaves its evidence in the
// session's row; what is still missing is for mfa.Decide to say, and
// [PageFor] is the one place that turns its answer into where to go next.
package login

import (
	"context"
	"errors"
	"time"

	"github.com/caddymfa/gateway/caddymfa/factor"
	"github.com/caddymfa/gateway/caddymfa/internal/facts"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/mail"
	"github.com/caddymfa/gateway/caddymfa/internal/seal"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// What a step may answer besides success. A *limit.Wait means "later". Any
// other error is a fault: nothing was decided and nothing counted.
var (
	// ErrWrong means a wrong password or code. Replays, unknown people and
	// people switched off read the same.
	ErrWrong = errors.New("wrong e-mail, password or code")
	// ErrBusy means that too many passwords are being checked right now.
	ErrBusy = errors.New("too many sign-ins at once")
	// ErrLocked means that this kind of second factor had too many wrong
	// answers and must be bound anew.
	ErrLocked = errors.New("too many wrong answers")
	// ErrSignedOut means that the session ended meanwhile.
	ErrSignedOut = errors.New("signed out")
	// ErrStartAgain means that what the step belongs to is over or another's.
	ErrStartAgain = errors.New("expired, used before or from somewhere else")
	// ErrNotMember means that the person does not belong to the account.
	ErrNotMember = errors.New("not a member of this account")
	// ErrTooMany means that the person has as many authenticators as allowed.
	ErrTooMany = errors.New("too many authenticators")
	// ErrReadOnly means that the configuration owns what was to be changed.
	ErrReadOnly = errors.New("declared in the configuration")
)

// Undecided means that mfa.DecideChange or mfa.Decide wants something else
// first.
type Undecided struct{ Decision mfa.Decision }

func (u *Undecided) Error() string { return "refused: " + string(u.Decision.Reason) }

// Client is who is calling, as far as the connection tells.
type Client struct {
	Network string // address, as Caddy determined it
	Browser string // User-Agent, for the person's own list
	Known   string // value of the known-browser cookie
	Device  string // value of the remembered-browser cookie
}

// Service carries out the steps.
type Service struct {
	Store     storage.Storage
	Facts     *facts.Source
	Sessions  *session.Manager
	Limiter   *limit.Limiter
	Box       *seal.Box
	Passwords *Passwords
	Factors   map[mfa.Kind]factor.Factor
	Keys      factor.Keys // security keys and passkeys; nil: not configured
	Companies *Companies  // identity providers; nil: none
	Now       func() time.Time
	// Record writes the audit. It never fails the step it tells of.
	Record func(context.Context, storage.Event)
	// Issuer is the service's name in people's authenticator apps.
	Issuer string
	// Snooze is how long "Not now" holds.
	Snooze time.Duration
	// Mail tells people by mail; nil: nothing does.
	Mail *mail.Outbox
	// Pages is where people reach the pages: origin and base path. Links in
	// mails begin with it.
	Pages string
}

// MaxFactors is how many authenticators one person may have.
const MaxFactors = 10

// event begins an audit row about a session's person.
func (s *Service) event(c Client, sess *storage.Session, action, outcome, reason string) storage.Event {
	e := storage.Event{At: s.Now(), Action: action, Outcome: outcome, Reason: reason, Network: c.Network}
	if sess != nil {
		e.Actor, e.User, e.Account, e.Session = sess.User, sess.User, sess.Account, sess.ID
	}
	return e
}

// Gather collects the facts about a session entering an account.
func (s *Service) Gather(ctx context.Context, sess *storage.Session, account string) (facts.Gathered, error) {
	return s.Facts.Gather(ctx, sess, account, mfa.Route{}, s.Now())
}

// mayChange asks the rule whether the session's person may change credentials
// now.
func (s *Service) mayChange(ctx context.Context, sess *storage.Session) (facts.Gathered, error) {
	g, err := s.Gather(ctx, sess, "")
	if err != nil {
		return g, err
	}
	if d := mfa.DecideChange(g.Facts); d.Verdict != mfa.Allow {
		return g, &Undecided{d}
	}
	return g, nil
}

// PageFor says which page, under the base path, a decision leads to. An empty
// answer means that the person may go where they wanted.
func PageFor(d mfa.Decision) string {
	switch d.Verdict {
	case mfa.Allow:
		return ""
	case mfa.SignIn:
		return "/login"
	case mfa.SSO:
		return "/sso"
	case mfa.Challenge:
		return "/challenge"
	case mfa.Enroll:
		return "/enroll/totp"
	case mfa.Suggest:
		return "/suggest"
	}
	return "/accounts"
}

// replace gives the browser a new session id for more rights: whoever knew the
// former id (planted or overheard) has nothing.
func (s *Service) replace(ctx context.Context, old *storage.Session, change func(*storage.Session)) (storage.Session, error) {
	next := *old
	next.ID, next.Seen = session.NewID(), s.Now()
	change(&next)
	err := s.Store.ReplaceSession(ctx, old.ID, next, s.Now())
	if errors.Is(err, storage.ErrNotFound) {
		return storage.Session{}, ErrSignedOut
	}
	return next, err
}
