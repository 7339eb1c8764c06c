package api

import (
	"errors"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// role is the name of a role.
type role string

// Invite is who is to be invited.
type Invite struct {
	Email string `json:"email"`
	Role  role   `json:"role"`
}

// RoleChange is a role that a person is to have.
type RoleChange struct {
	Role role `json:"role"`
}

// Ended is how many sessions ended.
type Ended struct {
	Sessions int `json:"sessions"`
}

// PersonList is a part of the account's people.
type PersonList struct {
	People []Person `json:"people"`
	Next   string   `json:"next,omitempty" jsonschema:"the after of the following part; absent: there is none"`
}

// Person is one of the account's people.
type Person struct {
	ID             string     `json:"id"`
	Email          string     `json:"email"`
	Name           string     `json:"name,omitempty"`
	Role           role       `json:"role"`
	Joined         bool       `json:"joined" jsonschema:"false: invited"`
	Since          time.Time  `json:"since" jsonschema:"when they joined or were invited"`
	SecondFactor   string     `json:"second_factor" jsonschema:"how they stand: enrolled, provider, missing, invited or off"`
	Overdue        bool       `json:"overdue" jsonschema:"the mode in force keeps them out until they set up a second factor that counts"`
	Authenticators []string   `json:"authenticators" jsonschema:"the kinds that they have"`
	Enrolled       *time.Time `json:"enrolled,omitempty" jsonschema:"when the oldest authenticator was added"`
	Used           *time.Time `json:"used,omitempty" jsonschema:"when one was last accepted"`
	SignedIn       *time.Time `json:"signed_in,omitempty" jsonschema:"when they last signed in to the account"`
	Provider       string     `json:"provider,omitempty" jsonschema:"the id of the identity provider that this was through"`
	ProviderAMR    string     `json:"provider_amr,omitempty" jsonschema:"what the provider said of it"`
	ProviderACR    string     `json:"provider_acr,omitempty"`
	Declared       bool       `json:"declared" jsonschema:"the gate's configuration owns the membership, and it cannot be changed here"`
}

func personOf(m admin.Member) Person {
	p := Person{
		ID: m.User, Email: m.Email, Name: m.Name, Role: role(m.Role.String()), Joined: m.State == mfa.Joined, Since: m.Created,
		SecondFactor: string(m.Coverage), Overdue: m.Overdue, Authenticators: []string{}, Enrolled: when(m.Since), Used: when(m.Used),
		SignedIn: when(m.SignedIn), Provider: m.Provider, ProviderAMR: m.ProviderAMR, ProviderACR: m.ProviderACR,
		Declared: m.Origin == storage.FromConfig,
	}
	for _, kind := range []mfa.Kind{mfa.TOTP, mfa.WebAuthn} {
		if m.Enrolled.Has(kind) {
			p.Authenticators = append(p.Authenticators, kind.String())
		}
	}
	return p
}

func (c *call) listPeople() (any, error) {
	q := admin.PeopleQuery{Only: c.ask.Get("only"), Search: c.ask.Get("search"), After: c.ask.Get("after")}
	var err error
	if q.Limit, err = c.limit(); err != nil {
		return nil, err
	}
	people, next, err := c.Admin.People(c.ctx, c.actor(), q)
	if err != nil {
		return nil, err
	}
	list := PersonList{People: make([]Person, len(people)), Next: next}
	for i, m := range people {
		list.People[i] = personOf(m)
	}
	return list, nil
}

// read answers with a person as they are now.
func (c *call) read(user string) (any, error) {
	m, err := c.Admin.Person(c.ctx, c.actor(), user)
	if err != nil {
		return nil, err
	}
	return personOf(m), nil
}

func (c *call) person() (any, error) { return c.read(c.at["person"]) }

func (c *call) invitePerson() (any, error) {
	var in Invite
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	r, err := mfa.ParseRole(string(in.Role))
	if err != nil {
		return nil, invalid("role: %v.", admin.ErrRole)
	}
	invited, err := c.Admin.Invite(c.ctx, c.actor(), in.Email, r)
	if errors.Is(err, admin.ErrAddress) {
		return nil, invalid("email: %v.", admin.ErrAddress)
	}
	if err != nil {
		return nil, err
	}
	return c.read(invited.User)
}

func (c *call) inviteAgain() (any, error) {
	if _, err := c.Admin.Resend(c.ctx, c.actor(), c.at["person"]); err != nil {
		return nil, err
	}
	return c.person()
}

func (c *call) setRole() (any, error) {
	var in RoleChange
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	r, err := mfa.ParseRole(string(in.Role))
	if err != nil {
		return nil, invalid("role: %v.", admin.ErrRole)
	}
	if err := c.Admin.SetRole(c.ctx, c.actor(), c.at["person"], r); err != nil {
		return nil, err
	}
	return c.person()
}

func (c *call) resetPerson() (any, error) {
	if _, err := c.Admin.ResetFactors(c.ctx, c.actor(), c.at["person"]); err != nil {
		return nil, err
	}
	return c.person()
}

func (c *call) endSessions() (any, error) {
	n, err := c.Admin.EndSessions(c.ctx, c.actor(), c.at["person"])
	return Ended{n}, err
}

func (c *call) removePerson() (any, error) {
	return nil, c.Admin.RemoveMember(c.ctx, c.actor(), c.at["person"])
}
