package sqlstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

const membershipColumns = `account_id, user_id, role, state, snoozed_until, origin, created_at`

func scanMembership(row scanner) (m storage.Membership, err error) {
	err = row.Scan(&m.Account, &m.User, word[mfa.Role]{&m.Role, mfa.ParseRole}, word[mfa.MemberState]{&m.State, mfa.ParseMemberState},
		instant{&m.SnoozedUntil}, word[storage.Origin]{&m.Origin, parseOrigin}, instant{&m.Created})
	return m, err
}

// Membership implements [storage.Memberships].
func (s *Store) Membership(ctx context.Context, account, user string) (storage.Membership, error) {
	m, err := one(ctx, s.read, scanMembership,
		`SELECT `+membershipColumns+` FROM memberships WHERE account_id = ? AND user_id = ?`, account, user)
	if err != nil {
		return storage.Membership{}, fmt.Errorf("reading the membership of user %q in account %q: %w", user, account, err)
	}
	return m, nil
}

// MembershipsOf implements [storage.Memberships].
func (s *Store) MembershipsOf(ctx context.Context, user string) ([]storage.Membership, error) {
	list, err := all(ctx, s.read, scanMembership,
		`SELECT `+membershipColumns+` FROM memberships WHERE user_id = ? ORDER BY account_id`, user)
	if err != nil {
		return nil, fmt.Errorf("listing the memberships of user %q: %w", user, err)
	}
	return list, nil
}

// Members implements [storage.Memberships].
func (s *Store) Members(ctx context.Context, account, after string, limit int) ([]storage.Membership, error) {
	list, err := all(ctx, s.read, scanMembership,
		`SELECT `+membershipColumns+` FROM memberships WHERE account_id = ? AND user_id > ? ORDER BY user_id LIMIT ?`,
		account, after, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("listing the members of account %q: %w", account, err)
	}
	return list, nil
}

// Administrators implements [storage.Memberships].
func (s *Store) Administrators(ctx context.Context, account string) ([]storage.User, error) {
	list, err := all(ctx, s.read, scanUser, `SELECT `+userColumns+` FROM users WHERE disabled = 0 AND id IN
			(SELECT user_id FROM memberships WHERE account_id = ? AND role = 'admin' AND state = 'joined')
		ORDER BY email`, account)
	if err != nil {
		return nil, fmt.Errorf("listing the administrators of account %q: %w", account, err)
	}
	return list, nil
}

// A domain may hold what LIKE takes for a wildcard.
var literally = strings.NewReplacer(`!`, `!!`, `_`, `!_`, `%`, `!%`)

// WithoutPassword implements [storage.Memberships].
func (s *Store) WithoutPassword(ctx context.Context, account, domain, after string, limit int) ([]storage.User, error) {
	list, err := all(ctx, s.read, scanUser, `SELECT `+userColumns+` FROM users
		WHERE password_hash = '' AND email LIKE ? ESCAPE '!' AND email > ? AND id IN
			(SELECT user_id FROM memberships WHERE account_id = ? AND state = 'joined')
		ORDER BY email LIMIT ?`, "%@"+literally.Replace(domain), after, account, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("listing the members of account %q without a password: %w", account, err)
	}
	return list, nil
}

// CreateMembership implements [storage.Memberships].
func (s *Store) CreateMembership(ctx context.Context, m storage.Membership) error {
	return s.putMembership(ctx, m, "", false)
}

// orChange makes a membership that is there what is put.
const orChange = ` ON CONFLICT (account_id, user_id) DO UPDATE SET role = excluded.role, state = excluded.state, origin = excluded.origin`

// PutMembership implements [storage.Memberships].
func (s *Store) PutMembership(ctx context.Context, m storage.Membership) error {
	return s.putMembership(ctx, m, orChange, false)
}

// PutMembershipKeepingAdmin implements [storage.Memberships].
func (s *Store) PutMembershipKeepingAdmin(ctx context.Context, m storage.Membership) error {
	return s.putMembership(ctx, m, orChange, !administers(m))
}

func administers(m storage.Membership) bool { return m.Role == mfa.RoleAdmin && m.State == mfa.Joined }

func (s *Store) putMembership(ctx context.Context, m storage.Membership, otherwise string, keepAdmin bool) error {
	err := s.transact(ctx, func(t *tx) error {
		t.changed(storage.SubjectMembership, m.User)
		return t.alter(ctx, m.User, func() error {
			if keepAdmin {
				if err := t.keepAdmin(ctx, m.Account, m.User); err != nil {
					return err
				}
			}
			_, err := t.exec(ctx, `INSERT INTO memberships (`+membershipColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?)`+otherwise,
				m.Account, m.User, m.Role.String(), m.State.String(), micros(m.SnoozedUntil), originName(m.Origin), micros(m.Created))
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("putting user %q into account %q: %w", m.User, m.Account, err)
	}
	return nil
}

// RemoveMembership implements [storage.Memberships].
func (s *Store) RemoveMembership(ctx context.Context, account, user string) error {
	return s.removeMembership(ctx, account, user, false)
}

// RemoveMembershipKeepingAdmin implements [storage.Memberships].
func (s *Store) RemoveMembershipKeepingAdmin(ctx context.Context, account, user string) error {
	return s.removeMembership(ctx, account, user, true)
}

func (s *Store) removeMembership(ctx context.Context, account, user string, keepAdmin bool) error {
	err := s.transact(ctx, func(t *tx) error {
		t.changed(storage.SubjectMembership, user)
		if keepAdmin {
			if err := t.keepAdmin(ctx, account, user); err != nil {
				return err
			}
		}
		return t.touch(ctx, storage.ErrNotFound,
			`DELETE FROM memberships WHERE account_id = ? AND user_id = ?`, account, user)
	})
	if err != nil {
		return fmt.Errorf("removing user %q from account %q: %w", user, account, err)
	}
	return nil
}

// keepAdmin returns ErrLastAdmin if somebody who is about to go is an
// administrator of an account, and no other one could sign in. The account's row
// is locked first, so that two who go at once are looked at one after the other.
func (t *tx) keepAdmin(ctx context.Context, account, user string) error {
	if _, err := one(ctx, t, scanText, `SELECT id FROM accounts WHERE id = ?`+t.ForUpdate, account); err != nil {
		return err
	}
	const admin = `FROM memberships m WHERE m.account_id = ? AND m.role = 'admin' AND m.state = 'joined' AND `
	going, err := all(ctx, t, scanText, `SELECT m.user_id `+admin+`m.user_id = ?`, account, user)
	if err != nil || len(going) == 0 {
		return err
	}
	staying, err := all(ctx, t, scanText, `SELECT m.user_id `+admin+`m.user_id <> ? AND m.user_disabled = 0
		AND (m.has_password = 1 OR m.enrolled LIKE '%webauthn%' OR EXISTS (SELECT 1 FROM domains d JOIN identity_providers p ON p.id = d.provider_id
			WHERE d.name = m.domain AND d.verified = 1 AND p.disabled = 0)) LIMIT 1`, account, user)
	if err == nil && len(staying) == 0 {
		err = storage.ErrLastAdmin
	}
	return err
}

// Snooze implements [storage.Memberships].
func (s *Store) Snooze(ctx context.Context, account, user string, until time.Time) error {
	err := s.transact(ctx, func(t *tx) error {
		t.changed(storage.SubjectMembership, user)
		return t.touch(ctx, storage.ErrNotFound,
			`UPDATE memberships SET snoozed_until = ? WHERE account_id = ? AND user_id = ?`, micros(until), account, user)
	})
	if err != nil {
		return fmt.Errorf("snoozing for user %q in account %q: %w", user, account, err)
	}
	return nil
}
