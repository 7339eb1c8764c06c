package login

import (
	"errors"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// entering is somebody of an enforced domain who has an authenticator.
func entering(t *testing.T) (w *world, ana storage.User, secret string) {
	t.Helper()
	w = newWorld(t)
	w.account("acme", mfa.Optional)
	w.account("borealis", mfa.Optional)
	ana = w.person("ana@acme.example", "acme", "borealis")
	_, secret = w.enroll(w.signIn("ana@acme.example"))
	w.company("acme", "page", issuer, "acme.example", true, Linking{})
	return w, ana, secret
}

func TestBreakGlass(t *testing.T) {
	w, ana, secret := entering(t)
	code, expires, err := w.CreateBreakGlass(t.Context(), ana.ID, "acme", time.Hour)
	if err != nil || !expires.Equal(w.now().Add(time.Hour)) {
		t.Fatal(expires, err)
	}
	s, err := w.BreakGlass(t.Context(), client, code, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := w.decide(s, "acme"); d.Verdict != mfa.Challenge {
		t.Errorf("without a second factor: %+v", d)
	}
	if d := w.decide(s, "borealis"); d.Verdict != mfa.Deny {
		t.Errorf("another account: %+v", d)
	}
	if !w.said("break_glass", "ok", "entered") {
		t.Error("the audit does not say so")
	}
	s, err = w.Answer(t.Context(), client, &s, mfa.TOTP, w.code(secret))
	if err != nil {
		t.Fatal(err)
	}
	if d := w.decide(s, "acme"); d.Verdict != mfa.Allow {
		t.Errorf("with a second factor: %+v", d)
	}
	if d := w.decide(s, "borealis"); d.Verdict != mfa.Deny {
		t.Errorf("another account, with a second factor: %+v", d)
	}
	if _, err := w.BreakGlass(t.Context(), client, code, nil); !errors.Is(err, ErrStartAgain) {
		t.Errorf("used twice: %v", err)
	}
	w.pass(59 * time.Minute)
	if w.over(s) {
		t.Error("the session ended early")
	}
	w.pass(time.Minute)
	if !w.over(s) {
		t.Error("the session outlived its time")
	}
}

func TestBreakGlassIsForFew(t *testing.T) {
	w, ana, _ := entering(t)
	w.account("cumulus", mfa.Optional)
	bare := w.person("bea@acme.example", "acme")
	for _, c := range []struct {
		name          string
		user, account string
		life          time.Duration
		want          error
	}{
		{"no member", ana.ID, "cumulus", time.Hour, ErrNotMember},
		{"no such account", ana.ID, "nowhere", time.Hour, ErrNotMember},
		{"no authenticator", bare.ID, "acme", time.Hour, ErrNoFactor},
		{"too short", ana.ID, "acme", time.Second, ErrBreakGlassFor},
		{"too long", ana.ID, "acme", MaxBreakGlass + time.Second, ErrBreakGlassFor},
		{"backwards", ana.ID, "acme", -time.Hour, ErrBreakGlassFor},
	} {
		if code, _, err := w.CreateBreakGlass(t.Context(), c.user, c.account, c.life); !errors.Is(err, c.want) || code != "" {
			t.Errorf("%s: %q, %v", c.name, code, err)
		}
	}
}

func TestBreakGlassIsRefusedWhenThingsChanged(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(w *world, ana storage.User)
		reason string
	}{
		{"too late", func(w *world, _ storage.User) { w.pass(time.Hour) }, "wrong_code"},
		{"no member any more", func(w *world, ana storage.User) { w.store.RemoveMembership(w.t.Context(), "acme", ana.ID) }, "not_member"},
		{"no authenticator any more", func(w *world, ana storage.User) { w.store.RemoveFactorsOf(w.t.Context(), ana.ID) }, "no_factor"},
		{"switched off", func(w *world, ana storage.User) {
			w.store.UpdateUser(w.t.Context(), ana.ID, func(u *storage.User) error { u.Disabled = true; return nil })
		}, "user_disabled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, ana, _ := entering(t)
			code, _, err := w.CreateBreakGlass(t.Context(), ana.ID, "acme", time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			c.change(w, ana)
			before := w.sessions(ana.ID)
			if _, err := w.BreakGlass(t.Context(), client, code, nil); !errors.Is(err, ErrStartAgain) || !w.said("break_glass", "refused", c.reason) {
				t.Errorf("entered: %v, %+v", err, w.events)
			}
			if w.sessions(ana.ID) != before {
				t.Error("a session came of it")
			}
		})
	}
}

// Nothing of the session that was there comes along, not even its second factor.
func TestBreakGlassBeginsAnew(t *testing.T) {
	w, ana, secret := entering(t)
	w.domain(storage.Domain{Account: "acme", Name: "acme.example", Verified: true, Provider: "acme-page"})
	old, err := w.Answer(t.Context(), client, &[]storage.Session{w.signIn("ana@acme.example")}[0], mfa.TOTP, w.code(secret))
	if err != nil {
		t.Fatal(err)
	}
	code, _, err := w.CreateBreakGlass(t.Context(), ana.ID, "acme", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.BreakGlass(t.Context(), client, code, &old)
	if err != nil || !s.Proof.Second.IsZero() || !w.over(old) {
		t.Errorf("proves %+v, %v", s.Proof, err)
	}
}

func TestBreakGlassCodesAreNotGuessed(t *testing.T) {
	w, _, _ := entering(t)
	var wait *limit.Wait
	for range 2 * limit.Network.Free {
		if _, err := w.BreakGlass(t.Context(), client, "AAAA", nil); errors.As(err, &wait) {
			return
		}
	}
	t.Error("codes are tried for ever")
}
