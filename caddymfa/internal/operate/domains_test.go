package operate_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/operate"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// records is a DNS that knows some names.
type records map[string]string

func (r records) LookupTXT(_ context.Context, name string) ([]string, error) {
	if value, ok := r[name]; ok {
		return []string{value}, nil
	}
	return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

// withDomains is an operator with the accounts acme and other, and a DNS.
func withDomains(t *testing.T) (*operate.Operator, records) {
	t.Helper()
	op := withPaper(t)
	known := make(records)
	op.Admin = &admin.Service{Store: op.Store, Login: op.Login, Now: op.Now, Record: op.Record, DNS: known}
	must(t, op.AddAccount(t.Context(), "acme", "", mfa.Optional))
	must(t, op.AddAccount(t.Context(), "other", "", mfa.Optional))
	return op, known
}

// link adds a provider to acme that was tested.
func link(t *testing.T, op *operate.Operator, id string) {
	t.Helper()
	l := paperOf(id, `{"Issuer":"https://a.example"}`).Linking
	sealed, err := op.Login.Companies.Seal(id, l)
	must(t, err)
	must(t, op.Store.PutProvider(t.Context(), storage.IdentityProvider{
		ID: id, Account: "acme", Kind: "paper", Name: "Paper", Settings: sealed, Trust: mfa.Precedence, Created: clock, Tested: clock, TestedBy: "u1",
	}))
}

func TestAnOperatorProvesAndEnforcesADomain(t *testing.T) {
	op, known := withDomains(t)
	ctx := t.Context()
	d, err := op.ClaimDomain(ctx, "acme", "Acme.example")
	must(t, err)
	if d.Name != "acme.example" || d.ChangedBy != "operator" {
		t.Errorf("claimed %+v", d)
	}
	if d, err = op.VerifyDomain(ctx, "acme", "acme.example"); err != nil || d.Verified || d.Finding != admin.FoundNothing {
		t.Errorf("without the record: %+v, %v", d, err)
	}
	_, err = op.EnforceDomain(ctx, "acme", "acme.example", true)
	if !errors.Is(err, operate.ErrInvalid) || !strings.Contains(err.Error(), "not proven; it leads to no identity provider") || !strings.Contains(err.Error(), "no administrator") {
		t.Errorf("enforced from nothing: %v", err)
	}
	known[admin.RecordOf(d).Name+"."] = admin.RecordOf(d).Value
	if d, err = op.VerifyDomain(ctx, "acme", "acme.example"); err != nil || !d.Verified {
		t.Errorf("with the record: %+v, %v", d, err)
	}
	link(t, op, "p1")
	if d, err = op.LinkDomain(ctx, "acme", "acme.example", "p1"); err != nil || d.Provider != "p1" {
		t.Errorf("linked: %+v, %v", d, err)
	}
	_, err = op.AddUser(ctx, "keeper@partner.example", "")
	must(t, err)
	must(t, op.AddMember(ctx, "acme", "keeper@partner.example", mfa.RoleAdmin))
	must(t, op.SetPassword(ctx, "keeper@partner.example", "hash"))
	enrol(t, op, "keeper@partner.example")
	if d, err = op.EnforceDomain(ctx, "acme", "acme.example", true); err != nil || !d.Enforce {
		t.Errorf("enforced: %+v, %v", d, err)
	}
	must(t, op.SwitchProvider(ctx, "acme", "p1", true))
	list, err := op.Domains(ctx, "acme")
	if err != nil || len(list) != 1 || list[0].Enforce {
		t.Errorf("with the provider disabled: %+v, %v", list, err)
	}
	must(t, op.SwitchProvider(ctx, "acme", "p1", false))
	must(t, op.SetTrust(ctx, "acme", "p1", mfa.Verify))
	if p, err := op.Store.Provider(ctx, "p1"); err != nil || p.Trust != mfa.Verify || p.Disabled || p.ChangedBy != "operator" {
		t.Errorf("%+v, %v", p, err)
	}
	must(t, op.RemoveDomain(ctx, "acme", "acme.example"))
	must(t, op.RemoveProvider(ctx, "acme", "p1"))
}

func TestWhatAnOperatorNamesWronglyIsSaid(t *testing.T) {
	op, _ := withDomains(t)
	ctx := t.Context()
	link(t, op, "p1")
	must(t, op.Store.PutDomain(ctx, storage.Domain{Account: "acme", Name: "fixed.example", Verified: true, Origin: storage.FromConfig, Created: clock}))
	claim := func(account, name string) error { _, err := op.ClaimDomain(ctx, account, name); return err }
	verify := func(account, name string) error { _, err := op.VerifyDomain(ctx, account, name); return err }
	must(t, claim("acme", "acme.example"))
	for want, errs := range map[string][]error{
		`account "none": not found`:                           {claim("none", "x.example"), verify("none", "x.example"), op.RemoveDomain(ctx, "none", "x.example"), op.SetTrust(ctx, "none", "p1", mfa.Stack)},
		`domain "x.example" of account "acme": not found`:     {verify("acme", "x.example"), op.RemoveDomain(ctx, "acme", "x.example")},
		`domain "acme.example" of account "other": not found`: {verify("other", "acme.example")},
		`identity provider "p1" of account "other": not found`: {
			op.SwitchProvider(ctx, "other", "p1", true), op.RemoveProvider(ctx, "other", "p1"), op.SetTrust(ctx, "other", "p1", mfa.Stack),
		},
		`many owners`:       {claim("acme", "co.uk")},
		`expected a domain`: {claim("acme", "a b")},
		`declared in the configuration: change it there`: {verify("acme", "fixed.example"), op.RemoveDomain(ctx, "acme", "fixed.example")},
	} {
		for _, err := range errs {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		}
	}
}
