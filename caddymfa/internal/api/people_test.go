package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/api"
	"github.com/caddymfa/gateway/caddymfa/internal/mail"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// mails has invitations queued.
func (w *world) mails() {
	now := w.admin.Now
	w.admin.Login.Mail = mail.New(mail.Outbox{Store: w.admin.Store, Now: now})
}

// joined has somebody who was invited join, with a password and an authenticator.
func (w *world) joined(account, user string) {
	w.Helper()
	w.must(w.admin.Store.AmendMember(w.Context(), account, user, func(m *storage.Membership) error {
		m.State = mfa.Joined
		return nil
	}))
	_, err := w.admin.Store.UpdateUser(w.Context(), user, func(u *storage.User) error {
		u.PasswordHash = "hash"
		return nil
	})
	w.must(err)
	w.must(w.admin.Store.CreateFactor(w.Context(), storage.Factor{ID: "f-" + user, User: user, Kind: mfa.TOTP, Created: w.clock}, 9))
}

func TestProgramsLookAfterPeople(t *testing.T) {
	w := newWorld(t)
	token := w.whole("acme")
	const body = `{"email":"Lee@acme.example","role":"member"}`
	w.refused(w.ask(token, "POST", "/people", body), http.StatusConflict, "no_mail") // no code goes through a program
	w.mails()
	var lee, again api.Person
	w.ok(token, "POST", "/people", body, &lee, "Idempotency-Key: k1")
	w.ok(token, "POST", "/people", body, &again, "Idempotency-Key: k1")
	if lee.ID == "" || lee.ID != again.ID || lee.Email != "lee@acme.example" || lee.Joined || lee.SecondFactor != "invited" {
		t.Errorf("invited %+v, then %+v", lee, again)
	}
	queued, err := w.admin.Store.ClaimMail(t.Context(), w.clock, w.clock, 9)
	if err != nil || len(queued) != 1 || queued[0].To != lee.Email || queued[0].Account != "acme" {
		t.Errorf("queued %+v, %v", queued, err)
	}
	w.refused(w.ask(token, "POST", "/people", body), http.StatusConflict, "invited")
	w.refused(w.ask(token, "POST", "/people", `{"email":"lee","role":"member"}`), http.StatusBadRequest, "invalid_request")
	w.refused(w.ask(token, "POST", "/people", `{"email":"mo@acme.example","role":"owner"}`), http.StatusBadRequest, "invalid_request")
	w.joined("acme", lee.ID)
	w.refused(w.ask(token, "POST", "/people", body), http.StatusConflict, "joined")
	w.refused(w.ask(token, "POST", "/people/"+lee.ID+"/invite", ""), http.StatusConflict, "joined")

	w.ok(token, "PUT", "/people/"+lee.ID+"/role", `{"role":"admin"}`, &lee)
	if lee.Role != "admin" || len(lee.Authenticators) != 1 {
		t.Errorf("%+v", lee)
	}
	// Ana cannot sign in: without Lee nobody administers the account.
	w.refused(w.ask(token, "PUT", "/people/"+lee.ID+"/role", `{"role":"member"}`), http.StatusConflict, "last_admin")
	w.refused(w.ask(token, "DELETE", "/people/"+lee.ID, ""), http.StatusConflict, "last_admin")
	w.ok(token, "POST", "/people/"+lee.ID+"/reset", "", &lee)
	if lee.SecondFactor != "missing" || len(lee.Authenticators) != 0 {
		t.Errorf("%+v", lee)
	}
	w.must(w.admin.Store.PutMembership(t.Context(), storage.Membership{Account: "beta", User: lee.ID, Role: mfa.RoleMember, State: mfa.Joined, Created: w.clock}))
	w.refused(w.ask(token, "POST", "/people/"+lee.ID+"/reset", ""), http.StatusConflict, "other_accounts")

	var first, rest api.PersonList
	w.ok(token, "GET", "/people?limit=1", "", &first)
	w.ok(token, "GET", "/people?limit=1&after="+first.Next, "", &rest)
	if len(first.People) != 1 || len(rest.People) != 1 || first.People[0].Email != "ana@acme.example" || rest.People[0].Email != lee.Email || rest.Next != "" {
		t.Errorf("%+v, %+v", first, rest)
	}
	w.ok(token, "DELETE", "/people/ana-acme", "", nil)
	w.refused(w.ask(token, "GET", "/people/ana-acme", ""), http.StatusNotFound, "not_found")
}

func TestPeopleNeedTheirOwnScope(t *testing.T) {
	w := newWorld(t)
	var others []admin.Scope
	for _, s := range admin.Scopes {
		if s != admin.ScopePeople {
			others = append(others, s)
		}
	}
	token, _ := w.token("acme", nil, others...)
	for _, op := range documented(t, w) {
		if strings.HasPrefix(op.path, "/people") {
			w.refused(w.ask(token, op.method, op.sample("ana-acme"), op.body), http.StatusForbidden, "insufficient_scope")
		}
	}
}
