package login

import (
	"context"
	"net/url"
	"slices"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// TryCompany takes what came back from a provider that somebody was sent to as a
// test, and says for whom it vouches. It signs nobody in. An *identity.Refusal
// has the reason why a sign-in like this one would be refused.
func (s *Service) TryCompany(ctx context.Context, asked Asked, callback url.Values) (identity.Identity, error) {
	if asked.Test == 0 {
		return identity.Identity{}, ErrStartAgain
	}
	row, _, who, err := s.answered(ctx, asked, callback)
	if err == nil {
		_, err = speaker(row, who)
	}
	if err != nil {
		return who, err
	}
	email, err := addressOf(who)
	if err != nil {
		return who, err
	}
	domains, err := s.Store.DomainsOf(ctx, row.Account)
	if err != nil {
		return who, err
	}
	// A domain that leads nowhere yet is what the test is made for.
	if !slices.ContainsFunc(domains, func(d storage.Domain) bool {
		return d.Name == storage.DomainOf(email) && d.Verified && (d.Provider == "" || d.Provider == row.ID)
	}) {
		return who, refuse("email_of_another_domain")
	}
	return who, nil
}
