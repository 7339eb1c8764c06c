package api

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
)

// operation is one thing that a program may ask for: where it is, what it takes,
// what it answers, and what it does. Routing, checking and the document are made
// from it.
type operation struct {
	id      string
	method  string
	path    string // below the API's base; segments in braces name something
	summary string
	about   string      // more, for people; may be empty
	open    bool        // needs no token
	person  string      // the page where an administrator does it, since no program may; empty: programs may
	scope   admin.Scope // what the token must be allowed; none with open
	query   []parameter // what the query may ask; anything else is an error
	in      any         // of the type that the body has; nil: there is none
	out     any         // of the type that is answered; nil: nothing is
	created bool        // what succeeds has made something
	tagged  bool        // a read answers with an ETag, a write needs it in If-Match
	do      func(*call) (any, error)
}

// parameter is a parameter of a query.
type parameter struct {
	name   string
	about  string
	schema *jsonschema.Schema
}

func has(list []parameter, name string) bool {
	return slices.ContainsFunc(list, func(p parameter) bool { return p.name == name })
}

func (o *operation) status() int {
	switch {
	case o.out == nil:
		return http.StatusNoContent
	case o.created:
		return http.StatusCreated
	}
	return http.StatusOK
}

// The parameters of lists.
var (
	limitOf = parameter{"limit", "How many at most; " + strconv.Itoa(defaultLimit) + " unless told otherwise.",
		&jsonschema.Schema{Type: "integer", Minimum: jsonschema.Ptr(1.0), Maximum: jsonschema.Ptr(float64(maxLimit))}}
	moment = &jsonschema.Schema{Type: "string", Format: "date-time"}
	plain  = &jsonschema.Schema{Type: "string"}
)

// operations is everything that a program may ask for.
var operations []operation

func init() {
	operations = []operation{
		{id: "getDocument", method: "GET", path: "/openapi.json", summary: "Read this document", open: true,
			out: map[string]any{}, do: (*call).document},
		{id: "getAccount", method: "GET", path: "/account", summary: "Read the account", scope: admin.ScopeRead,
			out: Account{}, do: (*call).account},
		{id: "getPolicy", method: "GET", path: "/policy", summary: "Read the policy", scope: admin.ScopeRead, tagged: true,
			out: Policy{}, do: (*call).policy},
		{id: "setPolicy", method: "PUT", path: "/policy", summary: "Change the policy", scope: admin.ScopePolicy, tagged: true,
			about: "It is in force when this answers. What would leave no administrator a way in is refused. With from, the mode begins then; with trial, it only watches; the options hold at once.",
			in:    PolicyChange{}, out: Policy{}, do: (*call).setPolicy},
		{id: "cancelPlan", method: "DELETE", path: "/policy/plan", summary: "Take back a planned mode", scope: admin.ScopePolicy, tagged: true,
			do: (*call).cancelPlan},
		{id: "endTrial", method: "DELETE", path: "/policy/trial", summary: "End the trial of a mode", scope: admin.ScopePolicy, tagged: true,
			do: (*call).endTrial},
		{id: "listDomains", method: "GET", path: "/domains", summary: "List the domains", scope: admin.ScopeRead,
			out: DomainList{}, do: (*call).listDomains},
		{id: "claimDomain", method: "POST", path: "/domains", summary: "Claim a domain", scope: admin.ScopeSSO,
			about: "To claim one again changes nothing. It opens nothing until the record is published and found.",
			in:    Claim{}, out: Domain{}, created: true, do: (*call).claimDomain},
		{id: "getDomain", method: "GET", path: "/domains/{domain}", summary: "Read a domain", scope: admin.ScopeRead, tagged: true,
			out: Domain{}, do: (*call).domain},
		{id: "verifyDomain", method: "POST", path: "/domains/{domain}/verify", summary: "Look for the record that proves a domain", scope: admin.ScopeSSO,
			out: Domain{}, do: (*call).verifyDomain},
		{id: "linkDomain", method: "PUT", path: "/domains/{domain}/provider", summary: "Say through which identity provider people of a domain sign in", scope: admin.ScopeSSO, tagged: true,
			about: "Only through one that an administrator has tested, in a browser: otherwise 409 with the code untested.",
			in:    Link{}, out: Domain{}, do: (*call).linkDomain},
		{id: "getReadiness", method: "GET", path: "/domains/{domain}/readiness", summary: "See what enforcing a domain still needs", scope: admin.ScopeRead,
			out: Readiness{}, do: (*call).readiness},
		{id: "enforceDomain", method: "PUT", path: "/domains/{domain}/enforced", summary: "Enforce a domain, or stop that", scope: admin.ScopeSSO, tagged: true,
			about: "Enforced, its people are sent to the identity provider, and no password of theirs is taken. It is refused with 409 until nothing is missing.",
			in:    Enforcing{}, out: Domain{}, do: (*call).enforceDomain},
		{id: "offerPasswords", method: "POST", path: "/domains/{domain}/passwords", summary: "Mail people of a domain who have no password a link to choose one", scope: admin.ScopeSSO,
			about: "At most " + strconv.Itoa(admin.MaxSetUps) + " people at once.",
			query: []parameter{{"after", "The next of the former answer.", plain}},
			out:   Offered{}, do: (*call).offerPasswords},
		{id: "removeDomain", method: "DELETE", path: "/domains/{domain}", summary: "Remove a domain", scope: admin.ScopeSSO, tagged: true,
			about: "Its people are no longer sent to the account's identity provider.", do: (*call).removeDomain},
		{id: "listProviders", method: "GET", path: "/providers", summary: "List the identity providers", scope: admin.ScopeRead,
			out: ProviderList{}, do: (*call).listProviders},
		{id: "connectProvider", method: "POST", path: "/providers", summary: "Connect an OpenID Connect provider", scope: admin.ScopeProviders,
			about: "Nobody is sent there until an administrator has tested it and a domain is linked to it.",
			in:    ProviderChange{}, out: Provider{}, created: true, do: (*call).connectProvider},
		{id: "getProvider", method: "GET", path: "/providers/{provider}", summary: "Read an identity provider", scope: admin.ScopeRead, tagged: true,
			out: Provider{}, do: (*call).provider},
		{id: "setProvider", method: "PUT", path: "/providers/{provider}", summary: "Change an identity provider", scope: admin.ScopeProviders, tagged: true,
			about: "It is in force when this answers. Other settings than a name void the last test.",
			in:    ProviderChange{}, out: Provider{}, do: (*call).setProvider},
		{id: "disableProvider", method: "PUT", path: "/providers/{provider}/disabled", summary: "Disable an identity provider, or enable it again", scope: admin.ScopeProviders, tagged: true,
			about: "Who came in through a disabled one is under the account's policy from the next request on, and its domains are no longer enforced.",
			in:    Disabling{}, out: Provider{}, do: (*call).disableProvider},
		{id: "testProvider", method: "POST", path: "/providers/{provider}/test", summary: "Try to sign in through an identity provider", scope: admin.ScopeProviders,
			person: "/admin/sso"},
		{id: "removeProvider", method: "DELETE", path: "/providers/{provider}", summary: "Remove an identity provider, its settings and its secret", scope: admin.ScopeProviders, tagged: true,
			do: (*call).removeProvider},
		{id: "listAudit", method: "GET", path: "/audit", summary: "List what happened, the newest first", scope: admin.ScopeAudit,
			query: []parameter{
				{"person", "Only what the person with this e-mail address did, or what is about them.", plain},
				{"action", "Only this action.", plain},
				{"outcome", "Only this outcome.", oneOf("ok", "refused", "failed")},
				{"since", "Only from this moment on.", moment},
				{"until", "Only before this moment.", moment},
				{"before", "The next of the former part.", &jsonschema.Schema{Type: "integer", Minimum: jsonschema.Ptr(1.0)}},
				limitOf,
			}, out: AuditList{}, do: (*call).listAudit},
		{id: "listPeople", method: "GET", path: "/people", summary: "List the people, by e-mail address", scope: admin.ScopePeople,
			about: "Of who has not joined yet, the address is all that is told.",
			query: []parameter{
				{"only", "Only these.", oneOf("enrolled", "provider", "missing", "invited", "off", admin.OnlyAdmins, admin.OnlyOverdue)},
				{"search", "Only those with this text in their address or name.", plain},
				{"after", "The next of the former part.", plain},
				limitOf,
			}, out: PersonList{}, do: (*call).listPeople},
		{id: "invitePerson", method: "POST", path: "/people", summary: "Invite a person", scope: admin.ScopePeople,
			about: "They are mailed a link. The answer is the same whether or not other accounts know the address.",
			in:    Invite{}, out: Person{}, created: true, do: (*call).invitePerson},
		{id: "getPerson", method: "GET", path: "/people/{person}", summary: "Read a person", scope: admin.ScopePeople,
			out: Person{}, do: (*call).person},
		{id: "setRole", method: "PUT", path: "/people/{person}/role", summary: "Change a person's role", scope: admin.ScopePeople,
			about: "The account keeps an administrator who can sign in.",
			in:    RoleChange{}, out: Person{}, do: (*call).setRole},
		{id: "inviteAgain", method: "POST", path: "/people/{person}/invite", summary: "Invite a person again who has not joined yet", scope: admin.ScopePeople,
			out: Person{}, do: (*call).inviteAgain},
		{id: "resetPerson", method: "POST", path: "/people/{person}/reset", summary: "Remove a person's authenticators and recovery codes", scope: admin.ScopePeople,
			about: "Only of people who belong to no other account. They are signed out. Make sure first that it is really them who ask.",
			out:   Person{}, do: (*call).resetPerson},
		{id: "endSessions", method: "POST", path: "/people/{person}/sign-out", summary: "Sign a person out of the account", scope: admin.ScopePeople,
			about: "Of everything, if they belong to no other account.",
			out:   Ended{}, do: (*call).endSessions},
		{id: "removePerson", method: "DELETE", path: "/people/{person}", summary: "Remove a person, or take an invitation back", scope: admin.ScopePeople,
			about: "The account keeps an administrator who can sign in.", do: (*call).removePerson},
		{id: "listTokens", method: "GET", path: "/tokens", summary: "List the tokens, the newest first", scope: admin.ScopeTokens,
			out: TokenList{}, do: (*call).listTokens},
		{id: "makeToken", method: "POST", path: "/tokens", summary: "Make a token", scope: admin.ScopeTokens, person: "/admin/tokens"},
		{id: "revokeToken", method: "DELETE", path: "/tokens/{token}", summary: "Revoke a token", scope: admin.ScopeTokens,
			do: (*call).revokeToken},
	}
}

func oneOf(words ...string) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string"}
	for _, w := range words {
		s.Enum = append(s.Enum, w)
	}
	return s
}
