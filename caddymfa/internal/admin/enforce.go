package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// What stands against enforcing a domain, or linking it.
var (
	// ErrNotReady means that something does; its text says what.
	ErrNotReady = errors.New("not ready")
	// ErrUntested is an ErrNotReady, too: somebody must sign in through the
	// provider as a test, which takes a person with a browser.
	ErrUntested = errors.New("not tested")
)

// notReady is an ErrNotReady.
type notReady struct {
	what     string
	untested bool
}

func (n *notReady) Error() string { return n.what }

// Is says which errors it is.
func (n *notReady) Is(err error) bool { return err == ErrNotReady || n.untested && err == ErrUntested }

// Readiness says what enforcing a domain needs, and what of it is there. With
// enforcement on, the provider is the only way in for people of the domain: so it
// must have been seen to work, and somebody must be able to turn it off again
// when it does not.
type Readiness struct {
	Verified bool // the claim is proven
	Linked   bool // to a provider that is not disabled
	Tested   bool // somebody signed in through it since its settings changed
	// Keepers are administrators who get in without any provider: with a
	// password and a second factor, and an address of a domain that nobody
	// enforces.
	Keepers []storage.User
}

// OK reports whether nothing is missing.
func (r Readiness) OK() bool { return r.err() == nil }

// err is an ErrNotReady that names everything that is missing.
func (r Readiness) err() error {
	var missing []string
	for _, need := range []struct {
		there bool
		what  string
	}{
		{r.Verified, "it is not proven"},
		{r.Linked, "it leads to no identity provider"},
		{r.Tested, "nobody has signed in through the provider as a test"},
		{len(r.Keepers) > 0, "no administrator could get in without the provider: one needs a password, a second factor, and an address of another domain"},
	} {
		if !need.there {
			missing = append(missing, need.what)
		}
	}
	if missing == nil {
		return nil
	}
	return &notReady{strings.Join(missing, "; "), r.Linked && !r.Tested}
}

// Ready says what enforcing a domain still needs.
func (s *Service) Ready(ctx context.Context, d storage.Domain) (Readiness, error) {
	r := Readiness{Verified: d.Verified}
	if d.Provider != "" {
		row, err := s.Store.Provider(ctx, d.Provider)
		if err != nil {
			return r, err
		}
		r.Linked = !row.Disabled
		r.Tested = r.Linked && Tested(row)
	}
	var err error
	r.Keepers, err = s.keepers(ctx, d)
	return r, err
}

// keepers lists the administrators who would get in while a domain is enforced
// and its provider is down. Whether one does is for the rule to say: it is asked
// what it makes of their password alone, and must want their second factor.
func (s *Service) keepers(ctx context.Context, d storage.Domain) ([]storage.User, error) {
	admins, err := s.Store.Administrators(ctx, d.Account)
	if err != nil {
		return nil, err
	}
	var keepers []storage.User
	for _, u := range admins {
		if u.PasswordHash == "" || storage.DomainOf(u.Email) == d.Name {
			continue
		}
		claims, err := s.Store.DomainsNamed(ctx, storage.DomainOf(u.Email))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(claims, func(c storage.Domain) bool { return c.Verified && c.Enforce }) {
			continue // some account refuses their password
		}
		alone := storage.Session{User: u.ID, Proof: mfa.Proof{User: u.ID, First: s.Now(), FirstBy: mfa.ByPassword}}
		g, err := s.Login.Gather(ctx, &alone, d.Account)
		if err != nil {
			return nil, err
		}
		if mfa.Decide(g.Facts).Verdict == mfa.Challenge {
			keepers = append(keepers, u)
		}
	}
	return keepers, nil
}

// LinkDomain says through which of the account's providers people of a domain
// sign in; empty: through none. People are sent only where somebody has been and
// come back. While a domain is enforced, it stays where it is.
func (s *Service) LinkDomain(ctx context.Context, by Actor, name string, version int64, provider string) (storage.Domain, error) {
	label := "none"
	if provider != "" {
		p, err := s.Provider(ctx, by.Account, provider)
		if err != nil {
			return storage.Domain{}, err
		}
		if p.Disabled {
			return storage.Domain{}, fmt.Errorf("domain %q: %w", name, &notReady{"the identity provider is disabled", false})
		}
		if !Tested(p.IdentityProvider) {
			return storage.Domain{}, fmt.Errorf("domain %q: %w", name, &notReady{"nobody has signed in through the identity provider as a test", true})
		}
		label = p.Name + " (" + p.ID + ")"
	}
	d, err := s.changeDomain(ctx, by, name, version, func(d *storage.Domain) error {
		if d.Enforce && d.Provider != provider {
			return fmt.Errorf("domain %q: %w", name, &notReady{"stop enforcing it first", false})
		}
		d.Provider = provider
		return nil
	})
	if err != nil {
		return d, err
	}
	s.record(ctx, by, storage.Event{Action: "link_domain", Outcome: "ok", Detail: name + " to " + label})
	return d, nil
}

// DomainsOf names the domains of an account that lead to a provider.
func (s *Service) DomainsOf(ctx context.Context, account, provider string) ([]string, error) {
	list, err := s.Store.DomainsOf(ctx, account)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range list {
		if d.Provider == provider {
			names = append(names, d.Name)
		}
	}
	return names, nil
}

// EnforceDomain sends everybody of a domain to the account's identity provider,
// and takes no password of theirs; or ends that.
func (s *Service) EnforceDomain(ctx context.Context, by Actor, name string, version int64, on bool) (storage.Domain, error) {
	d, err := s.Domain(ctx, by.Account, name)
	if err != nil {
		return d, err
	}
	if on {
		ready, err := s.Ready(ctx, d)
		if err != nil {
			return d, err
		}
		if err := ready.err(); err != nil {
			return d, fmt.Errorf("domain %q cannot be enforced yet: %w", name, err)
		}
	}
	// The version ties the claim to what was looked at. The provider is a row of
	// its own: disabling it at this very moment ends enforcement by itself.
	next, err := s.changeDomain(ctx, by, name, version, func(row *storage.Domain) error {
		if on && (row.Provider != d.Provider || !row.Verified) {
			return &Conflict{By: row.ChangedBy, At: row.Changed}
		}
		row.Enforce = on
		return nil
	})
	if err != nil {
		return next, err
	}
	action := "stop_enforcing_domain"
	if on {
		action = "enforce_domain"
	}
	s.record(ctx, by, storage.Event{Action: action, Outcome: "ok", Detail: name})
	return next, nil
}
