package web

import (
	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func domainRows() []DomainRow {
	long := "a-rather-long-name-of-a-domain.of-a-subsidiary.borealis-cloud-services.example"
	return []DomainRow{
		{Domain: storage.Domain{Name: "acme.example", Verified: true, Enforce: true, Provider: "p1", Token: "T0KEN", Checked: moment, Finding: admin.FoundProof, Version: 3}, ProviderName: "Acme sign-in"},
		{Domain: storage.Domain{Name: "mail.acme.example", Verified: true, Provider: "p1", Token: "T0KEN", Checked: moment, Finding: admin.FoundProof, Version: 3}, ProviderName: "Acme sign-in"},
		{Domain: storage.Domain{Name: "acme-partners.example", Verified: true, Token: "T0KEN", Checked: moment, Finding: admin.FoundSilence, Version: 3}},
		{Domain: storage.Domain{Name: "acme.test", Verified: true, Token: "T0KEN", Checked: moment, Finding: admin.FoundNothing, Missing: moment.AddDate(0, 0, -8), Version: 3}, ProviderName: "Acme sign-in"},
		{Domain: storage.Domain{Name: long, Token: "N6GYZQ3VYK4J2X7B5WPTCAMDHE", Version: 3}},
	}
}

func providerRows() []ProviderRow {
	return []ProviderRow{
		{ID: "p1", Label: "Acme sign-in", Kind: admin.KindOIDC, Issuer: "https://login.acme.example", Trust: mfa.Precedence, Tested: moment, Tester: "bea@partner.example", TestsPass: true, SignIns: 340, Percent: 92, Days: 30},
		{ID: "p2", Label: "A new one", Kind: admin.KindOIDC, Issuer: "https://login.example/9122040d-6c67-4c5b-b112-36a304b66dad/v2.0", Trust: mfa.Verify, Days: 30},
		{ID: "p3", Label: "Head office", Kind: "ldap", Trust: mfa.Stack, Origin: storage.FromConfig, TestsPass: true, SignIns: 1, Days: 30},
		{ID: "p4", Label: "Former one", Kind: "saml", Trust: mfa.Precedence, Disabled: true, Days: 30},
	}
}

func people(emails ...string) []storage.User {
	var list []storage.User
	for _, email := range emails {
		list = append(list, storage.User{Email: email})
	}
	return list
}

// ssoSamples holds the pages for single sign-on, in every state.
func ssoSamples() []sample {
	domains, providers := domainRows(), providerRows()
	keepers := people("bea@partner.example", "carl@partner.example")
	chosen := append([]ProviderRow{}, providers[:2]...)
	chosen[0].Chosen = true
	domain := func(i int) AdminDomain {
		return AdminDomain{Chrome: chromeOf(), Domain: domains[i], Record: admin.RecordOf(domains[i].Domain), Providers: chosen,
			Ready: admin.Readiness{Verified: domains[i].Verified, Linked: true, Tested: true, Keepers: keepers}}
	}
	fields := ProviderFields{Name: "Acme sign-in", Issuer: "https://login.acme.example", ClientID: "portal", Join: true}
	provider := AdminProvider{Chrome: chromeOf(), Provider: providers[0], Form: fields, Version: 4, Secret: true,
		RedirectURI: "https://portal.example.com/.mfa/sso/callback", LogoutURI: "https://portal.example.com/.mfa/sso/backchannel-logout", Domains: []string{"acme.example", "mail.acme.example"}}
	confirm := AdminConfirm{Chrome: chromeOf(), Title: say("confirm.remove.title", "domain", "acme.example"), Means: []Text{say("confirm.remove.all"), say("confirm.remove.again")},
		Button: say("confirm.remove.next"), Danger: true, Action: "/admin/sso/domain/remove", Domain: "acme.example", Version: 3, Back: "/admin/sso/domain?name=acme.example", Asks: true, Mail: true,
		Stranded: admin.Stranded{People: 34, Some: people("ana@acme.example", "bernhard@acme.example", "chiara@acme.example")}}
	tested := AdminTested{Chrome: chromeOf(), Provider: providers[0], Passed: true, Who: identity.Identity{Subject: "s", Email: "ana@acme.example", EmailVerified: true, Name: "Ana Almeida", AMR: []string{"pwd", "mfa"}, ACR: "urn:mace:incommon:iap:silver", MFA: true}}
	all := []sample{
		{"sso", AdminSSO{Chrome: chromeOf(), Domains: domains, Providers: providers, Connect: true}},
		{"sso-bare", AdminSSO{Chrome: chromeOf(), Connect: true}},
		{"sso-operator", AdminSSO{Chrome: chromeOf()}},
		{"claim", AdminClaim{Chrome: chromeOf()}},
		{"claim-problem", AdminClaim{Chrome: chromeOf(), Domain: "gmail.com", Problem: say("claim.problem.mail")}},
		{"domain-enforced", domain(0)},
		{"domain-enforced-bare", with(domain(0), func(v *AdminDomain) { v.Ready = admin.Readiness{Verified: true, Linked: true} })},
		{"domain-offered", domain(1)},
		{"domain-verified", with(domain(2), func(v *AdminDomain) { v.Ready.Linked, v.Ready.Tested, v.Ready.Keepers = false, false, nil })},
		{"domain-untested", with(domain(2), func(v *AdminDomain) { v.Providers, v.Untested = nil, providers[1:2] })},
		{"domain-lost", domain(3)},
		{"domain-pending", with(domain(4), func(v *AdminDomain) { v.Ready, v.Providers = admin.Readiness{}, nil })},
		{"domain-problem", with(domain(1), func(v *AdminDomain) { v.Problem = say("domain.changed") })},
		{"domain-declared", with(domain(0), func(v *AdminDomain) { v.Domain.Origin = storage.FromConfig })},
		{"confirm", confirm},
		{"confirm-codes", with(confirm, func(v *AdminConfirm) { v.Mail, v.Stranded.People = false, 3 })},
		{"confirm-nobody", with(confirm, func(v *AdminConfirm) { v.Stranded, v.Turn = admin.Stranded{}, "off" })},
		{"confirm-enforce", with(confirm, func(v *AdminConfirm) {
			v.Asks, v.Danger, v.Turn, v.Action = false, false, "on", "/admin/sso/domain/enforce"
			v.Title, v.Button = say("confirm.enforce.title", "domain", "acme.example"), say("confirm.enforce.next")
			v.Means = []Text{say("confirm.enforce.all", "domain", "acme.example", "provider", "Acme sign-in"), say("confirm.enforce.password"), say("confirm.enforce.keeper", "email", "bea@partner.example")}
		})},
		{"confirm-provider", with(confirm, func(v *AdminConfirm) { v.Domain, v.Provider, v.Action = "", "p1", "/admin/sso/provider/remove" })},
		{"conflict", AdminConflict{Chrome: chromeOf(), By: "bea@partner.example", At: moment, Back: "/admin/sso"}},
		{"conflict-somebody", AdminConflict{Chrome: chromeOf(), Back: "/admin/sso"}},
		{"setups-mailed", AdminSetUps{Chrome: chromeOf(), Mailed: 34}},
		{"setups-codes", AdminSetUps{Chrome: chromeOf(), Codes: []admin.SetUp{{Email: "ana@acme.example", Code: "N6GYZQ3VYK4J2X7B5WPTCAMDHEN6GYZQ"}, {Email: "bernhard.von.und.zu@acme.example", Code: "C6GYZQ3VYK4J2X7B5WPTCAMDHEN6GYZQ"}},
			Elsewhere: []string{"dora@acme.example"}, Expires: moment, Page: "https://portal.example.com/.mfa/setup", Domains: []string{"acme.example"}, Next: "bernhard.von.und.zu@acme.example"}},
		{"setups-none", AdminSetUps{Chrome: chromeOf()}},
		{"provider", provider},
		{"provider-new", with(provider, func(v *AdminProvider) {
			v.Provider, v.Form, v.Version, v.Secret, v.Domains = ProviderRow{}, ProviderFields{}, 0, false, nil
		})},
		{"provider-problem", with(provider, func(v *AdminProvider) {
			v.Provider, v.Form.AssumeEmail, v.Form.MaxAge, v.Form.Prompt, v.RedirectURI = providers[1], true, "15", "login", ""
			v.Problem = say("provider.problem.settings", "detail", `issuer "login.acme.example": expected https://`)
		})},
		{"provider-directory", with(provider, func(v *AdminProvider) { v.Provider = providers[2] })},
		{"provider-directory-untested", with(provider, func(v *AdminProvider) {
			v.Provider = providers[2]
			v.Provider.Origin, v.Provider.TestsPass = storage.FromStore, false
		})},
		{"provider-off", with(provider, func(v *AdminProvider) { v.Provider = providers[3] })},
		{"tested", tested},
		{"tested-unavailable", AdminTested{Chrome: chromeOf(), Provider: providers[1]}},
	}
	for _, reason := range []string{"email_missing", "email_malformed", "email_unverified", "email_of_another_domain", "changed_meanwhile", "nonce_mismatch"} {
		all = append(all, sample{"tested-" + reason, with(tested, func(v *AdminTested) { v.Passed, v.Reason = false, reason })})
	}
	return all
}
