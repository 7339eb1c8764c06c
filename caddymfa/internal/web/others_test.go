package web

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/factor"
	"github.com/caddymfa/gateway/caddymfa/factor/totp"
	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// neighbours is a world with two accounts that know nothing of each other: beta
// of Kim, with everything that has an id, and acme of Eve.
type neighbours struct {
	*world
	ids  url.Values // of beta's, under every name by which a form or a query may name something
	says []string   // what only beta's pages say
}

func newNeighbours(t *testing.T) *neighbours {
	t.Helper()
	w, known := administered(t)
	w.Login.Factors = map[mfa.Kind]factor.Factor{mfa.TOTP: totp.Factor{}}
	kim := w.as("u-kim", "beta", true)
	provider := w.toEnforce(kim, known)
	w.link(kim, provider)
	sess, _ := kim.signedIn()
	_, token, err := w.Admin.CreateToken(t.Context(), admin.Actor{Account: "beta", User: "u-kim"},
		admin.TokenWish{Name: "Nightly of Bravo", Scopes: admin.Scopes, Days: 30})
	if err := errors.Join(err,
		w.store.CreateDevice(t.Context(), storage.Device{ID: "d-kim", User: "u-kim", Hash: []byte("hash"), ShownBy: mfa.TOTP, Shown: w.now(), Expires: w.now().Add(time.Hour), Browser: "Kim's browser"}),
		w.store.CreateUser(t.Context(), storage.User{ID: "u-eve", Email: "eve@evil.example", PasswordHash: "hash", Created: w.now()}),
		w.store.PutMembership(t.Context(), storage.Membership{Account: "acme", User: "u-eve", Role: mfa.RoleAdmin, State: mfa.Joined, Created: w.now()}),
		w.store.CreateFactor(t.Context(), storage.Factor{ID: "f-eve", User: "u-eve", Kind: mfa.TOTP, State: []byte("sealed"), Created: w.now()}, 9),
	); err != nil {
		t.Fatal(err)
	}
	n := &neighbours{world: w, says: []string{"kim@partner.example", "Nightly of Bravo", "Kim's browser", "Beta sign-in", "client_id=portal"}, ids: url.Values{
		"account": {"beta"}, "domain": {"beta.example"}, "name": {"beta.example"}, "provider": {provider}, "id": {provider}, "token": {token.ID},
		"session": {sess.ID}, "factor": {"f-kim"}, "device": {"d-kim"},
		"mode": {"optional"}, "outcome": {"enters"}, "version": {"1"}, "do": {"end"}, "confirm": {"yes"}, "enforce": {"1"}, "on": {"1"},
	}}
	for _, name := range []string{"user", "member", "person", "invitation"} {
		n.ids.Set(name, "u-kim")
	}
	return n
}

// beta is everything that is stored of the account and its administrator.
func (n *neighbours) beta() string {
	n.t.Helper()
	account, err1 := n.store.Account(n.t.Context(), "beta")
	members, err2 := n.store.MembershipsOf(n.t.Context(), "u-kim")
	domains, err3 := n.store.DomainsOf(n.t.Context(), "beta")
	providers, err4 := n.store.ProvidersOf(n.t.Context(), "beta")
	tokens, err5 := n.store.TokensOf(n.t.Context(), "beta", "", 100)
	kim, err6 := n.store.User(n.t.Context(), "u-kim")
	factors, err7 := n.store.FactorsOf(n.t.Context(), "u-kim")
	sessions, err8 := n.store.SessionsOf(n.t.Context(), "u-kim", n.now())
	devices, err9 := n.store.DevicesOf(n.t.Context(), "u-kim", n.now())
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7, err8, err9); err != nil {
		n.t.Fatal(err)
	}
	return fmt.Sprintf("%+v", []any{account, members, domains, providers, tokens, kim, factors, sessions, devices})
}

// each asks every path that is served in every way, from the real table: a new
// path is covered by itself. Each request comes with a session of Eve's own.
func (n *neighbours) each(at string, ask func(path, method string, eve *browser, resp *http.Response)) {
	n.t.Helper()
	for _, path := range slices.Sorted(maps.Keys(pages)) {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if method == http.MethodGet && pages[path].get == nil || method == http.MethodPost && pages[path].post == nil {
				continue
			}
			eve := n.as("u-eve", "acme", true)
			eve.get("/.mfa/accounts") // for the form's token
			eve.site.Account = at
			if method == http.MethodGet {
				ask(path, method, eve, eve.get("/.mfa"+path+"?"+n.ids.Encode()))
				continue
			}
			form := maps.Clone(n.ids)
			if path == "/admin/sso/claim" { // several may claim one name, and then it is in both
				form.Set("domain", "evil.example")
			}
			ask(path, method, eve, eve.post("/.mfa"+path, form))
		}
	}
}

// On the address of another account, its administration is refused to the
// administrator of this one, whatever it is asked for.
func TestAnAdministratorIsNobodyInAnotherAccount(t *testing.T) {
	n := newNeighbours(t)
	before, asked := n.beta(), 0
	n.each("beta", func(path, method string, eve *browser, resp *http.Response) {
		if path == "/admin" && resp.Header.Get("Location") == "/.mfa/admin/mfa" {
			return // asks there
		}
		if strings.HasPrefix(path, "/admin") {
			asked++
			if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusNotFound {
				t.Errorf("%s %s answers %d to %q", method, path, resp.StatusCode, resp.Header.Get("Location"))
			}
		}
		n.unsaid(path, method, eve)
	})
	if asked < 30 {
		t.Errorf("only %d ways into the administration were tried", asked)
	}
	if after := n.beta(); after != before {
		t.Errorf("beta was changed:\n%s\nwas\n%s", after, before)
	}
}

// In one's own account, what another account calls its own is not there.
func TestNothingOfAnotherAccountIsThere(t *testing.T) {
	n := newNeighbours(t)
	before := n.beta()
	n.each("", func(path, method string, eve *browser, resp *http.Response) {
		n.unsaid(path, method, eve)
		if after := n.beta(); after != before {
			t.Errorf("%s %s changed beta:\n%s\nwas\n%s", method, path, after, before)
			before = after
		}
		names := strings.HasPrefix(path, "/admin/sso/domain") || strings.HasPrefix(path, "/admin/sso/provider") ||
			path == "/admin/tokens/revoke" || path == "/admin/tokens/rotate"
		gone := strings.HasSuffix(resp.Header.Get("Location"), "?notice=gone")
		if names && resp.StatusCode != http.StatusNotFound && !gone {
			t.Errorf("%s %s answers %d to %q", method, path, resp.StatusCode, resp.Header.Get("Location"))
		}
	})
}

// unsaid expects nothing of beta's on the last page.
func (n *neighbours) unsaid(path, method string, b *browser) {
	n.t.Helper()
	for _, word := range n.says {
		if strings.Contains(b.page, word) {
			n.t.Errorf("%s %s says %q", method, path, word)
		}
	}
}
