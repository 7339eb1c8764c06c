package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/mail"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// A person deletes themselves with what they can prove; it is told, recorded in
// each account they leave, and ends every session.
func TestPeopleDeleteThemselves(t *testing.T) {
	w, _ := administered(t)
	box := w.mails()
	var recorded []storage.Event
	w.Login.Record = func(_ context.Context, e storage.Event) { recorded = append(recorded, e) }
	for _, account := range []string{"acme", "beta"} {
		if err := w.store.PutMembership(t.Context(), storage.Membership{Account: account, User: "u-bea", Role: mfa.RoleMember, State: mfa.Joined, Created: w.now()}); err != nil {
			t.Fatal(err)
		}
	}
	w.enforce(false)
	bea, elsewhere := w.as("u-bea", "acme", false), w.as("u-bea", "", false)
	const page = "/.mfa/profile/security/delete"
	bea.shows(bea.get("/.mfa/profile/security"), http.StatusOK, `href="`+page+`"`)
	bea.shows(bea.get(page), http.StatusOK, "<li>Acme</li>", "<li>Beta</li>", `name="current"`)
	bea.shows(bea.post(page, url.Values{"current": {"wrong"}}), http.StatusUnauthorized, "The current password did not match.")
	bea.shows(bea.post(page, url.Values{}), http.StatusUnauthorized, "The current password did not match.")
	if _, err := w.store.User(t.Context(), "u-bea"); err != nil {
		t.Fatal("a wrong password deleted somebody")
	}
	recorded = nil
	bea.sent(bea.post(page, url.Values{"current": {password}}), "/.mfa/signed-out?deleted")
	bea.shows(bea.get("/.mfa/signed-out?deleted"), http.StatusOK, "Your profile is deleted")
	if _, err := w.store.User(t.Context(), "u-bea"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("the person is still there: %v", err)
	}
	if _, in := elsewhere.signedIn(); in {
		t.Error("another browser stayed signed in")
	}
	if len(recorded) != 2 || recorded[0].Account != "acme" || recorded[1].Account != "beta" || recorded[0].Action != "delete_user" || recorded[0].Outcome != "ok" {
		t.Errorf("recorded %+v", recorded)
	}
	if got := box.mailed(w); len(got) != 1 || got[0].To != "bea@acme.example" {
		t.Errorf("mailed %+v", got)
	} else if m, err := w.store.MailAbout(t.Context(), mail.AboutDeleted+" u-bea"); err != nil || m.Failed != "" {
		t.Errorf("the mail: %+v, %v", m, err)
	}
}

// Nobody is deleted whom an account needs, whom the configuration would bring
// back, or who does not prove now who they are; and the page says what helps.
func TestWhoCannotDeleteThemselves(t *testing.T) {
	w, _ := administered(t)
	const page = "/.mfa/profile/security/delete"
	kim := w.as("u-kim", "beta", true)
	kim.shows(kim.get(page), http.StatusOK, "<li>Beta</li>")
	kim.shows(kim.post(page, url.Values{}), http.StatusConflict, "<li>Beta</li>", "Make somebody else an administrator", `href="/.mfa/admin/people"`)

	w.staff("u-lee", "Lee", mfa.RoleAdmin, "beta")
	kim.get(page)
	w.pass(mfa.ChangeWindow + time.Second)
	kim.sent(kim.post(page, url.Values{}), "/.mfa/challenge?return="+url.QueryEscape(page))
	if _, err := w.store.User(t.Context(), "u-kim"); err != nil {
		t.Fatalf("an old second factor deleted somebody: %v", err)
	}
	again := w.as("u-kim", "beta", true)
	again.get(page)
	again.sent(again.post(page, url.Values{}), "/.mfa/signed-out?deleted")

	if err := errors.Join(
		w.store.CreateUser(t.Context(), storage.User{ID: "u-con", Email: "con@partner.example", PasswordHash: "hash of " + password, Origin: storage.FromConfig, Created: w.now()}),
		w.store.CreateUser(t.Context(), storage.User{ID: "u-sso", Email: "sso@partner.example", Created: w.now()}),
	); err != nil {
		t.Fatal(err)
	}
	con := w.as("u-con", "", false)
	con.shows(con.get(page), http.StatusForbidden, "Please ask the people who run it")
	con.get("/.mfa/profile/security")
	con.shows(con.post(page, url.Values{"current": {password}}), http.StatusForbidden, "Please ask the people who run it")

	// Without password and second factor, the sign-in must be a recent one.
	sso := w.as("u-sso", "", false)
	sso.get(page)
	w.pass(mfa.ChangeWindow + time.Second)
	anew := "/.mfa/login?again=1&return=" + url.QueryEscape(page)
	sso.sent(sso.post(page, url.Values{}), anew)
	sso.shows(sso.get(anew), http.StatusOK, "sign in once more to show that it is you")
	sso = w.as("u-sso", "", false)
	sso.get(page)
	sso.sent(sso.post(page, url.Values{}), "/.mfa/signed-out?deleted")
}
