package web

import "github.com/caddymfa/gateway/caddymfa/internal/admin"

// auditActions says what the audit's actions are. A test finds an action that has
// no words here.
var auditActions = map[string]Text{
	"test_provider":         say("audit.action.testprovider"),
	"add_provider":          say("audit.action.addprovider"),
	"break_glass":           say("audit.action.breakglass"),
	"change_provider":       say("audit.action.changeprovider"),
	"claim_domain":          say("audit.action.claimdomain"),
	"disable_provider":      say("audit.action.disableprovider"),
	"enable_provider":       say("audit.action.enableprovider"),
	"enforce_domain":        say("audit.action.enforcedomain"),
	"link_domain":           say("audit.action.linkdomain"),
	"recheck_domain":        say("audit.action.recheckdomain"),
	"remove_domain":         say("audit.action.removedomain"),
	"remove_provider":       say("audit.action.removeprovider"),
	"set_domain":            say("audit.action.setdomain"),
	"set_provider":          say("audit.action.setprovider"),
	"set_trust":             say("audit.action.settrust"),
	"stop_enforcing_domain": say("audit.action.stopenforcingdomain"),
	"verify_domain":         say("audit.action.verifydomain"),
	"add_account":           say("audit.action.addaccount"),
	"add_member":            say("audit.action.addmember"),
	"add_user":              say("audit.action.adduser"),
	"challenge":             say("audit.action.challenge"),
	"change_password":       say("audit.action.changepassword"),
	"create_set_up":         say("audit.action.createsetup"),
	"create_token":          say("audit.action.createtoken"),
	"delete_user":           say("audit.action.deleteuser"),
	"disable_user":          say("audit.action.disableuser"),
	"enable_user":           say("audit.action.enableuser"),
	"enroll":                say("audit.action.enroll"),
	"enter":                 say("audit.action.enter"),
	"export_audit":          say("audit.action.exportaudit"),
	"accept_invitation":     say("audit.action.acceptinvitation"),
	"export_people":         say("audit.action.exportpeople"),
	"invite":                say("audit.action.invite"),
	"invite_again":          say("audit.action.inviteagain"),
	"set_role":              say("audit.action.setrole"),
	"lock":                  say("audit.action.lock"),
	"mail":                  say("audit.action.mail"),
	"recovery_codes":        say("audit.action.recoverycodes"),
	"remove_factor":         say("audit.action.removefactor"),
	"remove_member":         say("audit.action.removemember"),
	"reset_factors":         say("audit.action.resetfactors"),
	"revoke_session":        say("audit.action.revokesession"),
	"revoke_sessions":       say("audit.action.revokesessions"),
	"revoke_token":          say("audit.action.revoketoken"),
	"replace_master_key":    say("audit.action.replacemasterkey"),
	"rotate_keys":           say("audit.action.rotatekeys"),
	"rotate_token":          say("audit.action.rotatetoken"),
	"set_password":          say("audit.action.setpassword"),
	"begin_policy":          say("audit.action.beginpolicy"),
	"remember_browser":      say("audit.action.rememberbrowser"),
	"forget_browser":        say("audit.action.forgetbrowser"),
	"set_policy":            say("audit.action.setpolicy"),
	"set_up":                say("audit.action.setup"),
	"sign_in":               say("audit.action.signin"),
	"sign_out":              say("audit.action.signout"),
	"snooze":                say("audit.action.snooze"),
	"switch_account":        say("audit.action.switchaccount"),
}

// auditReasons says why, where a row has a reason: first those of the decision,
// then those of single steps. A row whose reason has no words shows the code.
var auditReasons = map[string]Text{
	"account_disabled":      say("audit.reason.accountdisabled"),
	"admin_needs_factor":    say("audit.reason.adminneedsfactor"),
	"break_glass":           say("audit.reason.breakglass"),
	"domain_enforced":       say("audit.reason.domainenforced"),
	"enrolled":              say("audit.reason.enrolled"),
	"first_factor_too_old":  say("audit.reason.firstfactortooold"),
	"kind_not_accepted":     say("audit.reason.kindnotaccepted"),
	"no_account":            say("audit.reason.noaccount"),
	"no_session":            say("audit.reason.nosession"),
	"not_admin":             say("audit.reason.notadmin"),
	"not_member":            say("audit.reason.notmember"),
	"policy_optional":       say("audit.reason.policyoptional"),
	"policy_required":       say("audit.reason.policyrequired"),
	"policy_suggested":      say("audit.reason.policysuggested"),
	"provider_precedence":   say("audit.reason.providerprecedence"),
	"provider_too_old":      say("audit.reason.providertooold"),
	"provider_verified":     say("audit.reason.providerverified"),
	"public_route":          say("audit.reason.publicroute"),
	"remembered_device":     say("audit.reason.remembereddevice"),
	"route_requires":        say("audit.reason.routerequires"),
	"second_factor":         say("audit.reason.secondfactor"),
	"second_factor_too_old": say("audit.reason.secondfactortooold"),
	"snoozed":               say("audit.reason.snoozed"),
	"unavailable":           say("audit.reason.unavailable"),
	"undecidable":           say("audit.reason.undecidable"),
	"user_disabled":         say("audit.reason.userdisabled"),

	"no_answer":      say("audit.reason.noanswer"),
	"no_record":      say("audit.reason.norecord"),
	"other_records":  say("audit.reason.otherrecords"),
	"server_failure": say("audit.reason.serverfailure"),
	"still_there":    say("audit.reason.stillthere"),
	"admin":          say("audit.reason.admin"),
	"by_person":      say("audit.reason.byperson"),
	"created":        say("audit.reason.created"),
	"everywhere":     say("audit.reason.everywhere"),
	"last_admin":     say("audit.reason.lastadmin"),
	"member":         say("audit.reason.member"),
	"mailed":         say("audit.reason.mailed"),
	"other_accounts": say("audit.reason.otheraccounts"),
	"optional":       say("audit.reason.optional"),
	"passkey":        say("audit.reason.passkey"),
	"password":       say("audit.reason.password"),
	"recovery":       say("audit.reason.recovery"),
	"required":       say("audit.reason.required"),
	"suggested":      say("audit.reason.suggested"),
	"too_many_tries": say("audit.reason.toomanytries"),
	"totp":           say("audit.reason.totp"),
	"unknown_user":   say("audit.reason.unknownuser"),
	"webauthn":       say("audit.reason.webauthn"),
	"wrong_passkey":  say("audit.reason.wrongpasskey"),
	"wrong_password": say("audit.reason.wrongpassword"),
	"wrong_recovery": say("audit.reason.wrongrecovery"),
	"wrong_totp":     say("audit.reason.wrongtotp"),
	"wrong_webauthn": say("audit.reason.wrongwebauthn"),

	"proof_found":             say("audit.reason.prooffound"),
	"proof_missing":           say("audit.reason.proofmissing"),
	"proof_missing_long":      say("audit.reason.proofmissinglong"),
	"domain_unverified":       say("audit.reason.domainunverified"),
	"sso":                     say("audit.reason.sso"),
	"provider_unavailable":    say("audit.reason.providerunavailable"),
	"sign_in_too_old":         say("audit.reason.signintooold"),
	"email_missing":           say("audit.reason.emailmissing"),
	"email_malformed":         say("audit.reason.emailmalformed"),
	"email_unverified":        say("audit.reason.emailunverified"),
	"email_of_another_domain": say("audit.reason.emailofanotherdomain"),
	"domain_not_verified":     say("audit.reason.domainnotverified"),
	"subject_changed":         say("audit.reason.subjectchanged"),
	"back_channel_logout":     say("audit.reason.backchannellogout"),
}

// actionText says what was done.
func actionText(action string) Text {
	if text, ok := auditActions[action]; ok {
		return text
	}
	return say("audit.action.other", "action", action)
}

// reasonText says why; a row without a reason says nothing.
func reasonText(reason string) Text {
	if text, ok := auditReasons[reason]; ok || reason == "" {
		return text
	}
	return say("audit.reason.other", "reason", reason)
}

// byText says who did it.
func byText(p admin.Party) Text {
	switch p.Kind {
	case admin.Person:
		return say("audit.by.person", "name", partyName(p))
	case admin.Outsider:
		return say("audit.by.outsider")
	case admin.Operator:
		return say("audit.by.operator")
	case admin.Housekeeping:
		return say("audit.by.housekeeping")
	case admin.Configuration:
		return say("audit.by.configuration")
	case admin.Program:
		if p.Name == "" {
			return say("audit.by.tokengone")
		}
		return say("audit.by.token", "name", p.Name)
	}
	return say("audit.by.nobody")
}

// partyName is how a person of the account is called.
func partyName(p admin.Party) string {
	if p.Name == "" {
		return p.Email
	}
	return p.Name + " (" + p.Email + ")"
}
