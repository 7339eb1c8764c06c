package admin

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Why a domain cannot be claimed.
var (
	// ErrDomainName means that it is no domain.
	ErrDomainName = errors.New("expected a domain such as acme.example")
	// ErrDomainSuffix means that names below it belong to many owners ("com",
	// "co.uk", "github.io").
	ErrDomainSuffix = errors.New("names below it belong to many owners")
	// ErrDomainMail means that anybody can have an address there.
	ErrDomainMail = errors.New("anybody can have an e-mail address there")
	// ErrDomainMany means that the account has MaxDomains already.
	ErrDomainMany = errors.New("too many domains")
)

// MaxDomains is how many domains one account may claim.
const MaxDomains = 100

// mailProviders lists domains where anybody can have an address, one a line.
//
//go:embed mailproviders.txt
var mailProviders string

var publicMail = lines(mailProviders)

func lines(text string) map[string]bool {
	set := make(map[string]bool)
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			set[line] = true
		}
	}
	return set
}

// domainName is the shape of names that DNS hands out; an address with numbers
// is none.
var domainName = regexp.MustCompile(`^([a-z0-9-]+\.)*[a-z0-9-]*[a-z][a-z0-9-]*$`)

// checkDomain says whether a domain, in its one spelling, can be a company's.
func checkDomain(domain string) error {
	if suffix, _ := publicsuffix.PublicSuffix(domain); suffix == domain {
		return fmt.Errorf("domain %q: %w", domain, ErrDomainSuffix)
	}
	for parent := domain; parent != ""; {
		if publicMail[parent] {
			return fmt.Errorf("domain %q: %w", domain, ErrDomainMail)
		}
		_, parent, _ = strings.Cut(parent, ".")
	}
	return nil
}

// DNSRecord is what proves a claim: a TXT record at a name of its own, which
// leaves the domain's mail and everything else of it alone, and which nobody can
// publish who was only given a host below the domain. The value is of one account
// and one domain, so that several accounts prove a domain side by side, each with
// a record, and one account's proof is of no use to another.
type DNSRecord struct {
	Name  string // without the dot at its end
	Value string
}

// RecordOf returns the record that proves a claim.
func RecordOf(d storage.Domain) DNSRecord {
	return DNSRecord{Name: "_caddymfa-challenge." + d.Name, Value: "caddymfa=" + d.Token}
}

// Domains lists an account's domains by name.
func (s *Service) Domains(ctx context.Context, account string) ([]storage.Domain, error) {
	return s.Store.DomainsOf(ctx, account)
}

// Domain returns one of an account's domains.
func (s *Service) Domain(ctx context.Context, account, name string) (storage.Domain, error) {
	list, err := s.Store.DomainsOf(ctx, account)
	if err != nil {
		return storage.Domain{}, err
	}
	for _, d := range list {
		if d.Name == name {
			return d, nil
		}
	}
	return storage.Domain{}, fmt.Errorf("domain %q: %w", name, storage.ErrNotFound)
}

// ClaimDomain notes that an account says a domain is its own. It opens nothing
// until the claim is proven. To claim a domain again changes nothing: the record
// to publish stays the same.
func (s *Service) ClaimDomain(ctx context.Context, by Actor, typed string) (storage.Domain, error) {
	name, err := storage.NormaliseDomain(typed)
	if err != nil || !domainName.MatchString(name) {
		return storage.Domain{}, fmt.Errorf("domain %q: %w", typed, ErrDomainName)
	}
	if err := checkDomain(name); err != nil {
		return storage.Domain{}, err
	}
	list, err := s.Store.DomainsOf(ctx, by.Account)
	if err != nil {
		return storage.Domain{}, err
	}
	for _, d := range list {
		if d.Name == name {
			return d, nil
		}
	}
	if len(list) >= MaxDomains {
		return storage.Domain{}, fmt.Errorf("domain %q: %w: at most %d", name, ErrDomainMany, MaxDomains)
	}
	err = s.Store.CreateDomain(ctx, storage.Domain{
		Account: by.Account, Name: name, Token: rand.Text(), Created: s.Now(), Changed: s.Now(), ChangedBy: by.User,
	})
	if errors.Is(err, storage.ErrExists) { // another administrator was faster
		return s.Domain(ctx, by.Account, name)
	}
	if err != nil {
		return storage.Domain{}, err
	}
	s.record(ctx, by, storage.Event{Action: "claim_domain", Outcome: "ok", Detail: name})
	return s.Domain(ctx, by.Account, name)
}

// RemoveDomain ends a claim, and with it that its people are sent to the
// account's identity provider.
func (s *Service) RemoveDomain(ctx context.Context, by Actor, name string, version int64) error {
	// The row is changed first, so that of two administrators one is told.
	if _, err := s.changeDomain(ctx, by, name, version, func(d *storage.Domain) error {
		d.Enforce = false
		return nil
	}); err != nil {
		return err
	}
	if err := s.Store.RemoveDomain(ctx, by.Account, name); err != nil {
		return err
	}
	s.record(ctx, by, storage.Event{Action: "remove_domain", Outcome: "ok", Detail: name})
	return nil
}

// Conflict means that somebody else changed what was to be changed.
type Conflict struct {
	By string // user id, or "operator", or "configuration", or "housekeeping"
	At time.Time
}

func (c *Conflict) Error() string { return storage.ErrConflict.Error() }

// Unwrap makes it a storage.ErrConflict.
func (c *Conflict) Unwrap() error { return storage.ErrConflict }

// errDeclared says where to make a change that cannot be made here.
var errDeclared = fmt.Errorf("%w: change it there", login.ErrReadOnly)

// changeDomain lets change edit the version of a claim that the caller saw.
func (s *Service) changeDomain(ctx context.Context, by Actor, name string, version int64, change func(*storage.Domain) error) (storage.Domain, error) {
	return s.Store.UpdateDomain(ctx, by.Account, name, func(d *storage.Domain) error {
		if d.Origin == storage.FromConfig {
			return errDeclared
		}
		if d.Version != version {
			return &Conflict{By: d.ChangedBy, At: d.Changed}
		}
		if err := change(d); err != nil {
			return err
		}
		d.Changed, d.ChangedBy = s.Now(), by.User
		return nil
	})
}
