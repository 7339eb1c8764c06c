// Package facts gathers what the decision may look at: from memory where that
// is certainly current, else from storage.
//
// Every write is told through the storage's feed, which drops what it made
// stale before the writer hears of its success, a load under way included. So
// what is served from memory is never older than the last acknowledged write.
package facts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Person is what the gate knows of a user, without secrets.
type Person struct {
	ID       string
	Email    string
	Name     string
	Domain   string
	Disabled bool
	// Enrolled includes authenticators disabled by wrong answers: nobody gets
	// rid of the second factor by guessing at it.
	Enrolled mfa.Kinds
}

// Tenant is what the gate knows of an account.
type Tenant struct {
	mfa.Account
	Name    string
	Issuers map[string]string // issuer to provider, for providers that prove who issues
	Domains map[string]mfa.Domain
}

// Memberships is where a person belongs, by account id.
type Memberships map[string]storage.Membership

// Source gathers facts. All of it may be used by many goroutines.
type Source struct {
	store    storage.Storage
	sessions memory[*storage.Session]
	people   memory[*Person]
	tenants  memory[*Tenant]
	belongs  memory[Memberships]
	stop     func()
}

// memory remembers one kind of thing, and knows how to load it.
type memory[V any] struct {
	*otter.Cache[string, V]
	live func() bool
	load otter.LoaderFunc[string, V]
}

// New returns a source that remembers up to capacity of each kind.
func New(store storage.Storage, capacity int) (*Source, error) {
	s := &Source{store: store}
	var err error
	if s.sessions, err = remember(store, capacity, s.loadSession); err != nil {
		return nil, err
	}
	if s.people, err = remember(store, capacity, s.loadPerson); err != nil {
		return nil, err
	}
	if s.tenants, err = remember(store, capacity, s.loadTenant); err != nil {
		return nil, err
	}
	if s.belongs, err = remember(store, capacity, s.loadMemberships); err != nil {
		return nil, err
	}
	s.stop = store.Watch(s.forget)
	return s, nil
}

// loadTime bounds a load that several requests may wait for.
const loadTime = 5 * time.Second

func remember[V any](store storage.Feed, capacity int, load func(context.Context, string) (V, error)) (memory[V], error) {
	c, err := otter.New(&otter.Options[string, V]{MaximumSize: capacity})
	if err != nil {
		return memory[V]{}, fmt.Errorf("preparing the facts cache: %w", err)
	}
	return memory[V]{Cache: c, live: store.Live, load: func(ctx context.Context, id string) (V, error) {
		// Whoever asked first may leave; the others still want the answer.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTime)
		defer cancel()
		return load(ctx, id)
	}}, nil
}

// get answers from memory, or loads. While the feed is down memory may be
// stale, so storage is asked every time.
func (m *memory[V]) get(ctx context.Context, id string) (V, error) {
	if !m.live() {
		return m.load(ctx, id)
	}
	if v, ok := m.GetIfPresent(id); ok {
		return v, nil
	}
	return m.Get(ctx, id, m.load)
}

// Close ends the watch on storage.
func (s *Source) Close() { s.stop() }

func (s *Source) forget(c storage.Change) {
	switch c.Subject {
	case storage.SubjectAccount:
		s.tenants.Invalidate(c.ID)
	case storage.SubjectUser:
		s.people.Invalidate(c.ID)
	case storage.SubjectMembership:
		s.belongs.Invalidate(c.ID)
	case storage.SubjectSession:
		s.sessions.Invalidate(c.ID)
	case storage.SubjectAll:
		s.sessions.InvalidateAll()
		s.people.InvalidateAll()
		s.tenants.InvalidateAll()
		s.belongs.InvalidateAll()
	}
}

// Session returns a session's row. The caller must not change it.
func (s *Source) Session(ctx context.Context, id string) (*storage.Session, error) {
	return s.sessions.get(ctx, id)
}

func (s *Source) loadSession(ctx context.Context, id string) (*storage.Session, error) {
	row, err := s.store.Session(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading the session: %w", err)
	}
	return &row, nil
}

// Person returns what is known of a user.
func (s *Source) Person(ctx context.Context, id string) (*Person, error) {
	return s.people.get(ctx, id)
}

func (s *Source) loadPerson(ctx context.Context, id string) (*Person, error) {
	u, err := s.store.User(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading the user: %w", err)
	}
	p := &Person{ID: u.ID, Email: u.Email, Name: u.Name, Domain: storage.DomainOf(u.Email), Disabled: u.Disabled}
	factors, err := s.store.FactorsOf(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading the user's authenticators: %w", err)
	}
	for _, f := range factors {
		p.Enrolled |= mfa.Kinds(f.Kind)
	}
	codes, err := s.store.RecoveryCodesOf(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading the user's recovery codes: %w", err)
	}
	for _, c := range codes {
		if c.Used.IsZero() {
			p.Enrolled |= mfa.Kinds(mfa.Recovery)
		}
	}
	return p, nil
}

// Tenant returns what is known of an account.
func (s *Source) Tenant(ctx context.Context, id string) (*Tenant, error) {
	return s.tenants.get(ctx, id)
}

func (s *Source) loadTenant(ctx context.Context, id string) (*Tenant, error) {
	a, err := s.store.Account(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading the account: %w", err)
	}
	t := &Tenant{Name: a.Name, Account: mfa.Account{
		ID: a.ID, Policy: a.Policy, Next: a.Next, NextAt: a.NextAt, Disabled: a.Disabled,
		Accept: a.Accept, SecondFactorAge: a.SecondFactorAge, Remember: a.Remember, Changed: a.PolicyAt,
	}}
	providers, err := s.store.ProvidersOf(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading the account's identity providers: %w", err)
	}
	for _, p := range providers {
		if p.Disabled {
			continue
		}
		t.Providers = append(t.Providers, mfa.Provider{ID: p.ID, Trust: p.Trust})
		if p.Issuer != "" {
			if t.Issuers == nil {
				t.Issuers = make(map[string]string, len(providers))
			}
			t.Issuers[p.Issuer] = p.ID
		}
	}
	domains, err := s.store.DomainsOf(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading the account's domains: %w", err)
	}
	for _, d := range domains {
		if t.Domains == nil {
			t.Domains = make(map[string]mfa.Domain, len(domains))
		}
		t.Domains[d.Name] = mfa.Domain{Verified: d.Verified, Enforce: d.Enforce, Provider: d.Provider}
	}
	return t, nil
}

// linked is a proof as this account knows it. A sign-in through another
// account's provider of an issuer that this account linked too counts as one
// through its own; but what proves several factors was judged by the other
// account's settings, and counts there only.
func (t *Tenant) linked(p mfa.Proof) mfa.Proof {
	own, ok := t.Issuers[p.Issuer]
	if p.Provider == "" || p.Issuer == "" || !ok || t.Has(p.Provider) {
		return p
	}
	p.Provider, p.ProviderSecond = own, time.Time{}
	return p
}

// Has reports whether the account linked a provider, by its id.
func (t *Tenant) Has(provider string) bool {
	return slices.ContainsFunc(t.Providers, func(p mfa.Provider) bool { return p.ID == provider })
}

// Memberships returns where a person belongs. The caller must not change it.
func (s *Source) Memberships(ctx context.Context, user string) (Memberships, error) {
	return s.belongs.get(ctx, user)
}

func (s *Source) loadMemberships(ctx context.Context, user string) (Memberships, error) {
	rows, err := s.store.MembershipsOf(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("reading the user's memberships: %w", err)
	}
	m := make(Memberships, len(rows))
	for _, row := range rows {
		m[row.Account] = row
	}
	return m, nil
}

// Gathered is what was found: the facts, and what they were made from.
type Gathered struct {
	Facts  mfa.Facts
	Person *Person // nil: nobody
	Tenant *Tenant // nil: no account chosen, or no such account
}

// Gather puts together the facts about one session entering one account ("":
// none chosen). A session whose user is gone gathers no one, so that Decide
// asks to sign in; any error means that the facts cannot be known now.
func (s *Source) Gather(ctx context.Context, session *storage.Session, account string, route mfa.Route, now time.Time) (Gathered, error) {
	g := Gathered{Facts: mfa.Facts{Now: now, Route: route}}
	if session == nil {
		return g, nil
	}
	person, err := s.Person(ctx, session.User)
	if errors.Is(err, storage.ErrNotFound) {
		return g, nil
	}
	if err != nil {
		return g, err
	}
	g.Person = person
	g.Facts.Proof = session.Proof
	g.Facts.User = mfa.User{ID: person.ID, Disabled: person.Disabled}
	g.Facts.Enrolled = person.Enrolled
	if account == "" {
		return g, nil
	}
	g.Facts.Account.ID = account
	tenant, err := s.Tenant(ctx, account)
	if errors.Is(err, storage.ErrNotFound) {
		return g, nil // Decide: nobody is a member of what does not exist
	}
	if err != nil {
		return g, err
	}
	belongs, err := s.Memberships(ctx, person.ID)
	if err != nil {
		return g, err
	}
	g.Tenant = tenant
	g.Facts.Account = tenant.Account
	g.Facts.Domain = tenant.Domains[person.Domain]
	g.Facts.Proof = tenant.linked(session.Proof)
	m := belongs[account]
	g.Facts.Member = mfa.Member{Role: m.Role, State: m.State, SnoozedUntil: m.SnoozedUntil}
	return g, nil
}
