package adminapi

import (
	"strconv"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/operate"
	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// Explanation is what the gate does with a person who enters an account, and
// why.
type Explanation struct {
	User    string   `json:"user"`
	Account string   `json:"account"`
	Verdict string   `json:"verdict"`
	Reason  string   `json:"reason"`
	Because string   `json:"because"` // the reason in a sentence
	Offer   []string `json:"offer,omitempty"`
	// IdentityProvider is the one to go to, with the verdict "sso".
	IdentityProvider string `json:"identity_provider,omitempty"`
	Facts            Facts  `json:"facts"`
}

// Facts is what the decision was made from.
type Facts struct {
	At                time.Time  `json:"at"`
	FirstFactor       string     `json:"first_factor"`
	SecondFactor      string     `json:"second_factor"` // "none": not shown
	Policy            string     `json:"policy"`
	Accept            string     `json:"accept"`            // "any", or the kinds of second factor that count
	SecondFactorAge   string     `json:"second_factor_age"` // "session", or a duration
	Remember          string     `json:"remember"`          // "never", or a duration
	MinimumPolicy     string     `json:"minimum_policy"`    // "none": the operator wants no more than the account
	Planned           string     `json:"planned"`           // "none": no stricter policy is planned
	PlannedAt         *time.Time `json:"planned_at,omitempty"`
	Trial             string     `json:"trial"`                 // "none": no policy is tried
	UnderTrial        string     `json:"under_trial,omitempty"` // the verdict under the policy that is tried
	AccountDisabled   bool       `json:"account_disabled"`
	IdentityProviders []string   `json:"identity_providers"`
	UserDisabled      bool       `json:"user_disabled"`
	Membership        string     `json:"membership"` // "none": not a member
	Role              string     `json:"role"`
	SnoozedUntil      *time.Time `json:"snoozed_until,omitempty"`
	Enrolled          []string   `json:"enrolled"`
	DomainVerified    bool       `json:"domain_verified"`
	DomainEnforced    bool       `json:"domain_enforced"`
}

func (c *call) explain() (any, error) {
	user, account := c.ask.Get("user"), c.ask.Get("account")
	if user == "" || account == "" {
		return nil, invalid("name a user and an account")
	}
	var second mfa.Kind
	if name := c.ask.Get("second"); name != "" {
		var err error
		if second, err = mfa.ParseKind(name); err != nil {
			return nil, invalid("%w", err)
		}
	}
	x, err := c.Operator.Explain(c.ctx, user, account, second)
	if err != nil {
		return nil, err
	}
	f := x.Facts
	out := Explanation{
		User: user, Account: account, Verdict: x.Decision.Verdict.String(), Reason: string(x.Decision.Reason),
		Because: because[x.Decision.Reason], IdentityProvider: x.Decision.Provider,
		Facts: Facts{
			At: f.Now.UTC(), FirstFactor: f.Proof.FirstBy, SecondFactor: f.Proof.SecondBy.String(),
			Policy: f.Account.Mode(f.Now).String(), Accept: f.Account.Accept.AcceptString(), AccountDisabled: f.Account.Disabled,
			SecondFactorAge: spanOr(f.Account.SecondFactorAge, "session"), Remember: spanOr(f.Account.Remember, "never"),
			MinimumPolicy: f.Account.Floor.String(), Planned: f.Account.Next.String(), Trial: x.Trial.String(),
			IdentityProviders: []string{},
			UserDisabled:      f.User.Disabled, Membership: f.Member.State.String(), Role: f.Member.Role.String(),
			Enrolled: kinds(f.Enrolled), DomainVerified: f.Domain.Verified, DomainEnforced: f.Domain.Enforce,
		},
	}
	for _, p := range f.Account.Providers {
		out.Facts.IdentityProviders = append(out.Facts.IdentityProviders, p.ID)
	}
	if at := f.Account.NextAt.UTC(); f.Account.Next.Valid() {
		out.Facts.PlannedAt = &at
	}
	if x.Trial.Valid() {
		out.Facts.UnderTrial = mfa.Decide(f.Under(x.Trial)).Verdict.String()
	}
	if x.Decision.Offer != 0 {
		out.Offer = kinds(x.Decision.Offer)
	}
	if until := f.Member.SnoozedUntil.UTC(); !until.IsZero() {
		out.Facts.SnoozedUntil = &until
	}
	return out, nil
}

func spanOr(d time.Duration, none string) string {
	if d <= 0 {
		return none
	}
	return d.String()
}

// because puts every reason of mfa.Decide into a sentence.
var because = map[mfa.Reason]string{
	mfa.Undecidable:        "The facts contradict one another or are missing, so nobody passes.",
	mfa.Unavailable:        "The facts could not be read, so nobody passes.",
	mfa.PublicRoute:        "The route is open to everybody.",
	mfa.NoSession:          "Nobody is signed in.",
	mfa.UserDisabled:       "The person is disabled.",
	mfa.NoAccount:          "No account was chosen.",
	mfa.NotMember:          "The person is not a joined member of the account.",
	mfa.AccountDisabled:    "The account is disabled.",
	mfa.BreakGlassEntry:    "An operator's entry opens one account only, and only with a second factor.",
	mfa.DomainEnforced:     "The account sends people of this e-mail domain to its identity provider.",
	mfa.ProviderPrecedence: "The person signed in through the account's identity provider, which takes precedence over its policy.",
	mfa.ProviderVerified:   "The account's identity provider says that it asked for several factors.",
	mfa.ProviderTooOld:     "The route wants a fresher sign-in at the identity provider.",
	mfa.SecondFactor:       "A second factor was shown in this session.",
	mfa.RememberedDevice:   "This browser showed a second factor before, and the account lets it be remembered.",
	mfa.Enrolled:           "The person has an authenticator and is asked for it, whatever the policy.",
	mfa.SecondFactorTooOld: "The route wants a fresher second factor.",
	mfa.KindNotAccepted:    "The account accepts security keys and passkeys only, and the person has none yet.",
	mfa.PolicyRequired:     "The account requires a second factor and the person has no authenticator yet.",
	mfa.RouteRequires:      "The route requires a second factor and the person has no authenticator yet.",
	mfa.PolicySuggested:    "The account suggests a second factor and the person has no authenticator yet.",
	mfa.Snoozed:            `The account suggests a second factor; the person said "Not now", which still holds.`,
	mfa.PolicyOptional:     "The account leaves a second factor to its people, and this person has no authenticator.",
	mfa.NotAdmin:           "The person is a member of the account, and no administrator.",
	mfa.AdminNeedsFactor:   "Changing the account's rules needs a second factor, and the person has no authenticator yet.",
	mfa.FirstFactorTooOld:  "A recovery code changes nothing without the password shown again.",
}

// Event is a row of the audit.
type Event struct {
	ID         int64     `json:"id"`
	At         time.Time `json:"at"`
	Action     string    `json:"action"`
	Outcome    string    `json:"outcome"`
	Reason     string    `json:"reason,omitempty"`
	Actor      string    `json:"actor,omitempty"` // user id, "operator" or "configuration"
	ActorEmail string    `json:"actor_email,omitempty"`
	User       string    `json:"user,omitempty"` // the id of whom it is about
	UserEmail  string    `json:"user_email,omitempty"`
	Account    string    `json:"account,omitempty"`
	Session    string    `json:"session,omitempty"`
	Network    string    `json:"network,omitempty"`
	Detail     string    `json:"detail,omitempty"`
}

// EventList is a part of the audit, the newest first. The "before" of the
// following part is the last event's id.
type EventList struct {
	Events []Event `json:"events"`
}

// defaultEvents is how many rows of the audit are shown unless told otherwise.
const defaultEvents = 50

func (c *call) audit() (any, error) {
	limit, err := c.limit(defaultEvents)
	if err != nil {
		return nil, err
	}
	q := operate.AuditQuery{Email: c.ask.Get("user"), Account: c.ask.Get("account"), Limit: limit}
	if text := c.ask.Get("before"); text != "" {
		if q.Before, err = strconv.ParseInt(text, 10, 64); err != nil || q.Before < 1 {
			return nil, invalid("before %q: expected the id of an event", text)
		}
	}
	rows, err := c.Operator.Audit(c.ctx, q)
	if err != nil {
		return nil, err
	}
	list := EventList{Events: make([]Event, len(rows))}
	for i, e := range rows {
		list.Events[i] = Event{
			ID: e.ID, At: e.At.UTC(), Action: e.Action, Outcome: e.Outcome, Reason: e.Reason, Actor: e.Actor, ActorEmail: e.ActorEmail,
			User: e.User, UserEmail: e.UserEmail, Account: e.Account, Session: e.Session, Network: e.Network, Detail: e.Detail,
		}
	}
	return list, nil
}

// kinds lists a set's names; an empty set is an empty list.
func kinds(set mfa.Kinds) []string {
	if set == 0 {
		return []string{}
	}
	return strings.Split(set.String(), ",")
}
