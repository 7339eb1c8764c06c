package login

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// enrolled is a world with one person who has an authenticator app and codes.
func enrolled(t *testing.T) (w *world, secret string, codes []string) {
	t.Helper()
	w = newWorld(t)
	w.account("acme", mfa.Required)
	w.person("ana@acme.example", "acme")
	s, secret := w.enroll(w.signIn("ana@acme.example"))
	codes, err := w.ShowRecoveryCodes(t.Context(), &s)
	if err != nil {
		t.Fatal(err)
	}
	return w, secret, codes
}

func TestCodeOpensAndGivesTheSessionANewName(t *testing.T) {
	w, secret, _ := enrolled(t)
	s := w.signIn("ana@acme.example")
	if d := w.decide(s, "acme"); d.Verdict != mfa.Challenge || !d.Offer.Has(mfa.TOTP) || !d.Offer.Has(mfa.Recovery) {
		t.Fatalf("before: %+v", d)
	}
	next, err := w.Answer(t.Context(), client, &s, mfa.TOTP, w.code(secret))
	if err != nil {
		t.Fatal(err)
	}
	if next.ID == s.ID || !w.over(s) {
		t.Error("the id from before the second factor still works (session fixation)")
	}
	if d := w.decide(next, "acme"); d.Verdict != mfa.Allow {
		t.Errorf("after: %+v", d)
	}
}

func TestCodeIsGoodOnceAndOneStepBack(t *testing.T) {
	w, secret, _ := enrolled(t)
	previous := w.code(secret)
	w.pass(30 * time.Second)
	present := w.code(secret)
	a, b, c := w.signIn("ana@acme.example"), w.signIn("ana@acme.example"), w.signIn("ana@acme.example")
	if _, err := w.Answer(t.Context(), client, &a, mfa.TOTP, previous); err != nil {
		t.Errorf("one step back: %v", err)
	}
	if _, err := w.Answer(t.Context(), client, &b, mfa.TOTP, previous); err != ErrWrong {
		t.Errorf("the same code again: %v, want exactly ErrWrong", err)
	}
	if _, err := w.Answer(t.Context(), client, &b, mfa.TOTP, " "+present[:3]+" "+present[3:]); err != nil {
		t.Errorf("the present code, typed with blanks: %v", err)
	}
	w.pass(60 * time.Second)
	future := w.code(secret)
	w.pass(-60 * time.Second)
	for name, code := range map[string]string{"future": future, "letters": "abcdef", "empty": "", "seven": present + "0"} {
		if _, err := w.Answer(t.Context(), client, &c, mfa.TOTP, code); err != ErrWrong {
			t.Errorf("%s code: %v", name, err)
		}
	}
}

// TestOldStepIsRefusedAfterANewerOne: an observed code of the step before must
// not work once a newer one was used.
func TestOldStepIsRefusedAfterANewerOne(t *testing.T) {
	w, secret, _ := enrolled(t)
	previous := w.code(secret)
	w.pass(30 * time.Second)
	a, b := w.signIn("ana@acme.example"), w.signIn("ana@acme.example")
	if _, err := w.Answer(t.Context(), client, &a, mfa.TOTP, w.code(secret)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Answer(t.Context(), client, &b, mfa.TOTP, previous); err != ErrWrong {
		t.Errorf("%v", err)
	}
}

func parallel(w *world, kind mfa.Kind, code string, n int) int {
	sessions := make([]storage.Session, n)
	for i := range sessions {
		sessions[i] = w.signIn("ana@acme.example")
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range sessions {
		wg.Go(func() {
			_, err := w.Answer(context.Background(), client, &sessions[i], kind, code)
			var wait *limit.Wait
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, ErrWrong), errors.As(err, &wait):
			default:
				w.t.Errorf("a fault under load: %v", err)
			}
		})
	}
	wg.Wait()
	return int(won.Load())
}

func TestOfFiftyAnswersWithOneCodeOneWins(t *testing.T) {
	w, secret, codes := enrolled(t)
	if n := parallel(w, mfa.TOTP, w.code(secret), 50); n != 1 {
		t.Errorf("%d answers with one code of an app were accepted", n)
	}
	w.pass(time.Hour)
	if n := parallel(w, mfa.Recovery, codes[0], 50); n != 1 {
		t.Errorf("%d answers with one recovery code were accepted", n)
	}
}

func TestRecoveryCodeWorksOnceHoweverTyped(t *testing.T) {
	w, _, codes := enrolled(t)
	if len(codes) != RecoveryCodes {
		t.Fatalf("%d codes, want %d", len(codes), RecoveryCodes)
	}
	s := w.signIn("ana@acme.example")
	typed := " " + string(append([]byte(nil), codes[3]...)) + " "
	next, err := w.Answer(t.Context(), client, &s, mfa.Recovery, lower(typed))
	if err != nil {
		t.Fatal(err)
	}
	if d := w.decide(next, "acme"); d.Verdict != mfa.Allow {
		t.Errorf("%+v", d)
	}
	again := w.signIn("ana@acme.example")
	if _, err := w.Answer(t.Context(), client, &again, mfa.Recovery, codes[3]); err != ErrWrong {
		t.Errorf("the same code again: %v", err)
	}
}

func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		} else if c == '-' {
			b[i] = ' '
		}
	}
	return string(b)
}

// TestGuessingLocksTheFactorAndNeverRemovesIt also holds that the way out, a
// recovery code with the password, lets the person bind a new one.
func TestGuessingLocksTheFactorAndNeverRemovesIt(t *testing.T) {
	w, secret, codes := enrolled(t)
	s := w.signIn("ana@acme.example")
	var err error
	for range limit.SecondFactor.Cap {
		if _, err = w.Answer(t.Context(), client, &s, mfa.TOTP, "000000"); err != ErrWrong {
			t.Fatalf("%v", err)
		}
		w.pass(limit.SecondFactor.Longest)
		s = w.signIn("ana@acme.example") // new flows and sessions share the count
	}
	if _, err = w.Answer(t.Context(), client, &s, mfa.TOTP, w.code(secret)); !errors.Is(err, ErrLocked) {
		t.Fatalf("after %d wrong codes the right one got %v", limit.SecondFactor.Cap, err)
	}
	w.pass(31 * 24 * time.Hour)
	s = w.signIn("ana@acme.example")
	if _, err = w.Answer(t.Context(), client, &s, mfa.TOTP, w.code(secret)); err == nil {
		t.Fatal("a locked factor came back by itself")
	}
	if d := w.decide(s, "acme"); d.Verdict != mfa.Challenge {
		t.Fatalf("guessing got rid of the second factor: %+v", d)
	}
	s, err = w.Answer(t.Context(), client, &s, mfa.Recovery, codes[0])
	if err != nil {
		t.Fatal(err)
	}
	s, fresh := w.enroll(s)
	next := w.signIn("ana@acme.example")
	if _, err := w.Answer(t.Context(), client, &next, mfa.TOTP, w.code(fresh)); err != nil {
		t.Errorf("the new authenticator: %v", err)
	}
	_ = s
}

func TestAnswerToAnEndedSessionChangesNothing(t *testing.T) {
	w, secret, _ := enrolled(t)
	s := w.signIn("ana@acme.example")
	if err := w.SignOut(t.Context(), client, &s, false); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Answer(t.Context(), client, &s, mfa.TOTP, w.code(secret)); !errors.Is(err, ErrSignedOut) {
		t.Errorf("%v", err)
	}
}
