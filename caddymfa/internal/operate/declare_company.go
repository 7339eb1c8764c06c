package operate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// declareCompany makes the store say which domains and identity providers the
// configuration gives an account. Others that it used to declare are removed;
// those that administrators added stay theirs. A declared domain needs no proof:
// the operator vouches for it.
func (o *Operator) declareCompany(ctx context.Context, a DeclaredAccount) error {
	var kept []string
	for _, p := range a.Providers {
		kept = append(kept, p.ID)
		if err := o.declareProvider(ctx, a.ID, p); err != nil {
			return fmt.Errorf("identity provider %q: %w", p.ID, err)
		}
	}
	domains, err := o.Store.DomainsOf(ctx, a.ID)
	if err != nil {
		return err
	}
	for _, d := range a.Domains {
		row := storage.Domain{Account: a.ID, Name: d.Name, Verified: true, Enforce: d.Enforce, Provider: d.Provider, Origin: storage.FromConfig, Created: o.Now()}
		i := slices.IndexFunc(domains, func(now storage.Domain) bool { return now.Name == d.Name })
		if i >= 0 {
			former := domains[i]
			row.Token, row.Created, row.Checked, row.Finding = former.Token, former.Created, former.Checked, former.Finding
			row.Changed, row.ChangedBy, row.Version = former.Changed, former.ChangedBy, former.Version
			if former == row {
				continue
			}
		}
		row.Changed, row.ChangedBy = o.Now(), byConfig
		if err := o.Store.PutDomain(ctx, row); err != nil {
			return err
		}
		o.Record(ctx, storage.Event{At: o.Now(), Action: "set_domain", Outcome: "ok", Actor: byConfig, Account: a.ID, Detail: domainDetail(row)})
	}
	for _, d := range domains {
		if d.Origin != storage.FromConfig || slices.ContainsFunc(a.Domains, func(now storage.Domain) bool { return now.Name == d.Name }) {
			continue
		}
		if err := o.Store.RemoveDomain(ctx, a.ID, d.Name); err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		o.Record(ctx, storage.Event{At: o.Now(), Action: "remove_domain", Outcome: "ok", Actor: byConfig, Account: a.ID, Detail: d.Name})
	}
	providers, err := o.Store.ProvidersOf(ctx, a.ID)
	if err != nil {
		return err
	}
	for _, p := range providers {
		if p.Origin != storage.FromConfig || slices.Contains(kept, p.ID) {
			continue
		}
		if err := o.Store.RemoveProvider(ctx, a.ID, p.ID); err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		o.Record(ctx, storage.Event{At: o.Now(), Action: "remove_provider", Outcome: "ok", Actor: byConfig, Account: a.ID, Detail: p.ID})
	}
	return nil
}

func domainDetail(d storage.Domain) string {
	if d.Enforce {
		return d.Name + " enforced"
	}
	return d.Name
}

func (o *Operator) declareProvider(ctx context.Context, account string, p DeclaredProvider) error {
	companies := o.Login.Companies
	issuer, err := companies.Check(p.Kind, p.Linking)
	if err != nil {
		return err
	}
	row := storage.IdentityProvider{
		ID: p.ID, Account: account, Kind: p.Kind, Name: p.Name, Issuer: issuer, Trust: p.Trust, Origin: storage.FromConfig, Created: o.Now(),
	}
	if row.Settings, err = companies.Seal(p.ID, p.Linking); err != nil {
		return err
	}
	now, err := o.Store.Provider(ctx, p.ID)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if err == nil {
		row.Created = now.Created
		if l, err := companies.Unseal(now); err == nil && l.Join == p.Linking.Join && slices.Equal(l.Admins, p.Linking.Admins) && bytes.Equal(l.Source, p.Linking.Source) {
			row.Settings = now.Settings
		}
		if bytes.Equal(row.Settings, now.Settings) && row.Kind == now.Kind && row.Name == now.Name && row.Issuer == now.Issuer &&
			row.Trust == now.Trust && row.Origin == now.Origin && !now.Disabled {
			return nil
		}
	}
	if err := o.Store.PutProvider(ctx, row); err != nil {
		return err
	}
	o.Record(ctx, storage.Event{At: o.Now(), Action: "set_provider", Outcome: "ok", Actor: byConfig, Account: account,
		Detail: p.ID + " " + p.Trust.String()})
	return nil
}
