package web

import (
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// sample is a view in one of its states.
type sample struct {
	name string
	view View
}

var moment = time.Date(2026, time.March, 2, 14, 3, 27, 0, time.UTC)

// chromeOf is what most samples have around them.
func chromeOf() Chrome {
	return Chrome{CSRF: "token-1", SignedIn: true, Email: "ana@acme.example", UserName: "Ana Almeida",
		Account: "acme", AccountName: "Acme Distribution", Several: true}
}

// visitor is what somebody sees who has not signed in.
func visitor() Chrome { return Chrome{CSRF: "token-1"} }

func cards() []AccountCard {
	return []AccountCard{
		{ID: "acme", Name: "Acme Distribution", Role: mfa.RoleAdmin, Policy: mfa.Required, Current: true},
		{ID: "borealis", Name: "Borealis Cloud Services and Partners International", Role: mfa.RoleMember, Policy: mfa.Suggested},
		{ID: "cumulus", Name: "Cumulus", Role: mfa.RoleMember, Policy: mfa.Required, NeedsFactor: true},
		{ID: "delta", Name: "Delta", Role: mfa.RoleMember, Policy: mfa.Optional},
		{ID: "echo", Name: "Echo", Role: mfa.RoleMember, Policy: mfa.Required, Provider: "Echo Entra ID"},
	}
}

func authenticators() []Authenticator {
	return []Authenticator{
		{ID: "f1", Name: "Ana's phone", Kind: mfa.TOTP, Added: moment.AddDate(0, -3, 0), Used: moment},
		{ID: "f2", Name: "Key on the desk", Kind: mfa.WebAuthn, Added: moment},
		{ID: "f3", Name: "Old tablet", Kind: mfa.TOTP, Added: moment.AddDate(-1, 0, 0), Used: moment.AddDate(0, -6, 0), Disabled: true},
	}
}

func sessionRows() []SessionRow {
	proof := mfa.Proof{User: "u1", First: moment, FirstBy: "password", Second: moment, SecondBy: mfa.TOTP}
	byKey, byCode := proof, proof
	byKey.SecondBy, byCode.SecondBy = mfa.WebAuthn, mfa.Recovery
	sso := mfa.Proof{User: "u1", First: moment, FirstBy: "sso", Provider: "p1", ProviderAMR: "pwd mfa", ProviderACR: "urn:example:high"}
	return []SessionRow{
		{ID: "s1", Browser: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0",
			Network: "203.0.113.7", AccountName: "Acme Distribution", Proof: proof, SignedIn: moment, Seen: moment, Current: true},
		{ID: "s2", Browser: "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1",
			Network: "2001:db8:1:2:3:4:5:6", AccountName: "Echo", Provider: "Echo Entra ID", Proof: sso, SignedIn: moment, Seen: moment},
		{ID: "s3", Browser: "curl/8.5.0", Network: "198.51.100.20", Proof: byCode, SignedIn: moment, Seen: moment},
		{ID: "s4", Browser: "something (X11; Linux x86_64)", Proof: byKey, SignedIn: moment, Seen: moment},
		{ID: "s5", Proof: sso, SignedIn: moment, Seen: moment},
	}
}

func pastRows() []SessionRow {
	rows := append(sessionRows()[1:], sessionRows()[1:3]...)
	for i, how := range []storage.Ending{storage.EndedAlone, storage.EndedTogether, storage.EndedByAccount, storage.EndedByIssuer, "", ""} {
		rows[i].Ended, rows[i].How, rows[i].Unused = moment, how, i == 4
	}
	return rows
}

// finder is a drawing the size of a usual QR code, with its three corners.
func finder() [][]bool {
	const side = 41
	modules := make([][]bool, side)
	for y := range modules {
		modules[y] = make([]bool, side)
		for x := range modules[y] {
			cx, cy := min(x, side-1-x), min(y, side-1-y)
			if cx < 8 && cy < 8 && !(x >= side-8 && y >= side-8) {
				ring := max(max(cx-3, 3-cx), max(cy-3, 3-cy))
				modules[y][x] = ring != 2 && ring < 4
				continue
			}
			modules[y][x] = (x*x+3*y*x+y*7)%5 < 2
		}
	}
	return modules
}

func enrolling() EnrollTOTP {
	return EnrollTOTP{Chrome: chromeOf(), Return: "/orders?page=2", Reason: mfa.PolicyRequired,
		Secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", QR: finder(),
		Link: "otpauth://totp/Acme:ana@acme.example?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Acme"}
}

func challenging() Challenge {
	return Challenge{Chrome: chromeOf(), Return: "/orders?page=2", Offer: mfa.KindsOf(mfa.TOTP, mfa.Recovery), Asked: why(mfa.Enrolled, toEnter, "Acme Distribution")}
}

func auditing() AdminAudit {
	ana := admin.Party{Kind: admin.Person, ID: "u1", Name: "Ana Almeida", Email: "ana@acme.example"}
	invited := admin.Party{Kind: admin.Person, ID: "u2", Email: "bo@acme.example"}
	row := func(action, outcome, reason string, by, about admin.Party, detail string) AuditRow {
		return AuditRow{admin.Entry{ID: 7, At: moment, Action: action, Outcome: outcome, Reason: reason, Actor: by, User: about, Network: "203.0.113.7", Detail: detail}}
	}
	return AdminAudit{Chrome: chromeOf(), Form: AuditForm{Action: "sign_in", Since: "2026-03-01"}, Next: 99, Rows: []AuditRow{
		row("set_policy", "ok", "required", ana, admin.Party{}, "was optional; accepts any"),
		row("enter", "refused", "not_member", admin.Party{Kind: admin.Outsider}, admin.Party{Kind: admin.Outsider}, ""),
		row("challenge", "ok", "totp", ana, ana, ""),
		row("add_member", "ok", "admin", ana, invited, ""),
		row("sign_in", "failed", "unavailable", admin.Party{}, admin.Party{Kind: admin.Outsider}, ""),
		row("reset_factors", "ok", "", admin.Party{Kind: admin.Operator}, ana, "2 authenticators"),
		row("set_policy", "ok", "suggested", admin.Party{Kind: admin.Configuration}, admin.Party{}, ""),
		row("revoke_token", "ok", "", admin.Party{Kind: admin.Program, Name: "Nightly job"}, admin.Party{}, "Old job"),
		row("something_new", "ok", "something_else", admin.Party{Kind: admin.Program}, admin.Party{}, ""),
	}}
}

func tokening() AdminTokens {
	return AdminTokens{Chrome: chromeOf(), Form: TokenForm{Days: 90, Scopes: scopeChoices([]string{"read"})}, Tokens: []TokenRow{
		{ID: "t1", Title: "Nightly job", Scopes: []TokenScope{{Scope: admin.ScopeRead}, {Scope: admin.ScopeAudit}}, Maker: "ana@acme.example",
			Networks: []string{"192.0.2.0/24", "2001:db8::/32"}, Created: moment, Expires: moment.AddDate(1, 0, 0), Used: moment, UsedFrom: "192.0.2.7"},
		{ID: "t2", Title: "Dashboard", Scopes: []TokenScope{{Scope: admin.ScopeRead}}, Created: moment, Expires: moment, Expired: true},
		{ID: "t3", Title: "Lost laptop", Scopes: []TokenScope{{Scope: admin.ScopeTokens}}, Maker: "ana@acme.example", Created: moment, Expires: moment.AddDate(0, 1, 0), Revoked: moment},
	}}
}

// with returns a copy of a view with one thing changed.
func with[V View](view V, change func(*V)) V {
	change(&view)
	return view
}

// samples holds every view, in every state that its template tells apart.
func samples() []sample {
	security := ProfileSecurity{Chrome: chromeOf(), Authenticators: authenticators(), CodesLeft: 8, CodesTotal: 10, Password: true, MinLength: 12, Deletable: true}
	overview := ProfileOverview{Chrome: chromeOf(), Authenticators: 2, CodesLeft: 8, Sessions: 3, Accounts: 5}
	codes := []string{"k7fj-2mqp-x4tn-9wdr", "p3hs-8vbc-l6yz-5gea", "q2nw-7rxt-m9kd-4fju", "b5cg-3yhp-z8sv-6ela",
		"t4mr-9qkw-f7nx-2dpj", "h6vb-5slc-y3ga-8zet", "w9dx-4jfp-k2rm-7qtn", "g8ze-6alh-v5cs-3byp",
		"n3tq-7kpd-r4wf-9xmj", "c2ya-5evg-s6lz-8hbt"}
	all := []sample{
		{"login", Login{Chrome: visitor(), Return: "/orders?page=2"}},
		{"login-passkey", Login{Chrome: visitor(), Key: `{"challenge":"x"}`}},
		{"enroll-key", EnrollKey{Chrome: chromeOf(), Return: "/orders", Reason: mfa.KindNotAccepted, Key: `{"challenge":"x"}`}},
		{"enroll-key-own", EnrollKey{Chrome: chromeOf(), Key: `{"challenge":"x"}`, Apps: true}},
		{"enroll-key-offered", EnrollKey{Chrome: chromeOf(), Return: "/orders", Key: `{"challenge":"x"}`, Offered: true, Problem: ProblemKeyTwice}},
		{"challenge-key", Challenge{Chrome: chromeOf(), Offer: mfa.KindsOf(mfa.TOTP, mfa.WebAuthn, mfa.Recovery), Key: `{"challenge":"x"}`}},
		{"challenge-key-only", Challenge{Chrome: chromeOf(), Offer: mfa.KindsOf(mfa.WebAuthn, mfa.Recovery), Key: `{"challenge":"x"}`, Rebind: true}},
		{"login-problem", Login{Chrome: visitor(), Email: "ana", Problem: ProblemEmail}},
		{"login-plain", Login{Chrome: with(Login{Chrome: visitor()}, func(v *Login) { v.PlainHTTP = true }).Chrome}},
		{"password", Password{Chrome: visitor(), Email: "ana@acme.example", Return: "/orders?page=2"}},
		{"password-problem", Password{Chrome: visitor(), Email: "ana@acme.example", Problem: ProblemSignIn}},
		{"password-wait", Password{Chrome: visitor(), Email: "ana@acme.example", Problem: ProblemWait(1500 * time.Millisecond)}},
		{"password-busy", Password{Chrome: visitor(), Email: "ana@acme.example", Problem: ProblemBusy}},
		{"leave", Leave{Chrome: visitor(), URL: "https://login.example/authorize?client_id=a&state=b", Provider: "Echo Entra ID"}},
		{"leave-unnamed", Leave{Chrome: visitor(), URL: "https://login.example/authorize?client_id=a&state=b"}},
		{"password-company", Password{Chrome: visitor(), Email: "ana@acme.example", Provider: "Echo Entra ID"}},
		{"breakglass", BreakGlass{Chrome: visitor(), Return: "/orders"}},
		{"breakglass-wait", BreakGlass{Chrome: visitor(), Problem: ProblemWait(time.Minute)}},
		{"challenge", challenging()},
		{"challenge-wrong", with(challenging(), func(v *Challenge) { v.Problem, v.Clock = ProblemCode, moment })},
		{"challenge-wait", with(challenging(), func(v *Challenge) { v.Problem = ProblemWait(10 * time.Minute) })},
		{"challenge-recovering", with(challenging(), func(v *Challenge) { v.Recovering, v.Problem = true, ProblemRecoveryCode })},
		{"challenge-locked", with(challenging(), func(v *Challenge) { v.Locked, v.Problem = true, ProblemLocked })},
		{"challenge-locked-out", with(challenging(), func(v *Challenge) { v.Locked, v.Offer = true, mfa.KindsOf(mfa.TOTP) })},
		{"challenge-nothing", with(challenging(), func(v *Challenge) { v.Offer = 0 })},
		{"challenge-change", with(challenging(), func(v *Challenge) {
			v.Asked, v.Offer = why(mfa.SecondFactorTooOld, toSeeOwn, ""), mfa.KindsOf(mfa.TOTP)
		})},
		{"challenge-fresh", with(challenging(), func(v *Challenge) { v.Asked = why(mfa.SecondFactorTooOld, toEnterPart, v.AccountName) })},
		{"enroll", enrolling()},
		{"enroll-wrong", with(enrolling(), func(v *EnrollTOTP) { v.Problem, v.Clock, v.DeviceName = ProblemCode, moment, "Ana's phone" })},
		{"enroll-route", with(enrolling(), func(v *EnrollTOTP) { v.Reason = mfa.RouteRequires })},
		{"enroll-suggested", with(enrolling(), func(v *EnrollTOTP) { v.Reason = mfa.PolicySuggested })},
		{"enroll-own", with(enrolling(), func(v *EnrollTOTP) { v.Reason, v.Link, v.Return = mfa.PolicyOptional, "", "" })},
		{"suggest", Suggest{Chrome: chromeOf(), Return: "/orders?page=2", Days: 7}},
		{"suggest-here", Suggest{Chrome: visitor(), Days: 1}},
		{"codes", RecoveryCodes{Chrome: chromeOf(), Return: "/orders?page=2", Codes: codes}},
		{"codes-replaced", RecoveryCodes{Chrome: chromeOf(), Codes: codes, Replaced: true}},
		{"accounts", Accounts{Chrome: chromeOf(), Accounts: cards(), Return: "/orders?page=2"}},
		{"accounts-forbidden", Accounts{Chrome: chromeOf(), Accounts: cards(), Forbidden: true}},
		{"accounts-forbidden-none", Accounts{Chrome: chromeOf(), Forbidden: true}},
		{"accounts-none", Accounts{Chrome: chromeOf()}},
		{"profile", overview},
		{"profile-bare", with(overview, func(v *ProfileOverview) { v.Authenticators, v.AccountName, v.Provider = 0, "", "Echo Entra ID" })},
		{"security", security},
		{"security-devices", with(security, func(v *ProfileSecurity) {
			for _, row := range sessionRows()[:3] {
				v.Devices = append(v.Devices, DeviceRow{row, moment})
			}
		})},
		{"security-full", with(security, func(v *ProfileSecurity) { v.Full, v.Provider = true, "Echo Entra ID" })},
		{"security-bare", ProfileSecurity{Chrome: chromeOf()}},
		{"security-problem", with(security, func(v *ProfileSecurity) { v.Problem = ProblemPasswordShort(12) })},
		{"delete", ProfileDelete{Chrome: chromeOf(), Leaves: []string{"Acme Distribution", "Cumulus"}, Password: true}},
		{"delete-problem", ProfileDelete{Chrome: chromeOf(), Password: true, Provider: "Echo Entra ID", Problem: ProblemCurrentPassword}},
		{"remove", ConfirmRemove{Chrome: chromeOf(), Factor: "f1", FactorName: "Ana's phone"}},
		{"remove-last", ConfirmRemove{Chrome: chromeOf(), Factor: "f1", FactorName: "Ana's phone", Last: true, RequiredBy: []string{"Acme Distribution", "Cumulus"}}},
		{"sessions", ProfileSessions{Chrome: chromeOf(), Sessions: sessionRows()}},
		{"sessions-past", ProfileSessions{Chrome: chromeOf(), Sessions: sessionRows()[:1], Past: pastRows()}},
		{"profile-accounts", ProfileAccounts{Chrome: chromeOf(), Accounts: cards()}},
		{"profile-accounts-none", ProfileAccounts{Chrome: chromeOf()}},
		{"audit", auditing()},
		{"audit-later", with(auditing(), func(v *AdminAudit) { v.Later, v.Next = true, 0 })},
		{"audit-none", AdminAudit{Chrome: chromeOf(), Form: AuditForm{Person: "eve@acme.example"}, Problem: ProblemAuditPerson}},
		{"tokens", tokening()},
		{"tokens-made", with(tokening(), func(v *AdminTokens) { v.Secret = "cmfa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaadegsuvwq" })},
		{"tokens-none", AdminTokens{Chrome: chromeOf(), Form: TokenForm{Days: 90, Scopes: scopeChoices(nil)}, Problem: say("tokens.problem.scopes")}},
		{"setup", SetUp{Chrome: visitor(), Ticket: "ticket-1", MinLength: 12}},
		{"setup-problem", SetUp{Chrome: visitor(), Ticket: "ticket-1", MinLength: 12, Problem: ProblemPasswordDiffers}},
		{"setup-weak", SetUp{Chrome: visitor(), Ticket: "ticket-1", MinLength: 12, Problem: ProblemPasswordCommon}},
		{"forgot", Forgot{Chrome: visitor(), Email: "ana@acme.example", Mailed: true}},
		{"forgot-problem", Forgot{Chrome: visitor(), Email: "ana", Mailed: true, Problem: ProblemEmail}},
		{"forgot-sent", Forgot{Chrome: visitor(), Mailed: true, Sent: true}},
		{"forgot-no-mail", Forgot{Chrome: visitor()}},
		{"signed-out", SignedOut{Chrome: visitor()}},
		{"signed-out-company", SignedOut{Chrome: visitor(), Elsewhere: "https://login.example/logout?client_id=a", Provider: "Echo Entra ID"}},
		{"signed-out-deleted", SignedOut{Chrome: visitor(), Deleted: true}},
		{"signed-out-everywhere", SignedOut{Chrome: visitor(), Everywhere: true}},
	}
	all = append(all, ssoSamples()...)
	all = append(all, policySamples()...)
	all = append(all, peopleSamples()...)
	for name, message := range messages() {
		message.Chrome, message.Return, message.Reference = chromeOf(), "/orders?page=2", "4f1c-22"
		all = append(all, sample{"message-" + name, message})
	}
	for name := range notices {
		v := overview
		v.Notice = NoticeNamed(name)
		all = append(all, sample{"notice-" + name, v})
	}
	return all
}

// zeroes holds every view with nothing filled in: no caller can make a page
// fall over by leaving something out.
func zeroes() []View {
	return []View{Login{}, Password{}, Leave{}, BreakGlass{}, Challenge{}, EnrollTOTP{}, EnrollKey{}, Suggest{}, RecoveryCodes{}, Accounts{},
		AdminPolicy{}, AdminPolicyPeople{}, AdminTrial{}, ProfileOverview{}, ProfileSecurity{}, ProfileDelete{}, ConfirmRemove{}, ProfileSessions{}, ProfileAccounts{}, SetUp{}, SignedOut{}, Forgot{},
		AdminSSO{}, AdminClaim{}, AdminDomain{}, AdminConfirm{Title: say("confirm.stop.title", "domain", ""), Button: say("confirm.stop.next")}, AdminConflict{}, AdminSetUps{}, AdminProvider{}, AdminTested{}, AdminAudit{}, AdminTokens{},
		AdminPeople{}, AdminPerson{}, AdminInvite{}, AdminInvited{}, Joining{},
		MessageBusy}
}

func messages() map[string]Message {
	return map[string]Message{
		"bad-request": MessageBadRequest, "form-expired": MessageFormExpired, "forbidden": MessageForbidden,
		"user-disabled": MessageUserDisabled, "not-admin": MessageNotAdmin, "entry": MessageEntry, "account-disabled": MessageAccountDisabled, "undecidable": MessageUndecidable,
		"not-found": MessageNotFound, "method": MessageMethod, "too-large": MessageTooLarge, "start-again": MessageStartAgain,
		"link-expired": MessageLinkExpired, "unavailable": MessageUnavailable, "busy": MessageBusy, "fault": MessageFault,
		"post-sign-in": MessagePostSignIn, "post-factor": MessagePostFactor, "provider": MessageProvider, "provider-named": MessageProviderNamed("Acme sign-in"), "refused": MessageRefused, "invitation": MessageInvitation, "not-again": MessageNotAgain, "needed": MessageNeeded([]string{"Acme Distribution", "Cumulus"}),
		"declared": MessageDeclared, "needed-admin": MessageNeededAdmin([]string{"Acme Distribution", "Cumulus"}),
	}
}

func newRenderer(t *testing.T) *Renderer {
	t.Helper()
	r, err := NewRenderer("/.mfa")
	if err != nil {
		t.Fatal(err)
	}
	return r
}
