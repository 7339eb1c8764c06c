package mfa

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestNamesReadBack writes each word and reads it again; words outside the lists
// are refused, and named in the error.
func TestNamesReadBack(t *testing.T) {
	for _, p := range []Policy{Optional, Suggested, Required} {
		if got, err := ParsePolicy(p.String()); err != nil || got != p || !p.Valid() {
			t.Errorf("policy %v reads back as %v, %v", p, got, err)
		}
	}
	for _, r := range []Role{RoleMember, RoleAdmin} {
		if got, err := ParseRole(r.String()); err != nil || got != r {
			t.Errorf("role %v reads back as %v, %v", r, got, err)
		}
	}
	for _, s := range []MemberState{Invited, Joined} {
		if got, err := ParseMemberState(s.String()); err != nil || got != s {
			t.Errorf("state %v reads back as %v, %v", s, got, err)
		}
	}
	for s := range Kinds(TOTP | WebAuthn | Recovery + 1) {
		if got, err := ParseKinds(s.String()); err != nil || got != s {
			t.Errorf("kinds %v read back as %v, %v", s, got, err)
		}
	}
	for _, s := range []Kinds{0, Kinds(WebAuthn)} {
		if got, err := ParseAccept(s.AcceptString()); err != nil || got != s {
			t.Errorf("accepting %v reads back as %v, %v", s, got, err)
		}
	}
	for _, none := range []fmt.Stringer{Policy(0), Policy(9), Role(0), Role(9), MemberState(0), Kind(0)} {
		if none.String() != "none" {
			t.Errorf("%T(%d) is called %q", none, none, none)
		}
	}
	for name, parse := range map[string]func(string) error{
		"policy": func(s string) error { _, err := ParsePolicy(s); return err },
		"role":   func(s string) error { _, err := ParseRole(s); return err },
		"state":  func(s string) error { _, err := ParseMemberState(s); return err },
		"kind":   func(s string) error { _, err := ParseKind(s); return err },
		"accept": func(s string) error { _, err := ParseAccept(s); return err },
		"kinds":  func(s string) error { _, err := ParseKinds("totp," + s); return err },
	} {
		for _, bad := range []string{"off", "none", "Required", " admin"} {
			if err := parse(bad); err == nil || !strings.Contains(err.Error(), bad) {
				t.Errorf("reading %s %q: %v", name, bad, err)
			}
		}
	}
}

func TestVerdictNames(t *testing.T) {
	var names []string
	for v := Deny; v <= Allow; v++ {
		names = append(names, v.String())
	}
	if got := strings.Join(names, " "); got != "deny sign_in sso choose_account challenge enroll suggest allow" {
		t.Errorf("verdicts are called %s", got)
	}
}

func TestKindsHas(t *testing.T) {
	both := KindsOf(TOTP, Recovery)
	if !both.Has(TOTP) || !both.Has(Recovery) || both.Has(WebAuthn) || both.Has(0) {
		t.Errorf("%v has the wrong kinds", both)
	}
	if Authenticators.Has(Recovery) {
		t.Error("a recovery code counts as an authenticator")
	}
}

func TestAMR(t *testing.T) {
	for _, c := range []struct {
		proof Proof
		want  []string
	}{
		{Proof{}, nil},
		{Proof{First: epoch, FirstBy: ByPassword}, []string{"pwd"}},
		{Proof{First: epoch, FirstBy: BySSO}, nil},
		{Proof{First: epoch, FirstBy: BySSO, ProviderAMR: "pwd mfa"}, []string{"pwd", "mfa"}},
		{Proof{First: epoch, FirstBy: BySSO, ProviderAMR: "pwd mfa", Second: epoch, SecondBy: TOTP}, []string{"pwd", "mfa", "otp"}},
		{Proof{First: epoch, FirstBy: ByPassword, SecondBy: TOTP}, []string{"pwd"}},
		{Proof{First: epoch, FirstBy: ByPassword, Second: epoch, SecondBy: TOTP}, []string{"pwd", "otp", "mfa"}},
		{Proof{First: epoch, FirstBy: ByPassword, Second: epoch, SecondBy: Recovery}, []string{"pwd", "otp", "mfa"}},
		{Proof{First: epoch, FirstBy: ByPassword, Second: epoch, SecondBy: WebAuthn}, []string{"pwd", "hwk", "mfa"}},
		{Proof{First: epoch, FirstBy: ByPassword, Second: epoch, SecondBy: WebAuthn, Synced: true}, []string{"pwd", "swk", "mfa"}},
		{Proof{First: epoch, FirstBy: ByPasskey, Second: epoch, SecondBy: WebAuthn, Synced: true}, []string{"swk", "user", "mfa"}},
	} {
		if got := c.proof.AMR(); !slices.Equal(got, c.want) {
			t.Errorf("AMR of %+v = %v, want %v", c.proof, got, c.want)
		}
	}
}
