// Package operate is what an operator does: by declaring accounts and people in
// the configuration, or by the command line. Whoever may do this may do
// anything; who that is, is for the configuration and the admin endpoint to say.
package operate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/internal/settings"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Operator acts on accounts and people.
type Operator struct {
	Store storage.Storage
	Login *login.Service
	Admin *admin.Service
	// Masters is where the master key comes from.
	Masters Masters
	Now     func() time.Time
	Record  func(context.Context, storage.Event)
}

// Declaration is what a configuration says about accounts and people.
type Declaration struct {
	// Floor is the least that every account must ask. Zero: nothing.
	Floor    mfa.Policy
	Accounts []DeclaredAccount
	Users    []DeclaredUser
}

// DeclaredAccount is one declared account.
type DeclaredAccount struct {
	ID        string
	Name      string
	Policy    mfa.Policy
	Rules     settings.Rules
	Domains   []storage.Domain // of this account; the store's own matters are left zero
	Providers []DeclaredProvider
}

// DeclaredProvider is one declared identity provider.
type DeclaredProvider struct {
	ID      string // unique among all accounts
	Kind    string
	Name    string
	Trust   mfa.Trust
	Linking login.Linking
}

// DeclaredUser is one declared person.
type DeclaredUser struct {
	Email        string
	Name         string
	PasswordHash string
	Memberships  []DeclaredMembership
}

// DeclaredMembership is a declared person's place in an account.
type DeclaredMembership struct {
	Account string
	Role    mfa.Role
}

// byConfig is who declared rows say changed them.
const byConfig = "configuration"

// Declare makes the store say what the configuration says. Declared rows are
// the configuration's; rows it used to declare are disabled, not deleted, so
// that no authenticator and no audit is lost by an edit. An account or a person
// that the store had before under the same name is taken over.
func (o *Operator) Declare(ctx context.Context, d Declaration) error {
	o.Login.Facts.SetFloor(d.Floor)
	accounts := make(map[string]bool, len(d.Accounts))
	for _, a := range d.Accounts {
		accounts[a.ID] = true
		if err := again(func() error { return o.declareAccount(ctx, a) }); err != nil {
			return fmt.Errorf("declaring account %q: %w", a.ID, err)
		}
		if err := again(func() error { return o.declareCompany(ctx, a) }); err != nil {
			return fmt.Errorf("declaring account %q: %w", a.ID, err)
		}
	}
	users := make(map[string]bool, len(d.Users))
	for _, u := range d.Users {
		users[u.Email] = true
		if err := again(func() error { return o.declareUser(ctx, u) }); err != nil {
			return fmt.Errorf("declaring user %q: %w", u.Email, err)
		}
	}
	return o.disableUndeclared(ctx, accounts, users)
}

// again declares once more what another node has declared at the same moment:
// then its row is there to be compared.
func again(declare func() error) error {
	err := declare()
	if errors.Is(err, storage.ErrExists) {
		err = declare()
	}
	return err
}

func (o *Operator) declareAccount(ctx context.Context, a DeclaredAccount) error {
	same := errors.New("as declared")
	raised := false
	_, err := o.Store.UpdateAccount(ctx, a.ID, func(row *storage.Account) error {
		if row.Name == a.Name && row.Policy == a.Policy && settings.RulesOf(*row) == a.Rules && row.Origin == storage.FromConfig && !row.Disabled {
			return same
		}
		if raised = row.Policy != a.Policy || settings.RulesOf(*row) != a.Rules; raised {
			row.PolicyBy, row.PolicyAt = byConfig, o.Now()
		}
		row.Name, row.Policy, row.Origin, row.Disabled = a.Name, a.Policy, storage.FromConfig, false
		row.Accept, row.SecondFactorAge, row.Remember = a.Rules.Accept, a.Rules.SecondFactorAge, a.Rules.Remember
		settings.Unplan(row) // what the configuration says holds, and nothing beside it
		settings.EndTrial(row)
		return nil
	})
	switch {
	case errors.Is(err, same):
		return nil
	case errors.Is(err, storage.ErrNotFound):
		raised = true
		err = o.Store.CreateAccount(ctx, storage.Account{
			ID: a.ID, Name: a.Name, Policy: a.Policy, PolicyBy: byConfig, PolicyAt: o.Now(), Origin: storage.FromConfig, Created: o.Now(),
			Accept: a.Rules.Accept, SecondFactorAge: a.Rules.SecondFactorAge, Remember: a.Rules.Remember,
		})
	}
	if err == nil && raised {
		o.Record(ctx, storage.Event{At: o.Now(), Action: "set_policy", Outcome: "ok", Reason: a.Policy.String(), Actor: byConfig, Account: a.ID, Detail: "accepts " + a.Rules.Accept.AcceptString()})
	}
	return err
}

func (o *Operator) declareUser(ctx context.Context, u DeclaredUser) error {
	row, err := o.Store.UserByEmail(ctx, u.Email)
	if errors.Is(err, storage.ErrNotFound) {
		row = storage.User{ID: session.NewID(), Email: u.Email, Created: o.Now()}
		row.Name, row.PasswordHash, row.PasswordChanged, row.Origin = u.Name, u.PasswordHash, o.Now(), storage.FromConfig
		err = o.Store.CreateUser(ctx, row)
	} else if err == nil {
		err = o.updateDeclared(ctx, row, u)
	}
	if err != nil {
		return err
	}
	declared := make(map[string]bool, len(u.Memberships))
	for _, m := range u.Memberships {
		declared[m.Account] = true
		now, err := o.Store.Membership(ctx, m.Account, row.ID)
		if err == nil && now.Role == m.Role && now.State == mfa.Joined && now.Origin == storage.FromConfig {
			continue
		}
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		if err := o.Store.PutMembership(ctx, storage.Membership{
			Account: m.Account, User: row.ID, Role: m.Role, State: mfa.Joined, Origin: storage.FromConfig, Created: o.Now(),
		}); err != nil {
			return fmt.Errorf("joining account %q: %w", m.Account, err)
		}
	}
	belongs, err := o.Store.MembershipsOf(ctx, row.ID)
	if err != nil {
		return err
	}
	for _, m := range belongs {
		if m.Origin == storage.FromConfig && !declared[m.Account] {
			if err := o.Store.RemoveMembership(ctx, m.Account, row.ID); err != nil && !errors.Is(err, storage.ErrNotFound) {
				return err
			}
		}
	}
	return nil
}

func (o *Operator) updateDeclared(ctx context.Context, row storage.User, u DeclaredUser) error {
	if row.Name == u.Name && row.PasswordHash == u.PasswordHash && row.Origin == storage.FromConfig && !row.Disabled {
		return nil
	}
	changed := row.PasswordHash != u.PasswordHash
	_, err := o.Store.UpdateUser(ctx, row.ID, func(r *storage.User) error {
		r.Name, r.PasswordHash, r.Origin, r.Disabled = u.Name, u.PasswordHash, storage.FromConfig, false
		if changed {
			r.PasswordChanged = o.Now()
		}
		return nil
	})
	if err == nil && changed {
		_, err = o.Store.RevokeSessionsOf(ctx, row.ID, "", o.Now())
	}
	return err
}

// page is how many rows are read at once.
const page = 500

// disableUndeclared looks at what was declared before, however many rows there
// are beside it.
func (o *Operator) disableUndeclared(ctx context.Context, accounts, users map[string]bool) error {
	for after := ""; ; {
		rows, err := o.Store.AccountsDeclared(ctx, after, page)
		if err != nil {
			return err
		}
		for _, row := range rows {
			after = row.ID
			if !accounts[row.ID] {
				if _, err := o.Store.UpdateAccount(ctx, row.ID, func(a *storage.Account) error {
					a.Disabled = true
					return nil
				}); err != nil {
					return fmt.Errorf("disabling account %q, which is no longer declared: %w", row.ID, err)
				}
			}
		}
		if len(rows) < page {
			break
		}
	}
	for after := ""; ; {
		rows, err := o.Store.UsersDeclared(ctx, after, page)
		if err != nil {
			return err
		}
		for _, row := range rows {
			after = row.Email
			if !users[row.Email] {
				if _, err := o.Store.UpdateUser(ctx, row.ID, func(u *storage.User) error {
					u.Disabled = true
					return nil
				}); err != nil {
					return fmt.Errorf("disabling user %q, who is no longer declared: %w", row.Email, err)
				}
			}
		}
		if len(rows) < page {
			return nil
		}
	}
}
