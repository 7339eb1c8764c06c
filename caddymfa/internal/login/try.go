package login

import (
	"context"
	"errors"
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
	if err != nil {
		return who, err
	}
	return who, s.wouldTake(ctx, row, who)
}

// ErrNoDirectory means that a provider takes no passwords: people are sent to a
// page of its.
var ErrNoDirectory = errors.New("it takes no passwords: an administrator of the account signs in through it to test it")

// TryDirectory asks a directory about somebody's password as a test, and says for
// whom it vouches, as TryCompany does.
func (s *Service) TryDirectory(ctx context.Context, provider, name, password string) (identity.Identity, error) {
	var none identity.Identity
	row, o, err := s.Companies.provider(ctx, provider)
	if err != nil {
		return none, err
	}
	directory, ok := o.provider.(identity.PasswordChecker)
	if !ok {
		return none, ErrNoDirectory
	}
	if password == "" || len(password) > MaxPassword {
		return none, refuse("empty_password")
	}
	who, err := directory.CheckPassword(ctx, name, password)
	var refusal *identity.Refusal
	if errors.Is(err, identity.ErrIncorrect) && !errors.As(err, &refusal) {
		err = refuse("wrong_password")
	}
	if err != nil {
		return none, err
	}
	return who, s.wouldTake(ctx, row, who)
}

// wouldTake says why a sign-in of somebody would be refused, whoever they are
// here.
func (s *Service) wouldTake(ctx context.Context, row storage.IdentityProvider, who identity.Identity) error {
	if _, err := speaker(row, who); err != nil {
		return err
	}
	email, err := addressOf(who)
	if err != nil {
		return err
	}
	domains, err := s.Store.DomainsOf(ctx, row.Account)
	if err != nil {
		return err
	}
	// A domain that leads nowhere yet is what the test is made for.
	if !slices.ContainsFunc(domains, func(d storage.Domain) bool {
		return d.Name == storage.DomainOf(email) && d.Verified && (d.Provider == "" || d.Provider == row.ID)
	}) {
		return refuse("email_of_another_domain")
	}
	return nil
}
