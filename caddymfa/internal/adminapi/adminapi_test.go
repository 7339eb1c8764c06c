package adminapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/internal/operate"
	"github.com/caddymfa/gateway/caddymfa/internal/testkit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
)

const ana = "ana@acme.example"

// server is the API over a real store with the declared account "fixed", whose
// member is the declared boss, and the account "acme" with Ana.
type server struct {
	*API
	t      *testing.T
	hasher *testkit.Hasher
}

func newServer(t *testing.T) *server {
	t.Helper()
	op, hasher := newOperator(t)
	s := &server{t: t, hasher: hasher, API: &API{
		Operator: op, Base: "/.mfa", Origin: "http://localhost:8080", Location: "/data/mfa.db",
		CheckHash: func(hash string) error {
			if !strings.HasPrefix(hash, "$2") {
				return errors.New("expected a password hash")
			}
			return nil
		},
	}}
	err := op.Declare(t.Context(), operate.Declaration{
		Accounts: []operate.DeclaredAccount{{ID: "fixed", Name: "Fixed", Policy: mfa.Required}},
		Users: []operate.DeclaredUser{{Email: "boss@fixed.example", PasswordHash: "$2y", Memberships: []operate.DeclaredMembership{
			{Account: "fixed", Role: mfa.RoleAdmin},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.ok("POST", "accounts", `{"id":"acme","name":"Acme","policy":"optional"}`, nil)
	s.ok("POST", "users", `{"email":"Ana@Acme.example","name":"Ana","account":"acme","role":"admin"}`, nil)
	return s
}

// ask sends one request. The error is what Serve returned.
func (s *server) ask(method, path, body string) (*httptest.ResponseRecorder, error) {
	s.t.Helper()
	w := httptest.NewRecorder()
	return w, s.Serve(w, httptest.NewRequest(method, Prefix+path, strings.NewReader(body)))
}

// ok sends a request that must succeed, and reads the answer strictly.
func (s *server) ok(method, path, body string, out any) string {
	s.t.Helper()
	w, err := s.ask(method, path, body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
		s.t.Fatalf("%s %s: %d %v", method, path, w.Code, w.Header())
	}
	if out != nil {
		d := json.NewDecoder(strings.NewReader(w.Body.String()))
		d.DisallowUnknownFields()
		if err := d.Decode(out); err != nil {
			s.t.Fatalf("%s %s: %v in %s", method, path, err, w.Body)
		}
	}
	return w.Body.String()
}

func TestEveryRefusalHasItsStatus(t *testing.T) {
	s := newServer(t)
	long := `{"email":"` + strings.Repeat("x", maxBody) + `"}`
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "nothing", "", 404, "there is no /mfa/nothing in the API"},
		{"GET", "", "", 404, "in the API"},
		{"GET", "accounts/", "", 404, "in the API"},
		{"PUT", "accounts//policy", `{}`, 404, "in the API"},
		{"PATCH", "accounts", "", 405, "method PATCH is not for /mfa/accounts"},
		{"GET", "users/ana/password", "", 405, "method GET"},
		{"GET", "accounts?afer=x", "", 400, `unknown parameter "afer"`},
		{"GET", "accounts?limit=1&limit=2", "", 400, `parameter "limit" is given twice`},
		{"GET", "accounts?limit=0", "", 400, `limit "0": expected a number from 1 to 1000`},
		{"GET", "users?limit=1001", "", 400, "limit"},
		{"GET", "audit?limit=many", "", 400, "limit"},
		{"GET", "audit?before=-1", "", 400, "before"},
		{"GET", "audit/verify?from=0", "", 400, "from"},
		{"GET", "audit/verify?noted=17", "", 400, "noted"},
		{"GET", "audit/verify?from=999", "", 409, "no line to go on from"},
		{"GET", "audit/verify?account=beta", "", 404, "not found"},
		{"GET", "accounts?a;b", "", 400, "query"},
		{"GET", "accounts", "{}", 400, "nothing to say in a body"},
		{"POST", "users/" + ana + "/disable", "{}", 400, "nothing to say in a body"},
		{"POST", "users", long, 413, "at most 65536 bytes"},
		{"POST", "users", `{"email":"eve@acme.example","admin":true}`, 400, `unknown field "admin"`},
		{"POST", "users", `{"email":"eve@acme.example"}{}`, 400, "more than one value"},
		{"POST", "users", `{"email":`, 400, "reading the body"},
		{"POST", "users", `{"email":"eve"}`, 400, "not an e-mail address"},
		{"POST", "users", ``, 400, "not an e-mail address"},
		{"POST", "users", `{"email":"eve@acme.example","role":"admin"}`, 400, "name one"},
		{"POST", "users", `{"email":"eve@acme.example","account":"acme","role":"root"}`, 400, `unknown role "root"`},
		{"POST", "users", `{"email":"eve@acme.example","account":"beta"}`, 404, `account "beta": not found`},
		{"POST", "users", `{"email":"ANA@acme.example"}`, 409, `user "ana@acme.example": exists already`},
		{"POST", "accounts", `{"id":"acme","policy":"required"}`, 409, `account "acme": exists already`},
		{"POST", "accounts", `{"id":"A B","policy":"required"}`, 400, "use lower-case letters"},
		{"POST", "accounts", `{"id":"beta","policy":"off"}`, 400, "choose optional, suggested or required"},
		{"PUT", "accounts/acme/policy", `{}`, 400, "choose optional, suggested or required"},
		{"PUT", "accounts/acme/policy", `{"mode":"required"}`, 400, "unknown field"},
		{"PUT", "accounts/acme/policy", `{"policy":"required","from":"tomorrow"}`, 400, "expected a moment such as"},
		{"PUT", "accounts/acme/policy", `{"policy":"required","from":"2020-01-01T00:00:00Z"}`, 400, "within the next year"},
		{"PUT", "accounts/acme/policy", `{"policy":"optional","trial":true}`, 400, "only a mode stricter"},
		{"PUT", "accounts/acme/policy", `{"policy":"required","remember":"long"}`, 400, `expected a duration such as`},
		{"PUT", "accounts/acme/policy", `{"policy":"required","second_factor_age":"1s"}`, 400, "lasts a minute at least"},
		{"PUT", "accounts/beta/policy", `{"policy":"required"}`, 404, `account "beta": not found`},
		{"PUT", "accounts/fixed/policy", `{"policy":"optional"}`, 409, `account "fixed": declared in the configuration: change it there`},
		{"PUT", "accounts/beta/members/" + ana, `{}`, 404, `account "beta": not found`},
		{"PUT", "accounts/acme/members/eve@acme.example", `{}`, 404, `user "eve@acme.example": not found`},
		{"PUT", "accounts/acme/members/" + ana, `{"role":"none"}`, 400, "choose member or admin"},
		{"PUT", "accounts/acme/members/" + ana, `{"rol":"admin"}`, 400, "unknown field"},
		{"DELETE", "accounts/fixed/members/boss@fixed.example", ``, 409, "change it there"},
		{"DELETE", "accounts/fixed/members/" + ana, ``, 404, "not found"},
		{"GET", "users?account=beta", "", 404, `account "beta": not found`},
		{"PUT", "users/" + ana + "/password", `{}`, 400, "either a password or its hash"},
		{"PUT", "users/" + ana + "/password", `{"password":"a","hash":"b"}`, 400, "either a password or its hash"},
		{"PUT", "users/" + ana + "/password", `{"pasword":"a"}`, 400, "unknown field"},
		{"PUT", "users/" + ana + "/password", `{"password":"too short"}`, 400, "12 to 256 characters"},
		{"PUT", "users/" + ana + "/password", `{"password":"Summer2026!!"}`, 400, "harder to guess"},
		{"PUT", "users/" + ana + "/password", `{"password":"ana@acme.example"}`, 400, "name or address"},
		{"PUT", "users/" + ana + "/password", `{"hash":"plain"}`, 400, "expected a password hash"},
		{"PUT", "users/eve@acme.example/password", `{"hash":"$2y"}`, 404, "not found"},
		{"PUT", "users/boss@fixed.example/password", `{"hash":"$2y"}`, 409, "change it there"},
		{"POST", "users/boss@fixed.example/disable", "", 409, "change it there"},
		{"POST", "users/eve@acme.example/enable", "", 404, "not found"},
		{"DELETE", "users/eve@acme.example/authenticators", "", 404, "not found"},
		{"DELETE", "users/eve@acme.example/sessions", "", 404, "not found"},
		{"POST", "users/boss@fixed.example/setup", "", 409, "change it there"},
		{"POST", "users/eve@acme.example/setup", "", 404, "not found"},
		{"POST", "users/" + ana + "/setup", `{"orgin":""}`, 400, "unknown field"},
		{"GET", "explain", "", 400, "name a user and an account"},
		{"GET", "explain?user=" + ana + "&account=acme&second=sms", "", 400, `unknown kind of second factor "sms"`},
		{"GET", "explain?user=" + ana + "&account=beta", "", 404, `account "beta": not found`},
		{"GET", "explain?user=eve@acme.example&account=acme", "", 404, "not found"},
		{"GET", "audit?user=eve@acme.example", "", 404, "not found"},
		{"GET", "audit?account=beta", "", 404, "not found"},
	} {
		w, err := s.ask(c.method, c.path, c.body)
		refused := new(Error)
		if !errors.As(err, &refused) || refused.Status != c.status || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %s %.60s: got %v, want %d %s", c.method, c.path, c.body, err, c.status, c.says)
		}
		if w.Body.Len() > 0 {
			t.Errorf("%s %s: wrote %q and returned an error", c.method, c.path, w.Body)
		}
	}
}

func TestWrongMethodsLearnTheRightOnes(t *testing.T) {
	s := newServer(t)
	_, err := s.ask("DELETE", "accounts", "")
	refused := new(Error)
	if !errors.As(err, &refused) || refused.Allow != "GET, POST" {
		t.Errorf("got %+v", refused)
	}
}

func TestAFaultStaysAFault(t *testing.T) {
	s := newServer(t)
	s.Operator.Store.Close()
	_, err := s.ask("GET", "accounts", "")
	if refused := new(Error); err == nil || errors.As(err, &refused) {
		t.Errorf("got %v, want an error without a status", err)
	}
	_, err = s.ask("GET", "status", "")
	if refused := new(Error); !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable {
		t.Errorf("status: got %v, want 503", err)
	}
}

func TestAChangeGoesOnWhenWhoeverAskedHasGone(t *testing.T) {
	s := newServer(t)
	gone, leave := context.WithCancel(t.Context())
	leave()
	r := httptest.NewRequest("PUT", Prefix+"accounts/acme/policy", strings.NewReader(`{"policy":"required"}`))
	if err := s.Serve(httptest.NewRecorder(), r.WithContext(gone)); err != nil {
		t.Fatal(err)
	}
	if row, err := s.Operator.Account(t.Context(), "acme"); err != nil || row.Policy != mfa.Required {
		t.Errorf("the store says %s, %v", row.Policy, err)
	}
}

func TestTooManyPasswordsAtOnceAreToldToWait(t *testing.T) {
	s := newServer(t)
	body := `{"password":"a fine long passphrase"}`
	var inside error
	s.hasher.Busy = func() {
		s.hasher.Busy = nil
		_, inside = s.ask("PUT", "users/"+ana+"/password", body)
	}
	s.ok("PUT", "users/"+ana+"/password", body, nil)
	if refused := new(Error); !errors.As(inside, &refused) || refused.Status != http.StatusServiceUnavailable {
		t.Errorf("got %v, want 503", inside)
	}
}

func TestNamesInPathsMayHoldAnyCharacter(t *testing.T) {
	s := newServer(t)
	odd := "a/b?c%d@acme.example"
	s.ok("POST", "users", fmt.Sprintf(`{"email":%q}`, odd), nil)
	s.ok("PUT", "accounts/acme/members/"+url.PathEscape(odd), "", nil)
	var list UserList
	s.ok("GET", "users?account=acme", "", &list)
	if !slices.ContainsFunc(list.Users, func(u User) bool { return u.Email == odd }) {
		t.Errorf("got %+v", list)
	}
}

func TestEveryReasonHasASentence(t *testing.T) {
	for _, reason := range []mfa.Reason{
		mfa.Undecidable, mfa.Unavailable, mfa.PublicRoute, mfa.NoSession, mfa.UserDisabled, mfa.NoAccount, mfa.NotMember,
		mfa.AccountDisabled, mfa.DomainEnforced, mfa.ProviderPrecedence, mfa.ProviderTooOld, mfa.SecondFactor, mfa.Enrolled,
		mfa.SecondFactorTooOld, mfa.PolicyRequired, mfa.RouteRequires, mfa.PolicySuggested, mfa.Snoozed, mfa.PolicyOptional,
		mfa.FirstFactorTooOld,
	} {
		if !strings.HasSuffix(because[reason], ".") {
			t.Errorf("%s: %q is no sentence", reason, because[reason])
		}
	}
	if sentences := slices.Collect(maps.Values(because)); len(sentences) != len(slices.Compact(slices.Sorted(maps.Values(because)))) {
		t.Error("two reasons read the same")
	}
}
