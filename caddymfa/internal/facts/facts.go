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
	"sync"
	"sync/atomic"
	"time"

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
	Trial   mfa.Policy // a mode that is only tried, since TrialAt; zero: none
	TrialAt time.Time
}

// Memberships is where a person belongs, by account id.
type Memberships map[string]storage.Membership

// Source gathers facts. All of it may be used by many goroutines.
type Source struct {
	store    storage.Storage
	trust    trust
	sessions memory[*storage.Session]
	people   memory[*Person]
	tenants  memory[*Tenant]
	belongs  memory[Memberships]
	stop     func()
	floor    atomic.Uint32 // an mfa.Policy
}

// SetFloor sets the least that the operator wants of every account. Zero:
// nothing.
func (s *Source) SetFloor(floor mfa.Policy) {
	if mfa.Policy(s.floor.Swap(uint32(floor))) != floor {
		s.forget(storage.Change{Subject: storage.SubjectAll})
	}
}

// New returns a source that remembers up to capacity of each kind.
func New(store storage.Storage, capacity int) (*Source, error) {
	s := &Source{store: store}
	s.trust.feed, s.trust.began = store, time.Now()
	s.trust.failed.Store(-int64(impatience))
	var err error
	if s.sessions, err = remember(&s.trust, capacity, s.loadSession); err != nil {
		return nil, err
	}
	if s.people, err = remember(&s.trust, capacity, s.loadPerson); err != nil {
		return nil, err
	}
	if s.tenants, err = remember(&s.trust, capacity, s.loadTenant); err != nil {
		return nil, err
	}
	if s.belongs, err = remember(&s.trust, capacity, s.loadMemberships); err != nil {
		return nil, err
	}
	s.stop = store.Watch(s.forget)
	return s, nil
}

// ServeStale has what is remembered served for so long after changes of other
// nodes ceased to arrive, if storage does not answer either. What was revoked or
// tightened elsewhere meanwhile passes until then, so zero is the default. It is
// to be called before the first use.
func (s *Source) ServeStale(limit time.Duration) { s.trust.stale = limit }

// Close ends the watch on storage.
func (s *Source) Close() { s.stop() }

func (s *Source) forget(c storage.Change) {
	switch c.Subject {
	case storage.SubjectAccount:
		s.tenants.cache.Invalidate(c.ID)
	case storage.SubjectUser:
		s.people.cache.Invalidate(c.ID)
	case storage.SubjectMembership:
		s.belongs.cache.Invalidate(c.ID)
	case storage.SubjectSession:
		s.sessions.cache.Invalidate(c.ID)
	case storage.SubjectAll:
		s.trust.epoch.Add(1)
		s.sessions.cache.InvalidateAll()
		s.people.cache.InvalidateAll()
		s.tenants.cache.InvalidateAll()
		s.belongs.cache.InvalidateAll()
	}
}

// Session returns a session's row. The caller must not change it.
func (s *Source) Session(ctx context.Context, id string) (*storage.Session, error) {
	return s.sessions.get(ctx, id)
}

func (s *Source) loadSession(ctx context.Context, id string) (*storage.Session, error) {
	row, err := s.store.Session(ctx, id)
	if err != nil {
		return nil, reading("the session", err)
	}
	return &row, nil
}

func reading(what string, err error) error {
	if err != nil {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	return nil
}

// Person returns what is known of a user.
func (s *Source) Person(ctx context.Context, id string) (*Person, error) {
	return s.people.get(ctx, id)
}

func (s *Source) loadPerson(ctx context.Context, id string) (*Person, error) {
	var (
		u       storage.User
		factors []storage.Factor
		codes   []storage.RecoveryCode
	)
	if err := together(
		func() (err error) { u, err = s.store.User(ctx, id); return reading("the user", err) },
		func() (err error) {
			factors, err = s.store.FactorsOf(ctx, id)
			return reading("the user's authenticators", err)
		},
		func() (err error) {
			codes, err = s.store.RecoveryCodesOf(ctx, id)
			return reading("the user's recovery codes", err)
		},
	); err != nil {
		return nil, err
	}
	p := &Person{ID: u.ID, Email: u.Email, Name: u.Name, Domain: storage.DomainOf(u.Email), Disabled: u.Disabled}
	for _, f := range factors {
		p.Enrolled |= mfa.Kinds(f.Kind)
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
	var (
		a         storage.Account
		providers []storage.IdentityProvider
		domains   []storage.Domain
	)
	if err := together(
		func() (err error) { a, err = s.store.Account(ctx, id); return reading("the account", err) },
		func() (err error) {
			providers, err = s.store.ProvidersOf(ctx, id)
			return reading("the account's identity providers", err)
		},
		func() (err error) {
			domains, err = s.store.DomainsOf(ctx, id)
			return reading("the account's domains", err)
		},
	); err != nil {
		return nil, err
	}
	t := &Tenant{Name: a.Name, Trial: a.Trial, TrialAt: a.TrialAt, Account: mfa.Account{
		ID: a.ID, Policy: a.Policy, Floor: mfa.Policy(s.floor.Load()), Next: a.Next, NextAt: a.NextAt, Disabled: a.Disabled,
		Accept: a.Accept, SecondFactorAge: a.SecondFactorAge, Remember: a.Remember, Changed: a.PolicyAt,
	}}
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
	found := s.find(ctx, session.User, account)
	if errors.Is(found.noPerson, storage.ErrNotFound) {
		return g, nil
	}
	if found.noPerson != nil {
		return g, found.noPerson
	}
	person, tenant, belongs := found.person, found.tenant, found.belongs
	g.Person = person
	g.Facts.Proof = session.Proof
	g.Facts.User = mfa.User{ID: person.ID, Disabled: person.Disabled}
	g.Facts.Enrolled = person.Enrolled
	if account == "" {
		return g, nil
	}
	g.Facts.Account.ID = account
	if errors.Is(found.noTenant, storage.ErrNotFound) {
		return g, nil // Decide: nobody is a member of what does not exist
	}
	if err := errors.Join(found.noTenant, found.noBelongs); err != nil {
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

// found is what is known of a person, an account and where the person belongs;
// or why it is not.
type found struct {
	person  *Person
	tenant  *Tenant
	belongs Memberships

	noPerson, noTenant, noBelongs error
}

// find recalls all of it, or reads what is missing at once: where storage is far
// away, each read is a wait. An account of "" is not looked for.
func (s *Source) find(ctx context.Context, user, account string) (f found) {
	var person, tenant, belongs bool
	f.person, person = s.people.recall(user)
	if account == "" {
		if !person {
			f.person, f.noPerson = s.Person(ctx, user)
		}
		return f
	}
	f.tenant, tenant = s.tenants.recall(account)
	f.belongs, belongs = s.belongs.recall(user)
	if person && tenant && belongs {
		return f
	}
	return s.read(ctx, user, account)
}

func (s *Source) read(ctx context.Context, user, account string) found {
	f := new(found)
	var group sync.WaitGroup
	group.Go(func() { f.person, f.noPerson = s.Person(ctx, user) })
	group.Go(func() { f.tenant, f.noTenant = s.Tenant(ctx, account) })
	group.Go(func() { f.belongs, f.noBelongs = s.Memberships(ctx, user) })
	group.Wait()
	return *f
}
