// Package session is what a browser holds after signing in: a short-lived
// token in a cookie that names a row in storage. The row is the authority; the
// token saves a signature check and a look-up on most requests.
package session

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Limits are how long things last.
type Limits struct {
	Token    time.Duration // the token, until it is renewed. Default: 5 minutes
	Idle     time.Duration // a session without requests. Default: 2 hours
	Absolute time.Duration // a session, however busy. Default: 12 hours
}

// Defaults fills what is zero.
func (l Limits) Defaults() Limits {
	if l.Token == 0 {
		l.Token = 5 * time.Minute
	}
	if l.Idle == 0 {
		l.Idle = 2 * time.Hour
	}
	if l.Absolute == 0 {
		l.Absolute = 12 * time.Hour
	}
	return l
}

// skew is how far apart the clocks of two nodes may be.
const skew = time.Minute

// Manager reads, issues and renews sessions.
type Manager struct {
	Store  storage.Sessions
	Keys   *Keyring
	Now    func() time.Time
	Limits Limits
	Issuer string

	verified *otter.Cache[string, *Claims]    // by token
	issued   *otter.Cache[issue, issuedToken] // tokens and assertions that can be handed out again
	renewing singleflight.Group
}

// issue is what one signed token is for. Any change of the session or of what
// the app is told about its person makes another one.
type issue struct {
	purpose  Purpose
	session  string
	version  int64
	account  string
	audience string
	role     mfa.Role
	email    string
	name     string
}

type issuedToken struct {
	token   string
	amr     string
	expires time.Time
}

// NewManager returns a manager that remembers up to capacity sessions.
func NewManager(store storage.Sessions, keys *Keyring, now func() time.Time, limits Limits, issuer string, capacity int) (*Manager, error) {
	m := &Manager{Store: store, Keys: keys, Now: now, Limits: limits.Defaults(), Issuer: issuer}
	var err error
	if m.verified, err = otter.New(&otter.Options[string, *Claims]{
		MaximumSize:      capacity,
		ExpiryCalculator: otter.ExpiryAccessing[string, *Claims](m.Limits.Token),
	}); err != nil {
		return nil, fmt.Errorf("preparing the token cache: %w", err)
	}
	if m.issued, err = otter.New(&otter.Options[issue, issuedToken]{
		MaximumSize:      2 * capacity,
		ExpiryCalculator: otter.ExpiryWriting[issue, issuedToken](m.Limits.Token),
	}); err != nil {
		return nil, fmt.Errorf("preparing the token cache: %w", err)
	}
	return m, nil
}

// NewID returns 128 random bits as text. It never begins with "-": people give it
// to commands, which would take it for an option.
func NewID() string {
	var b [16]byte
	for {
		rand.Read(b[:])
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' {
			return id
		}
	}
}

// Read verifies a token, once, and remembers it. due tells that it has to be
// renewed from its row before it counts. ErrToken means signed out.
func (m *Manager) Read(ctx context.Context, token, audience string) (claims *Claims, due bool, err error) {
	if token == "" {
		return nil, false, ErrToken
	}
	claims, ok := m.verified.GetIfPresent(token)
	if !ok {
		if claims, err = m.Keys.verify(ctx, token); err != nil {
			return nil, false, err
		}
		m.verified.Set(token, claims)
	}
	now := m.Now().Unix()
	if claims.Issuer != m.Issuer || claims.Audience != audience || now+int64(skew/time.Second) < claims.NotBefore {
		return nil, false, ErrToken
	}
	return claims, now >= claims.Expires, nil
}

// Live reports whether a session's row still stands.
func (m *Manager) Live(s *storage.Session, now time.Time) bool {
	return s.Revoked.IsZero() && now.Before(s.Expires) && now.Sub(s.Seen) < m.Limits.Idle
}

// Renew records that the session is in use and returns a new token for it.
// ErrToken: the session is over. Parallel requests share one write.
func (m *Manager) Renew(ctx context.Context, c *Claims) (string, error) {
	v, err, _ := m.renewing.Do(c.Session+" "+c.Audience, func() (any, error) {
		now := m.Now()
		// The others who wait for this must not fail because the first one left.
		ctx := context.WithoutCancel(ctx)
		row, err := m.Store.UpdateSession(ctx, c.Session, func(s *storage.Session) error {
			if s.User != c.User || !m.Live(s, now) {
				return ErrToken
			}
			// A request with the former token right after a renewal: nothing to record.
			if now.Sub(s.Seen) < m.Limits.Token/2 {
				return errRecent
			}
			s.Seen = now
			return nil
		})
		switch {
		case errors.Is(err, errRecent):
			if row, err = m.Store.Session(ctx, c.Session); err != nil {
				return "", err
			}
		case errors.Is(err, storage.ErrNotFound):
			return "", ErrToken
		case err != nil:
			return "", err
		}
		return m.Token(ctx, &row, c.Audience)
	})
	if err != nil {
		return "", err
	}
	return v.(string), nil
}

var errRecent = errors.New("renewed a moment ago")

// Token returns a session token for the row.
func (m *Manager) Token(ctx context.Context, s *storage.Session, audience string) (string, error) {
	what := issue{purpose: ForSession, session: s.ID, account: s.Account, audience: audience}
	now := m.Now()
	if t, ok := m.again(what, now); ok {
		return t.token, nil
	}
	token, err := m.Keys.sign(ctx, ForSession, sessionType, m.claims(s, s.Account, audience, now))
	if err != nil {
		return "", err
	}
	m.issued.Set(what, issuedToken{token: token, expires: now.Add(m.Limits.Token)})
	return token, nil
}

// Person is what the app is told about somebody besides their session.
type Person struct {
	Account string
	Role    mfa.Role
	Email   string
	Name    string
}

// Assertion returns the token that tells the app who the person is in the
// account being entered, and the methods ("amr") that they showed, separated by
// commas.
func (m *Manager) Assertion(ctx context.Context, s *storage.Session, audience string, p Person) (token, amr string, err error) {
	what := issue{ForAssertion, s.ID, s.Version, p.Account, audience, p.Role, p.Email, p.Name}
	now := m.Now()
	if t, ok := m.again(what, now); ok {
		return t.token, t.amr, nil
	}
	methods := s.Proof.AMR()
	token, err = m.Keys.sign(ctx, ForAssertion, assertionType, Assertion{
		Claims:   m.claims(s, p.Account, audience, now),
		AuthTime: s.Proof.First.Unix(),
		Role:     p.Role.String(), Email: p.Email, Name: p.Name,
		AMR: methods, ACR: acr(s.Proof), IDP: s.Proof.Issuer,
	})
	if err != nil {
		return "", "", err
	}
	t := issuedToken{token: token, amr: strings.Join(methods, ","), expires: now.Add(m.Limits.Token)}
	m.issued.Set(what, t)
	return t.token, t.amr, nil
}

func (m *Manager) claims(s *storage.Session, account, audience string, now time.Time) Claims {
	return Claims{
		Issuer: m.Issuer, Audience: audience, User: s.User, Session: s.ID, Account: account,
		Issued: now.Unix(), NotBefore: now.Unix(), Expires: now.Add(m.Limits.Token).Unix(),
	}
}

// again returns a token that was signed before, until half of its life is over.
func (m *Manager) again(what issue, now time.Time) (issuedToken, bool) {
	t, ok := m.issued.GetIfPresent(what)
	return t, ok && t.expires.Sub(now) > m.Limits.Token/2
}
