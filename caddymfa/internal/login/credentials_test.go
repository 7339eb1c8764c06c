package login

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func TestLastAuthenticatorStaysWhereRequired(t *testing.T) {
	w, secret, _ := enrolled(t)
	s := w.signIn("ana@acme.example")
	s, err := w.Answer(t.Context(), client, &s, mfa.TOTP, w.code(secret))
	if err != nil {
		t.Fatal(err)
	}
	rows, _ := w.store.FactorsOf(t.Context(), s.User)
	var required *RequiredBy
	if err := w.RemoveFactor(t.Context(), client, &s, rows[0].ID); !errors.As(err, &required) || required.Accounts[0] != "The acme" {
		t.Fatalf("removed the last authenticator: %v", err)
	}
	s, _ = w.enroll(s)
	if err := w.RemoveFactor(t.Context(), client, &s, rows[0].ID); err != nil {
		t.Fatalf("removing one of two: %v", err)
	}
	if d := w.decide(s, "acme"); d.Verdict != mfa.Allow {
		t.Errorf("%+v", d)
	}
}

func TestRemovingTheLastClearsWhatItProved(t *testing.T) {
	w, secret, _ := enrolled(t)
	if _, err := w.store.UpdateAccount(t.Context(), "acme", func(a *storage.Account) error { a.Policy = mfa.Optional; return nil }); err != nil {
		t.Fatal(err)
	}
	s := w.signIn("ana@acme.example")
	s, err := w.Answer(t.Context(), client, &s, mfa.TOTP, w.code(secret))
	if err != nil {
		t.Fatal(err)
	}
	rows, _ := w.store.FactorsOf(t.Context(), s.User)
	if err := w.RemoveFactor(t.Context(), client, &s, rows[0].ID); err != nil {
		t.Fatal(err)
	}
	if codes, _ := w.store.RecoveryCodesOf(t.Context(), s.User); len(codes) != 0 {
		t.Error("recovery codes stayed without an authenticator")
	}
	if _, err := w.store.UpdateAccount(t.Context(), "acme", func(a *storage.Account) error { a.Policy = mfa.Required; return nil }); err != nil {
		t.Fatal(err)
	}
	if d := w.decide(s, "acme"); d.Verdict != mfa.Enroll {
		t.Errorf("a removed authenticator still proves something: %+v", d)
	}
}

func TestNobodyTouchesAnothersAuthenticator(t *testing.T) {
	w, _, _ := enrolled(t)
	w.person("eve@acme.example", "acme")
	eve, _ := w.enroll(w.signIn("eve@acme.example"))
	ana, _ := w.store.UserByEmail(t.Context(), "ana@acme.example")
	rows, _ := w.store.FactorsOf(t.Context(), ana.ID)
	if err := w.RenameFactor(t.Context(), client, &eve, rows[0].ID, "mine"); !errors.Is(err, ErrStartAgain) {
		t.Errorf("renamed: %v", err)
	}
	if err := w.RemoveFactor(t.Context(), client, &eve, rows[0].ID); !errors.Is(err, ErrStartAgain) {
		t.Errorf("removed: %v", err)
	}
	s := w.signIn("ana@acme.example")
	if err := w.EndSession(t.Context(), client, &eve, s.ID); err != nil || w.over(s) {
		t.Errorf("ended another's session: %v", err)
	}
}

func TestChangingThePasswordEndsOtherSessions(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	w.person("ana@acme.example", "acme")
	s, other := w.signIn("ana@acme.example"), w.signIn("ana@acme.example")
	const next = "four lucky clover leaves"
	if err := w.ChangePassword(t.Context(), client, &s, "wrong", next); err != ErrWrong {
		t.Errorf("with a wrong password: %v", err)
	}
	if err := w.ChangePassword(t.Context(), client, &s, password, "short"); !errors.Is(err, ErrPassword) {
		t.Errorf("to a short one: %v", err)
	}
	if err := w.ChangePassword(t.Context(), client, &s, password, next); err != nil {
		t.Fatal(err)
	}
	if !w.over(other) || w.over(s) {
		t.Error("another session stayed, or the own one ended")
	}
	if _, err := w.Password(t.Context(), client, "ana@acme.example", password, nil); err != ErrWrong {
		t.Errorf("the former password: %v", err)
	}
	if _, err := w.Password(t.Context(), client, "ana@acme.example", next, nil); err != nil {
		t.Errorf("the new password: %v", err)
	}
}

func TestSetUpCodeWorksOnceAndRemovesNoFactor(t *testing.T) {
	w, _, _ := enrolled(t)
	s := w.signIn("ana@acme.example")
	code, _, err := w.CreateSetUp(t.Context(), s.User)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.SetUp(t.Context(), client, "WRONGCODE", "four lucky clover leaves"); !errors.Is(err, ErrStartAgain) {
		t.Errorf("wrong code: %v", err)
	}
	if err := w.SetUp(t.Context(), client, code, "short"); !errors.Is(err, ErrPassword) {
		t.Errorf("a short password: %v", err)
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if w.SetUp(context.Background(), client, code, "four lucky clover leaves") == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("used %d times", won.Load())
	}
	if !w.over(s) {
		t.Error("a session from before the new password lives on")
	}
	next, err := w.Password(t.Context(), client, "ana@acme.example", "four lucky clover leaves", nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := w.decide(next, "acme"); d.Verdict != mfa.Challenge {
		t.Errorf("the set-up code skipped the second factor: %+v", d)
	}
	code, _, _ = w.CreateSetUp(t.Context(), s.User)
	w.pass(SetUpTime)
	if err := w.SetUp(t.Context(), client, code, "four lucky clover leaves"); !errors.Is(err, ErrStartAgain) {
		t.Errorf("after its time: %v", err)
	}
}

func TestSwitchKeepsProofAndIsJudgedAnew(t *testing.T) {
	w := newWorld(t)
	w.account("easy", mfa.Optional)
	w.account("hard", mfa.Required)
	w.account("other", mfa.Optional)
	w.person("ana@partner.example", "easy", "hard")
	s := w.signIn("ana@partner.example")
	s, err := w.Switch(t.Context(), client, &s, "easy")
	if err != nil || w.decide(s, s.Account).Verdict != mfa.Allow {
		t.Fatalf("entering the easy account: %v", err)
	}
	s, err = w.Switch(t.Context(), client, &s, "hard")
	if err != nil || w.decide(s, s.Account).Verdict != mfa.Enroll {
		t.Fatalf("entering the hard account: %v, %+v", err, w.decide(s, s.Account))
	}
	s, _ = w.enroll(s)
	for _, account := range []string{"easy", "hard"} {
		if s, err = w.Switch(t.Context(), client, &s, account); err != nil || w.decide(s, account).Reason != mfa.SecondFactor {
			t.Errorf("%s: %v, %+v", account, err, w.decide(s, account))
		}
	}
	for _, account := range []string{"other", "nothing", ""} {
		if _, err := w.Switch(t.Context(), client, &s, account); !errors.Is(err, ErrNotMember) {
			t.Errorf("entered %q: %v", account, err)
		}
	}
}

func TestOnlyAnInvitationCanBePutOff(t *testing.T) {
	w := newWorld(t)
	w.account("soft", mfa.Suggested)
	w.account("hard", mfa.Required)
	w.person("ana@partner.example", "soft", "hard")
	s := w.signIn("ana@partner.example")
	var u *Undecided
	if err := w.Later(t.Context(), client, &s, "hard"); !errors.As(err, &u) {
		t.Errorf("put a requirement off: %v", err)
	}
	if err := w.Later(t.Context(), client, &s, "soft"); err != nil {
		t.Fatal(err)
	}
	if d := w.decide(s, "soft"); d.Reason != mfa.Snoozed {
		t.Errorf("%+v", d)
	}
	w.pass(w.Snooze - time.Second)
	s = w.signIn("ana@partner.example")
	if d := w.decide(s, "soft"); d.Verdict != mfa.Allow {
		t.Errorf("invited again within the snooze: %+v", d)
	}
	w.pass(time.Second)
	if d := w.decide(s, "soft"); d.Verdict != mfa.Suggest {
		t.Errorf("after the snooze: %+v", d)
	}
}

func TestSignOutEverywhere(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	w.person("ana@acme.example", "acme")
	a, b, c := w.signIn("ana@acme.example"), w.signIn("ana@acme.example"), w.signIn("ana@acme.example")
	if err := w.SignOut(t.Context(), client, &a, false); err != nil || !w.over(a) || w.over(b) {
		t.Fatalf("one: %v", err)
	}
	if err := w.SignOut(t.Context(), client, &b, true); err != nil || !w.over(b) || !w.over(c) {
		t.Fatalf("all: %v", err)
	}
}
