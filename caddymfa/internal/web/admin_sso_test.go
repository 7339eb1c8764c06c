package web

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// records is a DNS that knows some names.
type records map[string]string

func (r records) LookupTXT(_ context.Context, name string) ([]string, error) {
	if value, ok := r[name]; ok {
		return []string{value}, nil
	}
	return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

// administered is newWorld with the account beta, which knows nothing of single
// sign-on yet, and Kim, who administers it and has shown a second factor.
func administered(t *testing.T) (*world, records) {
	t.Helper()
	w := newWorld(t)
	known := make(records)
	w.Login.Companies.Sources[admin.KindOIDC] = w.corp
	w.Admin = &admin.Service{Store: w.store, Login: w.Login, Now: w.now, Record: w.Login.Record, DNS: known}
	if err := errors.Join(
		w.store.CreateAccount(t.Context(), storage.Account{ID: "beta", Name: "Beta", Policy: mfa.Required, Created: w.now()}),
		w.store.CreateUser(t.Context(), storage.User{ID: "u-kim", Email: "kim@partner.example", PasswordHash: "hash of " + password, Created: w.now()}),
		w.store.PutMembership(t.Context(), storage.Membership{Account: "beta", User: "u-kim", Role: mfa.RoleAdmin, State: mfa.Joined, Created: w.now()}),
		w.store.CreateFactor(t.Context(), storage.Factor{ID: "f-kim", User: "u-kim", Kind: mfa.TOTP, State: []byte("sealed"), Created: w.now()}, 9),
	); err != nil {
		t.Fatal(err)
	}
	return w, known
}

// as is a browser that is signed in.
func (w *world) as(user, account string, second bool) *browser {
	w.t.Helper()
	s := storage.Session{ID: session.NewID(), User: user, Account: account, Created: w.now(), Seen: w.now(), Expires: w.now().Add(12 * time.Hour),
		Proof: mfa.Proof{User: user, First: w.now(), FirstBy: mfa.ByPassword}}
	if second {
		s.Proof.Second, s.Proof.SecondBy = w.now(), mfa.TOTP
	}
	if err := w.store.CreateSession(w.t.Context(), s); err != nil {
		w.t.Fatal(err)
	}
	token, err := w.Login.Sessions.Token(w.t.Context(), &s, session.Audience("portal.example"))
	if err != nil {
		w.t.Fatal(err)
	}
	b := w.browser()
	b.cookies["__Host-mfa"] = token
	return b
}

// shows expects a page with the given status and words.
func (b *browser) shows(resp *http.Response, status int, words ...string) {
	b.w.t.Helper()
	if resp.StatusCode != status {
		b.w.t.Fatalf("got %d, to %q, want %d; faults: %q\n%s", resp.StatusCode, resp.Header.Get("Location"), status, b.w.faults, b.page)
	}
	for _, word := range words {
		if !strings.Contains(b.page, word) {
			b.w.t.Errorf("does not say %q:\n%s", word, b.page)
		}
	}
}

var versionField = regexp.MustCompile(`name="version" value="(\d+)"`)

// version is that of the form on the last page.
func (b *browser) version() string {
	b.w.t.Helper()
	found := versionField.FindStringSubmatch(b.page)
	if found == nil {
		b.w.t.Fatalf("no version on the page:\n%s", b.page)
	}
	return found[1]
}

const domainPage = "/.mfa/admin/sso/domain?name=beta.example"

// connected is what an administrator types to connect a provider.
func connected() url.Values {
	return url.Values{"name": {"Beta sign-in"}, "issuer": {issuer}, "client_id": {"portal"}, "client_secret": {"s3cret-value"}, "max_age": {"15"}}
}

// toEnforce goes all the way to a domain that could be enforced, and returns the
// provider's id.
func (w *world) toEnforce(b *browser, known records) string {
	w.t.Helper()
	b.shows(b.get("/.mfa/admin/sso"), http.StatusOK, "How it goes")
	b.get("/.mfa/admin/sso/claim")
	b.sent(b.post("/.mfa/admin/sso/claim", url.Values{"domain": {"Beta.example"}}), domainPage)
	b.shows(b.get(domainPage), http.StatusOK, "_caddymfa-challenge.beta.example")
	b.sent(b.post("/.mfa/admin/sso/domain/verify", url.Values{"name": {"beta.example"}}), domainPage)
	b.shows(b.get(domainPage), http.StatusOK, "There is no such record yet")
	d, err := w.Admin.Domain(w.t.Context(), "beta", "beta.example")
	if err != nil {
		w.t.Fatal(err)
	}
	record := admin.RecordOf(d)
	b.shows(b.get(domainPage), http.StatusOK, record.Value)
	known[record.Name+"."] = record.Value
	b.sent(b.post("/.mfa/admin/sso/domain/verify", url.Values{"name": {"beta.example"}}), domainPage+"&notice=domain-checked")

	b.shows(b.get("/.mfa/admin/sso/provider"), http.StatusOK, portal+"/.mfa/sso/callback")
	resp := b.post("/.mfa/admin/sso/provider", connected())
	place, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || place.Path != "/.mfa/admin/sso/provider" {
		b.shows(resp, http.StatusSeeOther)
	}
	id := place.Query().Get("id")
	b.shows(b.get("/.mfa/admin/sso/provider?id="+id), http.StatusOK, "Beta sign-in", `value="15"`, "never shown")
	if strings.Contains(b.page, "s3cret-value") {
		w.t.Error("the page shows the secret")
	}
	return id
}

// link tests the provider and leads the domain to it.
func (w *world) link(b *browser, id string) {
	w.t.Helper()
	w.corp.who.Email = "lee@beta.example"
	b.get("/.mfa/admin/sso/provider?id=" + id)
	state := b.left(b.post("/.mfa/admin/sso/provider/test", url.Values{"id": {id}}))
	before, _ := b.signedIn()
	b.shows(b.get("/.mfa/sso/callback?code=c&state="+state), http.StatusOK, "The test worked", "lee@beta.example")
	if after, ok := b.signedIn(); !ok || after.ID != before.ID || after.Proof.Provider != "" {
		w.t.Errorf("the test changed the session: %+v, was %+v", after, before)
	}
	b.get(domainPage)
	b.sent(b.post("/.mfa/admin/sso/domain/link", url.Values{"name": {"beta.example"}, "version": {b.version()}, "provider": {id}}), domainPage+"&notice=domain-saved")
}

func TestAnAdministratorSetsUpSingleSignOn(t *testing.T) {
	w, known := administered(t)
	b := w.as("u-kim", "beta", true)
	id := w.toEnforce(b, known)
	b.shows(b.get(domainPage), http.StatusOK, "can be chosen once somebody has tested it")
	// A sign-in that would not be taken is no test that passes.
	w.corp.who.Email = "ana@acme.example"
	b.get("/.mfa/admin/sso/provider?id=" + id)
	state := b.left(b.post("/.mfa/admin/sso/provider/test", url.Values{"id": {id}}))
	b.shows(b.get("/.mfa/sso/callback?code=c&state="+state), http.StatusBadGateway, "The test did not work", "ana@acme.example")
	b.shows(b.get("/.mfa/sso/callback?code=c&state="+state), http.StatusBadRequest)
	w.link(b, id)

	// Guests and people of the domain still look alike to who only types.
	lee := w.browser()
	b.shows(b.get("/.mfa/admin/sso/domain/enforce?name=beta.example"), http.StatusOK, "kim@partner.example")
	b.sent(b.post("/.mfa/admin/sso/domain/enforce", url.Values{"name": {"beta.example"}, "version": {b.version()}, "turn": {"on"}}), domainPage+"&notice=domain-enforced")
	lee.sent(lee.typed("lee@beta.example", "/x"), "/.mfa/sso/start?return=%2Fx")
	guest := w.browser()
	guest.sent(guest.typed("guest@partner.example", "/x"), "/.mfa/login/password?return=%2Fx")

	// Stopping it counts who has no password, and lets them choose one.
	if err := errors.Join(
		w.store.CreateUser(t.Context(), storage.User{ID: "u-lee", Email: "lee@beta.example", Created: w.now()}),
		w.store.PutMembership(t.Context(), storage.Membership{Account: "beta", User: "u-lee", Role: mfa.RoleMember, State: mfa.Joined, Created: w.now()}),
	); err != nil {
		t.Fatal(err)
	}
	b.shows(b.get("/.mfa/admin/sso/domain/enforce?name=beta.example"), http.StatusOK, "1 person has no password", "lee@beta.example")
	b.shows(b.post("/.mfa/admin/sso/domain/enforce", url.Values{"name": {"beta.example"}, "version": {b.version()}, "turn": {"off"}, "setups": {"yes"}}),
		http.StatusOK, "lee@beta.example", portal+"/.mfa/setup")
	code := regexp.MustCompile(`<code translate="no">([A-Z2-7]{32})</code>`).FindStringSubmatch(b.page)
	if code == nil {
		t.Fatalf("no code:\n%s", b.page)
	}
	lee.get("/.mfa/setup")
	lee.sent(lee.post("/.mfa/setup", url.Values{"ticket": {code[1]}, "new": {"a long enough phrase"}, "again": {"a long enough phrase"}}), "/.mfa/login?notice=password-set")
	if len(w.faults) != 0 {
		t.Errorf("faults: %q", w.faults)
	}
}

func TestTheFormKeepsWhatWasTypedWhenSomebodyElseWasFaster(t *testing.T) {
	w, known := administered(t)
	b := w.as("u-kim", "beta", true)
	id := w.toEnforce(b, known)
	b.get("/.mfa/admin/sso/provider?id=" + id)
	version := b.version()
	change := func(name, version string) *http.Response {
		form := connected()
		form.Set("name", name)
		form.Set("id", id)
		form.Set("version", version)
		return b.post("/.mfa/admin/sso/provider", form)
	}
	if resp := change("First", version); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("got %d", resp.StatusCode)
	}
	b.get("/.mfa/admin/sso")
	b.shows(change("Second", version), http.StatusConflict, "kim@partner.example changed this meanwhile", `value="Second"`)
	if strings.Contains(b.page, "s3cret-value") {
		t.Error("the page shows the secret")
	}
	if resp := change("Second", b.version()); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("the second try: %d", resp.StatusCode)
	}
	// Where there is nothing typed, a page says who was faster.
	b.get(domainPage)
	b.shows(b.post("/.mfa/admin/sso/domain/remove", url.Values{"name": {"beta.example"}, "version": {"1"}}), http.StatusConflict, "Somebody else was faster", "kim@partner.example")
	b.shows(b.post("/.mfa/admin/sso/domain/remove", url.Values{"name": {"beta.example"}, "version": {"nonsense"}}), http.StatusConflict)
}

func TestBadInputIsSaidAndLosesNothing(t *testing.T) {
	w, known := administered(t)
	b := w.as("u-kim", "beta", true)
	id := w.toEnforce(b, known)
	b.get("/.mfa/admin/sso/claim")
	b.shows(b.post("/.mfa/admin/sso/claim", url.Values{"domain": {"gmail.com"}}), http.StatusUnprocessableEntity, `value="gmail.com"`, "Anybody can have")
	b.shows(b.post("/.mfa/admin/sso/claim", url.Values{"domain": {"co.uk"}}), http.StatusUnprocessableEntity, "many owners")
	b.shows(b.post("/.mfa/admin/sso/claim", url.Values{"domain": {"a b"}}), http.StatusUnprocessableEntity, "not a domain")
	b.get("/.mfa/admin/sso/provider?id=" + id)
	version := b.version()
	for field, wrong := range map[string]string{"name": "\x1b", "max_age": "soon", "issuer": "https://elsewhere.example"} {
		form := connected()
		form.Set("id", id)
		form.Set("version", version)
		form.Set("client_id", "kept as typed")
		form.Set(field, wrong)
		if field == "issuer" {
			form.Del("client_secret")
		}
		b.shows(b.post("/.mfa/admin/sso/provider", form), http.StatusUnprocessableEntity, `value="kept as typed"`, "Please check")
	}
}

// Nothing of another account is there, whoever asks and however.
func TestAnotherAccountsSingleSignOnIsNotThere(t *testing.T) {
	w, known := administered(t)
	id := w.toEnforce(w.as("u-kim", "beta", true), known)
	if err := errors.Join(
		w.store.CreateUser(t.Context(), storage.User{ID: "u-eve", Email: "eve@evil.example", PasswordHash: "hash", Created: w.now()}),
		w.store.PutMembership(t.Context(), storage.Membership{Account: "acme", User: "u-eve", Role: mfa.RoleAdmin, State: mfa.Joined, Created: w.now()}),
		w.store.CreateFactor(t.Context(), storage.Factor{ID: "f-eve", User: "u-eve", Kind: mfa.TOTP, State: []byte("sealed"), Created: w.now()}, 9),
	); err != nil {
		t.Fatal(err)
	}
	eve := w.as("u-eve", "acme", true)
	before, err := w.store.DomainsOf(t.Context(), "beta")
	if err != nil {
		t.Fatal(err)
	}
	for path, p := range pages {
		if !strings.HasPrefix(path, "/admin/sso/") || path == "/admin/sso/claim" {
			continue
		}
		what := url.Values{"name": {"beta.example"}, "id": {id}}
		if p.get != nil {
			if resp := eve.get("/.mfa" + path + "?" + what.Encode()); resp.StatusCode != http.StatusNotFound {
				t.Errorf("GET %s: %d", path, resp.StatusCode)
			}
		}
		if p.post != nil {
			eve.get("/.mfa/admin/sso")
			for version := range 6 {
				form := connected()
				form.Set("name", "beta.example")
				form.Set("id", id)
				form.Set("provider", id)
				form.Set("version", strconv.Itoa(version))
				resp := eve.post("/.mfa"+path, form)
				if resp.StatusCode != http.StatusNotFound && path != "/admin/sso/setups" {
					t.Errorf("POST %s, version %d: %d", path, version, resp.StatusCode)
				}
			}
		}
		if strings.Contains(eve.page, "portal") && strings.Contains(eve.page, "client_id") {
			t.Errorf("%s shows the settings", path)
		}
	}
	after, err := w.store.DomainsOf(t.Context(), "beta")
	if err != nil || len(after) != 1 || after[0] != before[0] {
		t.Errorf("changed: %+v, was %+v, %v", after, before, err)
	}
	if p, err := w.store.Provider(t.Context(), id); err != nil || p.Version != 1 {
		t.Errorf("changed: %+v, %v", p, err)
	}
}

func TestOnlyAdministratorsGetThere(t *testing.T) {
	w, known := administered(t)
	w.toEnforce(w.as("u-kim", "beta", true), known)
	if err := errors.Join(
		w.store.CreateUser(t.Context(), storage.User{ID: "u-max", Email: "max@partner.example", PasswordHash: "hash", Created: w.now()}),
		w.store.PutMembership(t.Context(), storage.Membership{Account: "beta", User: "u-max", Role: mfa.RoleMember, State: mfa.Joined, Created: w.now()}),
		w.store.CreateFactor(t.Context(), storage.Factor{ID: "f-max", User: "u-max", Kind: mfa.TOTP, State: []byte("sealed"), Created: w.now()}, 9),
	); err != nil {
		t.Fatal(err)
	}
	member, half, late := w.as("u-max", "beta", true), w.as("u-kim", "beta", false), w.as("u-kim", "beta", true)
	w.pass(mfa.ChangeWindow + time.Minute)
	for path, p := range pages {
		if !strings.HasPrefix(path, "/admin/sso") {
			continue
		}
		if p.get != nil {
			if resp := member.get("/.mfa" + path); resp.StatusCode != http.StatusForbidden {
				t.Errorf("a member gets %s: %d", path, resp.StatusCode)
			}
			if resp := half.get("/.mfa" + path); resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(resp.Header.Get("Location"), "/.mfa/challenge?") {
				t.Errorf("without a second factor, %s: %d", path, resp.StatusCode)
			}
		}
		if p.post != nil {
			late.get("/.mfa/admin/sso")
			if resp := late.post("/.mfa"+path, url.Values{"name": {"beta.example"}, "version": {"1"}}); resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(resp.Header.Get("Location"), "/.mfa/challenge?") {
				t.Errorf("with an old second factor, %s: %d to %q", path, resp.StatusCode, resp.Header.Get("Location"))
			}
		}
	}
}

func TestATestSaysThatAProviderCannotBeAsked(t *testing.T) {
	w, known := administered(t)
	b := w.as("u-kim", "beta", true)
	id := w.toEnforce(b, known)
	b.get("/.mfa/admin/sso/provider?id=" + id)
	state := b.left(b.post("/.mfa/admin/sso/provider/test", url.Values{"id": {id}}))
	w.corp.err = identity.ErrUnavailable
	b.shows(b.get("/.mfa/sso/callback?code=c&state="+state), http.StatusBadGateway, "could not be asked")
	w.corp.down = identity.ErrUnavailable
	b.get("/.mfa/admin/sso/provider?id=" + id)
	b.shows(b.post("/.mfa/admin/sso/provider/test", url.Values{"id": {id}}), http.StatusBadGateway)
}
