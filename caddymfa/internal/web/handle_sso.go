package web

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// maxAsked is how many sign-ins at a provider one browser may have under way,
// say in as many tabs.
const maxAsked = 3

// showCompany takes the person to the sign-in of the company whose domain their
// address has.
func (c *call) showCompany() error {
	if c.flow.Email == "" {
		c.to("/login", c.returnTo())
		return nil
	}
	company, err := c.s.Login.CompanyOf(c.r.Context(), c.flow.Email, c.site.Account)
	if err != nil {
		return c.notAsked(err, "/sso/start", "")
	}
	if !company.Page {
		c.to("/login/password", c.returnTo())
		return nil
	}
	var asked Text
	if company.Enforced {
		asked = whyCompany
	}
	return c.leave(company, login.Ask{Hint: c.flow.Email}, "/sso/start", asked)
}

// showProvider takes somebody who is signed in to the provider that the rule
// wants for the account being entered, or for its administration; or, to try it
// out, an administrator to a provider of their own account.
func (c *call) showProvider() error {
	g, err := c.gather()
	if err != nil {
		return err
	}
	d, to := mfa.Decide(g.Facts), toEnter
	if d.Verdict != mfa.SSO {
		d, to = c.wanted(g)
	}
	ask := login.Ask{Provider: d.Provider}
	if g.Person != nil {
		ask.Hint = g.Person.Email
	}
	tried := c.r.URL.Query().Get("provider")
	switch {
	case tried != "" && mfa.DecideAdmin(g.Facts, false).Verdict == mfa.Allow && g.Tenant.Has(tried):
		ask.Provider, d = tried, mfa.Decision{} // their own wish: no rule asks
	case d.Verdict != mfa.SSO:
		return c.proceed()
	case d.Reason == mfa.ProviderTooOld:
		ask.Again, ask.MaxAge = true, mfa.ChangeWindow
		for _, age := range []time.Duration{c.fresh(), g.Facts.Account.SecondFactorAge} {
			if age > 0 {
				ask.MaxAge = min(ask.MaxAge, age)
			}
		}
	}
	company, err := c.s.Login.CompanyNamed(c.r.Context(), ask.Provider)
	if err != nil {
		return c.notAsked(err, "/sso", "")
	}
	if !company.Page { // a directory: it asks for the password again
		c.flow.Email = ask.Hint
		if err := c.writeFlow(); err != nil {
			return err
		}
		c.to("/login/password", c.returnTo())
		return nil
	}
	return c.leave(company, ask, "/sso", why(d.Reason, to, c.chrome().AccountName))
}

// leave shows the page that leads to a provider's sign-in. again is our page
// that comes here once more, and reason says which rule wants it.
func (c *call) leave(company login.Company, ask login.Ask, again string, reason Text) error {
	origin, ok := c.origin()
	if !ok {
		return errors.New("no origin is configured for this host, and providers are told none that only a client named: add it to the option origin")
	}
	ask.Provider, ask.RedirectURI, ask.After = company.Provider, origin+c.s.Base+"/sso/callback", c.returnTo()
	ask.Client = c.client()
	address, asked, err := c.s.Login.AskCompany(c.r.Context(), ask)
	if errors.Is(err, login.ErrRefused) {
		return c.notVouched(err, again)
	}
	if err != nil {
		return c.notAsked(err, again, company.Name)
	}
	c.flow.Asked = append(c.flow.Asked, asked)
	if over := len(c.flow.Asked) - maxAsked; over > 0 {
		c.flow.Asked = c.flow.Asked[over:]
	}
	if err := c.writeFlow(); err != nil {
		return err
	}
	return c.show(http.StatusOK, Leave{Chrome: c.chrome(), URL: address, Provider: company.Name, Asked: reason})
}

// companyName is what people call a provider; empty: there is none, or it is gone.
// A page is still useful without it.
func (c *call) companyName(provider string) string {
	if provider == "" {
		return ""
	}
	company, err := c.s.Login.CompanyNamed(c.r.Context(), provider)
	if err != nil {
		return ""
	}
	return company.Name
}

// notAsked says that a provider cannot be asked now, by its name if that is
// known. Nobody is let in some other way because of it.
func (c *call) notAsked(err error, again, name string) error {
	if !errors.Is(err, identity.ErrUnavailable) {
		return err
	}
	c.s.Fault(c.r, "asking an identity provider", err)
	m := MessageProvider
	if name != "" {
		m = MessageProviderNamed(name)
	}
	m.Actions = []Action{{actionRetry.Label, again}, actionBreakGlass}
	m.Return = c.returnTo()
	c.message(m)
	return nil
}

// showCallback takes what a provider sent back with the browser.
func (c *call) showCallback() error {
	query := c.r.URL.Query()
	state := query.Get("state")
	i := slices.IndexFunc(c.flow.Asked, func(a login.Asked) bool { return a.State == state })
	if i < 0 || state == "" { // another browser's, or answered already
		c.message(MessageStartAgain)
		return nil
	}
	asked := c.flow.Asked[i]
	c.flow.Asked = slices.Delete(c.flow.Asked, i, i+1)
	c.flow.Return = SafeReturn(asked.After)
	if asked.Test != 0 {
		return c.tested(asked)
	}
	sess, err := c.s.Login.AnswerCompany(c.r.Context(), c.client(), asked, query, c.sess)
	if err == nil {
		return c.signedIn(sess)
	}
	if err := c.writeFlow(); err != nil {
		return err
	}
	again := "/sso/start"
	if c.sess != nil {
		again = "/sso"
	}
	return c.notVouched(err, again)
}

// notVouched says that nobody was signed in through a provider. Why is in the
// audit: it is for the people who look after it.
func (c *call) notVouched(err error, again string) error {
	m := Message{}
	switch {
	case errors.Is(err, login.ErrStartAgain):
		m = MessageStartAgain
	case errors.Is(err, login.ErrNotAgain):
		m = MessageNotAgain
		m.Actions = []Action{{actionRetry.Label, again}}
	case errors.Is(err, login.ErrRefused):
		m = MessageRefused
	default:
		return c.notAsked(err, again, "")
	}
	m.Return = SafeReturn(c.flow.Return)
	c.message(m)
	return nil
}

// origin is the scheme and host that people reach us by, as configured. What
// the client says only chooses among them; of itself it names none but this
// machine, for a trial.
func (c *call) origin() (string, bool) {
	host := strings.ToLower(c.r.Host)
	for _, origin := range c.s.Origins {
		u, err := url.Parse(origin)
		if err == nil && strings.ToLower(u.Host) == host {
			return origin, true
		}
	}
	if len(c.s.Origins) > 0 || c.r.TLS != nil {
		return "", false
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	switch name {
	case "localhost", "127.0.0.1", "[::1]", "::1":
		return "http://" + host, true
	}
	return "", false
}

// fresh is how recently somebody must have proven who they are where they want
// to go, as the guard told us. Whoever changes it in the address only makes it
// harder or gets sent back: the guard decides again.
func (c *call) fresh() time.Duration {
	if c.site.MaxAge > 0 {
		return c.site.MaxAge
	}
	seconds, err := strconv.Atoi(c.r.URL.Query().Get("fresh"))
	if err != nil || seconds < 1 || seconds > 365*24*3600 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// showBreakGlass asks for an operator's one-time entry. The code stands in the
// link's fragment, as that of a set-up link.
func (c *call) showBreakGlass() error {
	if err := c.writeFlow(); err != nil {
		return err
	}
	return c.show(http.StatusOK, BreakGlass{Chrome: c.chrome(), Return: c.returnTo()})
}

// postBreakGlass spends an entry.
func (c *call) postBreakGlass() error {
	sess, err := c.s.Login.BreakGlass(c.r.Context(), c.client(), c.form.Get("ticket"), c.sess)
	var wait *limit.Wait
	switch {
	case errors.Is(err, login.ErrStartAgain):
		c.message(MessageLinkExpired)
		return nil
	case errors.As(err, &wait):
		return c.show(c.later(wait), BreakGlass{Chrome: c.chrome(), Return: c.returnTo(), Problem: ProblemWait(wait.Until.Sub(c.s.Login.Now()))})
	case err != nil:
		return err
	}
	return c.signedIn(sess)
}

// showSignedOut says that nobody is signed in, and where else they may sign out.
func (c *call) showSignedOut() error {
	if c.sess != nil {
		return c.proceed()
	}
	v := SignedOut{Chrome: c.chrome(), Everywhere: c.r.URL.Query().Has("everywhere"), Deleted: c.r.URL.Query().Has("deleted")}
	if c.flow.Left != (login.Left{}) {
		after := ""
		if origin, ok := c.origin(); ok {
			after = origin + c.s.Base + "/signed-out"
		}
		address, company, err := c.s.Login.LeaveCompany(c.r.Context(), c.flow.Left, after)
		if err != nil {
			c.s.Fault(c.r, "finding the sign-out of an identity provider", err) // they are signed out here all the same
		}
		v.Elsewhere, v.Provider = address, company.Name
		c.cookies.Clear(c.w.Header(), c.cookies.Flow)
	}
	return c.show(http.StatusOK, v)
}

// backChannelLogout takes a provider's word that a sign-in there has ended
// (OpenID Connect Back-Channel Logout 1.0, sections 2.5 to 2.8).
func (s *Server) backChannelLogout(w http.ResponseWriter, r *http.Request, site Site) {
	refuse := func(status int, description string) {
		s.json(w, status, map[string]string{"error": "invalid_request", "error_description": description})
	}
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		s.json(w, http.StatusMethodNotAllowed, map[string]string{"error": "method_not_allowed"})
		return
	}
	if r.ContentLength > MaxForm {
		refuse(http.StatusRequestEntityTooLarge, "the request is too large")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	if err := r.ParseForm(); err != nil {
		refuse(http.StatusBadRequest, "the form cannot be read")
		return
	}
	w.Header().Del("Connection")
	tokens := r.PostForm["logout_token"]
	if len(tokens) != 1 {
		refuse(http.StatusBadRequest, "expected one logout_token")
		return
	}
	_, err := s.Login.EndedElsewhere(r.Context(), login.Client{Network: site.Network}, tokens[0])
	var wait *limit.Wait
	switch {
	case err == nil:
		w.WriteHeader(http.StatusOK)
	case errors.Is(err, login.ErrRefused):
		refuse(http.StatusBadRequest, "the logout token is not accepted")
	case errors.As(err, &wait):
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Until.Sub(s.Login.Now())/time.Second)+1))
		refuse(http.StatusTooManyRequests, "too many requests")
	default:
		s.Fault(r, "ending sessions for an identity provider", err)
		s.json(w, http.StatusServiceUnavailable, map[string]string{"error": "unavailable"})
	}
}
