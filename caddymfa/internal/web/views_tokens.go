package web

import (
	"net/netip"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
)

// scopeTexts says what a token may do.
var scopeTexts = map[admin.Scope]Text{
	admin.ScopeRead:      say("tokens.scope.read"),
	admin.ScopePolicy:    say("tokens.scope.policy"),
	admin.ScopeSSO:       say("tokens.scope.sso"),
	admin.ScopeProviders: say("tokens.scope.providers"),
	admin.ScopePeople:    say("tokens.scope.people"),
	admin.ScopeAudit:     say("tokens.scope.audit"),
	admin.ScopeTokens:    say("tokens.scope.tokens"),
}

// TokenScope is something that a token may do, to choose or to read.
type TokenScope struct {
	Scope  admin.Scope
	Chosen bool
}

// Text says it.
func (s TokenScope) Text() Text {
	if text, ok := scopeTexts[s.Scope]; ok {
		return text
	}
	return say("tokens.scope.other", "scope", string(s.Scope))
}

// TokenRow is one of the account's tokens.
type TokenRow struct {
	ID       string
	Title    string
	Scopes   []TokenScope
	Networks []string // none: from anywhere
	Maker    string   // the person's e-mail address; empty: somebody who is not in the account any more
	Created  time.Time
	Expires  time.Time
	Used     time.Time // zero: never
	UsedFrom string
	Revoked  time.Time // zero: it was not
	Expired  bool
}

// Over reports whether it opens nothing any more.
func (t TokenRow) Over() bool { return t.Expired || !t.Revoked.IsZero() }

// From says from where it may be used.
func (t TokenRow) From() Text {
	if len(t.Networks) == 0 {
		return say("tokens.anywhere")
	}
	networks := make([]string, len(t.Networks))
	for i, text := range t.Networks {
		networks[i] = text
		if p, err := netip.ParsePrefix(text); err == nil && p.IsSingleIP() {
			networks[i] = p.Addr().String() // as it was typed
		}
	}
	return say("tokens.from", "networks", strings.Join(networks, ", "))
}

// By says who made it.
func (t TokenRow) By() Text {
	if t.Maker == "" {
		return say("tokens.bygone")
	}
	return say("tokens.by", "email", t.Maker)
}

// TokenForm is a token to be made, as typed.
type TokenForm struct {
	Title    string
	Networks string
	Days     int
	Scopes   []TokenScope
}

// AdminTokens is where administrators make tokens for programs.
type AdminTokens struct {
	Chrome
	Tokens  []TokenRow
	Form    TokenForm
	Secret  string // of the token just made, shown this once; empty: none was
	Problem Text
}

// Name is the view's template.
func (AdminTokens) Name() string { return "admin_tokens" }

// Tab marks the page in the administration's navigation.
func (AdminTokens) Tab() string { return "tokens" }

// TokenDays is how long a token may be good for, to choose from.
type TokenDays struct {
	Days   int
	Chosen bool
}

// Text says it.
func (d TokenDays) Text() Text { return say("tokens.days", "n", d.Days) }

// Lives lists how long a token may be good for.
func (a AdminTokens) Lives() []TokenDays {
	var list []TokenDays
	for _, days := range []int{7, 30, 90, admin.MaxTokenDays} {
		list = append(list, TokenDays{days, days == a.Form.Days})
	}
	return list
}
