package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// day numbers the days (UTC).
func day(at time.Time) int64 { return at.Unix() / 86400 }

// CountSignIn implements [storage.Assurances].
func (s *Store) CountSignIn(ctx context.Context, provider string, at time.Time, withMFA bool) error {
	err := s.transact(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `INSERT INTO assurances (provider_id, day, sign_ins, with_mfa) VALUES (?, ?, 1, ?)
			ON CONFLICT (provider_id, day) DO UPDATE SET sign_ins = assurances.sign_ins + 1, with_mfa = assurances.with_mfa + excluded.with_mfa`,
			provider, day(at), flag(withMFA))
		return err
	})
	if err != nil {
		return fmt.Errorf("counting a sign-in through %q: %w", provider, err)
	}
	return nil
}

func scanAssurance(row scanner) (a storage.Assurance, err error) {
	err = row.Scan(&a.SignIns, &a.WithMFA)
	return a, err
}

// AssuranceOf implements [storage.Assurances].
func (s *Store) AssuranceOf(ctx context.Context, provider string, since time.Time) (storage.Assurance, error) {
	a, err := one(ctx, s.read, scanAssurance,
		`SELECT COALESCE(SUM(sign_ins), 0), COALESCE(SUM(with_mfa), 0) FROM assurances WHERE provider_id = ? AND day >= ?`, provider, day(since))
	if err != nil {
		return storage.Assurance{}, fmt.Errorf("adding up the sign-ins through %q: %w", provider, err)
	}
	return a, nil
}

// SweepAssurances implements [storage.Assurances].
func (s *Store) SweepAssurances(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.sweep(ctx, "assurances", day(before), limit, assurancesOver...)
}
