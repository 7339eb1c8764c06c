package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// coverage is how a member stands. An index of migration 0015_people has the
// same expression, to the letter.
const coverage = `(CASE WHEN state = 'invited' THEN 'invited' WHEN user_disabled = 1 THEN 'off' WHEN enrolled NOT IN ('', 'recovery') THEN 'enrolled' WHEN provider_id <> '' THEN 'provider' ELSE 'missing' END)`

// entered notes that somebody signed in to an account. What another account's
// provider says counts for nothing here, unless this one linked its issuer, too.
func (t *tx) entered(ctx context.Context, v storage.Session) error {
	if v.Account == "" {
		return nil
	}
	p := v.Proof
	ours := []string{""}
	if p.Provider != "" {
		list, err := all(ctx, t, scanText, `SELECT id FROM identity_providers WHERE account_id = ? AND (id = ? OR issuer <> '' AND issuer = ?)
			ORDER BY CASE WHEN id = ? THEN 0 ELSE 1 END, id LIMIT 1`, v.Account, p.Provider, p.Issuer, p.Provider)
		if err != nil {
			return err
		}
		ours = append(list, ours...)
	}
	if ours[0] == "" {
		p.ProviderAMR, p.ProviderACR = "", ""
	}
	_, err := t.exec(ctx, `UPDATE memberships SET signed_in_at = ?, provider_id = ?, provider_amr = ?, provider_acr = ?
		WHERE account_id = ? AND user_id = ? AND signed_in_at < ?`,
		micros(p.First), ours[0], p.ProviderAMR, p.ProviderACR, v.Account, v.User, micros(p.First))
	return err
}

const rosterFields = `m.account_id, m.user_id, m.role, m.state, m.snoozed_until, m.origin, m.created_at, ` + coverage + `,
	u.email, u.name, u.disabled, u.origin, CASE WHEN u.password_hash <> '' THEN 1 ELSE 0 END, m.enrolled,
	(SELECT COALESCE(MIN(f.created_at), 0) FROM factors f WHERE f.user_id = m.user_id),
	(SELECT COALESCE(MAX(f.used_at), 0) FROM factors f WHERE f.user_id = m.user_id),
	m.signed_in_at, m.provider_id, m.provider_amr, m.provider_acr,
	CASE WHEN EXISTS (SELECT 1 FROM memberships o WHERE o.user_id = m.user_id AND o.account_id <> m.account_id AND o.state = 'joined') THEN 0 ELSE 1 END`

func scanRostered(row scanner) (r storage.Rostered, err error) {
	m := &r.Membership
	err = row.Scan(&m.Account, &m.User, word[mfa.Role]{&m.Role, mfa.ParseRole}, word[mfa.MemberState]{&m.State, mfa.ParseMemberState},
		instant{&m.SnoozedUntil}, word[storage.Origin]{&m.Origin, parseOrigin}, instant{&m.Created}, &r.Coverage,
		&r.Email, &r.Name, &r.UserDisabled, word[storage.Origin]{&r.UserOrigin, parseOrigin}, &r.Password, word[mfa.Kinds]{&r.Enrolled, mfa.ParseKinds},
		instant{&r.Since}, instant{&r.Used}, instant{&r.SignedIn}, &r.Provider, &r.ProviderAMR, &r.ProviderACR, &r.Alone)
	return r, err
}

// Roster implements [storage.Roster]. The page is found along an index alone;
// only then is looked up what it shows.
func (s *Store) Roster(ctx context.Context, q storage.RosterQuery) ([]storage.Rostered, error) {
	where, args := `account_id = ? AND email > ?`, []any{q.Account, q.After}
	if q.Coverage != "" {
		where, args = where+` AND `+coverage+` = ?`, append(args, string(q.Coverage))
	}
	if q.Search != "" {
		where, args = where+` AND sought LIKE ? ESCAPE '!'`, append(args, "%"+literally.Replace(strings.ToLower(q.Search))+"%")
	}
	if q.Admins {
		where, args = where+` AND role = ?`, append(args, mfa.RoleAdmin.String())
	}
	list, err := all(ctx, s.read, scanRostered, `SELECT `+rosterFields+`
		FROM (SELECT user_id FROM memberships WHERE `+where+` ORDER BY email LIMIT ?) page
		JOIN memberships m ON m.account_id = ? AND m.user_id = page.user_id JOIN users u ON u.id = m.user_id
		ORDER BY m.email`, append(args, max(q.Limit, 0), q.Account)...)
	if err != nil {
		return nil, fmt.Errorf("listing the people of account %q: %w", q.Account, err)
	}
	return list, nil
}

// Member implements [storage.Roster].
func (s *Store) Member(ctx context.Context, account, user string) (storage.Rostered, error) {
	r, err := one(ctx, s.read, scanRostered, `SELECT `+rosterFields+` FROM memberships m JOIN users u ON u.id = m.user_id
		WHERE m.account_id = ? AND m.user_id = ?`, account, user)
	if err != nil {
		return storage.Rostered{}, fmt.Errorf("reading user %q of account %q: %w", user, account, err)
	}
	return r, nil
}

type covered struct {
	coverage storage.Coverage
	people   int
}

func scanCovered(row scanner) (c covered, err error) {
	err = row.Scan(&c.coverage, &c.people)
	return c, err
}

// CountRoster implements [storage.Roster].
func (s *Store) CountRoster(ctx context.Context, account string) (map[storage.Coverage]int, error) {
	counts, err := countRoster(ctx, s.read, account)
	if err != nil {
		return nil, fmt.Errorf("counting the people of account %q: %w", account, err)
	}
	return counts, nil
}

func countRoster(ctx context.Context, q querier, account string) (map[storage.Coverage]int, error) {
	list, err := all(ctx, q, scanCovered, `SELECT `+coverage+`, COUNT(*) FROM memberships WHERE account_id = ? GROUP BY `+coverage, account)
	counts := make(map[storage.Coverage]int)
	for _, c := range list {
		counts[c.coverage] = c.people
	}
	return counts, err
}

// AmendMember implements [storage.Roster]. The account's row is what changes of
// its memberships take turns at.
func (s *Store) AmendMember(ctx context.Context, account, user string, change func(*storage.Membership) error) error {
	var refused error
	err := s.transact(ctx, func(t *tx) error {
		refused = nil
		t.changed(storage.SubjectMembership, user)
		if _, err := one(ctx, t, scanText, `SELECT id FROM accounts WHERE id = ?`+t.ForUpdate, account); err != nil {
			return err
		}
		m, err := one(ctx, t, scanMembership, `SELECT `+membershipColumns+` FROM memberships WHERE account_id = ? AND user_id = ?`+t.ForUpdate, account, user)
		if err != nil {
			return err
		}
		next := m
		if refused = change(&next); refused != nil {
			return refused
		}
		if administers(m) && !administers(next) {
			if err := t.keepAdmin(ctx, account, user); err != nil {
				return err
			}
		}
		return t.touch(ctx, storage.ErrNotFound, `UPDATE memberships SET role = ?, state = ? WHERE account_id = ? AND user_id = ?`,
			next.Role.String(), next.State.String(), account, user)
	})
	if refused != nil {
		return refused
	}
	if err != nil {
		return fmt.Errorf("amending user %q of account %q: %w", user, account, err)
	}
	return nil
}

// ResetMember implements [storage.Roster].
func (s *Store) ResetMember(ctx context.Context, account, user string) (int, error) {
	n := 0
	err := s.transact(ctx, func(t *tx) error {
		t.changed(storage.SubjectUser, user)
		return t.alter(ctx, user, func() error {
			joined, err := all(ctx, t, scanText, `SELECT account_id FROM memberships WHERE user_id = ? AND state = 'joined'`, user)
			switch {
			case err != nil:
				return err
			case !slices.Contains(joined, account):
				return storage.ErrNotFound
			case len(joined) > 1:
				return storage.ErrConflict
			}
			if _, err = t.exec(ctx, `DELETE FROM recovery_codes WHERE user_id = ?`, user); err != nil {
				return err
			}
			n, err = t.exec(ctx, `DELETE FROM factors WHERE user_id = ?`, user)
			return err
		})
	})
	if err != nil {
		return 0, fmt.Errorf("resetting user %q of account %q: %w", user, account, err)
	}
	return n, nil
}

// RevokeSessionsIn implements [storage.Roster].
func (s *Store) RevokeSessionsIn(ctx context.Context, account, user string, at time.Time) (int, error) {
	n := 0
	err := s.transact(ctx, func(t *tx) error {
		if err := dated(at); err != nil {
			return err
		}
		if err := t.lockUser(ctx, user); err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		revoked, err := all(ctx, t, scanText, `UPDATE sessions SET revoked_at = ?, ended = 'account', version = version + 1
			WHERE user_id = ? AND account_id = ? AND revoked_at = 0 RETURNING id`, micros(at), user, account)
		for _, id := range revoked {
			t.changed(storage.SubjectSession, id)
		}
		n = len(revoked)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("revoking the sessions of user %q in account %q: %w", user, account, err)
	}
	return n, nil
}
