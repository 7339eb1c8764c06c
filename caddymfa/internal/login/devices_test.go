package login

import (
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// remembering is a world whose account remembers browsers for a week, and a
// browser that is remembered.
func remembering(t *testing.T) (w *world, secret string, browser Client) {
	t.Helper()
	w, secret, _ = enrolled(t)
	w.rules(func(a *storage.Account) { a.Remember = 7 * 24 * time.Hour })
	w.pass(time.Minute)
	return w, secret, w.remembered(secret)
}

// rules changes the account's rules.
func (w *world) rules(change func(*storage.Account)) {
	w.t.Helper()
	if _, err := w.store.UpdateAccount(w.t.Context(), "acme", func(a *storage.Account) error {
		change(a)
		a.PolicyAt = w.now()
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
}

// remembered shows the second factor in a new browser, which is to be
// remembered.
func (w *world) remembered(secret string) Client {
	w.t.Helper()
	s := w.signIn("ana@acme.example")
	s, err := w.Answer(w.t.Context(), client, &s, mfa.TOTP, w.code(secret))
	if err != nil {
		w.t.Fatal(err)
	}
	cookie, life, err := w.Remember(w.t.Context(), client, &s, "acme")
	if err != nil || cookie == "" || life != 7*24*time.Hour {
		w.t.Fatalf("remembered %q for %s, %v", cookie, life, err)
	}
	w.pass(30 * time.Second)
	browser := client
	browser.Device = cookie
	return browser
}

// enters says how somebody in a browser is met who shows the password.
func (w *world) enters(c Client, email string) mfa.Decision {
	w.t.Helper()
	s, err := w.Password(w.t.Context(), c, email, password, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.decide(s, "acme")
}

func TestARememberedBrowserIsNotAskedAgain(t *testing.T) {
	w, _, browser := remembering(t)
	if d := w.enters(browser, "ana@acme.example"); d.Reason != mfa.RememberedDevice {
		t.Errorf("the browser is met with %+v", d)
	}
	if d := w.enters(client, "ana@acme.example"); d.Verdict != mfa.Challenge {
		t.Errorf("another browser is met with %+v", d)
	}
	w.pass(7 * 24 * time.Hour)
	if d := w.enters(browser, "ana@acme.example"); d.Verdict != mfa.Challenge {
		t.Errorf("after a week, the browser is met with %+v", d)
	}
}

// The secret of a remembered browser is in the database as a hash, is one
// person's, and is nothing without the right password.
func TestARememberedBrowserIsOnePersons(t *testing.T) {
	w, _, browser := remembering(t)
	id, shown, _ := strings.Cut(browser.Device, ".")
	d, err := w.store.Device(t.Context(), id)
	if err != nil || strings.Contains(string(d.Hash), shown) || len(d.Hash) < 32 {
		t.Errorf("the database holds %q, %v", d.Hash, err)
	}
	w.person("bo@acme.example", "acme")
	bo, _ := w.enroll(w.signIn("bo@acme.example"))
	if d := w.enters(browser, "bo@acme.example"); d.Verdict != mfa.Challenge {
		t.Errorf("bo in ana's browser is met with %+v", d)
	}
	if err := w.ForgetDevice(t.Context(), client, &bo, id); err != ErrStartAgain {
		t.Errorf("bo forgets ana's browser: %v", err)
	}
	for _, forged := range []string{id, id + ".", id + "." + strings.Repeat("A", len(shown)), "nothing." + shown, ".", strings.Repeat("x", 5000)} {
		if d := w.enters(Client{Device: forged}, "ana@acme.example"); d.Verdict != mfa.Challenge {
			t.Errorf("with the cookie %.20q, a browser is met with %+v", forged, d)
		}
	}
	if d := w.enters(browser, "ana@acme.example"); d.Verdict != mfa.Allow {
		t.Errorf("ana is met with %+v", d)
	}
}

func TestABrowserIsForgotten(t *testing.T) {
	for name, change := range map[string]func(w *world, s *storage.Session) error{
		"with another password": func(w *world, s *storage.Session) error {
			return w.ChangePassword(w.t.Context(), client, s, password, "four lucky clover leaves")
		},
		"with an authenticator": func(w *world, s *storage.Session) error {
			list, err := w.store.FactorsOf(w.t.Context(), s.User)
			if err != nil {
				return err
			}
			w.rules(func(a *storage.Account) { a.Policy = mfa.Optional; a.PolicyAt = time.Time{} })
			return w.RemoveFactor(w.t.Context(), client, s, list[0].ID)
		},
		"with another set of rules": func(w *world, _ *storage.Session) error {
			w.rules(func(a *storage.Account) { a.SecondFactorAge = time.Hour })
			return nil
		},
		"with all sessions": func(w *world, s *storage.Session) error { return w.SignOut(w.t.Context(), client, s, true) },
		"by its owner": func(w *world, s *storage.Session) error {
			list, err := w.store.DevicesOf(w.t.Context(), s.User, w.now())
			if err != nil || len(list) != 1 {
				w.t.Fatalf("%d browsers, %v", len(list), err)
			}
			return w.ForgetDevice(w.t.Context(), client, s, list[0].ID)
		},
		"where browsers are not remembered": func(w *world, _ *storage.Session) error {
			w.rules(func(a *storage.Account) { a.Remember = 0 })
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, secret, browser := remembering(t)
			inside, err := w.Password(t.Context(), browser, "ana@acme.example", password, nil)
			if err != nil {
				t.Fatal(err)
			}
			s := w.signIn("ana@acme.example")
			if s, err = w.Answer(t.Context(), client, &s, mfa.TOTP, w.code(secret)); err != nil {
				t.Fatal(err)
			}
			if err := change(w, &s); err != nil {
				t.Fatal(err)
			}
			if !w.over(inside) {
				if d := w.decide(inside, "acme"); d.Reason == mfa.RememberedDevice {
					t.Errorf("a session that was entered by being remembered goes on: %+v", d)
				}
			}
			typed := password
			if name == "with another password" {
				typed = "four lucky clover leaves"
			}
			next, err := w.Password(t.Context(), browser, "ana@acme.example", typed, nil)
			if err != nil {
				t.Fatal(err)
			}
			if d := w.decide(next, "acme"); d.Reason == mfa.RememberedDevice {
				t.Errorf("the browser is met with %+v", d)
			}
		})
	}
}

func TestWhatIsNotRemembered(t *testing.T) {
	w, secret, codes := enrolled(t)
	s := w.signIn("ana@acme.example")
	s, err := w.Answer(t.Context(), client, &s, mfa.TOTP, w.code(secret))
	if err != nil {
		t.Fatal(err)
	}
	if cookie, _, err := w.Remember(t.Context(), client, &s, "acme"); cookie != "" || err != nil {
		t.Errorf("an account that remembers nothing gave %q, %v", cookie, err)
	}
	w.rules(func(a *storage.Account) { a.Remember = time.Hour })
	if cookie, _, err := w.Remember(t.Context(), client, &s, "nowhere"); cookie != "" || err != nil {
		t.Errorf("an account that is not there gave %q, %v", cookie, err)
	}
	first := w.signIn("ana@acme.example")
	if cookie, _, err := w.Remember(t.Context(), client, &first, "acme"); cookie != "" || err != nil {
		t.Errorf("a session without a second factor gave %q, %v", cookie, err)
	}
	byCode, err := w.Answer(t.Context(), client, &first, mfa.Recovery, codes[0])
	if err != nil {
		t.Fatal(err)
	}
	if cookie, _, err := w.Remember(t.Context(), client, &byCode, "acme"); cookie != "" || err != nil {
		t.Errorf("a recovery code gave %q, %v", cookie, err)
	}
}

func TestNobodyIsRememberedEverywhere(t *testing.T) {
	w, secret, _ := enrolled(t)
	w.rules(func(a *storage.Account) { a.Remember = 7 * 24 * time.Hour })
	var last Client
	for range MaxDevices + 3 {
		w.pass(time.Minute)
		last = w.remembered(secret)
	}
	u, err := w.store.UserByEmail(t.Context(), "ana@acme.example")
	if err != nil {
		t.Fatal(err)
	}
	list, err := w.store.DevicesOf(t.Context(), u.ID, w.now())
	if err != nil || len(list) != MaxDevices || !strings.HasPrefix(last.Device, list[0].ID) {
		t.Errorf("%d browsers, %v", len(list), err)
	}
}
