package login

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// ticketBreakGlass lets one person into one account while its provider is down.
const ticketBreakGlass = "break_glass"

// MaxBreakGlass is the longest that an entry, and a session made with it, may
// last.
const MaxBreakGlass = 24 * time.Hour

// What an entry is refused for, when it is issued.
var (
	ErrNoFactor      = errors.New("has no authenticator that works, and an entry is worth nothing without a second factor")
	ErrBreakGlassFor = fmt.Errorf("expected a time of a minute to %s", MaxBreakGlass)
)

// breakGlass is what a ticket of an entry holds.
type breakGlass struct {
	Account string        `json:"account"`
	For     time.Duration `json:"for"`
}

// CreateBreakGlass makes a code with which somebody enters one account once,
// without its identity provider, and with a second factor. It is for the
// operator to issue, when the provider is down.
func (s *Service) CreateBreakGlass(ctx context.Context, user, account string, life time.Duration) (code string, expires time.Time, err error) {
	if life < time.Minute || life > MaxBreakGlass {
		return "", expires, ErrBreakGlassFor
	}
	if err := s.mayBreakGlass(ctx, user, account); err != nil {
		return "", expires, err
	}
	code = newCode()
	err = s.putTicket(ctx, storage.Ticket{Purpose: ticketBreakGlass, User: user}, code, breakGlass{account, life}, life)
	return code, s.Now().Add(life), err
}

// mayBreakGlass says whether an entry of this person would be worth anything.
func (s *Service) mayBreakGlass(ctx context.Context, user, account string) error {
	belongs, err := s.Facts.Memberships(ctx, user)
	if err != nil {
		return err
	}
	if belongs[account].State != mfa.Joined {
		return ErrNotMember
	}
	tenant, err := s.Facts.Tenant(ctx, account)
	if err != nil {
		return err
	}
	rows, err := s.Store.FactorsOf(ctx, user)
	if err != nil {
		return err
	}
	for _, f := range rows {
		if !f.Disabled && (tenant.Accept == 0 || tenant.Accept.Has(f.Kind)) {
			return nil
		}
	}
	return ErrNoFactor
}

// BreakGlass spends an entry. The session that it makes is for the one account,
// proves no second factor yet, and ends when the entry's time has passed since.
func (s *Service) BreakGlass(ctx context.Context, c Client, code string, old *storage.Session) (storage.Session, error) {
	var none storage.Session
	network := limit.NetworkOf(c.Network)
	if err := s.Limiter.Try(ctx, limit.Network, network); err != nil {
		return none, err
	}
	refused := func(reason, user, account string) error {
		s.Record(ctx, storage.Event{At: s.Now(), Action: "break_glass", Outcome: "refused", Reason: reason, User: user, Account: account, Network: c.Network})
		return ErrStartAgain
	}
	t, err := s.Store.TakeTicket(ctx, ticketBreakGlass, s.ticketID(ticketBreakGlass, normaliseRecoveryCode(code)), s.Now())
	if errors.Is(err, storage.ErrSpent) {
		return none, refused("wrong_code", "", "")
	}
	if err != nil {
		return none, errors.Join(err, s.Limiter.TakeBack(ctx, limit.Network, network))
	}
	var entry breakGlass
	if err := s.openTicket(t, &entry); err != nil {
		return none, err
	}
	if err := s.Limiter.TakeBack(ctx, limit.Network, network); err != nil {
		return none, err
	}
	user, err := s.Store.User(ctx, t.User)
	if err != nil {
		return none, err
	}
	if user.Disabled {
		return none, refused(string(mfa.UserDisabled), user.ID, entry.Account)
	}
	err = s.mayBreakGlass(ctx, user.ID, entry.Account)
	switch {
	case errors.Is(err, ErrNotMember):
		return none, refused(string(mfa.NotMember), user.ID, entry.Account)
	case errors.Is(err, ErrNoFactor):
		return none, refused("no_factor", user.ID, entry.Account)
	case err != nil:
		return none, err
	}
	now := s.Now()
	sess := storage.Session{
		ID: session.NewID(), User: user.ID, Account: entry.Account, Created: now, Seen: now,
		Expires: now.Add(min(entry.For, s.Sessions.Limits.Absolute)), Browser: shorten(c.Browser, 200), Network: c.Network,
		// Nothing of a former session comes along, not even its second factor.
		Proof: mfa.Proof{User: user.ID, First: now, FirstBy: mfa.ByEntry, BreakGlass: entry.Account},
	}
	if old != nil {
		if err := s.Store.RevokeSession(ctx, old.User, old.ID, now); err != nil && !errors.Is(err, storage.ErrNotFound) {
			return none, err
		}
	}
	if err := s.Store.CreateSession(ctx, sess); err != nil {
		return none, err
	}
	s.Record(ctx, s.event(c, &sess, "break_glass", "ok", "entered"))
	return sess, nil
}
