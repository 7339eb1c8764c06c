package login

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Hasher checks and makes password hashes.
type Hasher interface {
	// Compare reports whether the hash is this password's.
	Compare(hash, password []byte) (bool, error)
	// Hash makes a hash as new passwords get it.
	Hash(password []byte) ([]byte, error)
	// FakeHash is nobody's, and costs as much to compare.
	FakeHash() []byte
}

// Passwords bounds how many hashes are computed at once: each needs tens of
// megabytes, so a burst of sign-ins could otherwise exhaust the memory.
type Passwords struct {
	hasher  Hasher
	slots   chan struct{}
	patient time.Duration
}

// NewPasswords allows atOnce computations, and lets others wait for up to
// patient before they are told to come back.
func NewPasswords(h Hasher, atOnce int, patient time.Duration) *Passwords {
	return &Passwords{hasher: h, slots: make(chan struct{}, atOnce), patient: patient}
}

// slot waits for leave to compute one hash.
func (p *Passwords) slot(ctx context.Context) (release func(), err error) {
	release = func() { <-p.slots }
	select {
	case p.slots <- struct{}{}:
		return release, nil
	default:
	}
	wait := time.NewTimer(p.patient)
	defer wait.Stop()
	select {
	case p.slots <- struct{}{}:
		return release, nil
	case <-wait.C:
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// compare checks a password against a hash; an empty hash is nobody's and takes
// as long.
func (p *Passwords) compare(ctx context.Context, hash, password string) (bool, error) {
	release, err := p.slot(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	if hash == "" {
		_, err := p.hasher.Compare(p.hasher.FakeHash(), []byte(password))
		return false, err
	}
	return p.hasher.Compare([]byte(hash), []byte(password))
}

// Hash makes the hash of a new password.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	release, err := p.slot(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	h, err := p.hasher.Hash([]byte(password))
	return string(h), err
}

// Password is the first factor. On success there is a session that proves the
// password and nothing else; old, if it is the same person's, ends and leaves
// what it had proven to the new one.
func (s *Service) Password(ctx context.Context, c Client, typed, password string, old *storage.Session) (storage.Session, error) {
	var none storage.Session
	email, err := storage.NormaliseEmail(typed)
	if err != nil {
		email = strings.ToLower(strings.TrimSpace(typed)) // nobody's; counted and answered like anybody
	}
	user, err := s.Store.UserByEmail(ctx, email)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return none, err
	}
	rule, who := limit.Password, []string{email}
	if browser := s.knownBrowser(c.Known, user.ID); browser != "" {
		rule, who = limit.KnownBrowser, []string{user.ID, browser}
	}
	network := limit.NetworkOf(c.Network)
	if err := s.Limiter.Try(ctx, limit.Network, network); err != nil {
		return none, s.refused(ctx, c, user.ID, err)
	}
	if err := s.Limiter.Try(ctx, rule, who...); err != nil {
		return none, errors.Join(s.refused(ctx, c, user.ID, err), s.Limiter.TakeBack(ctx, limit.Network, network))
	}
	company, err := s.CompanyOf(ctx, email, "")
	if err == nil && company.Enforced && company.Page {
		s.Record(ctx, storage.Event{At: s.Now(), Action: "sign_in", Outcome: "refused", Reason: string(mfa.DomainEnforced), Account: company.Account, Network: c.Network})
		err = ErrElsewhere
	}
	if err != nil { // not the person's fault
		return none, s.judged(ctx, err, rule, who, network)
	}
	right := false
	if len(password) <= MaxPassword && !company.Enforced {
		if right, err = s.Passwords.compare(ctx, user.PasswordHash, password); err != nil {
			return none, s.judged(ctx, err, rule, who, network)
		}
	}
	if !right && company.Provider != "" && !company.Page {
		sess, err := s.directoryPassword(ctx, c, company, email, password, old)
		return sess, s.judged(ctx, err, rule, who, network)
	}
	if !right || user.ID == "" || user.Disabled {
		reason := "wrong_password"
		switch {
		case user.ID == "":
			reason = "unknown_user"
		case right:
			reason = string(mfa.UserDisabled)
		}
		s.Record(ctx, storage.Event{At: s.Now(), Action: "sign_in", Outcome: "refused", Reason: reason, User: user.ID, Network: c.Network})
		return none, ErrWrong
	}
	if err := s.judged(ctx, nil, rule, who, network); err != nil {
		return none, err
	}
	sess, err := s.begin(ctx, c, mfa.Proof{User: user.ID, First: s.Now(), FirstBy: mfa.ByPassword}, old)
	if err != nil {
		return none, err
	}
	s.Record(ctx, s.event(c, &sess, "sign_in", "ok", "password"))
	return sess, nil
}

// judged settles the count of a try: a wrong password stays counted, a right one
// clears the count, and what is nobody's fault is taken back.
func (s *Service) judged(ctx context.Context, err error, rule limit.Rule, who []string, network string) error {
	switch {
	case errors.Is(err, ErrWrong):
		return err
	case err == nil || errors.Is(err, ErrRefused): // the password was right
		return errors.Join(err, s.Limiter.Succeeded(ctx, rule, who...), s.Limiter.TakeBack(ctx, limit.Network, network))
	}
	return errors.Join(err, s.Limiter.TakeBack(ctx, rule, who...), s.Limiter.TakeBack(ctx, limit.Network, network))
}

func (s *Service) refused(ctx context.Context, c Client, user string, err error) error {
	var wait *limit.Wait
	if errors.As(err, &wait) {
		s.Record(ctx, storage.Event{At: s.Now(), Action: "sign_in", Outcome: "refused", Reason: "too_many_tries", User: user, Network: c.Network})
	}
	return err
}

// begin makes the session of somebody who has just shown a first factor. Their
// own former session in this browser ends, and leaves its second factor; another
// person's ends and leaves nothing.
func (s *Service) begin(ctx context.Context, c Client, proof mfa.Proof, old *storage.Session) (storage.Session, error) {
	now := s.Now()
	if err := s.recall(ctx, c, &proof); err != nil {
		return storage.Session{}, err
	}
	if old != nil && old.User == proof.User {
		return s.replace(ctx, old, func(next *storage.Session) {
			if proof.Second.IsZero() {
				proof.Second, proof.SecondBy, proof.Synced = next.Proof.Second, next.Proof.SecondBy, next.Proof.Synced
			}
			next.Proof = proof
		})
	}
	sess := storage.Session{
		ID: session.NewID(), User: proof.User, Proof: proof, Created: now, Seen: now,
		Expires: now.Add(s.Sessions.Limits.Absolute), Browser: shorten(c.Browser, 200), Network: c.Network,
	}
	belongs, err := s.Facts.Memberships(ctx, proof.User)
	if err != nil {
		return sess, err
	}
	if only := joined(belongs); len(only) == 1 {
		sess.Account = only[0]
	}
	if old != nil {
		err := s.Store.ReplaceSession(ctx, old.ID, sess, now)
		if !errors.Is(err, storage.ErrNotFound) { // else it ended a moment ago
			return sess, err
		}
	}
	return sess, s.Store.CreateSession(ctx, sess)
}

// joined lists the accounts that a person may enter.
func joined(m map[string]storage.Membership) []string {
	var ids []string
	for id, row := range m {
		if row.State == mfa.Joined {
			ids = append(ids, id)
		}
	}
	return ids
}

// KnownBrowser returns a value for the known-browser cookie. It opens nothing:
// it only gives this person's wrong passwords in this browser a count of their
// own, which strangers cannot exhaust.
func (s *Service) KnownBrowser(user string) string {
	id := session.NewID()
	return id + "." + base64.RawURLEncoding.EncodeToString(s.Box.MAC("known browser", user, id))
}

func (s *Service) knownBrowser(cookie, user string) string {
	id, mac, ok := strings.Cut(cookie, ".")
	if !ok || user == "" {
		return ""
	}
	want := base64.RawURLEncoding.EncodeToString(s.Box.MAC("known browser", user, id))
	if subtle.ConstantTimeCompare([]byte(mac), []byte(want)) != 1 {
		return ""
	}
	return id
}

// shorten cuts text at n bytes, between characters, and drops what is not text.
func shorten(text string, n int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	for len(text) > n {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}
