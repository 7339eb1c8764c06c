package login

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/factor"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Ceremonies are tickets: each is answered once, by the browser that it was
// made for, at the step that it was made for.
const (
	ticketAddKey = "add_key"
	ticketAskKey = "ask_key"
	ceremonyTime = 5 * time.Minute
)

// ErrNoKeys means that security keys and passkeys are not configured.
var ErrNoKeys = errors.New("security keys are not configured")

// keysOf returns the person's keys that may answer, with their opened states.
func (s *Service) keysOf(ctx context.Context, user string) (rows []storage.Factor, states [][]byte, err error) {
	all, err := s.Store.FactorsOf(ctx, user)
	if err != nil {
		return nil, nil, err
	}
	for _, row := range all {
		if row.Kind != mfa.WebAuthn || row.Disabled {
			continue
		}
		state, err := s.Box.Open(row.State, "factors", row.ID, "state")
		if err != nil {
			return nil, nil, fmt.Errorf("opening authenticator %s: %w", row.ID, err)
		}
		rows, states = append(rows, row), append(states, state)
	}
	return rows, states, nil
}

// BeginKey starts adding a security key or passkey, and returns the options for
// the browser. It answers *Undecided when something must be proven first.
func (s *Service) BeginKey(ctx context.Context, sess *storage.Session) (options []byte, err error) {
	if s.Keys == nil {
		return nil, ErrNoKeys
	}
	g, err := s.mayChange(ctx, sess)
	if err != nil {
		return nil, err
	}
	_, existing, err := s.keysOf(ctx, sess.User)
	if err != nil {
		return nil, err
	}
	ceremony, options, err := s.Keys.BeginRegistration(s.subject(g), existing, true)
	if err != nil {
		return nil, err
	}
	return options, s.putCeremony(ctx, ticketAddKey, sess.ID, sess.User, ceremony)
}

// ConfirmKey adds the key, as ConfirmTOTP adds an app.
func (s *Service) ConfirmKey(ctx context.Context, c Client, sess *storage.Session, response []byte, name string) (next storage.Session, codes bool, err error) {
	if s.Keys == nil {
		return next, false, ErrNoKeys
	}
	g, err := s.mayChange(ctx, sess)
	if err != nil {
		return next, false, err
	}
	ceremony, err := s.takeCeremony(ctx, ticketAddKey, sess.ID)
	if err != nil {
		return next, false, err
	}
	state, about, err := s.Keys.FinishRegistration(ceremony, response, s.Now())
	if errors.Is(err, factor.ErrIncorrect) {
		e := s.event(c, sess, "enroll", "refused", "wrong_webauthn")
		e.Detail = shorten(err.Error(), 200)
		s.Record(ctx, e)
		return next, false, ErrWrong
	}
	if err != nil {
		return next, false, err
	}
	name = cmp.Or(shorten(name, 60), about.Name)
	if name == "" && about.Synced {
		name = "Passkey"
	}
	name = cmp.Or(name, "Security key")
	row := storage.Factor{ID: session.NewID(), User: sess.User, Kind: mfa.WebAuthn, Name: name}
	return s.add(ctx, c, sess, g, row, state, about.Synced)
}

// AskKey asks one of the person's keys to answer as second factor.
func (s *Service) AskKey(ctx context.Context, sess *storage.Session) (options []byte, err error) {
	if s.Keys == nil {
		return nil, ErrNoKeys
	}
	g, err := s.Gather(ctx, sess, "")
	if err != nil {
		return nil, err
	}
	if g.Person == nil {
		return nil, ErrSignedOut
	}
	_, states, err := s.keysOf(ctx, sess.User)
	if err != nil {
		return nil, err
	}
	if len(states) == 0 {
		return nil, ErrLocked
	}
	ceremony, options, err := s.Keys.BeginAssertion(s.subject(g), states, false)
	if err != nil {
		return nil, err
	}
	return options, s.putCeremony(ctx, ticketAskKey, sess.ID, sess.User, ceremony)
}

// AnswerKey takes a key's answer as second factor, as Answer takes a code.
func (s *Service) AnswerKey(ctx context.Context, c Client, sess *storage.Session, response []byte) (storage.Session, error) {
	var none storage.Session
	if s.Keys == nil {
		return none, ErrNoKeys
	}
	ceremony, err := s.takeCeremony(ctx, ticketAskKey, sess.ID)
	if err != nil {
		return none, err
	}
	if err := s.Limiter.Try(ctx, limit.SecondFactor, sess.User, mfa.WebAuthn.String()); err != nil {
		if errors.Is(err, limit.ErrCapped) {
			return none, s.lock(ctx, c, sess, mfa.WebAuthn)
		}
		return none, err
	}
	rows, states, err := s.keysOf(ctx, sess.User)
	if err != nil {
		return none, errors.Join(err, s.Limiter.TakeBack(ctx, limit.SecondFactor, sess.User, mfa.WebAuthn.String()))
	}
	index, state, about, err := s.Keys.FinishAssertion(ceremony, response, states, s.Now())
	if err == nil {
		err = s.spendKey(ctx, rows[index], state)
	}
	if errors.Is(err, factor.ErrIncorrect) {
		e := s.event(c, sess, "challenge", "refused", "wrong_webauthn")
		e.Detail = shorten(err.Error(), 200)
		s.Record(ctx, e)
		return none, ErrWrong
	}
	if err != nil {
		return none, errors.Join(err, s.Limiter.TakeBack(ctx, limit.SecondFactor, sess.User, mfa.WebAuthn.String()))
	}
	if err := s.Limiter.Succeeded(ctx, limit.SecondFactor, sess.User, mfa.WebAuthn.String()); err != nil {
		return none, err
	}
	next, err := s.replace(ctx, sess, func(n *storage.Session) {
		n.Proof.Second, n.Proof.SecondBy, n.Proof.Synced = s.Now(), mfa.WebAuthn, about.Synced
	})
	if err != nil {
		return none, err
	}
	s.Record(ctx, s.event(c, &next, "challenge", "ok", mfa.WebAuthn.String()))
	return next, nil
}

// spendKey stores the new state of the key that answered (its signature
// counter) if nobody else did since it was read: an answer seen twice is
// accepted once.
func (s *Service) spendKey(ctx context.Context, read storage.Factor, state []byte) error {
	_, err := s.Store.UpdateFactor(ctx, read.ID, func(f *storage.Factor) error {
		if f.Version != read.Version || f.Disabled {
			return factor.ErrIncorrect
		}
		f.State, f.Used = s.Box.Seal(state, "factors", f.ID, "state"), s.Now()
		return nil
	})
	if errors.Is(err, storage.ErrNotFound) { // removed a moment ago
		return factor.ErrIncorrect
	}
	return err
}

// passkeyCeremony is a sign-in by passkey under way.
type passkeyCeremony struct {
	Data    []byte    `json:"data"`
	Expires time.Time `json:"expires"`
}

// AskPasskey begins a sign-in by passkey alone. The ceremony stays with the
// browser, sealed: nothing is stored for people who only look at the page.
func (s *Service) AskPasskey() (ceremony, options []byte, err error) {
	if s.Keys == nil {
		return nil, nil, ErrNoKeys
	}
	data, options, err := s.Keys.BeginDiscoverable()
	if err != nil {
		return nil, nil, err
	}
	ceremony, err = json.Marshal(passkeyCeremony{Data: data, Expires: s.Now().Add(ceremonyTime)})
	if err != nil {
		return nil, nil, fmt.Errorf("encoding a ceremony: %w", err)
	}
	return ceremony, options, nil
}

// Passkey is the whole sign-in: the key is one factor, and what it asked of its
// owner the other (NIST SP 800-63B-4, section 3.1.7). A ceremony is answered
// once: many passkeys count no signatures, so a second answer could not be told
// from the first.
func (s *Service) Passkey(ctx context.Context, c Client, ceremony, response []byte, old *storage.Session) (storage.Session, error) {
	var none storage.Session
	if s.Keys == nil {
		return none, ErrNoKeys
	}
	var begun passkeyCeremony
	if json.Unmarshal(ceremony, &begun) != nil || !s.Now().Before(begun.Expires) {
		return none, ErrStartAgain
	}
	if err := s.Limiter.Once(ctx, "passkey", string(ceremony)); errors.Is(err, limit.ErrCapped) {
		return none, ErrStartAgain
	} else if err != nil {
		return none, err
	}
	network := limit.NetworkOf(c.Network)
	if err := s.Limiter.Try(ctx, limit.Network, network); err != nil {
		return none, err
	}
	// The answer names its person; their keys are read inside.
	var rows []storage.Factor
	user, index, state, about, err := s.Keys.FinishDiscoverable(begun.Data, response, s.Now(), func(named string) (states [][]byte, err error) {
		rows, states, err = s.keysOf(ctx, named)
		return states, err
	})
	var row storage.User
	if err == nil {
		row, err = s.Store.User(ctx, user)
	}
	if err == nil && row.Disabled {
		err = factor.ErrIncorrect
	}
	if err == nil {
		err = s.spendKey(ctx, rows[index], state)
	}
	if errors.Is(err, factor.ErrIncorrect) || errors.Is(err, storage.ErrNotFound) {
		s.Record(ctx, storage.Event{At: s.Now(), Action: "sign_in", Outcome: "refused", Reason: "wrong_passkey",
			User: row.ID, Network: c.Network, Detail: shorten(err.Error(), 200)})
		return none, ErrWrong
	}
	if err := errors.Join(err, s.Limiter.TakeBack(ctx, limit.Network, network)); err != nil {
		return none, err
	}
	now := s.Now()
	sess, err := s.begin(ctx, c, mfa.Proof{User: user, First: now, FirstBy: mfa.ByPasskey, Second: now, SecondBy: mfa.WebAuthn, Synced: about.Synced}, old)
	if err != nil {
		return none, err
	}
	s.Record(ctx, s.event(c, &sess, "sign_in", "ok", mfa.ByPasskey))
	return sess, nil
}

func (s *Service) putCeremony(ctx context.Context, purpose, holder, user string, ceremony []byte) error {
	return s.putTicket(ctx, storage.Ticket{Purpose: purpose, User: user}, holder, ceremony, ceremonyTime)
}

func (s *Service) takeCeremony(ctx context.Context, purpose, holder string) (ceremony []byte, err error) {
	t, err := s.Store.TakeTicket(ctx, purpose, s.ticketID(purpose, holder), s.Now())
	if errors.Is(err, storage.ErrSpent) {
		return nil, ErrStartAgain
	}
	if err != nil {
		return nil, err
	}
	return ceremony, s.openTicket(t, &ceremony)
}
