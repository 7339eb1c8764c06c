package login

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func TestEnrolmentShowsOneKeyUntilItIsConfirmed(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Required)
	w.person("ana@acme.example", "acme")
	s := w.signIn("ana@acme.example")
	first, err := w.BeginTOTP(t.Context(), &s)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(first.URI, "otpauth://totp/Test%20portal:ana@acme.example?") || !strings.Contains(first.URI, "secret="+first.Secret) || len(first.QR) == 0 {
		t.Errorf("prompt %+v", first)
	}
	again, err := w.BeginTOTP(t.Context(), &s)
	if err != nil || again.Secret != first.Secret {
		t.Fatalf("reloading the page changes the key, which was scanned already: %v", err)
	}
	if _, _, err := w.ConfirmTOTP(t.Context(), client, &s, "000000", ""); err != ErrWrong {
		t.Fatalf("wrong code: %v", err)
	}
	if d := w.decide(s, "acme"); d.Verdict != mfa.Enroll {
		t.Fatalf("a pending enrolment counts: %+v", d)
	}
	next, codes, err := w.ConfirmTOTP(t.Context(), client, &s, w.code(first.Secret), "My phone")
	if err != nil || !codes {
		t.Fatalf("confirming: %v, codes %v", err, codes)
	}
	if d := w.decide(next, "acme"); d.Verdict != mfa.Allow {
		t.Errorf("after: %+v", d)
	}
	if next.ID == s.ID || !w.over(s) {
		t.Error("the id from before lives on")
	}
	shown, err := w.ShowRecoveryCodes(t.Context(), &next)
	if err != nil || len(shown) != RecoveryCodes {
		t.Fatalf("codes: %v, %v", shown, err)
	}
	if _, err := w.ShowRecoveryCodes(t.Context(), &next); !errors.Is(err, ErrStartAgain) {
		t.Errorf("shown twice: %v", err)
	}
	// The code that confirmed is spent.
	other := w.signIn("ana@acme.example")
	if _, err := w.Answer(t.Context(), client, &other, mfa.TOTP, w.code(first.Secret)); err != ErrWrong {
		t.Errorf("the code that confirmed the enrolment also signs in: %v", err)
	}
}

func TestNothingStoredIsReadable(t *testing.T) {
	w, secret, codes := enrolled(t)
	u, err := w.store.UserByEmail(t.Context(), "ana@acme.example")
	if err != nil {
		t.Fatal(err)
	}
	factors, err := w.store.FactorsOf(t.Context(), u.ID)
	if err != nil || len(factors) != 1 {
		t.Fatal(factors, err)
	}
	if strings.Contains(string(factors[0].State), secret) {
		t.Error("the secret is stored in the clear")
	}
	rows, err := w.store.RecoveryCodesOf(t.Context(), u.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		for _, code := range codes {
			if strings.Contains(string(row.Hash)+string(row.Salt), code) {
				t.Error("a recovery code is stored in the clear")
			}
		}
	}
	for _, e := range w.events {
		for _, secret := range append(codes, secret, password) {
			if strings.Contains(e.Detail+e.Reason, secret) {
				t.Errorf("the audit holds a secret: %+v", e)
			}
		}
	}
}

// TestPendingEnrolmentExpires and belongs to its session.
func TestPendingEnrolmentExpires(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Required)
	w.person("ana@acme.example", "acme")
	s, other := w.signIn("ana@acme.example"), w.signIn("ana@acme.example")
	prompt, err := w.BeginTOTP(t.Context(), &s)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.ConfirmTOTP(t.Context(), client, &other, w.code(prompt.Secret), ""); !errors.Is(err, ErrStartAgain) {
		t.Errorf("confirmed from another session: %v", err)
	}
	w.pass(enrollTime)
	if _, _, err := w.ConfirmTOTP(t.Context(), client, &s, w.code(prompt.Secret), ""); !errors.Is(err, ErrStartAgain) {
		t.Errorf("confirmed after its time: %v", err)
	}
}

// TestOnlyOneFirstAuthenticator: two sessions that know only the password start
// to enrol; whoever is second must show the first one's factor.
func TestOnlyOneFirstAuthenticator(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Required)
	w.person("ana@acme.example", "acme")
	const n = 10
	sessions := make([]storage.Session, n)
	codes := make([]string, n)
	for i := range sessions {
		sessions[i] = w.signIn("ana@acme.example")
		prompt, err := w.BeginTOTP(t.Context(), &sessions[i])
		if err != nil {
			t.Fatal(err)
		}
		codes[i] = w.code(prompt.Secret)
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range sessions {
		wg.Go(func() {
			if _, _, err := w.ConfirmTOTP(context.Background(), client, &sessions[i], codes[i], ""); err == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	u, _ := w.store.UserByEmail(t.Context(), "ana@acme.example")
	factors, err := w.store.FactorsOf(t.Context(), u.ID)
	if err != nil || won.Load() != 1 || len(factors) != 1 {
		t.Errorf("%d enrolments succeeded, %d authenticators, %v", won.Load(), len(factors), err)
	}
}

// TestPasswordAloneAddsNothing for somebody who has an authenticator.
func TestPasswordAloneAddsNothing(t *testing.T) {
	w, secret, _ := enrolled(t)
	s := w.signIn("ana@acme.example")
	var u *Undecided
	if _, err := w.BeginTOTP(t.Context(), &s); !errors.As(err, &u) || u.Decision.Verdict != mfa.Challenge {
		t.Fatalf("a password alone begins an enrolment: %v", err)
	}
	if _, _, err := w.ConfirmTOTP(t.Context(), client, &s, "123456", ""); !errors.As(err, &u) {
		t.Fatalf("a password alone confirms: %v", err)
	}
	if err := w.NewRecoveryCodes(t.Context(), client, &s); !errors.As(err, &u) {
		t.Fatalf("a password alone makes recovery codes: %v", err)
	}
	s, err := w.Answer(t.Context(), client, &s, mfa.TOTP, w.code(secret))
	if err != nil {
		t.Fatal(err)
	}
	w.pass(mfa.ChangeWindow + time.Second)
	if _, err := w.BeginTOTP(t.Context(), &s); !errors.As(err, &u) || u.Decision.Reason != mfa.SecondFactorTooOld {
		t.Errorf("a second factor of long ago begins an enrolment: %v", err)
	}
}

func TestChangeEndsOtherSessions(t *testing.T) {
	w, secret, _ := enrolled(t)
	other := w.signIn("ana@acme.example")
	s := w.signIn("ana@acme.example")
	s, err := w.Answer(t.Context(), client, &s, mfa.TOTP, w.code(secret))
	if err != nil {
		t.Fatal(err)
	}
	if w.over(other) {
		t.Fatal("signing in ended another session")
	}
	s, _ = w.enroll(s)
	if !w.over(other) || w.over(s) {
		t.Error("another session stayed, or the own one ended, after a change of authenticators")
	}
}

func TestNewRecoveryCodesVoidTheFormer(t *testing.T) {
	w, secret, codes := enrolled(t)
	s := w.signIn("ana@acme.example")
	s, err := w.Answer(t.Context(), client, &s, mfa.TOTP, w.code(secret))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.NewRecoveryCodes(t.Context(), client, &s); err != nil {
		t.Fatal(err)
	}
	fresh, err := w.ShowRecoveryCodes(t.Context(), &s)
	if err != nil || len(fresh) != RecoveryCodes {
		t.Fatal(fresh, err)
	}
	next := w.signIn("ana@acme.example")
	if _, err := w.Answer(t.Context(), client, &next, mfa.Recovery, codes[0]); err != ErrWrong {
		t.Errorf("a voided code: %v", err)
	}
	if _, err := w.Answer(t.Context(), client, &next, mfa.Recovery, fresh[0]); err != nil {
		t.Errorf("a new code: %v", err)
	}
}

// TestFoundRecoveryCodeRebindsNothing without the password, shown again.
func TestFoundRecoveryCodeRebindsNothing(t *testing.T) {
	w, _, codes := enrolled(t)
	s := w.signIn("ana@acme.example")
	w.pass(mfa.ChangeWindow + time.Minute) // an open browser is found, and a slip of paper beside it
	s, err := w.Answer(t.Context(), client, &s, mfa.Recovery, codes[0])
	if err != nil {
		t.Fatal(err)
	}
	var u *Undecided
	if _, err := w.BeginTOTP(t.Context(), &s); !errors.As(err, &u) || u.Decision.Verdict != mfa.SignIn {
		t.Fatalf("re-bound: %v", err)
	}
	s, err = w.Password(t.Context(), client, "ana@acme.example", password, &s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.BeginTOTP(t.Context(), &s); err != nil {
		t.Errorf("with code and password: %v", err)
	}
}
