package adminapi

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/mfa"
)

func TestStatusSaysWhatThereIs(t *testing.T) {
	var status Status
	newServer(t).ok("GET", "status", "", &status)
	if want := (Status{Storage: "/data/mfa.db", Base: "/.mfa", Origin: "http://localhost:8080"}); status != want {
		t.Errorf("got %+v, want %+v", status, want)
	}
}

func TestAccountsAreAddedAndListed(t *testing.T) {
	s := newServer(t)
	var added Account
	s.ok("POST", "accounts", `{"id":"beta","policy":"suggested"}`, &added)
	if added.Name != "beta" || added.Policy != "suggested" || added.PolicyBy != "operator" || !added.PolicyAt.Equal(clock) {
		t.Errorf("added %+v", added)
	}
	var list AccountList
	s.ok("GET", "accounts?limit=2", "", &list)
	if len(list.Accounts) != 2 || list.Accounts[0].ID != "acme" || list.Next != "beta" {
		t.Errorf("first part %+v", list)
	}
	list = AccountList{}
	s.ok("GET", "accounts?limit=2&after=beta", "", &list)
	if len(list.Accounts) != 1 || list.Accounts[0].ID != "fixed" || !list.Accounts[0].Declared || list.Next != "" {
		t.Errorf("second part %+v", list)
	}
}

func TestAPolicyIsInForceWhenTheAnswerComes(t *testing.T) {
	s := newServer(t)
	var x Explanation
	s.ok("GET", "explain?user="+ana+"&account=acme", "", &x)
	if x.Verdict != "allow" || x.Reason != "policy_optional" {
		t.Errorf("before: %+v", x)
	}
	var change PolicyChange
	s.ok("PUT", "accounts/acme/policy", `{"policy":"required"}`, &change)
	if change.Account != "acme" || change.Policy != "required" || change.Former != "optional" || change.Settings.Policy != "required" {
		t.Errorf("got %+v", change)
	}
	var planned PolicyChange
	s.ok("PUT", "accounts/acme/policy", `{"policy":"optional"}`, nil)
	s.ok("PUT", "accounts/acme/policy", `{"policy":"required","from":"2026-04-01T00:00:00Z","second_factor_age":"8h","remember":"168h","accept":"any"}`, &planned)
	if a := planned.Settings; a.Policy != "optional" || a.Planned != "required" || a.PlannedAt == nil || a.SecondFactorAge != "8h0m0s" || a.Remember != "168h0m0s" {
		t.Errorf("got %+v", planned)
	}
	var tried PolicyChange
	s.ok("PUT", "accounts/acme/policy", `{"policy":"suggested","trial":true,"drop_plans":true,"second_factor_age":"0s","remember":"0s"}`, &tried)
	if a := tried.Settings; a.Policy != "optional" || a.Planned != "" || a.Trial != "suggested" || a.TrialAt == nil || a.SecondFactorAge != "" || a.Remember != "" {
		t.Errorf("got %+v", tried)
	}
	s.ok("PUT", "accounts/acme/policy", `{"policy":"required"}`, nil)
	row, err := s.Operator.Store.Account(t.Context(), "acme")
	if err != nil || row.Policy != mfa.Required || row.PolicyBy != "operator" {
		t.Errorf("the store says %+v, %v", row, err)
	}
	s.ok("GET", "explain?user="+ana+"&account=acme", "", &x)
	if x.Verdict != "enroll" || x.Reason != "policy_required" || x.Because == "" || x.Facts.Policy != "required" {
		t.Errorf("after: %+v", x)
	}
}

func TestExplainShowsTheFactsItUsed(t *testing.T) {
	s := newServer(t)
	enrol(t, s.Operator, ana)
	u, err := s.Operator.User(t.Context(), ana)
	if err != nil {
		t.Fatal(err)
	}
	until := clock.Add(time.Hour)
	if err := s.Operator.Store.Snooze(t.Context(), "acme", u.ID, until); err != nil {
		t.Fatal(err)
	}
	var x Explanation
	s.ok("GET", "explain?account=acme&second=recovery&user="+ana, "", &x)
	f := x.Facts
	if x.Verdict != "allow" || x.Reason != "second_factor" || f.SecondFactor != "recovery" || f.FirstFactor != "password" ||
		f.Membership != "joined" || f.Role != "admin" || strings.Join(f.Enrolled, " ") != "totp" ||
		f.SnoozedUntil == nil || !f.SnoozedUntil.Equal(until) || !f.At.Equal(clock) {
		t.Errorf("got %+v", x)
	}
	s.ok("GET", "explain?account=acme&user="+ana, "", &x)
	if x.Verdict != "challenge" || strings.Join(x.Offer, " ") != "totp" {
		t.Errorf("got %+v", x)
	}
	x = Explanation{}
	s.ok("GET", "explain?account=fixed&user="+ana, "", &x)
	if x.Verdict != "deny" || x.Reason != "not_member" || x.Facts.Membership != "none" || x.Offer != nil || x.Facts.SnoozedUntil != nil {
		t.Errorf("got %+v", x)
	}
}

func TestPeopleJoinAndLeave(t *testing.T) {
	s := newServer(t)
	s.ok("POST", "accounts", `{"id":"beta","policy":"optional"}`, nil)
	var joined Membership
	s.ok("PUT", "accounts/beta/members/"+ana, "", &joined)
	if joined.Role != "member" || joined.State != "joined" {
		t.Errorf("joined %+v", joined)
	}
	s.ok("PUT", "accounts/beta/members/"+ana, `{"role":"admin"}`, nil)
	var list UserList
	s.ok("GET", "users?account=beta", "", &list)
	if len(list.Users) != 1 || len(list.Users[0].Memberships) != 2 || list.Users[0].Memberships[1].Role != "admin" {
		t.Errorf("members %+v", list)
	}
	s.ok("DELETE", "accounts/beta/members/"+ana, "", nil)
	list = UserList{}
	s.ok("GET", "users?account=beta", "", &list)
	if list.Users == nil || len(list.Users) != 0 {
		t.Errorf("members after leaving: %+v", list)
	}
}

func TestUsersAreListedWithoutTheirSecrets(t *testing.T) {
	s := newServer(t)
	s.ok("PUT", "users/"+ana+"/password", `{"password":"a fine long passphrase"}`, nil)
	enrol(t, s.Operator, ana)
	var list UserList
	text := s.ok("GET", "users", "", &list)
	if len(list.Users) != 2 {
		t.Fatalf("got %+v", list)
	}
	u, boss := list.Users[0], list.Users[1]
	if u.Email != ana || u.Name != "Ana" || !u.Password || u.Declared || strings.Join(u.Authenticators, " ") != "totp" ||
		len(u.Memberships) != 1 || u.Memberships[0] != (Membership{Account: "acme", Role: "admin", State: "joined"}) {
		t.Errorf("got %+v", u)
	}
	if !boss.Declared || !boss.Memberships[0].Declared || boss.Authenticators == nil {
		t.Errorf("got %+v", boss)
	}
	for _, secret := range []string{"hash of", "fine long", "$2y", "sealed"} {
		if strings.Contains(text, secret) {
			t.Errorf("the list shows %q", secret)
		}
	}
	list = UserList{}
	s.ok("GET", "users?limit=1", "", &list)
	if list.Next != ana {
		t.Errorf("next is %q", list.Next)
	}
}

func TestNobodyIsAddedToAnAccountThatIsNotThere(t *testing.T) {
	s := newServer(t)
	if _, err := s.ask("POST", "users", `{"email":"eve@acme.example","account":"beta"}`); err == nil {
		t.Fatal("added to nowhere")
	}
	if _, err := s.Operator.User(t.Context(), "eve@acme.example"); err == nil {
		t.Error("half of it was done")
	}
}

func TestAPasswordComesPlainOrHashed(t *testing.T) {
	s := newServer(t)
	for body, want := range map[string]string{
		`{"password":"a fine long passphrase"}`: "hash of a fine long passphrase",
		`{"hash":"$2y$10$x"}`:                   "$2y$10$x",
	} {
		id := signIn(t, s.Operator, ana)
		if text := s.ok("PUT", "users/"+ana+"/password", body, nil); text != "{}\n" {
			t.Errorf("answered %s", text)
		}
		u, err := s.Operator.User(t.Context(), ana)
		if err != nil || u.PasswordHash != want {
			t.Errorf("the store has %q, %v", u.PasswordHash, err)
		}
		if row, err := s.Operator.Store.Session(t.Context(), id); err != nil || row.Revoked.IsZero() {
			t.Errorf("the session lives on: %v", err)
		}
	}
}

func TestPeopleAreSwitchedOffAndOn(t *testing.T) {
	s := newServer(t)
	for _, disabled := range []bool{true, false} {
		s.ok("POST", "users/"+ana+map[bool]string{true: "/disable", false: "/enable"}[disabled], "", nil)
		u, err := s.Operator.User(t.Context(), ana)
		if err != nil || u.Disabled != disabled {
			t.Errorf("disabled is %v, %v", u.Disabled, err)
		}
	}
}

func TestAuthenticatorsAndSessionsGo(t *testing.T) {
	s := newServer(t)
	enrol(t, s.Operator, ana)
	signIn(t, s.Operator, ana)
	var ended Ended
	s.ok("DELETE", "users/"+ana+"/sessions", "", &ended)
	if ended.Ended != 1 {
		t.Errorf("ended %d", ended.Ended)
	}
	var reset Reset
	s.ok("DELETE", "users/"+ana+"/authenticators", "", &reset)
	if reset.Removed != 1 {
		t.Errorf("removed %d", reset.Removed)
	}
	u, err := s.Operator.User(t.Context(), ana)
	if err != nil {
		t.Fatal(err)
	}
	if rows, err := s.Operator.Store.FactorsOf(t.Context(), u.ID); len(rows) != 0 || err != nil {
		t.Errorf("left: %v, %v", rows, err)
	}
}

func TestASetUpLinkCarriesItsCodeInTheFragment(t *testing.T) {
	s := newServer(t)
	for body, prefix := range map[string]string{
		``: "http://localhost:8080/.mfa/setup#",
		`{"origin":"https://portal.example.com/"}`:     "https://portal.example.com/.mfa/setup#",
		`{"origin":"https://portal.example.com:8443"}`: "https://portal.example.com:8443/.mfa/setup#",
	} {
		var made SetUp
		s.ok("POST", "users/"+ana+"/setup", body, &made)
		if made.Link != prefix+made.Code || !made.Expires.Equal(clock.Add(login.SetUpTime)) {
			t.Errorf("%s: got %+v", body, made)
		}
		client := login.Client{Network: "192.0.2.1"}
		if err := s.Operator.Login.SetUp(t.Context(), client, made.Code, "a fine long passphrase"); err != nil {
			t.Errorf("the code is good for nothing: %v", err)
		}
	}
	s.Origin = ""
	var made SetUp
	s.ok("POST", "users/"+ana+"/setup", "", &made)
	if made.Link != "" || made.Code == "" {
		t.Errorf("without a known origin: %+v", made)
	}
	for _, origin := range []string{
		"portal.example.com", "javascript:alert(1)", "https://", "https://:443", "https://user@portal.example.com",
		"https://portal.example.com/path", "https://portal.example.com?x", "https://portal.example.com#x", "https://portal.example.com//",
	} {
		if w, err := s.ask("POST", "users/"+ana+"/setup", `{"origin":"`+origin+`"}`); err == nil {
			t.Errorf("origin %q was taken: %s", origin, w.Body)
		}
	}
}

func TestTheAuditIsListedNewestFirst(t *testing.T) {
	s := newServer(t)
	code := new(SetUp)
	s.ok("POST", "users/"+ana+"/setup", "", code)
	var list EventList
	text := s.ok("GET", "audit?user="+ana, "", &list)
	if len(list.Events) != 3 || list.Events[0].Action != "create_set_up" || list.Events[2].Action != "add_user" {
		t.Fatalf("got %s", text)
	}
	first := list.Events[0]
	if first.Actor != "operator" || first.UserEmail != ana || first.Outcome != "ok" || !first.At.Equal(clock) {
		t.Errorf("got %+v", first)
	}
	if strings.Contains(text, code.Code) {
		t.Error("the audit shows a set-up code")
	}
	list = EventList{}
	s.ok("GET", "audit?account=acme&limit=1", "", &list)
	if len(list.Events) != 1 || list.Events[0].Action != "add_member" {
		t.Fatalf("got %+v", list)
	}
	var older EventList
	s.ok("GET", "audit?account=acme&before="+strconv.FormatInt(list.Events[0].ID, 10), "", &older)
	if len(older.Events) != 1 || older.Events[0].Action != "add_account" {
		t.Errorf("got %+v", older)
	}
}

func TestTheAuditIsVerifiedInParts(t *testing.T) {
	s := newServer(t)
	var list ChainList
	s.ok("GET", "audit/chains?limit=1", "", &list)
	if len(list.Chains) != 2 || list.Chains[0].Account != "" || list.Chains[1].Account != "acme" || list.Next != "acme" {
		t.Fatalf("got %+v", list)
	}
	end := strconv.FormatInt(list.Chains[1].Line, 10) + ":" + list.Chains[1].Hash
	lines, query := 0, "audit/verify?account=acme&limit=1&noted="+end
	for from := ""; ; {
		var part VerifiedPart
		s.ok("GET", query+from, "", &part)
		lines += part.Lines
		if part.Next == 0 {
			if part.Finding != nil || part.End != end || lines != int(list.Chains[1].Line) {
				t.Errorf("after %d lines: %+v", lines, part)
			}
			break
		}
		from = "&from=" + strconv.FormatInt(part.Next, 10)
	}
	var part VerifiedPart
	s.ok("GET", "audit/verify?account=acme&noted=1:ab", "", &part)
	if part.Finding == nil || *part.Finding != (Finding{Fault: "replaced", Line: 1, ID: part.Finding.ID}) {
		t.Errorf("another first line was noted: %+v", part)
	}
	list = ChainList{}
	s.ok("GET", "audit/chains?after=acme", "", &list)
	if len(list.Chains) != 1 || list.Chains[0].Account != "fixed" || list.Next != "" {
		t.Errorf("got %+v", list)
	}
}

func TestKeysAreListedAndReplaced(t *testing.T) {
	s := newServer(t)
	var before, after []Key
	s.ok("GET", "keys", "", &before)
	if len(before) != 2 || before[0].Retired != nil || before[1].Retired != nil {
		t.Fatalf("at first: %+v", before)
	}
	s.ok("POST", "keys/rotate", "", &after)
	retired := 0
	for _, k := range after {
		if k.Retired != nil {
			retired++
		}
	}
	if len(after) != 4 || retired != 2 {
		t.Errorf("afterwards: %+v", after)
	}
	var events EventList
	s.ok("GET", "audit?limit=1", "", &events)
	if len(events.Events) != 1 || events.Events[0].Action != "rotate_keys" {
		t.Errorf("the audit says %+v", events)
	}
}
