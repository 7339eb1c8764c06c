package web

import (
	"net/http"
	"time"
)

// What a form may have to say about what was sent.
var (
	ProblemEmail           = say("problem.email")
	ProblemSignIn          = say("problem.signin") // wrong e-mail or wrong password: always the same words
	ProblemBusy            = say("problem.busy")
	ProblemCode            = say("problem.code") // wrong, old and replayed codes: always the same words
	ProblemCodeShape       = say("problem.codeshape")
	ProblemRecoveryCode    = say("problem.recoverycode")
	ProblemKey             = say("problem.key")
	ProblemKeyUnread       = say("problem.keyunread")
	ProblemKeyTwice        = say("problem.keytwice")
	ProblemLocked          = say("problem.locked")
	ProblemEnrollExpired   = say("problem.enrollexpired")
	ProblemDeviceName      = say("problem.devicename")
	ProblemCurrentPassword = say("problem.currentpassword")
	ProblemPasswordDiffers = say("problem.passworddiffers")
	ProblemPasswordSame    = say("problem.passwordsame")
	ProblemPasswordCommon  = say("problem.passwordcommon")
	ProblemPasswordOwn     = say("problem.passwordown")
	ProblemAuditDate       = say("audit.problem.date")
	ProblemAuditPerson     = say("audit.problem.person")
)

// ProblemWait says how long to wait after too many tries.
func ProblemWait(wait time.Duration) Text {
	seconds := max(1, int((wait+time.Second-1)/time.Second))
	if seconds > 90 {
		return say("problem.waitminutes", "n", (seconds+59)/60)
	}
	return say("problem.wait", "n", seconds)
}

// ProblemPasswordShort says how long a password must be.
func ProblemPasswordShort(characters int) Text { return say("problem.passwordshort", "n", characters) }

// ProblemPasswordLong says how long a password may be.
func ProblemPasswordLong(characters int) Text { return say("problem.passwordlong", "n", characters) }

// notices are what a page may be asked to say after a redirect. They are named,
// so that no text travels in an address, and say nothing that is not already
// known to whoever made up the address.
var notices = map[string]Notice{
	"enrolled":            {NoticeOK, say("notice.enrolled")},
	"later":               {NoticeOK, say("notice.later")},
	"renamed":             {NoticeOK, say("notice.renamed")},
	"removed":             {NoticeOK, say("notice.removed")},
	"password-changed":    {NoticeOK, say("notice.passwordchanged")},
	"password-set":        {NoticeOK, say("notice.passwordset")},
	"device-forgotten":    {NoticeOK, say("notice.deviceforgotten")},
	"policy-set":          {NoticeOK, say("notice.policyset")},
	"policy-planned":      {NoticeOK, say("notice.policyplanned")},
	"policy-unplanned":    {NoticeOK, say("notice.policyunplanned")},
	"policy-tried":        {NoticeOK, say("notice.policytried")},
	"policy-trialended":   {NoticeOK, say("notice.policytrialended")},
	"session-ended":       {NoticeOK, say("notice.sessionended")},
	"sessions-ended":      {NoticeOK, say("notice.sessionsended")},
	"switched":            {NoticeOK, say("notice.switched")},
	"again":               {NoticeWarn, say("notice.again")},
	"codes-low":           {NoticeWarn, say("notice.codeslow")},
	"codes-shown":         {NoticeWarn, say("notice.codesshown")},
	"full":                {NoticeError, say("notice.full")},
	"gone":                {NoticeError, say("notice.gone")},
	"expired":             {NoticeWarn, say("notice.expired")},
	"name":                {NoticeError, ProblemDeviceName},
	"domain-checked":      {NoticeOK, say("notice.domainchecked")},
	"domain-saved":        {NoticeOK, say("notice.domainsaved")},
	"domain-enforced":     {NoticeOK, say("notice.domainenforced")},
	"domain-free":         {NoticeOK, say("notice.domainfree")},
	"domain-removed":      {NoticeOK, say("notice.domainremoved")},
	"provider-saved":      {NoticeOK, say("notice.providersaved")},
	"provider-named":      {NoticeOK, say("notice.providernamed")},
	"provider-on":         {NoticeOK, say("notice.provideron")},
	"provider-off":        {NoticeOK, say("notice.provideroff")},
	"provider-removed":    {NoticeOK, say("notice.providerremoved")},
	"invitation-accepted": {NoticeOK, say("notice.invitationaccepted")},
	"person-role":         {NoticeOK, say("notice.personrole")},
	"person-reset":        {NoticeOK, say("notice.personreset")},
	"person-signedout":    {NoticeOK, say("notice.personsignedout")},
	"person-removed":      {NoticeOK, say("notice.personremoved")},
	"person-gone":         {NoticeError, say("notice.persongone")},
	"person-lastadmin":    {NoticeError, say("notice.personlastadmin")},
	"person-self":         {NoticeError, say("notice.personself")},
	"person-elsewhere":    {NoticeError, say("notice.personelsewhere")},
	"person-joined":       {NoticeError, say("notice.personjoined")},
	"person-declared":     {NoticeError, say("notice.persondeclared")},
	"person-wait":         {NoticeError, say("notice.personwait")},
	"token-revoked":       {NoticeOK, say("notice.tokenrevoked")},
}

// NoticeNamed returns the notice of a name, or none for a name that is unknown.
func NoticeNamed(name string) Notice { return notices[name] }

// The ways on that messages offer.
var (
	actionSignIn     = Action{say("action.signin"), "/login"}
	actionRetry      = Action{say("action.retry"), ""}
	actionGo         = Action{say("action.go"), "/login"} // leads who is signed in to the portal
	actionAccounts   = Action{say("action.accounts"), "/accounts"}
	actionProfile    = Action{say("action.profile"), "/profile/security"}
	actionPeople     = Action{say("action.people"), "/admin/people"}
	actionBreakGlass = Action{say("action.breakglass"), "/breakglass"}
)

// The messages. Whoever shows one copies it and fills in Chrome and Return.
var (
	MessageBadRequest = Message{Status: http.StatusBadRequest,
		Title: say("message.badrequest.title"), Text: say("message.badrequest.text"), Actions: []Action{actionRetry}}
	MessageFormExpired = Message{Status: http.StatusForbidden,
		Title: say("message.formexpired.title"), Text: say("message.formexpired.text"), Actions: []Action{actionRetry}}
	MessageForbidden = Message{Status: http.StatusForbidden,
		Title: say("message.forbidden.title"), Text: say("message.forbidden.text"), Actions: []Action{actionAccounts}}
	MessageNotAdmin = Message{Status: http.StatusForbidden,
		Title: say("message.notadmin.title"), Text: say("message.notadmin.text"), Actions: []Action{actionAccounts}}
	MessageEntry = Message{Status: http.StatusForbidden,
		Title: say("message.entry.title"), Text: say("message.entry.text"), Actions: []Action{actionAccounts}}
	MessageUserDisabled = Message{Status: http.StatusForbidden,
		Title: say("message.userdisabled.title"), Text: say("message.userdisabled.text")}
	MessageAccountDisabled = Message{Status: http.StatusForbidden,
		Title: say("message.accountdisabled.title"), Text: say("message.accountdisabled.text"), Actions: []Action{actionAccounts}}
	MessageUndecidable = Message{Status: http.StatusForbidden,
		Title: say("message.undecidable.title"), Text: say("message.undecidable.text"), Actions: []Action{actionAccounts}}
	MessageNotFound = Message{Status: http.StatusNotFound,
		Title: say("message.notfound.title"), Text: say("message.notfound.text"), Actions: []Action{actionGo}}
	MessageMethod = Message{Status: http.StatusMethodNotAllowed,
		Title: say("message.method.title"), Text: say("message.method.text"), Actions: []Action{actionGo}}
	MessageTooLarge = Message{Status: http.StatusRequestEntityTooLarge,
		Title: say("message.toolarge.title"), Text: say("message.toolarge.text"), Actions: []Action{actionRetry}}
	MessageStartAgain = Message{Status: http.StatusBadRequest,
		Title: say("message.startagain.title"), Text: say("message.startagain.text"), Actions: []Action{actionSignIn}}
	MessageLinkExpired = Message{Status: http.StatusGone,
		Title: say("message.linkexpired.title"), Text: say("message.linkexpired.text"), Actions: []Action{actionSignIn}}
	MessageInvitation = Message{Status: http.StatusForbidden,
		Title: say("message.invitation.title"), Text: say("message.invitation.text"), Actions: []Action{actionAccounts}}
	MessageUnavailable = Message{Status: http.StatusServiceUnavailable,
		Title: say("message.unavailable.title"), Text: say("message.unavailable.text"), Actions: []Action{actionRetry}}
	MessageBusy = Message{Status: http.StatusServiceUnavailable,
		Title: say("message.busy.title"), Text: say("message.busy.text"), Actions: []Action{actionRetry}}
	MessageFault = Message{Status: http.StatusInternalServerError,
		Title: say("message.fault.title"), Text: say("message.fault.text"), Actions: []Action{actionRetry}}
	// MessagePostSignIn and MessagePostFactor answer a form of the app that
	// arrived without what it needs: it is never redirected, which would lose
	// what was typed without a word.
	MessagePostSignIn = Message{Status: http.StatusUnauthorized,
		Title: say("message.postsignin.title"), Text: say("message.postsignin.text"), Actions: []Action{actionSignIn}}
	MessagePostFactor = Message{Status: http.StatusForbidden,
		Title: say("message.postfactor.title"), Text: say("message.postfactor.text"), Actions: []Action{actionRetry}}
	MessageProvider = Message{Status: http.StatusBadGateway,
		Title: say("message.provider.title"), Text: say("message.provider.text"), Actions: []Action{actionSignIn, actionBreakGlass}}
	// MessageRefused never says what was wrong: that is in the audit.
	MessageRefused = Message{Status: http.StatusForbidden,
		Title: say("message.refused.title"), Text: say("message.refused.text"), Actions: []Action{actionSignIn}}
	// MessageDeclared refuses to delete somebody whom the configuration would
	// bring back.
	MessageDeclared = Message{Status: http.StatusForbidden,
		Title: say("message.declared.title"), Text: say("message.declared.text"), Actions: []Action{actionProfile}}
	MessageNotAgain = Message{Status: http.StatusForbidden,
		Title: say("message.notagain.title"), Text: say("message.notagain.text"), Actions: []Action{actionSignIn}}
)

// MessageProviderNamed is MessageProvider where the provider's name is known.
func MessageProviderNamed(name string) Message {
	m := MessageProvider
	m.Text = say("message.provider.named", "provider", name)
	return m
}

// MessageNeeded refuses to remove the last authenticator of somebody whom the
// named accounts require to have one.
func MessageNeeded(accounts []string) Message {
	return Message{Status: http.StatusConflict, Title: say("message.needed.title"), Text: say("message.needed.text"),
		Names: accounts, Actions: []Action{actionProfile}}
}

// MessageNeededAdmin refuses to delete the last administrator of the named
// accounts.
func MessageNeededAdmin(accounts []string) Message {
	return Message{Status: http.StatusConflict, Title: say("message.neededadmin.title"), Text: say("message.neededadmin.text"),
		Names: accounts, Actions: []Action{actionPeople, actionProfile}}
}
