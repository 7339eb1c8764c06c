package login

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	device "github.com/descope/virtualwebauthn"

	"github.com/caddymfa/gateway/caddymfa/factor"
	"github.com/caddymfa/gateway/caddymfa/factor/webauthn"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

var portal = device.RelyingParty{ID: "portal.example", Name: "Test portal", Origin: "https://portal.example"}

// key is somebody's security key or passkey, in software.
type key struct {
	t    *testing.T
	auth device.Authenticator
	cred device.Credential
}

func newKey(t *testing.T, user string) *key {
	cred := device.NewCredential(device.KeyTypeEC2)
	for len(cred.Key.AttestationData()) != 77 { // it leaves leading zeros out, which no real one does
		cred = device.NewCredential(device.KeyTypeEC2)
	}
	return &key{t: t, cred: cred,
		auth: device.NewAuthenticatorWithOptions(device.AuthenticatorOptions{UserHandle: []byte(user)})}
}

func (k *key) create(options []byte) []byte {
	k.t.Helper()
	parsed, err := device.ParseAttestationOptions(string(options))
	if err != nil {
		k.t.Fatal(err)
	}
	return []byte(device.CreateAttestationResponse(portal, k.auth, k.cred, *parsed))
}

func (k *key) get(options []byte) []byte {
	k.t.Helper()
	parsed, err := device.ParseAssertionOptions(string(options))
	if err != nil {
		k.t.Fatal(err)
	}
	return []byte(device.CreateAssertionResponse(portal, k.auth, k.cred, *parsed))
}

// withKeys is a world in which security keys are configured, and ana, with the
// password shown.
func withKeys(t *testing.T) (*world, storage.User, storage.Session) {
	t.Helper()
	w := newWorld(t)
	keys, err := (&webauthn.Module{RPID: portal.ID}).Keys("Test portal", "")
	if err != nil {
		t.Fatal(err)
	}
	w.Keys = keys
	w.account("acme", mfa.Required)
	u := w.person("ana@acme.example", "acme")
	return w, u, w.signIn("ana@acme.example")
}

// addKey adds a key and returns the session that goes on.
func (w *world) addKey(s storage.Session, k *key, name string) storage.Session {
	w.t.Helper()
	options, err := w.BeginKey(w.t.Context(), &s)
	if err != nil {
		w.t.Fatal(err)
	}
	next, _, err := w.ConfirmKey(w.t.Context(), client, &s, k.create(options), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return next
}

func TestKeyIsAddedAndAnswers(t *testing.T) {
	w, u, s := withKeys(t)
	k := newKey(t, u.ID)
	next := w.addKey(s, k, "")
	if d := w.decide(next, "acme"); d.Verdict != mfa.Allow || next.ID == s.ID || !w.over(s) {
		t.Errorf("after adding a key: %+v", d)
	}
	if !w.said("enroll", "ok", "webauthn") {
		t.Error("the audit does not tell of it")
	}
	if codes, err := w.ShowRecoveryCodes(t.Context(), &next); err != nil || len(codes) != RecoveryCodes {
		t.Errorf("recovery codes: %d, %v", len(codes), err)
	}

	s = w.signIn("ana@acme.example")
	if d := w.decide(s, "acme"); d.Verdict != mfa.Challenge || !d.Offer.Has(mfa.WebAuthn) || d.Offer.Has(mfa.TOTP) {
		t.Fatalf("with the password alone: %+v", d)
	}
	options, err := w.AskKey(t.Context(), &s)
	if err != nil {
		t.Fatal(err)
	}
	response := k.get(options)
	next, err = w.AnswerKey(t.Context(), client, &s, response)
	if err != nil {
		t.Fatal(err)
	}
	if d := w.decide(next, "acme"); d.Verdict != mfa.Allow || next.Proof.SecondBy != mfa.WebAuthn {
		t.Errorf("after the answer: %+v, %+v", d, next.Proof)
	}
	if _, err := w.AnswerKey(t.Context(), client, &next, response); !errors.Is(err, ErrStartAgain) {
		t.Errorf("the same answer again: %v", err)
	}
}

// TestKeyCeremonyIsForOneBrowserOnce: what one session asked, another cannot
// answer, nor the same one twice, nor later.
func TestKeyCeremonyIsForOneBrowserOnce(t *testing.T) {
	w, u, s := withKeys(t)
	k := newKey(t, u.ID)
	w.addKey(s, k, "Blue")
	mine, stolen := w.signIn("ana@acme.example"), w.signIn("ana@acme.example")
	options, err := w.AskKey(t.Context(), &mine)
	if err != nil {
		t.Fatal(err)
	}
	response := k.get(options)
	if _, err := w.AnswerKey(t.Context(), client, &stolen, response); !errors.Is(err, ErrStartAgain) {
		t.Errorf("without having asked: %v", err)
	}
	if _, err := w.AskKey(t.Context(), &stolen); err != nil {
		t.Fatal(err)
	}
	if _, err := w.AnswerKey(t.Context(), client, &stolen, response); !errors.Is(err, ErrWrong) {
		t.Errorf("the answer to another session's question: %v", err)
	}
	var won atomic.Int32
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, err := w.AnswerKey(t.Context(), client, &mine, response); err == nil {
				won.Add(1)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 {
		t.Errorf("one answer was accepted %d times", won.Load())
	}
	late := w.signIn("ana@acme.example")
	if options, err = w.AskKey(t.Context(), &late); err != nil {
		t.Fatal(err)
	}
	w.pass(ceremonyTime)
	if _, err := w.AnswerKey(t.Context(), client, &late, k.get(options)); !errors.Is(err, ErrStartAgain) {
		t.Errorf("after %v: %v", ceremonyTime, err)
	}
	fresh := w.signIn("ana@acme.example")
	if options, err = w.AskKey(t.Context(), &fresh); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.ConfirmKey(t.Context(), client, &fresh, k.create(options), ""); err == nil {
		t.Error("an answer at the challenge's step added a key")
	}
}

func TestKeyThatIsNotTheirs(t *testing.T) {
	w, u, s := withKeys(t)
	k := newKey(t, u.ID)
	w.addKey(s, k, "Blue")
	b := w.person("bea@acme.example", "acme")
	beas := newKey(t, b.ID)
	w.addKey(w.signIn("bea@acme.example"), beas, "Red")

	s = w.signIn("ana@acme.example")
	options, err := w.AskKey(t.Context(), &s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AnswerKey(t.Context(), client, &s, beas.get(options)); !errors.Is(err, ErrWrong) {
		t.Errorf("somebody else's key: %v", err)
	}
	if !w.said("challenge", "refused", "wrong_webauthn") {
		t.Error("the audit does not tell of it")
	}
	if _, err := w.AskKey(t.Context(), &s); err != nil {
		t.Fatal(err)
	}
	if _, err := w.AnswerKey(t.Context(), client, &s, []byte("{")); !errors.Is(err, factor.ErrMalformed) {
		t.Errorf("no answer at all: %v", err)
	}
	// A passkey names its owner, whoever uses it.
	k.auth.Options.UserHandle = []byte(b.ID)
	if _, err := w.passkey(k); !errors.Is(err, ErrWrong) {
		t.Errorf("ana's passkey in bea's name: %v", err)
	}
	k.auth.Options.UserHandle = []byte("nobody")
	if _, err := w.passkey(k); !errors.Is(err, ErrWrong) {
		t.Errorf("ana's passkey in nobody's name: %v", err)
	}
}

// passkey signs in with a passkey alone.
func (w *world) passkey(k *key) (storage.Session, error) {
	w.t.Helper()
	ceremony, options, err := w.AskPasskey()
	if err != nil {
		w.t.Fatal(err)
	}
	return w.Passkey(w.t.Context(), client, ceremony, k.get(options), nil)
}

func TestPasskeyIsTheWholeSignIn(t *testing.T) {
	w, u, s := withKeys(t)
	k := newKey(t, u.ID)
	k.auth.Options.BackupEligible, k.auth.Options.BackupState = true, true
	w.addKey(s, k, "")
	signedIn, err := w.passkey(k)
	if err != nil {
		t.Fatal(err)
	}
	if d := w.decide(signedIn, "acme"); d.Verdict != mfa.Allow {
		t.Errorf("after a passkey: %+v", d)
	}
	p := signedIn.Proof
	if p.FirstBy != mfa.ByPasskey || p.SecondBy != mfa.WebAuthn || !p.Synced || p.User != u.ID || len(p.AMR()) != 3 {
		t.Errorf("proof %+v, amr %v", p, p.AMR())
	}

	ceremony, options, err := w.AskPasskey()
	if err != nil {
		t.Fatal(err)
	}
	response := k.get(options)
	if _, err := w.Passkey(t.Context(), client, ceremony, response, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Passkey(t.Context(), client, ceremony, response, nil); !errors.Is(err, ErrStartAgain) {
		t.Errorf("the same answer again: %v", err)
	}
	if _, err := w.Passkey(t.Context(), client, nil, response, nil); !errors.Is(err, ErrStartAgain) {
		t.Errorf("in a browser that was not asked: %v", err)
	}
	late, options, err := w.AskPasskey()
	if err != nil {
		t.Fatal(err)
	}
	w.pass(ceremonyTime)
	if _, err := w.Passkey(t.Context(), client, late, k.get(options), nil); !errors.Is(err, ErrStartAgain) {
		t.Errorf("after %v: %v", ceremonyTime, err)
	}
	k.auth.Options.UserNotVerified = true
	if _, err := w.passkey(k); !errors.Is(err, ErrWrong) {
		t.Errorf("without having made sure of its owner: %v", err)
	}
	k.auth.Options.UserNotVerified = false

	if _, err := w.store.UpdateUser(t.Context(), u.ID, func(u *storage.User) error { u.Disabled = true; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := w.passkey(k); !errors.Is(err, ErrWrong) {
		t.Errorf("a disabled person's: %v", err)
	}
	if _, err := w.store.UpdateUser(t.Context(), u.ID, func(u *storage.User) error { u.Disabled = false; return nil }); err != nil {
		t.Fatal(err)
	}
	factors, err := w.store.FactorsOf(t.Context(), u.ID)
	if err != nil || len(factors) != 1 {
		t.Fatal(factors, err)
	}
	if err := w.store.RemoveFactor(t.Context(), u.ID, factors[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.passkey(k); !errors.Is(err, ErrWrong) {
		t.Errorf("a removed one: %v", err)
	}
}

// TestKeyCounterGoesOn: of two copies of a key, neither is believed.
func TestKeyCounterGoesOn(t *testing.T) {
	w, u, s := withKeys(t)
	k := newKey(t, u.ID)
	k.cred.Counter = 3
	w.addKey(s, k, "")
	for _, c := range []struct {
		counter uint32
		want    error
	}{{4, nil}, {4, ErrWrong}, {3, ErrWrong}, {9, nil}} {
		k.cred.Counter = c.counter
		if _, err := w.passkey(k); !errors.Is(err, c.want) {
			t.Errorf("counter %d: %v, want %v", c.counter, err, c.want)
		}
	}
}

// TestKeyGuessesAreCounted: also for keys, a row of wrong answers makes wait.
func TestKeyGuessesAreCounted(t *testing.T) {
	w, u, s := withKeys(t)
	w.addKey(s, newKey(t, u.ID), "")
	wrong := newKey(t, u.ID)
	s = w.signIn("ana@acme.example")
	var wait *limit.Wait
	for range limit.SecondFactor.Free + 2 {
		options, err := w.AskKey(t.Context(), &s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = w.AnswerKey(t.Context(), client, &s, wrong.get(options)); errors.As(err, &wait) {
			break
		}
	}
	if wait == nil || !wait.Until.After(w.now()) || wait.Until.After(w.now().Add(time.Hour)) {
		t.Errorf("no wait, or an endless one: %v", wait)
	}
}

// TestPhishingResistantOnly: where only keys count, an app does not, and its
// owner is led to add a key.
func TestPhishingResistantOnly(t *testing.T) {
	w, u, s := withKeys(t)
	s, _ = w.enroll(s)
	if d := w.decide(s, "acme"); d.Verdict != mfa.Allow {
		t.Fatalf("with an app: %+v", d)
	}
	if _, err := w.store.UpdateAccount(t.Context(), "acme", func(a *storage.Account) error { a.Accept = mfa.Kinds(mfa.WebAuthn); return nil }); err != nil {
		t.Fatal(err)
	}
	if d := w.decide(s, "acme"); d.Verdict != mfa.Enroll || d.Reason != mfa.KindNotAccepted {
		t.Fatalf("an app where only keys count: %+v", d)
	}
	s = w.addKey(s, newKey(t, u.ID), "")
	if d := w.decide(s, "acme"); d.Verdict != mfa.Allow {
		t.Errorf("with a key: %+v", d)
	}
}

func TestWithoutKeysConfigured(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	w.person("ana@acme.example", "acme")
	s := w.signIn("ana@acme.example")
	_, beginning := w.BeginKey(t.Context(), &s)
	_, _, confirming := w.ConfirmKey(t.Context(), client, &s, nil, "")
	_, asking := w.AskKey(t.Context(), &s)
	_, answering := w.AnswerKey(t.Context(), client, &s, nil)
	_, _, askingPasskey := w.AskPasskey()
	_, passkey := w.Passkey(t.Context(), client, nil, nil, nil)
	for _, err := range []error{beginning, confirming, asking, answering, askingPasskey, passkey} {
		if !errors.Is(err, ErrNoKeys) {
			t.Errorf("%v", err)
		}
	}
}
