package login

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/factor"
	"github.com/caddymfa/gateway/caddymfa/internal/facts"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// The purposes of tickets.
const (
	ticketEnroll = "enroll_totp"
	ticketCodes  = "show_recovery_codes"
	ticketSetUp  = "set_up"
)

// How long tickets are good for.
const (
	enrollTime = 15 * time.Minute
	codesTime  = 15 * time.Minute
)

// RecoveryCodes is how many codes a set has.
const RecoveryCodes = 10

// recoveryCodeSize is 80 bits, beyond the 64 that NIST SP 800-63B-4, section
// 3.1.2.2, wants of a code that may be stored under a fast hash.
const recoveryCodeSize = 10

// pending is an enrolment that awaits its first code. One session has one, so
// that reloading the page shows the same key.
type pending struct {
	Factor string `json:"factor"`
	State  []byte `json:"state"`
}

// BeginTOTP starts adding an authenticator app, or shows again the one that
// was started. It answers *Undecided when something must be proven first.
func (s *Service) BeginTOTP(ctx context.Context, sess *storage.Session) (factor.Prompt, error) {
	g, err := s.mayChange(ctx, sess)
	if err != nil {
		return factor.Prompt{}, err
	}
	totp := s.Factors[mfa.TOTP]
	who := s.subject(g)
	p, err := s.pending(ctx, sess)
	if err == nil {
		return totp.Prompt(ctx, p.State, who)
	}
	if !errors.Is(err, ErrStartAgain) {
		return factor.Prompt{}, err
	}
	state, show, err := totp.Enroll(ctx, who)
	if err != nil {
		return factor.Prompt{}, err
	}
	return show, s.putOwn(ctx, ticketEnroll, sess, pending{Factor: session.NewID(), State: state}, enrollTime)
}

// ConfirmTOTP adds the authenticator if the code is right. The session that it
// returns replaces the one given; the person's other sessions end. With their
// first authenticator, or without codes left, a person gets recovery codes:
// [Service.ShowRecoveryCodes] has them, once.
func (s *Service) ConfirmTOTP(ctx context.Context, c Client, sess *storage.Session, code, name string) (next storage.Session, codes bool, err error) {
	g, err := s.mayChange(ctx, sess)
	if err != nil {
		return next, false, err
	}
	p, err := s.pending(ctx, sess)
	if err != nil {
		return next, false, err
	}
	now := s.Now()
	state, err := s.Factors[mfa.TOTP].Verify(ctx, p.State, factor.Response{Code: code, At: now})
	if errors.Is(err, factor.ErrIncorrect) {
		s.Record(ctx, s.event(c, sess, "enroll", "refused", "wrong_totp"))
		return next, false, ErrWrong
	}
	if err != nil {
		return next, false, err
	}
	if _, err := s.Store.TakeTicket(ctx, ticketEnroll, s.ticketID(ticketEnroll, sess.ID), now); errors.Is(err, storage.ErrSpent) {
		return next, false, ErrStartAgain
	} else if err != nil {
		return next, false, err
	}
	if name = shorten(name, 60); name == "" {
		name = "Authenticator app"
	}
	return s.add(ctx, c, sess, g, storage.Factor{ID: p.Factor, User: sess.User, Kind: mfa.TOTP, Name: name}, state, false)
}

// add stores a confirmed authenticator. It has just been used, so it proves the
// second factor of the session, which goes on under a new id; the person's other
// sessions end.
func (s *Service) add(ctx context.Context, c Client, sess *storage.Session, g facts.Gathered, row storage.Factor, state []byte, synced bool) (next storage.Session, codes bool, err error) {
	now := s.Now()
	row.Created, row.Used = now, now
	row.State = s.Box.Seal(state, "factors", row.ID, "state")
	most := MaxFactors
	if g.Facts.Enrolled&mfa.Authenticators == 0 {
		// Allowed only because there was none: a second session that knows just
		// the password must not add one beside it at the same moment.
		most = 1
	}
	switch err := s.Store.CreateFactor(ctx, row, most); {
	case errors.Is(err, storage.ErrConflict) && most == 1:
		return next, false, ErrStartAgain
	case errors.Is(err, storage.ErrConflict):
		return next, false, ErrTooMany
	case err != nil:
		return next, false, err
	}
	if err := s.Limiter.Forget(ctx, limit.SecondFactor, sess.User, row.Kind.String()); err != nil {
		return next, false, err
	}
	next, err = s.replace(ctx, sess, func(n *storage.Session) {
		n.Proof.Second, n.Proof.SecondBy, n.Proof.Synced = now, row.Kind, synced
	})
	if err != nil {
		return next, false, err
	}
	s.Record(ctx, s.event(c, &next, "enroll", "ok", row.Kind.String()))
	if err := s.endOthers(ctx, c, &next, "enroll"); err != nil {
		return next, false, err
	}
	if !g.Facts.Enrolled.Has(mfa.Recovery) {
		if err := s.makeRecoveryCodes(ctx, c, &next); err != nil {
			return next, false, err
		}
		codes = true
	}
	return next, codes, nil
}

// NewRecoveryCodes voids the person's codes and makes new ones, to be shown
// once.
func (s *Service) NewRecoveryCodes(ctx context.Context, c Client, sess *storage.Session) error {
	g, err := s.mayChange(ctx, sess)
	if err != nil {
		return err
	}
	if g.Facts.Enrolled&mfa.Authenticators == 0 {
		return ErrStartAgain // codes go with an authenticator
	}
	return s.makeRecoveryCodes(ctx, c, sess)
}

func (s *Service) makeRecoveryCodes(ctx context.Context, c Client, sess *storage.Session) error {
	salt := make([]byte, 16)
	rand.Read(salt)
	plain := make([]string, RecoveryCodes)
	rows := make([]storage.RecoveryCode, RecoveryCodes)
	for i := range plain {
		var raw [recoveryCodeSize]byte
		rand.Read(raw[:])
		text := base32.StdEncoding.EncodeToString(raw[:])
		plain[i] = text[0:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:16]
		rows[i] = storage.RecoveryCode{ID: session.NewID(), User: sess.User, Salt: salt, Hash: hashRecoveryCode(salt, text)}
	}
	if err := s.Store.ReplaceRecoveryCodes(ctx, sess.User, rows); err != nil {
		return err
	}
	s.Record(ctx, s.event(c, sess, "recovery_codes", "ok", "created"))
	return s.putOwn(ctx, ticketCodes, sess, plain, codesTime)
}

// ShowRecoveryCodes returns the codes just made, once: a second call, in
// whatever tab, is ErrStartAgain.
func (s *Service) ShowRecoveryCodes(ctx context.Context, sess *storage.Session) ([]string, error) {
	t, err := s.Store.TakeTicket(ctx, ticketCodes, s.ticketID(ticketCodes, sess.ID), s.Now())
	if errors.Is(err, storage.ErrSpent) {
		return nil, ErrStartAgain
	}
	if err != nil {
		return nil, err
	}
	var codes []string
	return codes, s.openOwn(t, sess, &codes)
}

func (s *Service) subject(g facts.Gathered) factor.Subject {
	return factor.Subject{User: g.Person.ID, Label: g.Person.Email, Issuer: s.Issuer}
}

func (s *Service) pending(ctx context.Context, sess *storage.Session) (pending, error) {
	var p pending
	t, err := s.Store.Ticket(ctx, ticketEnroll, s.ticketID(ticketEnroll, sess.ID), s.Now())
	if errors.Is(err, storage.ErrNotFound) {
		return p, ErrStartAgain
	}
	if err != nil {
		return p, err
	}
	return p, s.openOwn(t, sess, &p)
}

// endOthers ends the person's other sessions after a change of credentials.
func (s *Service) endOthers(ctx context.Context, c Client, sess *storage.Session, why string) error {
	n, err := s.Store.RevokeSessionsOf(ctx, sess.User, sess.ID, s.Now())
	if err != nil {
		return err
	}
	if n > 0 {
		e := s.event(c, sess, "revoke_sessions", "ok", why)
		e.Detail = fmt.Sprintf("%d other sessions", n)
		s.Record(ctx, e)
	}
	return nil
}
