package sqlstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

const adoptionColumns = `account_id, day, invited, off, enrolled, provider, missing`

// adopted is a row of adoption.
type adopted struct {
	account string
	storage.Adoption
}

func scanAdopted(row scanner) (n adopted, err error) {
	var number int64
	var invited, off, enrolled, provider, missing int
	err = row.Scan(&n.account, &number, &invited, &off, &enrolled, &provider, &missing)
	n.Day = time.Unix(number*86400, 0).UTC()
	n.Counts = map[storage.Coverage]int{
		storage.CoverageInvited: invited, storage.CoverageOff: off, storage.CoverageEnrolled: enrolled,
		storage.CoverageProvider: provider, storage.CoverageMissing: missing,
	}
	maps.DeleteFunc(n.Counts, func(_ storage.Coverage, people int) bool { return people == 0 }) // as countRoster does
	return n, err
}

// NoteAdoption implements [storage.Roster].
func (s *Store) NoteAdoption(ctx context.Context, at time.Time, after string, limit int) (last string, err error) {
	accounts, err := all(ctx, s.read, scanText, `SELECT id FROM accounts WHERE id > ? ORDER BY id LIMIT ?`, after, max(limit, 0))
	if err == nil && len(accounts) > 0 {
		last = accounts[len(accounts)-1]
		err = s.transact(ctx, func(t *tx) error { return t.noteAdoption(ctx, at, accounts) })
	}
	if err != nil {
		return "", fmt.Errorf("noting how the members of accounts stand: %w", err)
	}
	return last, nil
}

func (t *tx) noteAdoption(ctx context.Context, at time.Time, accounts []string) error {
	for _, account := range accounts {
		former, err := all(ctx, t, scanAdopted, `SELECT `+adoptionColumns+` FROM adoption WHERE account_id = ? ORDER BY day DESC LIMIT 1`, account)
		if err != nil {
			return err
		}
		counts, err := countRoster(ctx, t, account)
		if err != nil {
			return err
		}
		if len(former) > 0 && maps.Equal(former[0].Counts, counts) {
			continue
		}
		if _, err := t.exec(ctx, `INSERT INTO adoption (`+adoptionColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (account_id, day) DO UPDATE SET invited = excluded.invited, off = excluded.off, enrolled = excluded.enrolled,
				provider = excluded.provider, missing = excluded.missing`,
			account, day(at), counts[storage.CoverageInvited], counts[storage.CoverageOff], counts[storage.CoverageEnrolled],
			counts[storage.CoverageProvider], counts[storage.CoverageMissing]); err != nil {
			return err
		}
	}
	return nil
}

// AdoptionOf implements [storage.Roster].
func (s *Store) AdoptionOf(ctx context.Context, account string, limit int) ([]storage.Adoption, error) {
	list, err := all(ctx, s.read, scanAdopted, `SELECT `+adoptionColumns+` FROM adoption WHERE account_id = ? ORDER BY day DESC LIMIT ?`,
		account, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("reading how the members of account %q stood: %w", account, err)
	}
	days := make([]storage.Adoption, 0, len(list))
	for _, n := range slices.Backward(list) {
		days = append(days, n.Adoption)
	}
	return days, nil
}
