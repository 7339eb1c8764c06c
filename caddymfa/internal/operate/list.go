package operate

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// MaxPage is how many rows one list holds at most.
const MaxPage = 1000

// Person is a user with what an operator wants to see beside the row.
type Person struct {
	storage.User
	Memberships []storage.Membership
	// Authenticators holds the kinds that the person enrolled, those disabled
	// by wrong answers included: they still stand in the way.
	Authenticators mfa.Kinds
}

// Accounts lists accounts by id, after the one that next of the former list
// named. An empty next ends the list.
func (o *Operator) Accounts(ctx context.Context, after string, limit int) (rows []storage.Account, next string, err error) {
	if rows, err = o.Store.Accounts(ctx, after, limit+1); err != nil {
		return nil, "", err
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = rows[limit-1].ID
	}
	return rows, next, nil
}

// People lists the members of an account, or everybody ("").
func (o *Operator) People(ctx context.Context, account, after string, limit int) (people []Person, next string, err error) {
	if account != "" {
		return o.members(ctx, account, after, limit)
	}
	rows, err := o.Store.Users(ctx, after, limit+1)
	if err != nil {
		return nil, "", err
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = rows[limit-1].Email
	}
	for _, row := range rows {
		p, err := o.person(ctx, row)
		if err != nil {
			return nil, "", err
		}
		people = append(people, p)
	}
	return people, next, nil
}

func (o *Operator) members(ctx context.Context, account, after string, limit int) (people []Person, next string, err error) {
	if _, err := o.Account(ctx, account); err != nil {
		return nil, "", err
	}
	rows, err := o.Store.Members(ctx, account, after, limit+1)
	if err != nil {
		return nil, "", err
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = rows[limit-1].User
	}
	for _, m := range rows {
		u, err := o.Store.User(ctx, m.User)
		if errors.Is(err, storage.ErrNotFound) {
			continue // gone since the list was read
		}
		if err != nil {
			return nil, "", err
		}
		p, err := o.person(ctx, u)
		if err != nil {
			return nil, "", err
		}
		people = append(people, p)
	}
	return people, next, nil
}

// person adds what belongs to a user. It reads the store and not the gate's
// memory, which a long list would fill with people who are not there.
func (o *Operator) person(ctx context.Context, u storage.User) (Person, error) {
	p := Person{User: u}
	var err error
	if p.Memberships, err = o.Store.MembershipsOf(ctx, u.ID); err != nil {
		return Person{}, fmt.Errorf("reading the memberships of %q: %w", u.Email, err)
	}
	factors, err := o.Store.FactorsOf(ctx, u.ID)
	if err != nil {
		return Person{}, fmt.Errorf("reading the authenticators of %q: %w", u.Email, err)
	}
	for _, f := range factors {
		p.Authenticators |= mfa.Kinds(f.Kind)
	}
	return p, nil
}

// AuditQuery selects rows of the audit. The zero value selects all, none of
// which it returns: Limit says how many are wanted.
type AuditQuery struct {
	Email   string // whom it is about; empty: anybody
	Account string // empty: any
	Before  int64  // rows with a smaller ID; 0: from the newest
	Limit   int
}

// Entry is a row of the audit with the e-mail addresses of its people, as far
// as they are still known.
type Entry struct {
	storage.Event
	ActorEmail string
	UserEmail  string
}

// Audit lists what happened, the newest first.
func (o *Operator) Audit(ctx context.Context, q AuditQuery) ([]Entry, error) {
	query := storage.EventQuery{Account: q.Account, Before: q.Before, Limit: q.Limit}
	if q.Email != "" {
		u, err := o.User(ctx, q.Email)
		if err != nil {
			return nil, err
		}
		query.User = u.ID
	}
	if q.Account != "" {
		if _, err := o.Account(ctx, q.Account); err != nil {
			return nil, err
		}
	}
	rows, err := o.Store.Events(ctx, query)
	if err != nil {
		return nil, err
	}
	emails := map[string]string{"": "", byOperator: "", byConfig: ""}
	email := func(id string) (string, error) {
		if known, ok := emails[id]; ok {
			return known, nil
		}
		u, err := o.Store.User(ctx, id)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return "", err
		}
		emails[id] = u.Email
		return u.Email, nil
	}
	entries := make([]Entry, len(rows))
	for i, row := range rows {
		entries[i].Event = row
		if entries[i].ActorEmail, err = email(row.Actor); err != nil {
			return nil, err
		}
		if entries[i].UserEmail, err = email(row.User); err != nil {
			return nil, err
		}
	}
	return entries, nil
}
