package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/api"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func TestOnlyATokenOpensTheAPI(t *testing.T) {
	w := newWorld(t)
	good := w.whole("acme")
	w.ok(good, "GET", "/account", "", nil)
	for name, test := range map[string]struct {
		header []string
		code   string
	}{
		"nothing":             {nil, "token_required"},
		"another scheme":      {[]string{"Basic " + good}, "token_required"},
		"two tokens":          {[]string{"Bearer " + good, "Bearer " + good}, "token_required"},
		"no prefix":           {[]string{"Bearer " + strings.TrimPrefix(good, "cmfa_")}, "invalid_token"},
		"another last letter": {[]string{"Bearer " + good[:len(good)-2] + "aa"}, "invalid_token"},
		"upper case":          {[]string{"Bearer " + strings.ToUpper(good)}, "invalid_token"},
		"one too long":        {[]string{"Bearer " + good + "a"}, "invalid_token"},
		"nobody's":            {[]string{"Bearer " + stranger}, "invalid_token"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", base+"/account", nil)
			for _, value := range test.header {
				r.Header.Add("Authorization", value)
			}
			r.AddCookie(&http.Cookie{Name: "mfa", Value: good})
			r.AddCookie(&http.Cookie{Name: "__Host-mfa", Value: good})
			answer := w.serve(r, api.Site{Network: "192.0.2.1"})
			w.refused(answer, http.StatusUnauthorized, test.code)
			if !strings.HasPrefix(answer.Header().Get("WWW-Authenticate"), "Bearer ") {
				t.Error("the answer does not say how to authenticate")
			}
		})
	}
	w.refused(w.ask("", "GET", "/account?access_token="+good, ""), http.StatusUnauthorized, "token_required")
}

// stranger is a well-formed token that nobody made: the checksum of 32 zero bytes
// is 190a55ad.
const stranger = "cmfa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaadegsuvwq"

func TestATokenEnds(t *testing.T) {
	for name, end := range map[string]func(*world, string){
		"expired": func(w *world, _ string) { w.clock = w.clock.AddDate(0, 0, 30) },
		"revoked": func(w *world, id string) { w.must(w.admin.RevokeToken(w.Context(), actor("acme"), id)) },
		"rotated": func(w *world, id string) {
			_, _, err := w.admin.RotateToken(w.Context(), actor("acme"), id)
			w.must(err)
		},
		"account disabled": func(w *world, _ string) {
			_, err := w.admin.Store.UpdateAccount(w.Context(), "acme", func(a *storage.Account) error {
				a.Disabled = true
				return nil
			})
			w.must(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			secret, id := w.token("acme", nil, admin.Scopes...)
			w.ok(secret, "GET", "/account", "", nil)
			end(w, id)
			w.refused(w.ask(secret, "GET", "/account", ""), http.StatusUnauthorized, "invalid_token")
		})
	}
}

func TestARotatedTokenMayDoTheSame(t *testing.T) {
	w := newWorld(t)
	old, id := w.token("acme", []string{"192.0.2.0/24"}, admin.ScopeAudit)
	w.clock = w.clock.AddDate(0, 0, 10)
	next, made, err := w.admin.RotateToken(t.Context(), actor("acme"), id)
	w.must(err)
	if next == old || made.ID == id || made.Networks[0] != "192.0.2.0/24" || !made.Expires.Equal(w.clock.AddDate(0, 0, 30)) {
		t.Errorf("got %+v", made)
	}
	w.ok(next, "GET", "/audit", "", nil)
	w.refused(w.ask(next, "GET", "/account", ""), http.StatusForbidden, "insufficient_scope")
	if _, _, err := w.admin.RotateToken(t.Context(), actor("beta"), made.ID); err == nil {
		t.Error("another account's administrator rotated it")
	}
}

func TestNetworksOfATokenHold(t *testing.T) {
	w := newWorld(t)
	secret, _ := w.token("acme", []string{"192.0.2.0/25", "2001:db8:1::/48", "198.51.100.7"}, admin.ScopeRead)
	for address, want := range map[string]int{
		"192.0.2.1": 200, "192.0.2.127": 200, "::ffff:192.0.2.5": 200, "2001:db8:1:2::3": 200, "198.51.100.7": 200,
		"192.0.2.128": 403, "198.51.100.8": 403, "2001:db8:2::1": 403, "::1": 403, "": 403, "unix": 403, "192.0.2.1, 1.1.1.1": 403,
	} {
		r := httptest.NewRequest("GET", base+"/account", nil)
		r.Header.Set("Authorization", "Bearer "+secret)
		r.Header.Set("X-Forwarded-For", "192.0.2.1")
		if answer := w.serve(r, api.Site{Network: address}); answer.Code != want {
			t.Errorf("from %q: %d", address, answer.Code)
		}
	}
}

func TestATokenIsOfOneAccount(t *testing.T) {
	w := newWorld(t)
	r := httptest.NewRequest("GET", base+"/account", nil)
	r.Header.Set("Authorization", "Bearer "+w.whole("acme"))
	w.refused(w.serve(r, api.Site{Network: "192.0.2.1", Account: "beta"}), http.StatusUnauthorized, "invalid_token")
	if answer := w.serve(r, api.Site{Network: "192.0.2.1", Account: "acme"}); answer.Code != http.StatusOK {
		t.Errorf("at its own address: %d", answer.Code)
	}
}

func TestBadTokensAreSlowedDownAndGoodOnesAreNot(t *testing.T) {
	w := newWorld(t)
	good := w.whole("acme")
	slowed := false
	for range 40 {
		answer := w.ask(stranger, "GET", "/account", "")
		if answer.Code == http.StatusTooManyRequests {
			slowed = true
			w.refused(answer, http.StatusTooManyRequests, "too_many_tries")
			if answer.Header().Get("Retry-After") == "" {
				t.Error("it is not said when to try again")
			}
		}
	}
	if !slowed {
		t.Error("40 bad tokens were not slowed down")
	}
	w.ok(good, "GET", "/account", "", nil)
}

// Every operation and every scope: only the one that is documented opens it.
func TestScopes(t *testing.T) {
	w := newWorld(t)
	tokens := make(map[admin.Scope]string)
	for _, scope := range admin.Scopes {
		tokens[scope], _ = w.token("acme", nil, scope)
	}
	opened := make(map[admin.Scope]bool)
	for _, op := range documented(t, w) {
		for scope, token := range tokens {
			answer := w.ask(token, op.method, op.sample("nothing"), op.body)
			insufficient := answer.Code == http.StatusForbidden && strings.Contains(answer.Body.String(), "insufficient_scope")
			if op.scope == "" {
				continue
			}
			if want := scope != op.scope; insufficient != want {
				t.Errorf("%s with the scope %s: %d %s", op.id, scope, answer.Code, answer.Body)
			}
			opened[op.scope] = true
		}
	}
	for _, scope := range admin.Scopes {
		if !opened[scope] {
			t.Errorf("the scope %s opens nothing", scope)
		}
	}
}

func TestRequestsThatMakeNoSense(t *testing.T) {
	w := newWorld(t)
	token := w.whole("acme")
	for _, test := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/nothing", "", 404, "not_found"},
		{"GET", "/", "", 404, "not_found"},
		{"GET", "/account/", "", 404, "not_found"},
		{"GET", "//account", "", 404, "not_found"},
		{"GET", "/tokens/a/b", "", 404, "not_found"},
		{"DELETE", "/tokens/%2e%2e%2faccount", "", 404, "not_found"},
		{"PATCH", "/account", "", 405, "method_not_allowed"},
		{"OPTIONS", "/account", "", 405, "method_not_allowed"},
		{"TRACE", "/account", "", 405, "method_not_allowed"},
		{"GET", "/audit?limit=0", "", 400, "invalid_request"},
		{"GET", "/audit?limit=1001", "", 400, "invalid_request"},
		{"GET", "/audit?limit=1&limit=2", "", 400, "invalid_request"},
		{"GET", "/audit?before=x", "", 400, "invalid_request"},
		{"GET", "/audit?since=yesterday", "", 400, "invalid_request"},
		{"GET", "/audit?acount=acme", "", 400, "invalid_request"},
		{"GET", "/audit?account=beta", "", 400, "invalid_request"},
		{"GET", "/audit?a;b", "", 400, "invalid_request"},
		{"GET", "/audit?person=nobody@acme.example", "", 404, "not_found"},
		{"GET", "/audit?person=x", "", 404, "not_found"},
		{"GET", "/account", "{}", 400, "invalid_request"},
		{"GET", "/account", strings.Repeat("x", 65<<10), 413, "too_large"},
	} {
		answer := w.ask(token, test.method, test.path, test.body)
		w.refused(answer, test.status, test.code)
		if test.status == 405 && answer.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s %s: Allow is %q", test.method, test.path, answer.Header().Get("Allow"))
		}
	}
	if len(w.faults) > 0 {
		t.Errorf("faults: %v", w.faults)
	}
}

func TestHEADAnswersLikeGETWithoutABody(t *testing.T) {
	w := newWorld(t)
	token := w.whole("acme")
	answer := w.ask(token, "HEAD", "/account", "")
	if answer.Code != http.StatusOK || answer.Body.Len() != 0 || answer.Header().Get("Content-Type") != "application/json" {
		t.Errorf("got %d %q", answer.Code, answer.Body)
	}
	if answer := w.ask("", "HEAD", "/account", ""); answer.Code != http.StatusUnauthorized || answer.Body.Len() != 0 {
		t.Errorf("without a token: %d %q", answer.Code, answer.Body)
	}
}

func TestAnswersAreForNobodyElse(t *testing.T) {
	w := newWorld(t)
	for _, answer := range []*httptest.ResponseRecorder{w.ask(w.whole("acme"), "GET", "/account", ""), w.ask("", "GET", "/account", "")} {
		if answer.Header().Get("Cache-Control") != "no-store" || answer.Header().Get("X-Content-Type-Options") != "nosniff" ||
			answer.Header().Get("Access-Control-Allow-Origin") != "" || len(answer.Result().Cookies()) != 0 {
			t.Errorf("got %v", answer.Header())
		}
	}
}

func TestAStoreThatFailsIsAFault(t *testing.T) {
	w := newWorld(t)
	token := w.whole("acme")
	w.must(w.admin.Store.Close())
	answer := w.ask(token, "GET", "/account", "")
	w.refused(answer, http.StatusServiceUnavailable, "unavailable")
	if len(w.faults) != 1 || strings.Contains(answer.Body.String(), "sql") {
		t.Errorf("%d faults; the program was told %s", len(w.faults), answer.Body)
	}
}

func TestTheUseOfATokenIsSeen(t *testing.T) {
	w := newWorld(t)
	token := w.whole("acme")
	var list api.TokenList
	w.ok(token, "GET", "/tokens", "", &list)
	if len(list.Tokens) != 1 || !list.Tokens[0].Current || list.Tokens[0].Used == nil || !list.Tokens[0].Used.Equal(w.clock) {
		t.Errorf("got %+v", list)
	}
	w.clock = w.clock.Add(time.Hour)
	w.ok(token, "GET", "/account", "", nil)
	w.ok(token, "GET", "/tokens", "", &list)
	if !list.Tokens[0].Used.Equal(w.clock) {
		t.Errorf("used at %v, expected %v", list.Tokens[0].Used, w.clock)
	}
}

func TestATokenRevokesAnother(t *testing.T) {
	w := newWorld(t)
	token := w.whole("acme")
	other, id := w.token("acme", nil, admin.ScopeRead)
	w.ok(token, "DELETE", "/tokens/"+id, "", nil)
	w.refused(w.ask(other, "GET", "/account", ""), http.StatusUnauthorized, "invalid_token")
	w.refused(w.ask(token, "DELETE", "/tokens/"+id, ""), http.StatusNotFound, "not_found")
	var list api.AuditList
	w.ok(token, "GET", "/audit?action=revoke_token", "", &list)
	if len(list.Events) != 1 || list.Events[0].Actor.Kind != "token" || list.Events[0].Actor.Name != "Nightly job" || list.Events[0].Detail != "Nightly job" {
		t.Errorf("got %+v", list)
	}
}

func TestTheAuditNamesOnlyTheAccountsOwnPeople(t *testing.T) {
	w := newWorld(t)
	token := w.whole("acme")
	for _, e := range []storage.Event{
		{Action: "enter", Outcome: "refused", Reason: string(mfa.NotMember), Actor: "ana-beta", User: "ana-beta", Account: "acme", Network: "203.0.113.9"},
		{Action: "switch_account", Outcome: "refused", Actor: "ana-acme", User: "ana-acme", Account: "acme", Detail: "beta"},
		{Action: "sign_in", Outcome: "ok", Actor: "ana-beta", User: "ana-beta", Account: "beta"},
		{Action: "set_policy", Outcome: "ok", Actor: "operator", Account: "acme", Session: "secret-session"},
	} {
		e.At = w.clock
		w.admin.Record(t.Context(), e)
	}
	var list api.AuditList
	text := w.ok(token, "GET", "/audit", "", &list).Body.String()
	for _, leak := range []string{"beta", "secret-session"} {
		if strings.Contains(text, leak) {
			t.Errorf("%q is in acme's audit: %s", leak, text)
		}
	}
	if len(list.Events) != 4 || list.Events[0].Actor.Kind != "operator" || list.Events[1].Actor.Email != "ana@acme.example" || list.Events[2].Actor.Kind != "outsider" {
		t.Errorf("got %s", text)
	}
	w.refused(w.ask(token, "GET", "/audit?person=ana@beta.example", ""), http.StatusNotFound, "not_found")
	w.ok(token, "GET", "/audit?person=Ana@ACME.example", "", &list)
	if len(list.Events) != 2 { // the token that she made, and the refused switch
		t.Errorf("got %+v", list)
	}
}

func TestTheAuditHasPages(t *testing.T) {
	w := newWorld(t)
	token := w.whole("acme")
	for i := range 6 {
		w.clock = w.clock.Add(time.Minute)
		w.admin.Record(t.Context(), storage.Event{At: w.clock, Action: "sign_in", Outcome: "ok", Account: "acme", Detail: fmt.Sprint(i)})
		w.admin.Record(t.Context(), storage.Event{At: w.clock, Action: "sign_in", Outcome: "ok", Account: "beta"})
	}
	var got []string
	for before := ""; ; {
		var list api.AuditList
		w.ok(token, "GET", "/audit?action=sign_in&limit=2"+before, "", &list)
		for _, e := range list.Events {
			got = append(got, e.Detail)
		}
		if list.Next == "" {
			break
		}
		before = "&before=" + list.Next
	}
	if strings.Join(got, "") != "543210" {
		t.Errorf("got %q", got)
	}
	var list api.AuditList
	w.ok(token, "GET", "/audit?action=sign_in&since="+w.clock.Add(-time.Minute).Format(time.RFC3339)+"&until="+w.clock.Format(time.RFC3339), "", &list)
	if len(list.Events) != 1 || list.Events[0].Detail != "4" {
		t.Errorf("got %+v", list)
	}
}

func TestSecretsAreNowhere(t *testing.T) {
	w := newWorld(t)
	secret := w.whole("acme")
	text := w.ok(secret, "GET", "/tokens", "", nil).Body.String() + w.ok(secret, "GET", "/audit", "", nil).Body.String()
	rows, err := w.admin.Store.TokensOf(t.Context(), "acme", "", 9)
	w.must(err)
	stored, err := json.Marshal(rows)
	w.must(err)
	if strings.Contains(text+string(stored), secret[len("cmfa_"):]) {
		t.Error("a token can be read after it was made")
	}
}
