package adminapi

import (
	"net/url"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/operate"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// User is a person as the API tells of them: without any secret.
type User struct {
	ID             string       `json:"id"`
	Email          string       `json:"email"`
	Name           string       `json:"name"`
	Password       bool         `json:"password"` // whether they have one
	Authenticators []string     `json:"authenticators"`
	Memberships    []Membership `json:"memberships"`
	Disabled       bool         `json:"disabled"`
	// Declared people are the configuration's. Their authenticators and
	// sessions are not.
	Declared bool `json:"declared"`
}

func userJSON(p operate.Person) User {
	u := User{
		ID: p.ID, Email: p.Email, Name: p.Name, Password: p.PasswordHash != "", Disabled: p.Disabled,
		Declared: p.Origin == storage.FromConfig, Authenticators: kinds(p.Authenticators),
		Memberships: make([]Membership, len(p.Memberships)),
	}
	for i, m := range p.Memberships {
		u.Memberships[i] = Membership{Account: m.Account, Role: m.Role.String(), State: m.State.String(), Declared: m.Origin == storage.FromConfig}
	}
	return u
}

// UserList is a part of the people: everybody by e-mail, or an account's
// members. Next, if it is there, is the "after" of the following part.
type UserList struct {
	Users []User `json:"users"`
	Next  string `json:"next,omitempty"`
}

func (c *call) listUsers() (any, error) {
	limit, err := c.limit(defaultPage)
	if err != nil {
		return nil, err
	}
	people, next, err := c.Operator.People(c.ctx, c.ask.Get("account"), c.ask.Get("after"), limit)
	if err != nil {
		return nil, err
	}
	list := UserList{Users: make([]User, len(people)), Next: next}
	for i, p := range people {
		list.Users[i] = userJSON(p)
	}
	return list, nil
}

// NewUser is a person to be added, and the account to join at once, if any.
type NewUser struct {
	Email   string `json:"email"`
	Name    string `json:"name,omitempty"`
	Account string `json:"account,omitempty"`
	Role    string `json:"role,omitempty"` // empty: member
}

func (c *call) addUser() (any, error) {
	var in NewUser
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	role, err := parseRole(in.Role)
	if err != nil {
		return nil, err
	}
	if in.Account == "" && in.Role != "" {
		return nil, invalid("a role is held in an account: name one")
	}
	if in.Account != "" {
		// Before anybody is added: half of what was asked for helps nobody.
		if _, err := c.Operator.Account(c.ctx, in.Account); err != nil {
			return nil, err
		}
	}
	u, err := c.Operator.AddUser(c.ctx, in.Email, in.Name)
	if err != nil {
		return nil, err
	}
	if in.Account != "" {
		if err := c.Operator.AddMember(c.ctx, in.Account, u.Email, role); err != nil {
			return nil, err
		}
	}
	rows, err := c.Operator.Store.MembershipsOf(c.ctx, u.ID)
	if err != nil {
		return nil, err
	}
	return userJSON(operate.Person{User: u, Memberships: rows}), nil
}

// Password is a person's new password: itself, or its hash as
// `caddy hash-password` prints it.
type Password struct {
	Password string `json:"password,omitempty"`
	Hash     string `json:"hash,omitempty"`
}

func (c *call) setPassword() (any, error) {
	var in Password
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if (in.Password == "") == (in.Hash == "") {
		return nil, invalid("either a password or its hash is needed")
	}
	if in.Hash != "" {
		if err := c.CheckHash(in.Hash); err != nil {
			return nil, invalid("%w", err)
		}
		return Done{}, c.Operator.SetPassword(c.ctx, c.at["user"], in.Hash)
	}
	u, err := c.Operator.User(c.ctx, c.at["user"])
	if err != nil {
		return nil, err
	}
	hash, err := c.Operator.Login.NewHash(c.ctx, u, in.Password)
	if err != nil {
		return nil, err
	}
	return Done{}, c.Operator.SetPassword(c.ctx, c.at["user"], hash)
}

func (c *call) disableUser() (any, error) {
	return Done{}, c.Operator.SetDisabled(c.ctx, c.at["user"], true)
}

func (c *call) enableUser() (any, error) {
	return Done{}, c.Operator.SetDisabled(c.ctx, c.at["user"], false)
}

// Reset tells how many authenticators went.
type Reset struct {
	Removed int `json:"removed"`
}

func (c *call) resetAuthenticators() (any, error) {
	n, err := c.Operator.ResetAuthenticators(c.ctx, c.at["user"])
	return Reset{Removed: n}, err
}

// Ended tells how many sessions were ended.
type Ended struct {
	Ended int `json:"ended"`
}

func (c *call) endSessions() (any, error) {
	n, err := c.Operator.EndSessions(c.ctx, c.at["user"])
	return Ended{Ended: n}, err
}

// SetUpFor says where the person will open the set-up link.
type SetUpFor struct {
	// Origin is the portal's scheme, host and port. Empty: what the gate knows
	// of its own address, if anything.
	Origin string `json:"origin,omitempty"`
}

// SetUp is what a person needs for choosing a password. The link's fragment is
// the code: browsers keep it to themselves, so that it stands in no log.
type SetUp struct {
	Code    string    `json:"code"`
	Expires time.Time `json:"expires"`
	Link    string    `json:"link,omitempty"` // empty: no origin was known
}

func (c *call) createSetUp() (any, error) {
	var in SetUpFor
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	origin, err := c.originFor(in.Origin)
	if err != nil {
		return nil, err
	}
	code, expires, err := c.Operator.CreateSetUp(c.ctx, c.at["user"])
	if err != nil {
		return nil, err
	}
	out := SetUp{Code: code, Expires: expires.UTC()}
	if origin != "" {
		out.Link = origin + c.Base + "/setup#" + code
	}
	return out, nil
}

// originFor is where a link leads: where the caller says, or else what the gate
// knows of its own address.
func (c *call) originFor(text string) (string, error) {
	if text == "" {
		return c.Origin, nil
	}
	return parseOrigin(text)
}

// parseOrigin reads a scheme and a host, and refuses everything that a person
// could be sent elsewhere with.
func parseOrigin(text string) (string, error) {
	u, err := url.Parse(strings.TrimSuffix(text, "/"))
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" || u.Scheme+"://"+u.Host != u.String() {
		return "", invalid("origin %q: expected only a scheme and a host, such as https://portal.example.com", text)
	}
	return u.String(), nil
}
