package web

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// home is the base path itself.
func (c *call) home() error {
	c.to("/profile", "")
	return nil
}

// showLogin asks for the e-mail address. Who is signed in goes on, unless the
// rule wants the password again.
func (c *call) showLogin() error {
	if c.sess != nil && c.r.URL.Query().Get("again") == "" {
		return c.proceed()
	}
	if to := c.returnTo(); to != c.flow.Return {
		c.flow.Return = to
	}
	return c.loginPage(http.StatusOK, c.flow.Email, Text{})
}

func (c *call) loginPage(status int, email string, problem Text) error {
	ceremony, options, err := c.s.Login.AskPasskey()
	if err != nil && !errors.Is(err, login.ErrNoKeys) {
		return err
	}
	c.flow.Passkey = ceremony
	if err := c.writeFlow(); err != nil {
		return err
	}
	g, err := c.gather()
	if err != nil {
		return err
	}
	v := Login{Chrome: c.chrome(), Email: email, Return: c.flow.Return, Key: string(options), Problem: problem}
	if v.Asked = c.asked(g, v.Chrome, mfa.SignIn); v.Asked.Key == "" && c.sess != nil {
		v.Asked = whyAgain
	}
	return c.show(status, v)
}

// postEmail takes the e-mail address. The answer depends on nothing but its
// shape (and, with identity providers, its domain): known and unknown people
// look the same.
func (c *call) postEmail() error {
	typed := c.form.Get("email")
	c.flow.Return = c.returnTo()
	email, err := storage.NormaliseEmail(typed)
	if err != nil {
		if len(typed) > 254 {
			typed = ""
		}
		return c.loginPage(http.StatusUnprocessableEntity, typed, ProblemEmail)
	}
	c.flow.Email, c.flow.Passkey = email, nil
	if err := c.writeFlow(); err != nil {
		return err
	}
	company, err := c.s.Login.CompanyOf(c.r.Context(), email, c.site.Account)
	if err != nil {
		return c.notAsked(err, "/sso/start", "")
	}
	if company.Enforced && company.Page {
		c.to("/sso/start", c.flow.Return)
		return nil
	}
	c.to("/login/password", c.flow.Return)
	return nil
}

func (c *call) showPassword() error {
	if c.flow.Email == "" {
		c.to("/login", c.returnTo())
		return nil
	}
	return c.passwordPage(http.StatusOK, Text{})
}

// passwordPage asks for the password. Where the address's domain has a sign-in
// of its own that nobody is held to, that is offered beside it.
func (c *call) passwordPage(status int, problem Text) error {
	v := Password{Chrome: c.chrome(), Email: c.flow.Email, Return: c.returnTo(), Problem: problem}
	company, err := c.s.Login.CompanyOf(c.r.Context(), c.flow.Email, c.site.Account)
	if err != nil && !errors.Is(err, identity.ErrUnavailable) {
		return err
	}
	if company.Page {
		v.Provider = company.Name
	}
	g, err := c.gather()
	if err != nil {
		return err
	}
	v.Asked = c.asked(g, v.Chrome, mfa.SignIn, mfa.SSO)
	if c.sess == nil && company.Enforced { // by a directory, which has no page of its own
		v.Asked = whyCompany
	}
	return c.show(status, v)
}

// postPassword takes the first factor.
func (c *call) postPassword() error {
	if c.flow.Email == "" {
		c.message(MessageStartAgain)
		return nil
	}
	sess, err := c.s.Login.Password(c.r.Context(), c.client(), c.flow.Email, c.form.Get("password"), c.sess)
	var wait *limit.Wait
	switch {
	case errors.Is(err, login.ErrWrong):
		return c.passwordPage(http.StatusUnauthorized, ProblemSignIn)
	case errors.Is(err, login.ErrElsewhere):
		c.to("/sso/start", c.returnTo())
		return nil
	case errors.Is(err, login.ErrRefused):
		return c.notVouched(err, "/login")
	case errors.Is(err, identity.ErrUnavailable):
		return c.notAsked(err, "/login/password", "")
	case errors.As(err, &wait):
		return c.passwordPage(c.later(wait), ProblemWait(wait.Until.Sub(c.s.Login.Now())))
	case errors.Is(err, login.ErrBusy):
		c.w.Header().Set("Retry-After", "2")
		return c.passwordPage(http.StatusServiceUnavailable, ProblemBusy)
	case err != nil:
		return err
	}
	return c.signedIn(sess)
}

// signedIn ends the flow with a session, and remembers the browser.
func (c *call) signedIn(sess storage.Session) error {
	to := c.returnTo()
	if err := c.enter(sess); err != nil {
		return err
	}
	c.cookies.Clear(c.w.Header(), c.cookies.Flow)
	c.cookies.Set(c.w.Header(), c.cookies.Known, c.s.Login.KnownBrowser(sess.User), 180*24*time.Hour)
	c.flow = flow{Return: to, Invite: c.flow.Invite}
	if c.flow.Invite != "" {
		if err := c.writeFlow(); err != nil {
			return err
		}
	}
	return c.proceed()
}

// later says when to come back, and the status that goes with it.
func (c *call) later(w *limit.Wait) int {
	seconds := int(w.Until.Sub(c.s.Login.Now())/time.Second) + 1
	c.w.Header().Set("Retry-After", strconv.Itoa(max(1, seconds)))
	return http.StatusTooManyRequests
}

// showSetUp shows the form for a one-time set-up code. The code stands in the
// link's fragment, which browsers never send: no log and no proxy sees it.
func (c *call) showSetUp() error {
	if err := c.writeFlow(); err != nil {
		return err
	}
	return c.show(http.StatusOK, c.setUpView(Text{}))
}

func (c *call) setUpView(problem Text) SetUp {
	return SetUp{Chrome: c.chrome(), Ticket: c.form.Get("ticket"), MinLength: login.MinPassword, Problem: problem}
}

func (c *call) postSetUp() error {
	password := c.form.Get("new")
	if password != c.form.Get("again") {
		return c.show(http.StatusUnprocessableEntity, c.setUpView(ProblemPasswordDiffers))
	}
	err := c.s.Login.SetUp(c.r.Context(), c.client(), c.form.Get("ticket"), password)
	if problem := passwordProblem(err, password); problem.Key != "" {
		return c.show(http.StatusUnprocessableEntity, c.setUpView(problem))
	}
	var wait *limit.Wait
	switch {
	case errors.Is(err, login.ErrStartAgain), errors.Is(err, login.ErrReadOnly):
		c.message(MessageLinkExpired)
		return nil
	case errors.As(err, &wait):
		return c.show(c.later(wait), c.setUpView(ProblemWait(wait.Until.Sub(c.s.Login.Now()))))
	case errors.Is(err, login.ErrBusy):
		c.w.Header().Set("Retry-After", "2")
		return c.show(http.StatusServiceUnavailable, c.setUpView(ProblemBusy))
	case err != nil:
		return err
	}
	return c.toNotice("/login", "password-set")
}

func (c *call) postLogout() error {
	everywhere := c.form.Get("everywhere") != ""
	left := login.Left{}
	if c.sess != nil {
		left = c.s.Login.LeftAt(c.sess)
		if err := c.s.Login.SignOut(c.r.Context(), c.client(), c.sess, everywhere); err != nil {
			return err
		}
	}
	query := ""
	if everywhere {
		query = "?everywhere"
	}
	return c.signedOut(left, query)
}

// signedOut has this browser forget the session that has ended, and shows the
// page that says so.
func (c *call) signedOut(left login.Left, query string) error {
	c.cookies.Clear(c.w.Header(), c.cookies.Session)
	c.cookies.Clear(c.w.Header(), c.cookies.Flow)
	if left != (login.Left{}) { // the page offers to sign out there too
		c.flow = flow{Left: left}
		if err := c.writeFlow(); err != nil {
			return err
		}
	}
	c.to("/signed-out"+query, "")
	return nil
}

// passwordProblem says why a new password was refused; the zero Text: it was
// not for the password.
func passwordProblem(err error, password string) Text {
	switch {
	case errors.Is(err, login.ErrPassword) && len(password) > login.MaxPassword:
		return ProblemPasswordLong(login.MaxPassword)
	case errors.Is(err, login.ErrPassword):
		return ProblemPasswordShort(login.MinPassword)
	case errors.Is(err, login.ErrPasswordCommon):
		return ProblemPasswordCommon
	case errors.Is(err, login.ErrPasswordOwn):
		return ProblemPasswordOwn
	case errors.Is(err, login.ErrPasswordSame):
		return ProblemPasswordSame
	}
	return Text{}
}
