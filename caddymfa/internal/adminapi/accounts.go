package adminapi

import (
	"net/http"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Status says that the gate works, and with what.
type Status struct {
	Storage string `json:"storage,omitempty"`
	Base    string `json:"base"`
	Origin  string `json:"origin,omitempty"`
}

func (c *call) status() (any, error) {
	if err := c.Operator.Store.Ping(c.ctx); err != nil {
		return nil, &Error{Status: http.StatusServiceUnavailable, Err: err}
	}
	return Status{Storage: c.Location, Base: c.Base, Origin: c.Origin}, nil
}

// Account is an account as the API tells of it.
type Account struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Policy   string    `json:"policy"`
	Accept   string    `json:"accept"`    // "any", or the kinds of second factor that count
	PolicyBy string    `json:"policy_by"` // user id, "operator" or "configuration"
	PolicyAt time.Time `json:"policy_at"`
	Disabled bool      `json:"disabled"`
	// Declared accounts are the configuration's, and changed nowhere else.
	Declared bool `json:"declared"`
}

func accountJSON(a storage.Account) Account {
	return Account{
		ID: a.ID, Name: a.Name, Policy: a.Policy.String(), Accept: a.Accept.AcceptString(), PolicyBy: a.PolicyBy, PolicyAt: a.PolicyAt.UTC(),
		Disabled: a.Disabled, Declared: a.Origin == storage.FromConfig,
	}
}

// AccountList is a part of the accounts, by id. Next, if it is there, is the
// "after" of the following part.
type AccountList struct {
	Accounts []Account `json:"accounts"`
	Next     string    `json:"next,omitempty"`
}

func (c *call) listAccounts() (any, error) {
	limit, err := c.limit(defaultPage)
	if err != nil {
		return nil, err
	}
	rows, next, err := c.Operator.Accounts(c.ctx, c.ask.Get("after"), limit)
	if err != nil {
		return nil, err
	}
	list := AccountList{Accounts: make([]Account, len(rows)), Next: next}
	for i, row := range rows {
		list.Accounts[i] = accountJSON(row)
	}
	return list, nil
}

// NewAccount is an account to be added.
type NewAccount struct {
	ID     string `json:"id"`
	Name   string `json:"name,omitempty"` // empty: the id
	Policy string `json:"policy"`
}

func (c *call) addAccount() (any, error) {
	var in NewAccount
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	policy, err := mfa.ParsePolicy(in.Policy)
	if err != nil {
		return nil, invalid("%w", err)
	}
	if err := c.Operator.AddAccount(c.ctx, in.ID, in.Name, policy); err != nil {
		return nil, err
	}
	row, err := c.Operator.Account(c.ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return accountJSON(row), nil
}

// Policy is the policy to set.
type Policy struct {
	Policy string `json:"policy"`
	Accept string `json:"accept,omitempty"` // "any" or "webauthn"; empty: as it is
}

// PolicyChange tells what a policy was before. It is in force already.
type PolicyChange struct {
	Account string `json:"account"`
	Policy  string `json:"policy"`
	Former  string `json:"former"`
}

func (c *call) setPolicy() (any, error) {
	var in Policy
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	policy, err := mfa.ParsePolicy(in.Policy)
	if err != nil {
		return nil, invalid("%w", err)
	}
	var accept *mfa.Kinds
	if in.Accept != "" {
		kinds, err := mfa.ParseAccept(in.Accept)
		if err != nil {
			return nil, invalid("%w", err)
		}
		accept = &kinds
	}
	former, err := c.Operator.SetPolicy(c.ctx, c.at["account"], policy, accept)
	if err != nil {
		return nil, err
	}
	return PolicyChange{Account: c.at["account"], Policy: policy.String(), Former: former.String()}, nil
}

// Member is the place to give a person in an account.
type Member struct {
	Role string `json:"role,omitempty"` // empty: member
}

// Membership is a person's place in an account.
type Membership struct {
	Account  string `json:"account"`
	Role     string `json:"role"`
	State    string `json:"state"`
	Declared bool   `json:"declared"`
}

// parseRole reads a role; who names none means a member.
func parseRole(name string) (mfa.Role, error) {
	if name == "" {
		return mfa.RoleMember, nil
	}
	role, err := mfa.ParseRole(name)
	if err != nil {
		return 0, invalid("%w", err)
	}
	return role, nil
}

func (c *call) putMember() (any, error) {
	var in Member
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	role, err := parseRole(in.Role)
	if err != nil {
		return nil, err
	}
	if err := c.Operator.AddMember(c.ctx, c.at["account"], c.at["user"], role); err != nil {
		return nil, err
	}
	return Membership{Account: c.at["account"], Role: role.String(), State: mfa.Joined.String()}, nil
}

func (c *call) removeMember() (any, error) {
	return Done{}, c.Operator.RemoveMember(c.ctx, c.at["account"], c.at["user"])
}

// Done is the answer of what has nothing to tell but that it is done.
type Done struct{}
