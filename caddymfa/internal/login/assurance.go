package login

import (
	"context"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// AssuranceTime is how far back the assurance of a provider is added up.
const AssuranceTime = 30 * 24 * time.Hour

// Assured is what an account's provider said lately about the sign-ins that it
// vouched for.
type Assured struct {
	Provider storage.IdentityProvider // without its settings
	storage.Assurance
}

// Percent is how many of a hundred sign-ins carried proof of several factors,
// rounded down: a hundred are all of them.
func (a Assured) Percent() int {
	if a.SignIns == 0 {
		return 0
	}
	return 100 * a.WithMFA / a.SignIns
}

// Assurances adds up what each of an account's providers said over the last
// AssuranceTime, by provider id.
func (s *Service) Assurances(ctx context.Context, account string) ([]Assured, error) {
	rows, err := s.Store.ProvidersOf(ctx, account)
	if err != nil {
		return nil, err
	}
	list := make([]Assured, len(rows))
	for i, row := range rows {
		if list[i].Assurance, err = s.Store.AssuranceOf(ctx, row.ID, s.Now().Add(-AssuranceTime)); err != nil {
			return nil, fmt.Errorf("adding up what %q said: %w", row.ID, err)
		}
		row.Settings = nil
		list[i].Provider = row
	}
	return list, nil
}
