package mfa

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Policy is how strictly an account wants its people to prove who they are.
// The zero value is no policy at all and is refused by [Decide].
type Policy uint8

// The three policy modes. There is no "off": an account cannot strip the
// second factor that a person chose to have.
const (
	// Optional leaves it to the person: who has an authenticator is asked for
	// it, who has none enters.
	Optional Policy = iota + 1
	// Suggested invites people without an authenticator to set one up; they
	// may put it off for a while.
	Suggested
	// Required lets nobody in without a second factor.
	Required
)

var policyNames = [...]string{Optional: "optional", Suggested: "suggested", Required: "required"}

// Valid reports whether p is one of the three modes.
func (p Policy) Valid() bool { return p >= Optional && p <= Required }

// String returns the mode's name as used in configuration, pages and logs.
func (p Policy) String() string {
	if !p.Valid() {
		return "none"
	}
	return policyNames[p]
}

// ParsePolicy reads a mode's name. Anything else is an error that names the
// three choices.
func ParsePolicy(s string) (Policy, error) {
	for p := Optional; p <= Required; p++ {
		if policyNames[p] == s {
			return p, nil
		}
	}
	return 0, fmt.Errorf("unknown policy %q: choose optional, suggested or required", s)
}

// Role is what a member may do in an account. The zero value is no role.
type Role uint8

// The two roles.
const (
	// RoleMember uses the portal.
	RoleMember Role = iota + 1
	// RoleAdmin also manages the account's MFA settings and people.
	RoleAdmin
)

// String returns the role's name.
func (r Role) String() string {
	switch r {
	case RoleMember:
		return "member"
	case RoleAdmin:
		return "admin"
	}
	return "none"
}

// ParseRole reads a role's name.
func ParseRole(s string) (Role, error) {
	switch s {
	case "member":
		return RoleMember, nil
	case "admin":
		return RoleAdmin, nil
	}
	return 0, fmt.Errorf("unknown role %q: choose member or admin", s)
}

// MemberState tells how far a membership has come. The zero value is not a
// member.
type MemberState uint8

// The two states of a membership.
const (
	Invited MemberState = iota + 1
	Joined
)

// String returns the state's name.
func (s MemberState) String() string {
	switch s {
	case Invited:
		return "invited"
	case Joined:
		return "joined"
	}
	return "none"
}

// ParseMemberState reads a state's name.
func ParseMemberState(s string) (MemberState, error) {
	switch s {
	case "invited":
		return Invited, nil
	case "joined":
		return Joined, nil
	}
	return 0, fmt.Errorf("unknown membership state %q: choose invited or joined", s)
}

// Kind is a kind of second factor. The zero value is none.
type Kind uint8

// The kinds of second factor.
const (
	// TOTP is an authenticator app (RFC 6238).
	TOTP Kind = 1 << iota
	// WebAuthn is a security key or a passkey.
	WebAuthn
	// Recovery is a recovery code. It lets a person in but is not an
	// authenticator: having codes left is not being enrolled.
	Recovery
)

var kindNames = []struct {
	kind Kind
	name string
}{{TOTP, "totp"}, {WebAuthn, "webauthn"}, {Recovery, "recovery"}}

// String returns the kind's name.
func (k Kind) String() string {
	for _, n := range kindNames {
		if n.kind == k {
			return n.name
		}
	}
	return "none"
}

// ParseKind reads a kind's name.
func ParseKind(s string) (Kind, error) {
	for _, n := range kindNames {
		if n.name == s {
			return n.kind, nil
		}
	}
	return 0, fmt.Errorf("unknown kind of second factor %q", s)
}

// Kinds is a set of kinds.
type Kinds uint8

// Authenticators holds the kinds that count as being enrolled.
const Authenticators = Kinds(TOTP | WebAuthn)

// KindsOf returns the set of the given kinds.
func KindsOf(kinds ...Kind) Kinds {
	var s Kinds
	for _, k := range kinds {
		s |= Kinds(k)
	}
	return s
}

// Has reports whether k is in the set.
func (s Kinds) Has(k Kind) bool { return k != 0 && s&Kinds(k) == Kinds(k) }

// ParseKinds reads a set's names, separated by commas.
func ParseKinds(s string) (Kinds, error) {
	var set Kinds
	for name := range strings.SplitSeq(s, ",") {
		if name == "" {
			continue
		}
		k, err := ParseKind(name)
		if err != nil {
			return 0, err
		}
		set |= Kinds(k)
	}
	return set, nil
}

// ParseAccept reads which kinds count in an account: "any", or "webauthn" for
// those that phishing cannot relay (NIST SP 800-63B-4, section 3.2.5).
func ParseAccept(s string) (Kinds, error) {
	switch s {
	case "any":
		return 0, nil
	case WebAuthn.String():
		return Kinds(WebAuthn), nil
	}
	return 0, fmt.Errorf("unknown choice %q: accept any or webauthn", s)
}

// AcceptString is what ParseAccept reads.
func (s Kinds) AcceptString() string {
	if s == 0 {
		return "any"
	}
	return s.String()
}

// String lists the set's names, separated by commas.
func (s Kinds) String() string {
	var names []string
	for _, n := range kindNames {
		if s.Has(n.kind) {
			names = append(names, n.name)
		}
	}
	return strings.Join(names, ",")
}

// Trust is what an account makes of a sign-in through one of its identity
// providers. The zero value trusts no more than Stack does.
type Trust uint8

// The kinds of trust.
const (
	// Precedence lets the provider decide alone: its settings override the
	// account's policy.
	Precedence Trust = iota + 1
	// Verify lets the provider decide where it proved several factors, and
	// leaves everybody else to the account's policy.
	Verify
	// Stack takes the provider for a first factor only: the account's policy
	// comes on top.
	Stack
)

var trustNames = [...]string{Precedence: "precedence", Verify: "verify", Stack: "stack"}

// Valid reports whether t is one of the three kinds.
func (t Trust) Valid() bool { return t >= Precedence && t <= Stack }

// String returns the name as used in configuration and pages.
func (t Trust) String() string {
	if !t.Valid() {
		return "none"
	}
	return trustNames[t]
}

// ParseTrust reads a name. Anything else is an error that names the choices.
func ParseTrust(s string) (Trust, error) {
	for t := Precedence; t <= Stack; t++ {
		if trustNames[t] == s {
			return t, nil
		}
	}
	return 0, fmt.Errorf("unknown trust %q: choose precedence, verify or stack", s)
}

// Provider is an identity provider that an account linked.
type Provider struct {
	ID    string
	Trust Trust
}

// Proof is the evidence that one session has shown so far. Evidence keeps its
// scope: a sign-in through an identity provider names that provider, and counts
// only in accounts that linked it. The zero value proves nothing.
type Proof struct {
	User     string    // whose evidence this is: the user's opaque id
	First    time.Time // when the first factor was verified; zero: not yet
	FirstBy  string    // how: ByPassword, BySSO, ByPasskey or ByEntry
	Provider string    // id of the identity provider signed in through; empty: none
	Issuer   string    // the provider's issuer, with Subject the identity (OpenID Connect Core, section 2)
	Subject  string    // the provider's name for this person
	// What the provider said about the sign-in, separated by spaces: recorded
	// and shown, and no evidence of ours.
	ProviderAMR     string
	ProviderACR     string
	ProviderSession string    // the provider's own name of its session
	ProviderSecond  time.Time // when the provider verified several factors; zero: it did not say so
	// BreakGlass is the account that an operator's single-use entry opened; empty:
	// there was none. Such a session enters that account only.
	BreakGlass string
	Second     time.Time // when a second factor was verified; zero: not yet
	SecondBy   Kind      // which kind it was
	// Remembered is when this browser, at an earlier sign-in, showed the second
	// factor RememberedBy and was to be remembered; zero: never.
	Remembered   time.Time
	RememberedBy Kind
	// Synced says that the key which answered may be copied between its owner's
	// devices (WebAuthn: backup eligible), as passkeys mostly are.
	Synced bool
}

// The ways to show a first factor.
const (
	ByPassword = "password"
	BySSO      = "sso"
	ByPasskey  = "passkey" // one gesture that is both factors
	ByEntry    = "entry"   // an operator's single-use entry (break-glass)
)

// AMR lists the proof's methods as RFC 8176 names: "pwd", "otp", "hwk" or "swk"
// for a key that stays in hardware or may be copied, "user" for a passkey that
// made sure of its owner, and "mfa" once two factors were shown. A recovery code
// is knowledge kept on paper, for which RFC 8176 has "otp" (one-time password).
// After a sign-in through a provider, its own words come first.
func (p Proof) AMR() []string {
	amr := strings.Fields(p.ProviderAMR)
	if p.FirstBy == ByPassword {
		amr = append(amr, "pwd")
	}
	if p.Second.IsZero() {
		return amr
	}
	switch {
	case p.SecondBy == WebAuthn && p.Synced:
		amr = append(amr, "swk")
	case p.SecondBy == WebAuthn:
		amr = append(amr, "hwk")
	default:
		amr = append(amr, "otp")
	}
	if p.FirstBy == ByPasskey {
		amr = append(amr, "user")
	}
	if !slices.Contains(amr, "mfa") {
		amr = append(amr, "mfa")
	}
	return amr
}
