package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddymfa/gateway/caddymfa/factor"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// postKey takes a key's answer as second factor.
func (c *call) postKey() error {
	sess, err := c.s.Login.AnswerKey(c.r.Context(), c.client(), c.sess, []byte(c.form.Get("response")))
	if err != nil {
		return c.notAnswered(mfa.WebAuthn, err)
	}
	if err := c.enter(sess); err != nil {
		return err
	}
	if err := c.remember(); err != nil {
		return err
	}
	return c.proceed()
}

// postPasskey takes a passkey's answer as the whole sign-in.
func (c *call) postPasskey() error {
	sess, err := c.s.Login.Passkey(c.r.Context(), c.client(), c.flow.Passkey, []byte(c.form.Get("response")), c.sess)
	c.flow.Return = c.returnTo()
	var wait *limit.Wait
	switch {
	case errors.Is(err, login.ErrWrong), errors.Is(err, login.ErrStartAgain):
		return c.loginPage(http.StatusUnauthorized, c.flow.Email, ProblemKey)
	case errors.Is(err, factor.ErrMalformed):
		return c.loginPage(http.StatusBadRequest, c.flow.Email, ProblemKeyUnread)
	case errors.As(err, &wait):
		return c.loginPage(c.later(wait), c.flow.Email, ProblemWait(wait.Until.Sub(c.s.Login.Now())))
	case err != nil:
		return err
	}
	return c.signedIn(sess)
}

// showEnrollKey adds a security key or passkey.
func (c *call) showEnrollKey() error {
	return c.keyPage(http.StatusOK, false, Text{})
}

func (c *call) keyPage(status int, offered bool, problem Text) error {
	options, err := c.s.Login.BeginKey(c.r.Context(), c.sess)
	var u *login.Undecided
	switch {
	case errors.Is(err, login.ErrNoKeys):
		c.message(MessageNotFound)
		return nil
	case errors.As(err, &u):
		return c.first(u.Decision, "/enroll/webauthn")
	case err != nil:
		return err
	}
	g, err := c.gather()
	if err != nil {
		return err
	}
	accept := g.Facts.Account.Accept
	v := EnrollKey{
		Chrome: c.chrome(), Return: c.returnTo(), Reason: mfa.Decide(g.Facts).Reason, Key: string(options),
		Offered: offered, Apps: accept == 0 || accept.Has(mfa.TOTP), Problem: problem,
	}
	v.Asked = c.asked(g, v.Chrome, mfa.Enroll, mfa.Suggest)
	return c.show(status, v)
}

func (c *call) postEnrollKey() error {
	sess, codes, err := c.s.Login.ConfirmKey(c.r.Context(), c.client(), c.sess, []byte(c.form.Get("response")), c.form.Get("name"))
	var u *login.Undecided
	switch {
	case errors.Is(err, login.ErrWrong):
		return c.keyPage(http.StatusUnauthorized, false, ProblemKeyTwice)
	case errors.Is(err, factor.ErrMalformed):
		return c.keyPage(http.StatusBadRequest, false, ProblemKeyUnread)
	case errors.Is(err, login.ErrStartAgain):
		return c.keyPage(http.StatusConflict, false, ProblemKey)
	case errors.Is(err, login.ErrTooMany):
		return c.toNotice("/profile/security", "full")
	case errors.Is(err, login.ErrNoKeys):
		c.message(MessageNotFound)
		return nil
	case errors.As(err, &u):
		return c.first(u.Decision, "/enroll/webauthn")
	case err != nil:
		return err
	}
	return c.enrolled(sess, codes)
}

// offerTime is how long "Not now" to a passkey is remembered in a browser.
const offerTime = 180 * 24 * time.Hour

// offerKey invites somebody who came in with a code, on a device that could
// hold a passkey, to add one; unless they have one, or said no here.
func (c *call) offerKey() error {
	g, err := c.gather()
	if err != nil {
		return err
	}
	if len(c.r.CookiesNamed(c.cookies.Offer)) > 0 || c.s.Login.Keys == nil ||
		g.Facts.Enrolled.Has(mfa.WebAuthn) || mfa.Decide(g.Facts).Verdict != mfa.Allow {
		return c.proceed()
	}
	c.to("/enroll/offer", c.returnTo())
	return nil
}

func (c *call) showOfferKey() error {
	return c.keyPage(http.StatusOK, true, Text{})
}

// postNoKey is "Not now" to a passkey, remembered in this browser.
func (c *call) postNoKey() error {
	c.cookies.Set(c.w.Header(), c.cookies.Offer, "no", offerTime)
	return c.proceed()
}
