package operate

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// The steps below are those of the account's own administrators, with their
// checks: an operator can claim no domain without its proof either. Whoever wants
// that declares it in the configuration.

func aboutDomain(name, account string, err error) error {
	for _, no := range []error{admin.ErrDomainName, admin.ErrDomainSuffix, admin.ErrDomainMail, admin.ErrDomainMany, admin.ErrNotReady} {
		if errors.Is(err, no) {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	return about(fmt.Sprintf("domain %q of account %q", name, account), err)
}

func aboutProvider(id, account string, err error) error {
	for _, no := range []error{admin.ErrSettings, admin.ErrProviderName, admin.ErrProviderMany, login.ErrNoDirectory} {
		if errors.Is(err, no) {
			return fmt.Errorf("%w: identity provider %q: %w", ErrInvalid, id, err)
		}
	}
	return about(fmt.Sprintf("identity provider %q of account %q", id, account), err)
}

// administer is the operator in an account's administration.
func (o *Operator) administer(ctx context.Context, account string) (admin.Actor, error) {
	if _, err := o.Account(ctx, account); err != nil {
		return admin.Actor{}, err
	}
	return admin.Actor{Account: account, User: byOperator}, nil
}

// Domains lists an account's e-mail domains by name.
func (o *Operator) Domains(ctx context.Context, account string) ([]storage.Domain, error) {
	by, err := o.administer(ctx, account)
	if err != nil {
		return nil, err
	}
	return o.Admin.Domains(ctx, by.Account)
}

// ClaimDomain notes that an account says a domain is its own.
func (o *Operator) ClaimDomain(ctx context.Context, account, name string) (storage.Domain, error) {
	by, err := o.administer(ctx, account)
	if err != nil {
		return storage.Domain{}, err
	}
	d, err := o.Admin.ClaimDomain(ctx, by, name)
	if err != nil {
		return d, aboutDomain(name, account, err)
	}
	return d, nil
}

// VerifyDomain looks for the proof of a claim now.
func (o *Operator) VerifyDomain(ctx context.Context, account, name string) (storage.Domain, error) {
	by, err := o.administer(ctx, account)
	if err != nil {
		return storage.Domain{}, err
	}
	d, err := o.Admin.VerifyDomain(ctx, by, name)
	if err != nil {
		return d, aboutDomain(name, account, err)
	}
	return d, nil
}

// LinkDomain leads a domain to one of the account's identity providers, or to
// none ("").
func (o *Operator) LinkDomain(ctx context.Context, account, name, provider string) (storage.Domain, error) {
	by, d, err := o.claim(ctx, account, name)
	if err == nil {
		d, err = o.Admin.LinkDomain(ctx, by, name, d.Version, provider)
	}
	if err != nil {
		return d, aboutDomain(name, account, err)
	}
	return d, nil
}

// EnforceDomain sends everybody of a domain to the account's identity provider,
// or ends that.
func (o *Operator) EnforceDomain(ctx context.Context, account, name string, on bool) (storage.Domain, error) {
	by, d, err := o.claim(ctx, account, name)
	if err != nil {
		return d, aboutDomain(name, account, err)
	}
	next, err := o.Admin.EnforceDomain(ctx, by, name, d.Version, on)
	if err != nil {
		return d, aboutDomain(name, account, err)
	}
	return next, nil
}

// RemoveDomain ends a claim.
func (o *Operator) RemoveDomain(ctx context.Context, account, name string) error {
	by, d, err := o.claim(ctx, account, name)
	if err == nil {
		err = o.Admin.RemoveDomain(ctx, by, name, d.Version)
	}
	if err != nil {
		return aboutDomain(name, account, err)
	}
	return nil
}

func (o *Operator) claim(ctx context.Context, account, name string) (admin.Actor, storage.Domain, error) {
	by, err := o.administer(ctx, account)
	if err != nil {
		return by, storage.Domain{}, err
	}
	d, err := o.Admin.Domain(ctx, account, name)
	return by, d, err
}

// AddProvider connects a provider of any kind to an account. Nobody is sent there
// until it was tested.
func (o *Operator) AddProvider(ctx context.Context, account string, c admin.Connection) (admin.Provider, error) {
	by, err := o.administer(ctx, account)
	if err != nil {
		return admin.Provider{}, err
	}
	p, err := o.Admin.ConnectProvider(ctx, by, c)
	if err != nil {
		return p, aboutProvider(c.Name, account, err)
	}
	return p, nil
}

// TestDirectory asks one of an account's directories about somebody's password.
func (o *Operator) TestDirectory(ctx context.Context, account, id, name, password string) (admin.Trial, error) {
	by, err := o.administer(ctx, account)
	if err != nil {
		return admin.Trial{}, err
	}
	trial, err := o.Admin.TestDirectory(ctx, by, id, name, password)
	if err != nil {
		return trial, aboutProvider(id, account, err)
	}
	return trial, nil
}

// SetTrust says what an account makes of a sign-in through one of its identity
// providers.
func (o *Operator) SetTrust(ctx context.Context, account, id string, trust mfa.Trust) error {
	if _, err := o.administer(ctx, account); err != nil {
		return err
	}
	_, err := o.Store.UpdateProvider(ctx, id, func(row *storage.IdentityProvider) error {
		switch {
		case row.Account != account:
			return storage.ErrNotFound
		case row.Origin == storage.FromConfig:
			return errReadOnly
		}
		row.Trust, row.Changed, row.ChangedBy = trust, o.Now(), byOperator
		return nil
	})
	if err != nil {
		return aboutProvider(id, account, err)
	}
	o.record(ctx, storage.Event{Action: "set_trust", Reason: trust.String(), Account: account, Detail: id})
	return nil
}

// SwitchProvider disables one of an account's identity providers, or enables it.
func (o *Operator) SwitchProvider(ctx context.Context, account, id string, disabled bool) error {
	by, p, err := o.provider(ctx, account, id)
	if err == nil {
		err = o.Admin.SwitchProvider(ctx, by, id, p.Version, disabled)
	}
	if err != nil {
		return aboutProvider(id, account, err)
	}
	return nil
}

// RemoveProvider ends one of an account's identity providers.
func (o *Operator) RemoveProvider(ctx context.Context, account, id string) error {
	by, p, err := o.provider(ctx, account, id)
	if err == nil {
		err = o.Admin.RemoveProvider(ctx, by, id, p.Version)
	}
	if err != nil {
		return aboutProvider(id, account, err)
	}
	return nil
}

func (o *Operator) provider(ctx context.Context, account, id string) (admin.Actor, admin.Provider, error) {
	by, err := o.administer(ctx, account)
	if err != nil {
		return by, admin.Provider{}, err
	}
	p, err := o.Admin.Provider(ctx, account, id)
	return by, p, err
}
