package api

import (
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// wordSchemas are the schemas of words that are one of a few.
var wordSchemas = map[reflect.Type]*jsonschema.Schema{
	reflect.TypeFor[time.Time]():       moment,
	reflect.TypeFor[admin.PartyKind](): oneOf("person", "outsider", "operator", "configuration", "housekeeping", "token"),
	reflect.TypeFor[admin.Scope]():     oneOf(scopes()...),
	reflect.TypeFor[role]():            oneOf("member", "admin"),
	reflect.TypeFor[mode]():            oneOf("optional", "suggested", "required"),
	reflect.TypeFor[trust]():           oneOf("precedence", "verify", "stack"),
}

// mode is the name of a policy mode.
type mode string

func scopes() []string {
	var names []string
	for _, s := range admin.Scopes {
		names = append(names, string(s))
	}
	return names
}

// Account is the account that the token is of.
type Account struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Created  time.Time `json:"created"`
	Declared bool      `json:"declared" jsonschema:"the gate's configuration owns it, and it cannot be changed here"`
}

func (c *call) account() (any, error) {
	row, err := c.Admin.Store.Account(c.ctx, c.token.Account)
	if err != nil {
		return nil, err
	}
	return Account{ID: row.ID, Name: row.Name, Created: row.Created, Declared: row.Origin == storage.FromConfig}, nil
}

// Policy is how strictly the account's people must prove who they are.
type Policy struct {
	Mode            mode       `json:"mode" jsonschema:"in force now"`
	Chosen          mode       `json:"chosen" jsonschema:"what the account chose; the operator's least mode, or a planned one that is due, may be stricter"`
	Accept          []string   `json:"accept" jsonschema:"the kinds of second factor that count; empty: any"`
	SecondFactorAge int        `json:"second_factor_age" jsonschema:"how many seconds a second factor lasts; 0: as long as the session"`
	Remember        int        `json:"remember" jsonschema:"how many seconds a browser is remembered; 0: it is not"`
	Planned         mode       `json:"planned,omitempty" jsonschema:"a stricter mode that will begin"`
	PlannedAt       *time.Time `json:"planned_at,omitempty"`
	Trial           mode       `json:"trial,omitempty" jsonschema:"a mode that is tried and not enforced"`
	Declared        bool       `json:"declared" jsonschema:"the gate's configuration owns it, and it cannot be changed here"`
}

func (c *call) policy() (any, error) {
	row, err := c.Admin.Store.Account(c.ctx, c.token.Account)
	if err != nil {
		return nil, err
	}
	tenant, err := c.Admin.Login.Facts.Tenant(c.ctx, c.token.Account)
	if err != nil {
		return nil, err
	}
	c.tag = tagOf(row.Version)
	p := Policy{
		Mode: mode(tenant.Account.Mode(c.Admin.Now()).String()), Chosen: mode(row.Policy.String()), Accept: []string{},
		SecondFactorAge: int(row.SecondFactorAge.Seconds()), Remember: int(row.Remember.Seconds()), Declared: row.Origin == storage.FromConfig,
	}
	if row.Accept != 0 {
		p.Accept = strings.Split(row.Accept.String(), ",")
	}
	if row.Next.Valid() {
		p.Planned, p.PlannedAt = mode(row.Next.String()), when(row.NextAt)
	}
	if row.Trial.Valid() {
		p.Trial = mode(row.Trial.String())
	}
	return p, nil
}

// AuditList is a part of the account's audit.
type AuditList struct {
	Events []admin.Entry `json:"events"`
	Next   string        `json:"next,omitempty" jsonschema:"the before of the following part; absent: there is none"`
}

func (c *call) listAudit() (any, error) {
	q := admin.AuditQuery{Email: c.ask.Get("person"), Action: c.ask.Get("action"), Outcome: c.ask.Get("outcome")}
	var err error
	if q.Limit, err = c.limit(); err != nil {
		return nil, err
	}
	if q.Since, err = c.moment("since"); err != nil {
		return nil, err
	}
	if q.Until, err = c.moment("until"); err != nil {
		return nil, err
	}
	if text := c.ask.Get("before"); text != "" {
		if q.Before, err = strconv.ParseInt(text, 10, 64); err != nil || q.Before < 1 {
			return nil, invalid("before: expected the next of a former part.")
		}
	}
	entries, next, err := c.Admin.Audit(c.ctx, c.actor(), q)
	if err != nil {
		return nil, err
	}
	list := AuditList{Events: append([]admin.Entry{}, entries...)}
	if next != 0 {
		list.Next = strconv.FormatInt(next, 10)
	}
	return list, nil
}

// TokenList lists an account's tokens.
type TokenList struct {
	Tokens []Token `json:"tokens"`
}

// Token is a token of the account, without what its holder shows.
type Token struct {
	ID       string        `json:"id"`
	Name     string        `json:"name"`
	Scopes   []admin.Scope `json:"scopes"`
	Networks []string      `json:"networks" jsonschema:"from where it may be used; empty: from anywhere"`
	Created  time.Time     `json:"created"`
	Expires  time.Time     `json:"expires"`
	Used     *time.Time    `json:"used,omitempty" jsonschema:"when it was used last, to the minute; absent: never"`
	Revoked  *time.Time    `json:"revoked,omitempty"`
	Current  bool          `json:"current" jsonschema:"this request was made with it"`
}

func (c *call) listTokens() (any, error) {
	rows, err := c.Admin.Tokens(c.ctx, c.actor())
	if err != nil {
		return nil, err
	}
	list := TokenList{Tokens: make([]Token, len(rows))}
	for i, row := range rows {
		t := Token{ID: row.ID, Name: row.Name, Scopes: make([]admin.Scope, len(row.Scopes)), Networks: append([]string{}, row.Networks...),
			Created: row.Created, Expires: row.Expires, Used: when(row.Used), Revoked: when(row.Revoked), Current: row.ID == c.token.ID}
		for j, s := range row.Scopes {
			t.Scopes[j] = admin.Scope(s)
		}
		list.Tokens[i] = t
	}
	return list, nil
}

func (c *call) revokeToken() (any, error) {
	return nil, c.Admin.RevokeToken(c.ctx, c.actor(), c.at["token"])
}

// when is a time that may not be.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
