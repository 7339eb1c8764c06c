package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
)

// MaxForm is the largest form that is read, in bytes.
const MaxForm = 64 << 10

// Server serves everything under the base path. Each page ends in one of two
// ways: it shows a view, or it asks the rule what is still missing and sends the
// person there ([call.proceed]). Pages never lead to one another.
type Server struct {
	Base string // for example "/.mfa"
	// Origins are the schemes and hosts by which people reach the pages. Empty:
	// this machine only, as far as identity providers are concerned.
	Origins []string
	Login   *login.Service
	Admin   *admin.Service
	Pages   *Renderer
	// Fault tells the operator about an error that the person only sees as a
	// page. It must not be told secrets.
	Fault func(r *http.Request, doing string, err error)
}

// Site is what a page must know about where it is being served.
type Site struct {
	Network string        // the client's address, as Caddy determined it
	Account string        // the account that this address is for; empty: the session's
	Target  string        // path and query as the client sent them, before any rewriting
	MaxAge  time.Duration // how old a proof may be here; zero: as old as the session
}

// handler serves one method of one path.
type handler func(*call) error

// page is what one path offers. A nil handler is a method not allowed.
type page struct {
	get  handler
	post handler
	// open pages need no session.
	open bool
}

var pages = map[string]page{
	"":                                 {get: (*call).home},
	"/":                                {get: (*call).home},
	"/login":                           {get: (*call).showLogin, post: (*call).postEmail, open: true},
	"/login/password":                  {get: (*call).showPassword, post: (*call).postPassword, open: true},
	"/login/passkey":                   {post: (*call).postPasskey, open: true},
	"/forgot":                          {get: (*call).showForgot, post: (*call).postForgot, open: true},
	"/setup":                           {get: (*call).showSetUp, post: (*call).postSetUp, open: true},
	"/invitation":                      {get: (*call).showInvitation, post: (*call).postInvitation, open: true},
	"/signed-out":                      {get: (*call).showSignedOut, open: true},
	"/logout":                          {post: (*call).postLogout, open: true},
	"/challenge":                       {get: (*call).showChallenge},
	"/challenge/totp":                  {post: (*call).postTOTP},
	"/challenge/recovery":              {post: (*call).postRecovery},
	"/challenge/webauthn":              {post: (*call).postKey},
	"/enroll/webauthn":                 {get: (*call).showEnrollKey, post: (*call).postEnrollKey},
	"/enroll/offer":                    {get: (*call).showOfferKey},
	"/enroll/later":                    {post: (*call).postNoKey},
	"/enroll/totp":                     {get: (*call).showEnroll, post: (*call).postEnroll},
	"/recovery-codes":                  {get: (*call).showRecoveryCodes},
	"/suggest":                         {get: (*call).showSuggest},
	"/suggest/later":                   {post: (*call).postLater},
	"/sso":                             {get: (*call).showProvider},
	"/sso/start":                       {get: (*call).showCompany, open: true},
	"/sso/callback":                    {get: (*call).showCallback, open: true},
	"/breakglass":                      {get: (*call).showBreakGlass, post: (*call).postBreakGlass, open: true},
	"/accounts":                        {get: (*call).showAccounts},
	"/accounts/switch":                 {post: (*call).postSwitch},
	"/admin/audit":                     {get: (*call).showAudit},
	"/admin/audit/export":              {get: (*call).exportAudit},
	"/admin/tokens":                    {get: (*call).showTokens, post: (*call).postToken},
	"/admin/tokens/revoke":             {post: (*call).postRevokeToken},
	"/admin/tokens/rotate":             {post: (*call).postRotateToken},
	"/admin/people":                    {get: (*call).showPeople},
	"/admin/people/export":             {get: (*call).exportPeople},
	"/admin/people/invite":             {get: (*call).showInvite, post: (*call).postInvite},
	"/admin/people/person":             {get: (*call).showPerson},
	"/admin/people/resend":             {post: (*call).postResend},
	"/admin/people/role":               {post: (*call).postRole},
	"/admin/people/reset":              {post: (*call).postResetFactors},
	"/admin/people/sessions":           {post: (*call).postEndSessions},
	"/admin/people/remove":             {post: (*call).postRemoveMember},
	"/profile":                         {get: (*call).showProfile},
	"/profile/accounts":                {get: (*call).showProfileAccounts},
	"/profile/security":                {get: (*call).showSecurity},
	"/profile/security/rename":         {post: (*call).postRename},
	"/profile/security/remove":         {post: (*call).postRemove},
	"/profile/security/forget":         {post: (*call).postForget},
	"/profile/security/delete":         {get: (*call).showDelete, post: (*call).postDelete},
	"/admin":                           {get: (*call).toAdmin},
	"/admin/mfa":                       {get: (*call).showPolicy, post: (*call).postPolicy},
	"/admin/mfa/people":                {get: (*call).showPolicyPeople},
	"/admin/mfa/plan":                  {post: (*call).postPlan},
	"/admin/mfa/trial":                 {get: (*call).showTrial, post: (*call).postTrial},
	"/profile/security/recovery-codes": {post: (*call).postNewCodes},
	"/profile/security/password":       {post: (*call).postChangePassword},
	"/profile/sessions":                {get: (*call).showSessions},
	"/profile/sessions/revoke":         {post: (*call).postRevoke},
	"/profile/sessions/revoke-others":  {post: (*call).postRevokeOthers},
	"/admin/sso":                       {get: (*call).showSSO},
	"/admin/sso/claim":                 {get: (*call).showClaim, post: (*call).postClaim},
	"/admin/sso/domain":                {get: (*call).showDomain},
	"/admin/sso/domain/verify":         {post: (*call).postVerify},
	"/admin/sso/domain/link":           {post: (*call).postLink},
	"/admin/sso/domain/enforce":        {get: (*call).showEnforce, post: (*call).postEnforce},
	"/admin/sso/domain/remove":         {get: (*call).showRemoveDomain, post: (*call).postRemoveDomain},
	"/admin/sso/provider":              {get: (*call).showAdminProvider, post: (*call).postProvider},
	"/admin/sso/provider/test":         {post: (*call).postTest},
	"/admin/sso/provider/switch":       {get: (*call).showSwitchProvider, post: (*call).postSwitchProvider},
	"/admin/sso/provider/remove":       {get: (*call).showRemoveProvider, post: (*call).postRemoveProvider},
	"/admin/sso/setups":                {post: (*call).postSetUps},
}

// crossOrigin refuses forms that another site posts with a person's cookies
// (Sec-Fetch-Site, or Origin where a browser does not send it).
var crossOrigin http.CrossOriginProtection

// ServeHTTP answers one request under the base path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request, site Site) {
	closeUnlessRead(w, r)
	path := strings.TrimPrefix(r.URL.Path, s.Base)
	if path == "/sso/backchannel-logout" {
		s.backChannelLogout(w, r, site)
		return
	}
	if s.machine(w, r, path) {
		return
	}
	c := &call{s: s, w: w, r: r, site: site, cookies: session.CookiesFor(r)}
	p, ok := pages[path]
	if !ok {
		if err := c.open(); err != nil {
			c.fault("opening the session", err)
			return
		}
		c.message(MessageNotFound)
		return
	}
	serve := p.get
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		serve = p.post
	default:
		serve = nil
	}
	if serve == nil {
		w.Header().Set("Allow", p.allow())
		c.message(MessageMethod)
		return
	}
	if err := c.open(); err != nil {
		c.fault("opening the session", err)
		return
	}
	if r.Method == http.MethodPost && !c.readForm() {
		return
	}
	if c.sess == nil && !p.open {
		c.toLogin(r.Method == http.MethodPost)
		return
	}
	if err := serve(c); err != nil {
		c.fault("serving "+path, err)
	}
}

func (p page) allow() string {
	var methods []string
	if p.get != nil {
		methods = append(methods, http.MethodGet, http.MethodHead)
	}
	if p.post != nil {
		methods = append(methods, http.MethodPost)
	}
	return strings.Join(methods, ", ")
}

// closeUnlessRead makes the connection end with this answer if the request
// brought a body: what nobody reads of it would be taken for the next request
// (request smuggling). Whoever reads the body to its end takes this back.
func closeUnlessRead(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		w.Header().Set("Connection", "close")
	}
}

// readForm reads a form, and answers itself when it must not be read.
func (c *call) readForm() bool {
	if err := crossOrigin.Check(c.r); err != nil {
		c.message(MessageFormExpired)
		return false
	}
	kind, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") {
		c.message(MessageBadRequest)
		return false
	}
	if c.r.ContentLength > MaxForm {
		c.message(MessageTooLarge)
		return false
	}
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, MaxForm)
	if err := c.r.ParseForm(); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			c.message(MessageTooLarge)
		} else {
			c.message(MessageBadRequest)
		}
		return false
	}
	c.w.Header().Del("Connection")
	c.form = c.r.PostForm
	if !c.csrfValid(c.form.Get("csrf")) && !c.signedOutAlready() {
		c.message(MessageFormExpired)
		return false
	}
	return true
}

// signedOutAlready lets a second press of "Sign out" succeed: there is nothing
// left that a forged one could end.
func (c *call) signedOutAlready() bool {
	return c.sess == nil && c.r.URL.Path == c.s.Base+"/logout"
}

// fault answers an error that is ours. When storage cannot be asked, nothing
// passes and everything stays as it is.
func (c *call) fault(doing string, err error) {
	if errors.Is(err, login.ErrSignedOut) {
		c.cookies.Clear(c.w.Header(), c.cookies.Session)
		c.toLogin(c.r.Method == http.MethodPost)
		return
	}
	if errors.Is(err, context.Canceled) && c.r.Context().Err() != nil {
		return // nobody is there to be told
	}
	c.s.Fault(c.r, doing, err)
	c.message(MessageUnavailable)
}

// ClearSession makes the browser forget a session token that means nothing.
func (s *Server) ClearSession(w http.ResponseWriter, r *http.Request) {
	c := session.CookiesFor(r)
	c.Clear(w.Header(), c.Session)
}

// SetSession gives the browser a session token.
func (s *Server) SetSession(w http.ResponseWriter, r *http.Request, token string) {
	c := session.CookiesFor(r)
	c.Set(w.Header(), c.Session, token, s.Login.Sessions.Limits.Absolute)
}
