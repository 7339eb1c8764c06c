package admin

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/facts"
	"github.com/caddymfa/gateway/caddymfa/internal/settings"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Preview says what a mode would mean to an account's people, had each just
// signed in as they usually do.
type Preview struct {
	Mode   mfa.Policy
	People [mfa.Outcomes]int
	// Admins is how many administrators would get in with what they have.
	Admins int
}

// Previews is what each mode would mean.
type Previews struct {
	Modes []Preview // one for each mode, the laxest first
	// Away is how many members are not counted: invited and not joined, switched
	// off, or without any way to sign in yet.
	Away int
}

// Of returns the preview of a mode.
func (p Previews) Of(mode mfa.Policy) Preview {
	for _, each := range p.Modes {
		if each.Mode == mode {
			return each
		}
	}
	return Preview{Mode: mode}
}

// Preview says what each mode would mean under the given rules. The rule is
// asked once for each group of members who stand alike, so that the cost hardly
// grows with their number.
func (s *Service) Preview(ctx context.Context, a Actor, rules settings.Rules) (Previews, error) {
	tenant, groups, err := s.census(ctx, a.Account)
	if err != nil {
		return Previews{}, err
	}
	var p Previews
	for mode := mfa.Optional; mode <= mfa.Required; mode++ {
		p.Modes = append(p.Modes, s.preview(tenant, groups, rules, mode))
	}
	for _, g := range groups {
		if !present(tenant, g.Standing) {
			p.Away += g.People
		}
	}
	return p, nil
}

func (s *Service) preview(tenant *facts.Tenant, groups []storage.Alike, rules settings.Rules, mode mfa.Policy) Preview {
	p := Preview{Mode: mode}
	for _, g := range groups {
		if !present(tenant, g.Standing) {
			continue
		}
		o := s.outcome(tenant, g.Standing, rules, mode)
		p.People[o] += g.People
		if g.Role == mfa.RoleAdmin && o.Enters() {
			p.Admins += g.People
		}
	}
	return p
}

// outcome asks the rule about everybody of one standing.
func (s *Service) outcome(tenant *facts.Tenant, st storage.Standing, rules settings.Rules, mode mfa.Policy) mfa.Outcome {
	return mfa.Decide(rules.In(usually(tenant, st, s.Now())).Under(mode)).Outcome()
}

func (s *Service) census(ctx context.Context, account string) (*facts.Tenant, []storage.Alike, error) {
	tenant, err := s.Login.Facts.Tenant(ctx, account)
	if err != nil {
		return nil, nil, err
	}
	groups, err := s.Store.Census(ctx, account, s.Now())
	return tenant, groups, err
}

// somebody is whom the facts about a group are about.
const somebody = "somebody"

// usually makes the facts about a member of a standing who has just signed in as
// they usually do: through the identity provider that their domain leads to,
// else with their password, else with a passkey. Whoever can do none of that has
// proven nothing.
func usually(tenant *facts.Tenant, st storage.Standing, now time.Time) mfa.Facts {
	f := mfa.Facts{
		Now: now, Account: tenant.Account, User: mfa.User{ID: somebody, Disabled: st.Disabled},
		Member: mfa.Member{Role: st.Role, State: st.State}, Domain: tenant.Domains[st.Domain], Enrolled: st.Enrolled,
	}
	if st.Snoozed {
		f.Member.SnoozedUntil = now.Add(time.Second)
	}
	provider := f.Domain.Provider
	linked := slices.ContainsFunc(tenant.Account.Providers, func(p mfa.Provider) bool { return p.ID == provider })
	switch {
	case f.Domain.Verified && provider != "" && linked:
		f.Proof = mfa.Proof{User: somebody, First: now, FirstBy: mfa.BySSO, Provider: provider}
	case st.Password:
		f.Proof = mfa.Proof{User: somebody, First: now, FirstBy: mfa.ByPassword}
	case st.Enrolled.Has(mfa.WebAuthn):
		f.Proof = mfa.Proof{User: somebody, First: now, FirstBy: mfa.ByPasskey, Second: now, SecondBy: mfa.WebAuthn}
	}
	return f
}

// present reports whether a member could be in the account at all.
func present(tenant *facts.Tenant, st storage.Standing) bool {
	return st.State == mfa.Joined && !st.Disabled && !usually(tenant, st, time.Unix(0, 0)).Proof.First.IsZero()
}

// PeoplePage is how many people one page names.
const PeoplePage = 50

// PeopleWith names members for whom a mode would have an outcome, a page at a
// time: after is the next of the page before.
func (s *Service) PeopleWith(ctx context.Context, a Actor, rules settings.Rules, mode mfa.Policy, o mfa.Outcome, after string) (people []storage.Person, next string, err error) {
	return s.peopleWith(ctx, a, rules, mode, o, after, PeoplePage)
}

func (s *Service) peopleWith(ctx context.Context, a Actor, rules settings.Rules, mode mfa.Policy, o mfa.Outcome, after string, limit int) (people []storage.Person, next string, err error) {
	for p, err := range s.those(ctx, a, rules, mode, o, after, limit+1) {
		if err != nil {
			return nil, "", err
		}
		if len(people) == limit {
			return people, next, nil
		}
		people, next = append(people, p.Person), p.at
	}
	return people, "", nil
}

// located is somebody with their place in a list.
type located struct {
	storage.Person
	at string // whoever comes next comes after it
}

// those walks through the people for whom a mode would have this outcome, from
// after a place on. The account's people are counted once, however long the walk
// is; it reads that many of them at a time.
func (s *Service) those(ctx context.Context, a Actor, rules settings.Rules, mode mfa.Policy, o mfa.Outcome, after string, batch int) iter.Seq2[located, error] {
	return func(yield func(located, error) bool) {
		tenant, groups, err := s.census(ctx, a.Account)
		if err != nil {
			yield(located{}, err)
			return
		}
		slices.SortFunc(groups, func(x, y storage.Alike) int { return cmp.Compare(place(x.Standing), place(y.Standing)) })
		group, from, _ := strings.Cut(after, "|")
		for _, g := range groups {
			here := place(g.Standing)
			if here < group || !present(tenant, g.Standing) || s.outcome(tenant, g.Standing, rules, mode) != o {
				continue
			}
			if here != group {
				from = ""
			}
			for more := true; more; {
				list, err := s.Store.PeopleAlike(ctx, a.Account, g.Standing, s.Now(), from, batch)
				if err != nil {
					yield(located{}, err)
					return
				}
				for _, p := range list {
					from = p.ID
					if !yield(located{p, here + "|" + p.ID}, nil) {
						return
					}
				}
				more = len(list) == batch
			}
		}
	}
}

// place orders the groups of a census, so that a page can go on where another
// ended.
func place(st storage.Standing) string {
	return fmt.Sprintf("%s.%s.%t.%t.%s.%s.%t", st.State, st.Role, st.Disabled, st.Password, st.Enrolled, st.Domain, st.Snoozed)
}
