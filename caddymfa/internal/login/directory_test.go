package login

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func TestDirectoryTakesPasswords(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Required)
	ad := w.company("acme", "directory", "", "acme.example", true, Linking{Join: true})
	s, err := w.Password(t.Context(), client, "ana@acme.example", password, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := w.decide(s, "acme"); d.Reason != mfa.ProviderPrecedence {
		t.Errorf("decided %+v", d)
	}
	if s.Proof.Issuer != "acme-directory" || !s.Proof.First.Equal(w.now()) {
		t.Errorf("proves %+v", s.Proof)
	}
	asked := len(ad.names)
	for _, typed := range []string{"", strings.Repeat("x", MaxPassword+1)} {
		if _, err := w.Password(t.Context(), client, "ana@acme.example", typed, nil); !errors.Is(err, ErrWrong) {
			t.Errorf("a password of %d characters: %v", len(typed), err)
		}
	}
	if len(ad.names) != asked {
		t.Error("the directory was asked about no password, or one of absurd length")
	}
	// Why it refused is for the audit; the person reads the same.
	ad.err = errors.Join(identity.ErrIncorrect, &identity.Refusal{Reason: "account_locked"})
	if _, err := w.Password(t.Context(), client, "ana@acme.example", password, nil); err != ErrWrong || !w.said("sign_in", "refused", "account_locked") {
		t.Errorf("answered %v", err)
	}
	// The count is ours: a directory is not asked for ever.
	asked = len(ad.names)
	var wait *limit.Wait
	for range 20 {
		if _, err := w.Password(t.Context(), client, "ana@acme.example", "wrong", nil); errors.As(err, &wait) {
			break
		}
	}
	if wait == nil || len(ad.names)-asked > limit.Password.Free {
		t.Errorf("waited %v after %d questions", wait, len(ad.names)-asked)
	}
	// A directory that is down costs nobody a try.
	w.pass(day + time.Hour)
	ad.err = identity.ErrUnavailable
	for range limit.Password.Free + 3 {
		if _, err := w.Password(t.Context(), client, "bea@acme.example", password, nil); !errors.Is(err, identity.ErrUnavailable) {
			t.Fatalf("answered %v", err)
		}
	}
}

// A test of a directory is a sign-in that signs nobody in.
func TestTryDirectory(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Required)
	ad := w.company("acme", "directory", "", "acme.example", false, Linking{})
	w.company("acme", "page", issuer, "other.example", false, Linking{})
	if who, err := w.TryDirectory(t.Context(), "acme-directory", "ana@acme.example", password); err != nil || who.Email != "ana@acme.example" {
		t.Errorf("vouches for %+v, %v", who, err)
	}
	if _, err := w.TryDirectory(t.Context(), "acme-page", "ana@acme.example", password); !errors.Is(err, ErrNoDirectory) {
		t.Errorf("a provider with a page: %v", err)
	}
	refused := func(reason, typed string) {
		t.Helper()
		var refusal *identity.Refusal
		if _, err := w.TryDirectory(t.Context(), "acme-directory", "ana@acme.example", typed); !errors.As(err, &refusal) || refusal.Reason != reason {
			t.Errorf("expected %s, got %v", reason, err)
		}
	}
	refused("empty_password", "")
	refused("wrong_password", "wrong")
	ad.who.Email = "ana@other.example" // which leads elsewhere
	refused("email_of_another_domain", password)
	ad.who.Subject = ""
	refused("subject_missing", password)
	ad.err = errors.Join(identity.ErrIncorrect, &identity.Refusal{Reason: "account_locked"})
	refused("account_locked", password)
	if users, err := w.store.Users(t.Context(), "", 10); err != nil || len(users) != 0 || len(w.events) != 0 {
		t.Errorf("a test left %d people and %+v, %v", len(users), w.events, err)
	}
}

func TestDirectoryBesidePasswordsOfOurs(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	ad := w.company("acme", "directory", "", "acme.example", false, Linking{})
	ana := w.person("ana@acme.example", "acme")
	if s, err := w.Password(t.Context(), client, "ana@acme.example", password, nil); err != nil || s.Proof.FirstBy != mfa.ByPassword || len(ad.names) != 0 {
		t.Errorf("with a password of ours: %+v, %v", s.Proof, err)
	}
	if _, err := w.store.UpdateUser(t.Context(), ana.ID, func(u *storage.User) error { u.PasswordHash = ""; return nil }); err != nil {
		t.Fatal(err)
	}
	if s, err := w.Password(t.Context(), client, "ana@acme.example", password, nil); err != nil || s.Proof.FirstBy != mfa.BySSO {
		t.Errorf("with the directory's: %+v, %v", s.Proof, err)
	}
	if _, err := w.Password(t.Context(), client, "ana@acme.example", "wrong", nil); !errors.Is(err, ErrWrong) {
		t.Errorf("with neither: %v", err)
	}
	// The person whom a directory vouches for may still be nobody here.
	ad.who.Subject, ad.who.Email = "subject-2", "bea@acme.example"
	if _, err := w.Password(t.Context(), client, "bea@acme.example", password, nil); !errors.Is(err, ErrRefused) || !w.said("sign_in", "refused", "unknown_user") {
		t.Errorf("somebody unknown: %v", err)
	}
}

// Where a fresh sign-in is wanted, the directory's password is shown again; a
// second factor of ours would not do.
func TestDirectoryIsAskedAgain(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Required)
	w.company("acme", "directory", "", "acme.example", true, Linking{Join: true})
	decide := func(s storage.Session) mfa.Decision {
		t.Helper()
		g, err := w.Facts.Gather(t.Context(), &s, "acme", mfa.Route{MaxAge: 10 * time.Minute}, w.now())
		if err != nil {
			t.Fatal(err)
		}
		return mfa.Decide(g.Facts)
	}
	s, err := w.Password(t.Context(), client, "ana@acme.example", password, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := decide(s); d.Verdict != mfa.Allow || d.Reason != mfa.ProviderPrecedence {
		t.Errorf("fresh: %+v", d)
	}
	w.pass(time.Hour)
	if d := decide(s); d.Verdict != mfa.SSO || d.Reason != mfa.ProviderTooOld || d.Provider != "acme-directory" {
		t.Errorf("an hour later: %+v", d)
	}
	if d := w.decide(s, "acme"); d.Verdict != mfa.Allow {
		t.Errorf("elsewhere: %+v", d)
	}
	next, err := w.Password(t.Context(), client, "ana@acme.example", password, &s)
	if err != nil || !w.over(s) {
		t.Fatalf("asked again: %v", err)
	}
	if d := decide(next); d.Verdict != mfa.Allow {
		t.Errorf("asked again: %+v", d)
	}
}
