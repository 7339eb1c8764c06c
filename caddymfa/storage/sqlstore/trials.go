package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// NoteTrial implements [storage.Trials].
func (s *Store) NoteTrial(ctx context.Context, notes []storage.TrialNote) error {
	err := s.transact(ctx, func(t *tx) error {
		for _, n := range notes {
			if _, err := t.exec(ctx, `INSERT INTO trial_notes (account_id, user_id, begun_at, outcome, first_at)
				SELECT account_id, user_id, ?, ?, ? FROM memberships WHERE account_id = ? AND user_id = ?
				ON CONFLICT DO NOTHING`,
				micros(n.Begun), n.Outcome.String(), micros(n.First), n.Account, n.User); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("noting what a trial would have done: %w", err)
	}
	return nil
}

// met is an outcome, and how many people met it.
type met struct {
	outcome mfa.Outcome
	people  int
}

func scanMet(row scanner) (m met, err error) {
	err = row.Scan(word[mfa.Outcome]{&m.outcome, mfa.ParseOutcome}, &m.people)
	return m, err
}

// TrialCounts implements [storage.Trials].
func (s *Store) TrialCounts(ctx context.Context, account string, begun time.Time) (map[mfa.Outcome]int, error) {
	rows, err := all(ctx, s.read, scanMet, `SELECT outcome, COUNT(*) FROM trial_notes
		WHERE account_id = ? AND begun_at = ? GROUP BY outcome`, account, micros(begun))
	if err != nil {
		return nil, fmt.Errorf("counting what the trial of account %q would have done: %w", account, err)
	}
	counts := make(map[mfa.Outcome]int, len(rows))
	for _, m := range rows {
		counts[m.outcome] = m.people
	}
	return counts, nil
}

// noted is one note with whom it is about.
type noted struct {
	storage.Person
	outcome mfa.Outcome
	first   time.Time
}

func scanNoted(row scanner) (n noted, err error) {
	err = row.Scan(&n.ID, &n.Email, &n.Name, word[mfa.Outcome]{&n.outcome, mfa.ParseOutcome}, instant{&n.first})
	return n, err
}

// TrialPeople implements [storage.Trials].
func (s *Store) TrialPeople(ctx context.Context, account string, begun time.Time, after string, limit int) ([]storage.TrialPerson, error) {
	rows, err := all(ctx, s.read, scanNoted, `SELECT users.id, email, name, outcome, first_at
		FROM trial_notes JOIN users ON users.id = user_id
		WHERE account_id = ? AND begun_at = ? AND user_id IN (SELECT DISTINCT user_id FROM trial_notes
			WHERE account_id = ? AND begun_at = ? AND user_id > ? ORDER BY user_id LIMIT ?)
		ORDER BY user_id, outcome`, account, micros(begun), account, micros(begun), after, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("listing what the trial of account %q would have done: %w", account, err)
	}
	var people []storage.TrialPerson
	for _, n := range rows {
		if len(people) == 0 || people[len(people)-1].ID != n.ID {
			people = append(people, storage.TrialPerson{Person: n.Person, Outcomes: make(map[mfa.Outcome]time.Time)})
		}
		people[len(people)-1].Outcomes[n.outcome] = n.first
	}
	return people, nil
}

// SweepTrials implements [storage.Trials]. Whether a trial goes on is in its
// account, so this looks at the notes of all of them; there are at most a few for
// each member.
func (s *Store) SweepTrials(ctx context.Context, limit int) (n int, err error) {
	err = s.transact(ctx, func(t *tx) (err error) {
		n, err = t.exec(ctx, deletion(t.Dialect, "trial_notes", "account_id, begun_at, user_id, outcome",
			`NOT EXISTS (SELECT 1 FROM accounts WHERE id = account_id AND trial_at = begun_at)`, limit))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("sweeping trials: %w", err)
	}
	return n, nil
}
