package admin

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/settings"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Member is somebody of the account, with what its administrators may know. Of
// who has not joined yet that is the address that was invited: whether it is
// known here, because of another account, is not this one's to know.
type Member struct {
	storage.Rostered
	ProviderName string // of the provider that they last came through; empty: none, or it is gone
	// Overdue reports that the mode in force keeps them out until they set up a
	// second factor that counts.
	Overdue bool
}

// Which people a list shows, besides a coverage.
const (
	OnlyAdmins  = "admins"
	OnlyOverdue = "overdue"
)

// PeopleQuery selects people of the account.
type PeopleQuery struct {
	Only   string // a [storage.Coverage], OnlyAdmins or OnlyOverdue; empty: everybody
	Search string // stands in the address or the name
	After  string // next of the part before
	Limit  int
}

// Standing says how the account's people stand.
type Standing struct {
	Mode    mfa.Policy // in force
	People  int
	Of      map[storage.Coverage]int
	Overdue int
}

// Standing counts the account's people.
func (s *Service) Standing(ctx context.Context, a Actor) (Standing, error) {
	tenant, groups, err := s.census(ctx, a.Account)
	if err != nil {
		return Standing{}, err
	}
	st := Standing{Mode: tenant.Account.Mode(s.Now())}
	if st.Of, err = s.Store.CountRoster(ctx, a.Account); err != nil {
		return st, err
	}
	for _, n := range st.Of {
		st.People += n
	}
	st.Overdue = s.preview(tenant, groups, rulesIn(tenant.Account), st.Mode).People[mfa.MustEnroll]
	return st, nil
}

// rulesIn are the options that are in force.
func rulesIn(a mfa.Account) settings.Rules {
	return settings.Rules{Accept: a.Accept, SecondFactorAge: a.SecondFactorAge, Remember: a.Remember}
}

// People lists people of the account. Next is where the following part begins;
// empty: there is none.
func (s *Service) People(ctx context.Context, a Actor, q PeopleQuery) (list []Member, next string, err error) {
	q.Search = strings.TrimSpace(q.Search)
	if q.Only == OnlyOverdue {
		return s.overdue(ctx, a, q)
	}
	ask := storage.RosterQuery{Account: a.Account, Search: q.Search, After: q.After, Limit: q.Limit + 1}
	switch {
	case q.Only == OnlyAdmins:
		ask.Admins = true
	case q.Only != "":
		ask.Coverage = storage.Coverage(q.Only)
	}
	rows, err := s.Store.Roster(ctx, ask)
	if err != nil {
		return nil, "", err
	}
	if len(rows) > q.Limit {
		rows = rows[:q.Limit]
		next = rows[q.Limit-1].Email
	}
	list, err = s.members(ctx, a, rows)
	return list, next, err
}

// walked is how many people a search among the overdue reads at a time.
const walked = 1000

// overdue lists who is overdue, in the order of the census.
func (s *Service) overdue(ctx context.Context, a Actor, q PeopleQuery) (list []Member, next string, err error) {
	tenant, err := s.Login.Facts.Tenant(ctx, a.Account)
	if err != nil {
		return nil, "", err
	}
	batch := walked
	if q.Search == "" {
		batch = q.Limit + 1
	}
	var rows []storage.Rostered
	last, more := "", false
	for p, err := range s.those(ctx, a, rulesIn(tenant.Account), tenant.Account.Mode(s.Now()), mfa.MustEnroll, q.After, batch) {
		if err != nil {
			return nil, "", err
		}
		if !strings.Contains(strings.ToLower(p.Email+" "+p.Name), strings.ToLower(q.Search)) {
			continue
		}
		if more = len(rows) == q.Limit; more {
			break
		}
		row, err := s.Store.Member(ctx, a.Account, p.ID)
		if errors.Is(err, storage.ErrNotFound) {
			continue // gone since
		}
		if err != nil {
			return nil, "", err
		}
		rows, last = append(rows, row), p.at
	}
	if more {
		next = last
	}
	list, err = s.members(ctx, a, rows)
	return list, next, err
}

// Person returns one of the account's people, or ErrNotFound.
func (s *Service) Person(ctx context.Context, a Actor, user string) (Member, error) {
	row, err := s.Store.Member(ctx, a.Account, user)
	if err != nil {
		return Member{}, err
	}
	list, err := s.members(ctx, a, []storage.Rostered{row})
	if err != nil {
		return Member{}, err
	}
	return list[0], nil
}

// members adds what a row of the roster does not say, and takes away what is not
// the account's to know.
func (s *Service) members(ctx context.Context, a Actor, rows []storage.Rostered) ([]Member, error) {
	tenant, err := s.Login.Facts.Tenant(ctx, a.Account)
	if err != nil {
		return nil, err
	}
	names := make(map[string]string)
	providers, err := s.Store.ProvidersOf(ctx, a.Account)
	if err != nil {
		return nil, err
	}
	for _, p := range providers {
		names[p.ID] = p.Name
	}
	list := make([]Member, len(rows))
	for i, row := range rows {
		if row.State != mfa.Joined {
			list[i] = Member{Rostered: storage.Rostered{Membership: row.Membership, Coverage: row.Coverage, Email: row.Email}}
			continue
		}
		st := storage.Standing{State: row.State, Role: row.Role, Disabled: row.UserDisabled, Password: row.Password,
			Enrolled: row.Enrolled, Domain: storage.DomainOf(row.Email), Snoozed: row.SnoozedUntil.After(s.Now())}
		list[i] = Member{Rostered: row, ProviderName: names[row.Provider], Overdue: present(tenant, st) &&
			s.outcome(tenant, st, rulesIn(tenant.Account), tenant.Account.Mode(s.Now())) == mfa.MustEnroll}
	}
	return list, nil
}

// ExportPeople gives all selected people to write, however many they are.
func (s *Service) ExportPeople(ctx context.Context, a Actor, q PeopleQuery, write func(Member) error) error {
	s.record(ctx, a, storage.Event{Action: "export_people", Outcome: "ok"})
	for q.Limit = exportPart; ; {
		list, next, err := s.People(ctx, a, q)
		if err != nil {
			return err
		}
		for _, m := range list {
			if err := write(m); err != nil {
				return err
			}
		}
		if q.After = next; next == "" {
			return nil
		}
	}
}

// adoptionShown is how many changes of an account's coverage are shown.
const adoptionShown = 400

// Adoption lists how the account's people stood, from day to day, oldest first,
// and how they stand now.
func (s *Service) Adoption(ctx context.Context, a Actor, now Standing) ([]storage.Adoption, error) {
	days, err := s.Store.AdoptionOf(ctx, a.Account, adoptionShown)
	if err != nil {
		return nil, err
	}
	today := storage.Adoption{Day: s.Now().UTC().Truncate(24 * time.Hour), Counts: now.Of}
	if n := len(days); n > 0 && !days[n-1].Day.Before(today.Day) {
		days = days[:n-1]
	}
	return append(days, today), nil
}

// noteBatch is how many accounts are looked at in one write.
const noteBatch = 100

// NoteAdoption keeps how the people of every account stand today.
func (s *Service) NoteAdoption(ctx context.Context) error {
	for after := ""; ; {
		last, err := s.Store.NoteAdoption(ctx, s.Now(), after, noteBatch)
		if err != nil || last == "" {
			return err
		}
		after = last
	}
}
