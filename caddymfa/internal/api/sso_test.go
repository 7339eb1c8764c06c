package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/api"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

const (
	secret       = "s3cret-value"
	providerBody = `{"name":"Acme sign-in","join":true,"client_secret":"` + secret + `",
		"oidc":{"issuer":"https://login.acme.example","client_id":"portal","scopes":["email"],"max_age":900}}`
)

// connected connects a provider of an account's and returns its id.
func (w *world) connected(account string) string {
	w.Helper()
	var p api.Provider
	w.ok(w.whole(account), "POST", "/providers", providerBody, &p)
	return p.ID
}

// sso is everything that is stored of an account's domains and providers.
func (w *world) sso(account string) string {
	w.Helper()
	domains, err := w.admin.Store.DomainsOf(w.Context(), account)
	w.must(err)
	providers, err := w.admin.Store.ProvidersOf(w.Context(), account)
	w.must(err)
	return fmt.Sprintf("%+v", []any{domains, providers})
}

// tested notes a test sign-in of an administrator.
func (w *world) tested(id string) {
	w.Helper()
	_, err := w.admin.Store.UpdateProvider(w.Context(), id, func(row *storage.IdentityProvider) error {
		row.Tested, row.TestedBy = w.clock, "ana-"+row.Account
		return nil
	})
	w.must(err)
}

// tag reads something and returns what a write of it needs.
func (w *world) tag(token, path string) string {
	w.Helper()
	return "If-Match: " + w.ok(token, "GET", path, "", nil).Header().Get("ETag")
}

// settings returns the settings of a provider as the gate uses them.
func (w *world) settings(id string) admin.OIDC {
	w.Helper()
	row, err := w.admin.Store.Provider(w.Context(), id)
	w.must(err)
	l, err := w.admin.Login.Companies.Unseal(row)
	w.must(err)
	var o admin.OIDC
	w.must(json.Unmarshal(l.Source, &o))
	return o
}

func TestAProgramConnectsAnIdentityProvider(t *testing.T) {
	w := newWorld(t)
	token := w.whole("acme")
	var p, again api.Provider
	first := w.ok(token, "POST", "/providers", providerBody, &p, "Idempotency-Key: k1")
	w.ok(token, "POST", "/providers", providerBody, &again, "Idempotency-Key: k1")
	if first.Code != http.StatusCreated || p.ID == "" || again.ID != p.ID || !p.Secret || !p.Join || p.Usable || p.Tested != nil || p.OIDC == nil ||
		p.OIDC.MaxAge != 900 || p.Trust != "precedence" {
		t.Errorf("%d %+v, then %+v", first.Code, p, again)
	}
	if o := w.settings(p.ID); o.ClientSecret != secret || o.ClientID != "portal" {
		t.Errorf("the settings are %+v", o)
	}
	at := "/providers/" + p.ID
	w.tested(p.ID)
	change := func(from, to string) string { return strings.Replace(providerBody, from, to, 1) }

	// A name alone voids no test; anything else does. A secret that is not given
	// again stays.
	old := w.tag(token, at)
	w.ok(token, "PUT", at, change("Acme sign-in", "Acme"), &p, old)
	if p.Name != "Acme" || p.Tested == nil || !p.Usable {
		t.Errorf("renamed: %+v", p)
	}
	w.refused(w.ask(token, "PUT", at, providerBody, old), http.StatusPreconditionFailed, "changed")
	w.refused(w.ask(token, "PUT", at, providerBody), http.StatusPreconditionRequired, "precondition_required")
	keeps := strings.Replace(change("portal", "other"), `"client_secret":"`+secret+`",`, "", 1)
	p = api.Provider{}
	w.ok(token, "PUT", at, keeps, &p, w.tag(token, at))
	if p.Tested != nil || p.Usable || !p.Secret || w.settings(p.ID).ClientSecret != secret || w.settings(p.ID).ClientID != "other" {
		t.Errorf("changed: %+v, %+v", p, w.settings(p.ID))
	}
	// Nobody can have the secret sent to themselves.
	elsewhere := strings.Replace(keeps, "login.acme", "evil", 1)
	w.refused(w.ask(token, "PUT", at, elsewhere, w.tag(token, at)), http.StatusUnprocessableEntity, "secret_needed")
	w.ok(token, "PUT", at, strings.Replace(keeps, `"oidc"`, `"public":true,"oidc"`, 1), &p, w.tag(token, at))
	if p.Secret || w.settings(p.ID).ClientSecret != "" {
		t.Errorf("public: %+v", p)
	}

	for body, code := range map[string]string{
		change("https://login", "http://login"):              "settings_refused",
		change(`"portal"`, `""`):                             "settings_refused",
		change("900", "-1"):                                  "settings_refused",
		change(`["email"]`, `["a b"]`):                       "settings_refused",
		change("Acme sign-in", `\u0007`):                     "invalid_request",
		change("Acme sign-in", ""):                           "invalid_request",
		change(`"oidc"`, `"public":true,"oidc"`):             "invalid_request",
		change(`"oidc"`, `"trust":"stack","oidc"`):           "invalid_request",
		change(`"client_id"`, `"admins":["x"],"id"`):         "invalid_request",
		change(`"join":true,`, ""):                           "invalid_request",
		change(`"issuer":"https://login.acme.example",`, ""): "invalid_request",
	} {
		status := http.StatusBadRequest
		if code == "settings_refused" {
			status = http.StatusUnprocessableEntity
		}
		w.refused(w.ask(token, "POST", "/providers", body), status, code)
		w.refused(w.ask(token, "PUT", at, body, w.tag(token, at)), status, code)
	}

	w.ok(token, "PUT", at+"/disabled", `{"disabled":true}`, &p, w.tag(token, at))
	if !p.Disabled {
		t.Errorf("%+v", p)
	}
	w.refused(w.ask(token, "PUT", at+"/disabled", `{"disabled":false}`, old), http.StatusPreconditionFailed, "changed")
	w.ok(token, "DELETE", at, "", nil, w.tag(token, at))
	w.refused(w.ask(token, "GET", at, ""), http.StatusNotFound, "not_found")
	var list api.ProviderList
	w.ok(token, "GET", "/providers", "", &list)
	if list.Providers == nil || len(list.Providers) != 0 {
		t.Errorf("%+v", list)
	}
	for range admin.MaxProviders {
		w.ok(token, "POST", "/providers", providerBody, nil)
	}
	w.refused(w.ask(token, "POST", "/providers", providerBody), http.StatusConflict, "too_many")
	var seen []string
	events, err := w.admin.Store.Events(t.Context(), storage.EventQuery{Account: "acme", Limit: 100})
	w.must(err)
	for _, e := range events {
		if strings.HasPrefix(e.Actor, "token:") && e.Action != "add_provider" {
			seen = append(seen, e.Action)
		}
	}
	if got := strings.Join(seen, " "); got != "remove_provider disable_provider change_provider change_provider change_provider" {
		t.Errorf("the audit says %s", got)
	}
}

// The secret goes in, and nothing gives it back: no answer, no row, no audit.
func TestTheSecretOfAProviderIsNowhere(t *testing.T) {
	w := newWorld(t)
	token := w.whole("acme")
	var p api.Provider
	said := w.ok(token, "POST", "/providers", providerBody, &p, "Idempotency-Key: k1").Body.String()
	said += w.ok(token, "POST", "/providers", providerBody, nil, "Idempotency-Key: k1").Body.String()
	for _, path := range []string{"/providers", "/providers/" + p.ID, "/audit"} {
		said += w.ok(token, "GET", path, "", nil).Body.String()
	}
	said += w.ask(token, "POST", "/providers", strings.Replace(providerBody, "https", secret, 1)).Body.String()
	said += w.ask(token, "PUT", "/providers/"+p.ID, providerBody, `If-Match: "9"`).Body.String()
	if strings.Contains(strings.ReplaceAll(said, secret+"://", ""), secret) || strings.Contains(w.sso("acme"), secret) {
		t.Errorf("the secret can be read: %s", said)
	}
}

// verified claims and proves a domain of acme's.
func (w *world) verified(token, name string) {
	w.Helper()
	w.ok(token, "POST", "/domains", `{"name":"`+name+`"}`, nil)
	d, err := w.admin.Domain(w.Context(), "acme", name)
	w.must(err)
	r := admin.RecordOf(d)
	w.dns[r.Name+"."] = r.Value
	var got api.Domain
	w.ok(token, "POST", "/domains/"+name+"/verify", "", &got)
	if !got.Verified {
		w.Fatalf("not verified: %+v", got)
	}
}

// The whole way to a domain that is enforced. What it needs of a person is
// refused to a program, with where the person goes.
func TestAProgramEnforcesADomain(t *testing.T) {
	w := newWorld(t)
	token := w.whole("acme")
	w.verified(token, "acme.example")
	id := w.connected("acme")
	const at = "/domains/acme.example"
	link := func(provider string) string { return `{"provider":"` + provider + `"}` }
	needsPerson := func(method, path, body, code string, headers ...string) {
		t.Helper()
		status := http.StatusConflict
		if code == "person_needed" {
			status = http.StatusForbidden
		}
		answer := w.ask(token, method, path, body, headers...)
		w.refused(answer, status, code)
		if text := answer.Body.String(); !strings.Contains(text, "n administrator") || !strings.Contains(text, "in a browser, at /.mfa/admin/") {
			t.Errorf("%s does not say who can: %s", path, text)
		}
	}
	needsPerson("POST", "/providers/"+id+"/test", "", "person_needed")
	needsPerson("POST", "/tokens", `{"name":"another","scopes":["people"]}`, "person_needed")
	needsPerson("PUT", at+"/provider", link(id), "untested", w.tag(token, at))
	w.refused(w.ask(token, "PUT", at+"/enforced", `{"enforced":true}`, w.tag(token, at)), http.StatusConflict, "not_ready")
	w.refused(w.ask(token, "PUT", at+"/provider", link("nothing"), w.tag(token, at)), http.StatusNotFound, "not_found")

	w.tested(id)
	old := w.tag(token, at)
	w.refused(w.ask(token, "PUT", at+"/provider", link(id)), http.StatusPreconditionRequired, "precondition_required")
	var d api.Domain
	answer := w.ok(token, "PUT", at+"/provider", link(id), &d, old)
	if d.Provider != id || "If-Match: "+answer.Header().Get("ETag") != w.tag(token, at) {
		t.Errorf("linked: %+v, %s", d, answer.Header().Get("ETag"))
	}
	w.refused(w.ask(token, "PUT", at+"/provider", link(""), old), http.StatusPreconditionFailed, "changed")
	w.refused(w.ask(token, "PUT", at+"/enforced", `{"enforced":true}`, old), http.StatusConflict, "not_ready") // nobody keeps the key

	// An administrator of another domain, with a password and a second factor.
	w.must(w.admin.Store.CreateUser(t.Context(), storage.User{ID: "kim", Email: "kim@partner.example", PasswordHash: "hash", Created: w.clock}))
	w.must(w.admin.Store.PutMembership(t.Context(), storage.Membership{Account: "acme", User: "kim", Role: mfa.RoleAdmin, State: mfa.Joined, Created: w.clock}))
	w.must(w.admin.Store.CreateFactor(t.Context(), storage.Factor{ID: "f", User: "kim", Kind: mfa.TOTP, State: []byte("sealed"), Created: w.clock}, 9))
	var r api.Readiness
	w.ok(token, "GET", at+"/readiness", "", &r)
	if want := (api.Readiness{Ready: true, Verified: true, Linked: true, Tested: true, Keepers: 1, Stranded: 1}); r != want {
		t.Errorf("ready: %+v", r)
	}
	w.refused(w.ask(token, "PUT", at+"/enforced", `{"enforced":true}`, old), http.StatusPreconditionFailed, "changed")
	w.ok(token, "PUT", at+"/enforced", `{"enforced":true}`, &d, w.tag(token, at))
	if !d.Enforced {
		t.Errorf("%+v", d)
	}
	w.refused(w.ask(token, "PUT", at+"/provider", link(""), w.tag(token, at)), http.StatusConflict, "not_ready")

	// Other settings void the test: what leads there now goes on, and nothing new does.
	w.ok(token, "PUT", "/providers/"+id, strings.Replace(providerBody, "portal", "other", 1), nil, w.tag(token, "/providers/"+id))
	needsPerson("PUT", at+"/enforced", `{"enforced":true}`, "untested", w.tag(token, at))

	w.refused(w.ask(token, "POST", at+"/passwords", ""), http.StatusConflict, "no_mail") // no code goes through a program
	w.mails()
	var offered api.Offered
	w.ok(token, "POST", at+"/passwords", "", &offered, "Idempotency-Key: k1")
	w.ok(token, "POST", at+"/passwords", "", nil, "Idempotency-Key: k1")
	queued, err := w.admin.Store.ClaimMail(t.Context(), w.clock, w.clock, 9)
	if err != nil || offered.Mailed != 1 || len(queued) != 1 || queued[0].To != "ana@acme.example" {
		t.Errorf("offered %+v, queued %+v, %v", offered, queued, err)
	}
	w.ok(token, "PUT", at+"/enforced", `{"enforced":false}`, &d, w.tag(token, at))
	d = api.Domain{}
	w.ok(token, "PUT", at+"/provider", link(""), &d, w.tag(token, at))
	if d.Enforced || d.Provider != "" {
		t.Errorf("%+v", d)
	}
	events, err := w.admin.Store.Events(t.Context(), storage.EventQuery{Account: "acme", Limit: 100})
	w.must(err)
	acted := make(map[string]int)
	for _, e := range events {
		if strings.HasPrefix(e.Actor, "token:") && e.Outcome == "ok" {
			acted[e.Action]++
		}
	}
	for action, want := range map[string]int{"claim_domain": 1, "verify_domain": 1, "link_domain": 2, "enforce_domain": 1, "stop_enforcing_domain": 1, "create_set_up": 1} {
		if acted[action] != want {
			t.Errorf("the audit has %s %d times", action, acted[action])
		}
	}
}

// What the gate's configuration owns is not a program's to change.
func TestWhatIsDeclaredStays(t *testing.T) {
	w := newWorld(t)
	token := w.whole("acme")
	id := w.connected("acme")
	_, err := w.admin.Store.UpdateProvider(t.Context(), id, func(row *storage.IdentityProvider) error {
		row.Origin = storage.FromConfig
		return nil
	})
	w.must(err)
	w.must(w.admin.Store.PutDomain(t.Context(), storage.Domain{Account: "acme", Name: "acme.example", Verified: true, Origin: storage.FromConfig, Created: w.clock}))
	before := w.sso("acme")
	var p api.Provider
	w.ok(token, "GET", "/providers/"+id, "", &p)
	if !p.Declared || !p.Usable {
		t.Errorf("%+v", p)
	}
	for path, body := range map[string]string{
		"PUT /providers/" + id: providerBody, "PUT /providers/" + id + "/disabled": `{"disabled":true}`, "DELETE /providers/" + id: "",
		"PUT /domains/acme.example/provider": `{"provider":""}`, "PUT /domains/acme.example/enforced": `{"enforced":false}`, "DELETE /domains/acme.example": "",
	} {
		method, path, _ := strings.Cut(path, " ")
		read := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(path, "/disabled"), "/provider"), "/enforced")
		w.refused(w.ask(token, method, path, body, w.tag(token, read)), http.StatusConflict, "read_only")
	}
	if after := w.sso("acme"); after != before {
		t.Errorf("changed: %s, was %s", after, before)
	}
}
