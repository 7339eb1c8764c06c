package adminapi

import (
	"net/http"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/operate"
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
	// SecondFactorAge and Remember are durations; empty: the session, and never.
	SecondFactorAge string     `json:"second_factor_age,omitempty"`
	Remember        string     `json:"remember,omitempty"`
	Planned         string     `json:"planned,omitempty"` // a stricter policy that begins at PlannedAt
	PlannedAt       *time.Time `json:"planned_at,omitempty"`
	Trial           string     `json:"trial,omitempty"` // a policy that is only tried, since TrialAt
	TrialAt         *time.Time `json:"trial_at,omitempty"`
	Disabled        bool       `json:"disabled"`
	// Declared accounts are the configuration's, and changed nowhere else.
	Declared bool `json:"declared"`
}

func accountJSON(a storage.Account) Account {
	out := Account{
		ID: a.ID, Name: a.Name, Policy: a.Policy.String(), Accept: a.Accept.AcceptString(), PolicyBy: a.PolicyBy, PolicyAt: a.PolicyAt.UTC(),
		Disabled: a.Disabled, Declared: a.Origin == storage.FromConfig,
	}
	if a.SecondFactorAge > 0 {
		out.SecondFactorAge = a.SecondFactorAge.String()
	}
	if a.Remember > 0 {
		out.Remember = a.Remember.String()
	}
	if at := a.NextAt.UTC(); a.Next.Valid() {
		out.Planned, out.PlannedAt = a.Next.String(), &at
	}
	if at := a.TrialAt.UTC(); a.Trial.Valid() {
		out.Trial, out.TrialAt = a.Trial.String(), &at
	}
	return out
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

// Policy is the policy to set. What is left out stays as it is.
type Policy struct {
	Policy          string `json:"policy"`
	Accept          string `json:"accept,omitempty"`            // "any" or "webauthn"
	SecondFactorAge string `json:"second_factor_age,omitempty"` // as in "8h"; "0s": the session
	Remember        string `json:"remember,omitempty"`          // as in "168h"; "0s": not at all
	From            string `json:"from,omitempty"`              // when it begins, in RFC 3339; empty: at once
	Trial           bool   `json:"trial,omitempty"`             // only report what it would do
	DropPlans       bool   `json:"drop_plans,omitempty"`        // first take back what is planned, and end what is tried
}

// PolicyChange tells what a policy was before, and what the account's settings
// are now.
type PolicyChange struct {
	Account  string  `json:"account"`
	Policy   string  `json:"policy"`
	Former   string  `json:"former"`
	Settings Account `json:"settings"`
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
	want := operate.PolicyChange{Policy: policy, Trial: in.Trial, DropPlans: in.DropPlans}
	if in.Accept != "" {
		kinds, err := mfa.ParseAccept(in.Accept)
		if err != nil {
			return nil, invalid("%w", err)
		}
		want.Accept = &kinds
	}
	if want.SecondFactorAge, err = span("second_factor_age", in.SecondFactorAge); err != nil {
		return nil, err
	}
	if want.Remember, err = span("remember", in.Remember); err != nil {
		return nil, err
	}
	if in.From != "" {
		if want.From, err = time.Parse(time.RFC3339, in.From); err != nil {
			return nil, invalid("from %q: expected a moment such as 2026-03-01T00:00:00Z", in.From)
		}
	}
	former, changed, err := c.Operator.SetPolicy(c.ctx, c.at["account"], want)
	if err != nil {
		return nil, err
	}
	return PolicyChange{Account: changed.ID, Policy: changed.Policy.String(), Former: former.Policy.String(), Settings: accountJSON(changed)}, nil
}

// span reads a duration that may be left out.
func span(name, text string) (*time.Duration, error) {
	if text == "" {
		return nil, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return nil, invalid(`%s %q: expected a duration such as "8h"`, name, text)
	}
	return &d, nil
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
