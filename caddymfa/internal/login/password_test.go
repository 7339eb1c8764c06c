package login

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func TestPasswordBeginsASessionThatProvesOnlyThat(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Required)
	w.person("ana@acme.example", "acme")
	s, err := w.Password(t.Context(), client, "  Ana@ACME.example ", password, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Account != "acme" {
		t.Errorf("entered %q; somebody in one account enters it", s.Account)
	}
	if d := w.decide(s, "acme"); d.Verdict != mfa.Enroll {
		t.Errorf("verdict %v, want enrol", d.Verdict)
	}
	if !w.said("sign_in", "ok", "password") {
		t.Error("not in the audit")
	}
}

func TestManyAccountsLeaveTheChoice(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	w.account("bolt", mfa.Optional)
	w.person("ana@acme.example", "acme", "bolt")
	if s := w.signIn("ana@acme.example"); s.Account != "" {
		t.Errorf("entered %q without asking", s.Account)
	}
}

// TestRefusalsReadTheSame: nobody learns who exists, or is switched off.
func TestRefusalsReadTheSame(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	w.person("ana@acme.example", "acme")
	off := w.person("off@acme.example", "acme")
	if _, err := w.store.UpdateUser(t.Context(), off.ID, func(u *storage.User) error { u.Disabled = true; return nil }); err != nil {
		t.Fatal(err)
	}
	none := storage.User{ID: "n", Email: "none@acme.example", Created: w.now()}
	if err := w.store.CreateUser(t.Context(), none); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, email, password, reason string }{
		{"wrong password", "ana@acme.example", "wrong", "wrong_password"},
		{"unknown person", "nobody@acme.example", password, "unknown_user"},
		{"switched off", "off@acme.example", password, "user_disabled"},
		{"has no password", "none@acme.example", "", "wrong_password"},
		{"not an address", "a@evil@acme.example", password, "unknown_user"},
		{"endless", "ana@acme.example", string(make([]byte, 10_000)), "wrong_password"},
	} {
		if _, err := w.Password(t.Context(), client, c.email, c.password, nil); err != ErrWrong {
			t.Errorf("%s: %v, want exactly ErrWrong", c.name, err)
		}
		if !w.said("sign_in", "refused", c.reason) {
			t.Errorf("%s: the audit does not say %s", c.name, c.reason)
		}
	}
}

// TestStrangersCannotLockAPersonOut: a known browser has its own count.
func TestStrangersCannotLockAPersonOut(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	u := w.person("ana@acme.example", "acme")
	stranger := Client{Network: "203.0.113.9"}
	var wait *limit.Wait
	for !errors.As(must(w.Password(t.Context(), stranger, u.Email, "wrong", nil)), &wait) {
	}
	if _, err := w.Password(t.Context(), client, "ANA@acme.example", password, nil); !errors.As(err, &wait) {
		t.Errorf("another spelling has a count of its own: %v", err)
	}
	own := client
	own.Known = w.KnownBrowser(u.ID)
	if _, err := w.Password(t.Context(), own, u.Email, password, nil); err != nil {
		t.Errorf("the person in their own browser: %v", err)
	}
	forged := client
	forged.Known = w.KnownBrowser("somebody-else")
	if _, err := w.Password(t.Context(), forged, u.Email, password, nil); !errors.As(err, &wait) {
		t.Errorf("another's known browser counts as theirs: %v", err)
	}
}

func must(_ storage.Session, err error) error { return err }

// TestUnknownPeopleAreDelayedLikeKnownOnes, or the delay would tell who exists.
func TestUnknownPeopleAreDelayedLikeKnownOnes(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	w.person("ana@acme.example", "acme")
	tries := func(email string) int {
		for n := 0; ; n++ {
			var wait *limit.Wait
			if errors.As(must(w.Password(t.Context(), client, email, "wrong", nil)), &wait) {
				return n
			}
		}
	}
	if known, unknown := tries("ana@acme.example"), tries("nobody@acme.example"); known != unknown {
		t.Errorf("%d tries for a known person, %d for an unknown one", known, unknown)
	}
}

func TestNetworkIsLimitedWhomeverItTries(t *testing.T) {
	w := newWorld(t)
	var wait *limit.Wait
	n := 0
	for ; n < 1000; n++ {
		email := "person" + string(rune('a'+n%26)) + string(rune('a'+n/26%26)) + string(rune('a'+n/676)) + "@acme.example"
		if errors.As(must(w.Password(t.Context(), Client{Network: "2001:db8:1:2::1"}, email, "wrong", nil)), &wait) {
			break
		}
	}
	if n != limit.Network.Free {
		t.Errorf("refused after %d people, want %d", n, limit.Network.Free)
	}
	if _, err := w.Password(t.Context(), Client{Network: "2001:db8:1:2:ffff::9"}, "x@acme.example", "wrong", nil); !errors.As(err, &wait) {
		t.Errorf("another address of the same /64: %v", err)
	}
	if _, err := w.Password(t.Context(), Client{Network: "2001:db8:1:3::1"}, "x@acme.example", "wrong", nil); errors.As(err, &wait) {
		t.Error("another network waits too")
	}
}

// TestBurstOfPasswordsIsBounded: more than the slots wait, and then are told.
func TestBurstOfPasswordsIsBounded(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	w.person("ana@acme.example", "acme")
	gate := make(chan struct{})
	w.hasher.Busy = func() { <-gate }
	w.Passwords = NewPasswords(w.hasher, 2, time.Millisecond)
	results := make(chan error, 10)
	var wg sync.WaitGroup
	for range cap(results) {
		wg.Go(func() {
			_, err := w.Passwords.compare(context.Background(), "hash of "+password, password)
			results <- err
		})
	}
	for range cap(results) - 2 {
		if err := <-results; err != ErrBusy {
			t.Fatalf("a sign-in beyond the slots got %v, want ErrBusy", err)
		}
	}
	close(gate)
	wg.Wait()
	for range 2 {
		if err := <-results; err != nil {
			t.Errorf("one within the slots: %v", err)
		}
	}
}

// TestBusyCostsNoTry: being refused for want of memory is not a wrong password.
func TestBusyCostsNoTry(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	u := w.person("ana@acme.example", "acme")
	w.Passwords = NewPasswords(w.hasher, 0, time.Microsecond)
	for range 3 * limit.Password.Free {
		if _, err := w.Password(t.Context(), client, u.Email, password, nil); !errors.Is(err, ErrBusy) {
			t.Fatalf("%v, want ErrBusy", err)
		}
	}
	w.Passwords = NewPasswords(w.hasher, 1, time.Second)
	if _, err := w.Password(t.Context(), client, u.Email, password, nil); err != nil {
		t.Errorf("after a busy time: %v", err)
	}
}

func TestSigningInAgainKeepsWhatWasProven(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Required)
	w.person("ana@acme.example", "acme")
	w.person("bob@acme.example", "acme")
	s, _ := w.enroll(w.signIn("ana@acme.example"))
	again, err := w.Password(t.Context(), client, "ana@acme.example", password, &s)
	if err != nil {
		t.Fatal(err)
	}
	if again.ID == s.ID || !w.over(s) {
		t.Error("the former session, or its id, lives on")
	}
	if d := w.decide(again, "acme"); d.Verdict != mfa.Allow {
		t.Errorf("verdict %v", d.Verdict)
	}
	other, err := w.Password(t.Context(), client, "bob@acme.example", password, &again)
	if err != nil {
		t.Fatal(err)
	}
	if !other.Proof.Second.IsZero() || !w.over(again) {
		t.Error("one person's second factor went over to another, or their session stayed")
	}
}
