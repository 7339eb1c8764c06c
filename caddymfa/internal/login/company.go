package login

import (
	"cmp"
	"context"
	"errors"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Company is where the people of an e-mail domain sign in.
type Company struct {
	Provider string // its id; empty: none
	Name     string
	Account  string
	Enforced bool // a password of ours is not taken
	Page     bool // it has a page to be sent to; else it takes a password
}

// CompanyOf returns where an address is signed in, from its domain alone, so
// that the answer is the same for people whom we know and do not know. The
// account that a site is for comes first, then accounts that enforce.
func (s *Service) CompanyOf(ctx context.Context, email, account string) (Company, error) {
	if s.Companies == nil {
		return Company{}, nil
	}
	claims, err := s.Store.DomainsNamed(ctx, storage.DomainOf(email))
	if err != nil {
		return Company{}, err
	}
	rank := func(d storage.Domain) int {
		switch {
		case d.Account == account:
			return 2
		case d.Enforce:
			return 1
		}
		return 0
	}
	var found Company
	best := -1
	for _, d := range claims {
		if !d.Verified || d.Provider == "" || rank(d) <= best {
			continue
		}
		tenant, err := s.Facts.Tenant(ctx, d.Account)
		if err != nil {
			return Company{}, err
		}
		if tenant.Disabled {
			continue
		}
		company, err := s.CompanyNamed(ctx, d.Provider)
		if errors.Is(err, errNoProvider) {
			continue
		}
		if err != nil {
			return Company{}, err
		}
		company.Enforced = d.Enforce
		best, found = rank(d), company
	}
	return found, nil
}

// CompanyNamed returns a provider by its id.
func (s *Service) CompanyNamed(ctx context.Context, id string) (Company, error) {
	if s.Companies == nil {
		return Company{}, errNoProvider
	}
	row, o, err := s.Companies.provider(ctx, id)
	if err != nil {
		return Company{}, err
	}
	company := Company{Provider: row.ID, Name: row.Name, Account: row.Account}
	if company.Name == "" {
		tenant, err := s.Facts.Tenant(ctx, row.Account)
		if err != nil {
			return Company{}, err
		}
		company.Name = cmp.Or(tenant.Name, tenant.ID)
	}
	_, company.Page = o.provider.(identity.Redirector)
	return company, nil
}
