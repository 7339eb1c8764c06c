package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// maxSessions bounds what SessionsOf lists.
const maxSessions = 100

const sessionColumns = `id, user_id, account_id, first_at, first_by, provider, issuer, subject, second_at, second_by, second_synced,
	provider_amr, provider_acr, provider_sid, provider_second_at, break_glass, remembered_at, remembered_by, created_at, seen_at, expires_at, revoked_at, ended, browser, network, version`

// A session in no account has NULL for it; see optional.
const sessionFields = `id, user_id, COALESCE(account_id, ''), first_at, first_by, provider, issuer, subject, second_at, second_by, second_synced,
	provider_amr, provider_acr, provider_sid, provider_second_at, break_glass, remembered_at, remembered_by, created_at, seen_at, expires_at, revoked_at, ended, browser, network, version`

func scanSession(row scanner) (v storage.Session, err error) {
	p := &v.Proof
	err = row.Scan(&v.ID, &v.User, &v.Account, instant{&p.First}, &p.FirstBy, &p.Provider, &p.Issuer, &p.Subject,
		instant{&p.Second}, word[mfa.Kind]{&p.SecondBy, parseSecond}, &p.Synced,
		&p.ProviderAMR, &p.ProviderACR, &p.ProviderSession,
		instant{&p.ProviderSecond}, &p.BreakGlass, instant{&p.Remembered}, word[mfa.Kind]{&p.RememberedBy, parseSecond}, instant{&v.Created}, instant{&v.Seen}, instant{&v.Expires}, instant{&v.Revoked}, &v.Ended, &v.Browser, &v.Network, &v.Version)
	p.User = v.User
	return v, err
}

// ownProof refuses to store one person's evidence in another's session, where
// it would be read back as that other person's.
func ownProof(user string, p mfa.Proof) error {
	if p.User != user && p != (mfa.Proof{}) {
		return errors.New("the proof is not the session's user's")
	}
	return nil
}

// Session implements [storage.Sessions].
func (s *Store) Session(ctx context.Context, id string) (storage.Session, error) {
	v, err := one(ctx, s.read, scanSession, `SELECT `+sessionFields+` FROM sessions WHERE id = ?`, id)
	if err != nil {
		return storage.Session{}, fmt.Errorf("reading a session: %w", err)
	}
	return v, nil
}

// SessionsOf implements [storage.Sessions].
func (s *Store) SessionsOf(ctx context.Context, user string, now time.Time) ([]storage.Session, error) {
	list, err := all(ctx, s.read, scanSession, `SELECT `+sessionFields+` FROM sessions
		WHERE user_id = ? AND revoked_at = 0 AND expires_at > ? ORDER BY created_at DESC, id DESC LIMIT ?`,
		user, micros(now), maxSessions)
	if err != nil {
		return nil, fmt.Errorf("listing the sessions of user %q: %w", user, err)
	}
	return list, nil
}

// PastSessionsOf implements [storage.Sessions].
func (s *Store) PastSessionsOf(ctx context.Context, user string, now, unused time.Time, limit int) ([]storage.Session, error) {
	list, err := all(ctx, s.read, scanSession, `SELECT `+sessionFields+` FROM sessions
		WHERE user_id = ? AND ended <> 'replaced' AND (revoked_at <> 0 OR expires_at <= ? OR seen_at <= ?)
		ORDER BY created_at DESC, id DESC LIMIT ?`, user, micros(now), micros(unused), max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("listing the past sessions of user %q: %w", user, err)
	}
	return list, nil
}

// CreateSession implements [storage.Sessions]. ErrExists: the id is taken.
// ErrNotFound: no such user or account.
func (s *Store) CreateSession(ctx context.Context, v storage.Session) error {
	err := s.transact(ctx, func(t *tx) error { return insertSession(ctx, t, v) })
	if err != nil {
		return fmt.Errorf("creating a session of user %q: %w", v.User, err)
	}
	return nil
}

func insertSession(ctx context.Context, t *tx, v storage.Session) error {
	p := v.Proof
	if err := ownProof(v.User, p); err != nil {
		return err
	}
	_, err := t.exec(ctx, `INSERT INTO sessions (`+sessionColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`,
		v.ID, v.User, optional(v.Account), micros(p.First), p.FirstBy, p.Provider, p.Issuer, p.Subject,
		micros(p.Second), p.SecondBy.String(), flag(p.Synced),
		p.ProviderAMR, p.ProviderACR, p.ProviderSession,
		micros(p.ProviderSecond), p.BreakGlass, micros(p.Remembered), p.RememberedBy.String(), micros(v.Created), micros(v.Seen), micros(v.Expires), micros(v.Revoked), string(v.Ended), v.Browser, v.Network)
	if err != nil {
		return err
	}
	return t.entered(ctx, v)
}

// UpdateSession implements [storage.Sessions].
func (s *Store) UpdateSession(ctx context.Context, id string, change func(*storage.Session) error) (storage.Session, error) {
	return update(ctx, s, "updating a session", updater[storage.Session]{
		read: func(ctx context.Context, t *tx) (storage.Session, error) {
			return one(ctx, t, scanSession,
				`SELECT `+sessionFields+` FROM sessions WHERE id = ? AND revoked_at = 0`+t.ForUpdate, id)
		},
		write: func(ctx context.Context, t *tx, old, next storage.Session) ([]storage.Session, error) {
			p := next.Proof
			if err := ownProof(old.User, p); err != nil {
				return nil, err
			}
			rows, err := all(ctx, t, scanSession, `UPDATE sessions
				SET account_id = ?, first_at = ?, first_by = ?, provider = ?, issuer = ?, subject = ?, second_at = ?, second_by = ?, second_synced = ?,
					provider_amr = ?, provider_acr = ?, provider_sid = ?, provider_second_at = ?, break_glass = ?, remembered_at = ?, remembered_by = ?,
					seen_at = ?, expires_at = ?, revoked_at = ?, browser = ?, network = ?, version = version + 1
				WHERE id = ? AND version = ? AND revoked_at = 0 RETURNING `+sessionFields,
				optional(next.Account), micros(p.First), p.FirstBy, p.Provider, p.Issuer, p.Subject, micros(p.Second), p.SecondBy.String(), flag(p.Synced),
				p.ProviderAMR, p.ProviderACR, p.ProviderSession,
				micros(p.ProviderSecond), p.BreakGlass, micros(p.Remembered), p.RememberedBy.String(), micros(next.Seen), micros(next.Expires), micros(next.Revoked), next.Browser, next.Network,
				id, old.Version)
			if err != nil || len(rows) == 0 || old.Account == next.Account && old.Proof.First.Equal(next.Proof.First) {
				return rows, err
			}
			return rows, t.entered(ctx, rows[0])
		},
		subject: storage.SubjectSession,
		id:      func(v storage.Session) string { return v.ID },
	}, change)
}

// ReplaceSession implements [storage.Sessions]. ErrExists: the next one's id is
// taken, and nothing was written.
func (s *Store) ReplaceSession(ctx context.Context, old string, next storage.Session, at time.Time) error {
	err := s.transact(ctx, func(t *tx) error {
		if err := dated(at); err != nil {
			return err
		}
		t.changed(storage.SubjectSession, old)
		if err := t.lockUser(ctx, next.User); err != nil {
			return err
		}
		if err := t.touch(ctx, storage.ErrNotFound, `UPDATE sessions SET revoked_at = ?, version = version + 1,
				ended = CASE WHEN user_id = ? AND created_at = ? THEN 'replaced' ELSE 'alone' END
			WHERE id = ? AND revoked_at = 0 AND expires_at > ?`, micros(at), next.User, micros(next.Created), old, micros(at)); err != nil {
			return err
		}
		return insertSession(ctx, t, next)
	})
	if err != nil {
		return fmt.Errorf("replacing a session of user %q: %w", next.User, err)
	}
	return nil
}

// RevokeSession implements [storage.Sessions]. One that is revoked already is
// ErrNotFound: its time of revocation stays what it was.
func (s *Store) RevokeSession(ctx context.Context, user, id string, at time.Time) error {
	err := s.transact(ctx, func(t *tx) error {
		if err := dated(at); err != nil {
			return err
		}
		t.changed(storage.SubjectSession, id)
		return t.touch(ctx, storage.ErrNotFound, `UPDATE sessions SET revoked_at = ?, ended = 'alone', version = version + 1
			WHERE id = ? AND user_id = ? AND revoked_at = 0`, micros(at), id, user)
	})
	if err != nil {
		return fmt.Errorf("revoking a session of user %q: %w", user, err)
	}
	return nil
}

// RevokeSessionsOf implements [storage.Sessions]. It revokes those past their
// absolute limit too, which another node's slower clock may still take for live.
func (s *Store) RevokeSessionsOf(ctx context.Context, user, except string, at time.Time) (int, error) {
	var revoked []string
	err := s.transact(ctx, func(t *tx) (err error) {
		if err := dated(at); err != nil {
			return err
		}
		if err := t.lockUser(ctx, user); err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		revoked, err = all(ctx, t, scanText, `UPDATE sessions SET revoked_at = ?, ended = 'together', version = version + 1
			WHERE user_id = ? AND id <> ? AND revoked_at = 0 RETURNING id`, micros(at), user, except)
		for _, id := range revoked {
			t.changed(storage.SubjectSession, id)
		}
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, `DELETE FROM devices WHERE user_id = ?`, user); err != nil {
			return err
		}
		return t.disregard(ctx, `user_id = ?`, user)
	})
	if err != nil {
		return 0, fmt.Errorf("revoking the sessions of user %q: %w", user, err)
	}
	return len(revoked), nil
}

// RevokeSessionsThrough implements [storage.Sessions].
func (s *Store) RevokeSessionsThrough(ctx context.Context, issuer, subject, session string, at time.Time) (int, error) {
	if issuer == "" || subject == "" && session == "" {
		return 0, errors.New("revoking the sessions of a provider: neither person nor session is named")
	}
	n := 0
	err := s.transact(ctx, func(t *tx) error {
		if err := dated(at); err != nil {
			return err
		}
		users, err := all(ctx, t, scanText, `SELECT DISTINCT user_id FROM sessions
			WHERE issuer = ? AND (subject = ? OR ? = '') AND (provider_sid = ? OR ? = '') AND revoked_at = 0 ORDER BY user_id`,
			issuer, subject, subject, session, session)
		if err != nil {
			return err
		}
		for _, user := range users {
			if err := t.lockUser(ctx, user); err != nil {
				return err
			}
		}
		revoked, err := all(ctx, t, scanText, `UPDATE sessions SET revoked_at = ?, ended = 'provider', version = version + 1
			WHERE issuer = ? AND (subject = ? OR ? = '') AND (provider_sid = ? OR ? = '') AND revoked_at = 0 RETURNING id`,
			micros(at), issuer, subject, subject, session, session)
		for _, id := range revoked {
			t.changed(storage.SubjectSession, id)
		}
		n = len(revoked)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("revoking the sessions of a provider: %w", err)
	}
	return n, nil
}

// SweepSessions implements [storage.Sessions].
func (s *Store) SweepSessions(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.sweep(ctx, "sessions", micros(before), limit, sessionsOver...)
}
