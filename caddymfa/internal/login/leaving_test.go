package login

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func TestBackChannelLogout(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	corp := w.company("acme", "page", issuer, "acme.example", false, Linking{Join: true})
	first := w.mustThrough("acme-page", nil)
	corp.who.Session = "sid-2"
	second := w.mustThrough("acme-page", nil)
	bea := w.person("bea@elsewhere.example", "acme")
	local := w.signIn("bea@elsewhere.example")
	token := logoutToken(issuer)

	corp.out = identity.Logout{Issuer: issuer, Subject: "subject-1", Session: "sid-1", ID: "jti-1"}
	if n, err := w.EndedElsewhere(t.Context(), client, token); err != nil || n != 1 || !w.over(first) || w.over(second) {
		t.Errorf("one session: %d, %v", n, err)
	}
	if _, err := w.EndedElsewhere(t.Context(), client, token); !errors.Is(err, ErrRefused) || !w.said("revoke_sessions", "refused", "replayed") {
		t.Errorf("the same token again: %v", err)
	}
	corp.out.Session, corp.out.ID = "", "jti-2"
	if n, err := w.EndedElsewhere(t.Context(), client, token); err != nil || n != 1 || !w.over(second) {
		t.Errorf("all of a subject's: %d, %v", n, err)
	}
	if w.over(local) || w.sessions(bea.ID) != 1 {
		t.Error("somebody else's session ended")
	}
}

func TestBackChannelLogoutRefuses(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	corp := w.company("acme", "page", issuer, "acme.example", false, Linking{Join: true})
	s := w.mustThrough("acme-page", nil)
	good := identity.Logout{Issuer: issuer, Subject: "subject-1", ID: "jti"}
	for _, c := range []struct {
		name, token, reason string
		out                 identity.Logout
		err                 error
	}{
		{"no token", "", "malformed", good, nil},
		{"no claims", "a.b.c", "malformed", good, nil},
		{"claims that are no JSON", "e30.bm8.c2ln", "malformed", good, nil},
		{"too long", logoutToken(issuer + strings.Repeat("x", maxLogoutToken)), "malformed", good, nil},
		{"an issuer that nobody linked", logoutToken("https://evil.example"), "unknown_issuer", good, nil},
		{"no issuer", logoutToken(""), "malformed", good, nil},
		{"what the provider's kind refuses", logoutToken(issuer), "bad_signature", good, refuse("bad_signature")},
		{"another issuer than it says", logoutToken(issuer), "issuer_mismatch", identity.Logout{Issuer: "https://evil.example", Subject: "subject-1", ID: "jti"}, nil},
		{"no id", logoutToken(issuer), "malformed", identity.Logout{Issuer: issuer, Subject: "subject-1"}, nil},
		{"nobody", logoutToken(issuer), "malformed", identity.Logout{Issuer: issuer, ID: "jti"}, nil},
	} {
		corp.out, corp.outErr = c.out, c.err
		w.events = nil
		if n, err := w.EndedElsewhere(t.Context(), client, c.token); !errors.Is(err, ErrRefused) || n != 0 {
			t.Errorf("%s: %d, %v", c.name, n, err)
		}
		if !w.said("revoke_sessions", "refused", c.reason) {
			t.Errorf("%s: the audit has %+v", c.name, w.events)
		}
	}
	if w.over(s) {
		t.Error("the session ended")
	}
	// A provider that cannot be asked for its keys is not the token's fault: it may
	// come again.
	corp.out, corp.outErr = good, identity.ErrUnavailable
	if _, err := w.EndedElsewhere(t.Context(), client, logoutToken(issuer)); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("while keys cannot be had: %v", err)
	}
	corp.outErr = nil
	if n, err := w.EndedElsewhere(t.Context(), client, logoutToken(issuer)); err != nil || n != 1 || !w.over(s) {
		t.Errorf("afterwards: %d, %v", n, err)
	}
}

func TestBackChannelLogoutIsLimited(t *testing.T) {
	w := newWorld(t)
	var wait *limit.Wait
	for range 2 * limit.BackChannel.Free {
		if _, err := w.EndedElsewhere(t.Context(), client, "nonsense"); errors.As(err, &wait) {
			return
		}
	}
	t.Error("nonsense is looked at for ever")
}

func TestLeavingGoesOnAtTheProvider(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	corp := w.company("acme", "page", issuer, "acme.example", false, Linking{Join: true})
	s := w.mustThrough("acme-page", nil)
	s, _ = w.enroll(s) // another id, the same sign-in
	left := w.LeftAt(&s)
	if err := w.SignOut(t.Context(), client, &s, false); err != nil {
		t.Fatal(err)
	}
	address, company, err := w.LeaveCompany(t.Context(), left, "https://portal.example/.mfa/signed-out")
	if err != nil || address != "https://corp.example/logout?hint=id-token&to=https%3A%2F%2Fportal.example%2F.mfa%2Fsigned-out" || company.Name != "Sign-in of acme" {
		t.Errorf("leads to %q of %+v, %v", address, company, err)
	}
	// What the provider wanted back was given back; without it, it will ask.
	if address, _, err := w.LeaveCompany(t.Context(), left, ""); err != nil || address != "https://corp.example/logout?hint=&to=" {
		t.Errorf("the second time: %q, %v", address, err)
	}
	corp.err = identity.ErrUnavailable
	if address, _, err := w.LeaveCompany(t.Context(), left, ""); err != nil || address != "https://corp.example/logout?hint=&to=" && address != "" {
		t.Errorf("while it is down: %q, %v", address, err)
	}
	local := w.person("bea@elsewhere.example", "acme")
	if l := w.LeftAt(&[]storage.Session{w.signIn(local.Email)}[0]); l != (Left{}) {
		t.Errorf("a session of ours goes on at %+v", l)
	}
	if address, _, err := w.LeaveCompany(t.Context(), Left{}, ""); address != "" || err != nil {
		t.Errorf("nowhere leads to %q, %v", address, err)
	}
}
