package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// alter runs a write that changes what the decision looks at in a person, and
// then has their memberships repeat it. The person's row is locked first: of two
// such writes the later one sees what the earlier one did.
func (t *tx) alter(ctx context.Context, user string, write func() error) error {
	if err := t.lockUser(ctx, user); err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if err := write(); err != nil {
		return err
	}
	return t.restate(ctx, user)
}

// restate has a person's memberships repeat how the person, whose row is locked,
// stands now.
func (t *tx) restate(ctx context.Context, user string) error {
	people, err := all(ctx, t, scanUser, `SELECT `+userColumns+` FROM users WHERE id = ?`, user)
	if err != nil || len(people) == 0 {
		return err
	}
	names, err := all(ctx, t, scanText, `SELECT kind FROM factors WHERE user_id = ?
		UNION SELECT 'recovery' FROM recovery_codes WHERE user_id = ? AND used_at = 0`, user, user)
	if err != nil {
		return err
	}
	kinds, err := mfa.ParseKinds(strings.Join(names, ","))
	if err != nil {
		return err
	}
	disabled, password := flag(people[0].Disabled), flag(people[0].PasswordHash != "")
	enrolled, domain := kinds.String(), storage.DomainOf(people[0].Email)
	email, sought := people[0].Email, strings.ToLower(people[0].Email+" "+people[0].Name)
	_, err = t.exec(ctx, `UPDATE memberships SET user_disabled = ?, has_password = ?, enrolled = ?, domain = ?, email = ?, sought = ?
		WHERE user_id = ? AND (user_disabled <> ? OR has_password <> ? OR enrolled <> ? OR domain <> ? OR email <> ? OR sought <> ?)`,
		disabled, password, enrolled, domain, email, sought, user, disabled, password, enrolled, domain, email, sought)
	return err
}

// count is one row of the census: how many there are, and how many of them said
// "Not now".
type count struct {
	storage.Standing
	people, snoozed int
}

func scanStanding(row scanner) (c count, err error) {
	err = row.Scan(word[mfa.MemberState]{&c.State, mfa.ParseMemberState}, word[mfa.Role]{&c.Role, mfa.ParseRole},
		&c.Disabled, &c.Password, word[mfa.Kinds]{&c.Enrolled, mfa.ParseKinds}, &c.Domain, &c.people, &c.snoozed)
	return c, err
}

// Census implements [storage.Census]. It walks one index from end to end of the
// account, in the order that it groups by.
func (s *Store) Census(ctx context.Context, account string, now time.Time) ([]storage.Alike, error) {
	counts, err := all(ctx, s.read, scanStanding, `SELECT state, role, user_disabled, has_password, enrolled, domain,
			COUNT(*), SUM(CASE WHEN snoozed_until > ? THEN 1 ELSE 0 END)
		FROM memberships WHERE account_id = ?
		GROUP BY state, role, user_disabled, has_password, enrolled, domain
		ORDER BY state, role, user_disabled, has_password, enrolled, domain`, micros(now), account)
	if err != nil {
		return nil, fmt.Errorf("counting how the members of account %q stand: %w", account, err)
	}
	var groups []storage.Alike
	for _, c := range counts {
		if awake := c.people - c.snoozed; awake > 0 {
			groups = append(groups, storage.Alike{Standing: c.Standing, People: awake})
		}
		if c.snoozed > 0 {
			c.Snoozed = true
			groups = append(groups, storage.Alike{Standing: c.Standing, People: c.snoozed})
		}
	}
	return groups, nil
}

func scanPerson(row scanner) (p storage.Person, err error) {
	err = row.Scan(&p.ID, &p.Email, &p.Name)
	return p, err
}

// PeopleAlike implements [storage.Census].
func (s *Store) PeopleAlike(ctx context.Context, account string, st storage.Standing, now time.Time, after string, limit int) ([]storage.Person, error) {
	list, err := all(ctx, s.read, scanPerson, `SELECT users.id, users.email, name
		FROM memberships JOIN users ON users.id = memberships.user_id
		WHERE account_id = ? AND state = ? AND role = ? AND user_disabled = ? AND has_password = ? AND enrolled = ? AND domain = ?
			AND user_id > ? AND CASE WHEN snoozed_until > ? THEN 1 ELSE 0 END = ?
		ORDER BY user_id LIMIT ?`,
		account, st.State.String(), st.Role.String(), flag(st.Disabled), flag(st.Password), st.Enrolled.String(), st.Domain,
		after, micros(now), flag(st.Snoozed), max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("listing members of account %q who stand alike: %w", account, err)
	}
	return list, nil
}
