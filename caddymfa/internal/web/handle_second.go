package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddymfa/gateway/caddymfa/factor"
	"github.com/caddymfa/gateway/caddymfa/internal/facts"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// showChallenge asks for a second factor, if the rule wants one: for the
// account being entered, or for a page of ours that the person comes from.
func (c *call) showChallenge() error {
	g, err := c.gather()
	if err != nil {
		return err
	}
	v, ok := c.challengeView(g)
	if !ok {
		return c.proceed()
	}
	return c.challengePage(http.StatusOK, v)
}

// challengeView is the challenge that the facts call for, if any.
func (c *call) challengeView(g facts.Gathered) (Challenge, bool) {
	d, to := c.wanted(g)
	v := Challenge{Return: c.returnTo()}
	if d.Verdict != mfa.Challenge {
		return v, false
	}
	v.Chrome, v.Offer = c.chrome(), d.Offer
	v.Asked = why(d.Reason, to, v.AccountName)
	if !to.ours() {
		v.Remember = g.Facts.Account.Remember
	}
	if accept := g.Facts.Account.Accept; !to.ours() && accept != 0 && !accept.Has(mfa.Recovery) && g.Facts.Enrolled.Has(mfa.Recovery) {
		// A lost key must not be a dead end: a recovery code does not open this
		// account, but with it a new key can be added.
		v.Offer |= mfa.Kinds(mfa.Recovery)
		v.Rebind = g.Facts.Proof.SecondBy == mfa.Recovery
	}
	return v, true
}

// challengePage completes a challenge and shows it. What cannot be offered now
// is left out, and everything else stays usable.
func (c *call) challengePage(status int, v Challenge) error {
	if v.Offer.Has(mfa.TOTP) && !v.Locked {
		var err error
		if v.Locked, err = c.locked(); err != nil {
			return err
		}
	}
	if v.Offer.Has(mfa.WebAuthn) {
		options, err := c.s.Login.AskKey(c.r.Context(), c.sess)
		if err != nil && !errors.Is(err, login.ErrNoKeys) && !errors.Is(err, login.ErrLocked) {
			return err
		}
		v.Key = string(options)
	}
	return c.show(status, v)
}

// locked reports whether every authenticator app of the person was disabled by
// wrong answers.
func (c *call) locked() (bool, error) {
	factors, _, err := c.credentials()
	usable, apps := false, false
	for _, f := range factors {
		if f.Kind == mfa.TOTP {
			apps = true
			usable = usable || !f.Disabled
		}
	}
	return apps && !usable, err
}

func (c *call) postTOTP() error     { return c.answer(mfa.TOTP) }
func (c *call) postRecovery() error { return c.answer(mfa.Recovery) }

// answer takes a second factor. A wrong one keeps the person in place.
func (c *call) answer(kind mfa.Kind) error {
	sess, err := c.s.Login.Answer(c.r.Context(), c.client(), c.sess, kind, c.form.Get("code"))
	if err == nil {
		if err := c.enter(sess); err != nil {
			return err
		}
		if err := c.remember(); err != nil {
			return err
		}
		if kind == mfa.TOTP && c.form.Get("passkeys") != "" {
			return c.offerKey()
		}
		return c.proceed()
	}
	return c.notAnswered(kind, err)
}

// remember has this browser remembered for the second factor just shown, where
// the person ticked that and the account allows it.
func (c *call) remember() error {
	if c.form.Get("remember") == "" {
		return nil
	}
	cookie, life, err := c.s.Login.Remember(c.r.Context(), c.client(), c.sess, c.account())
	if err == nil && cookie != "" {
		c.cookies.Set(c.w.Header(), c.cookies.Device, cookie, life)
	}
	return err
}

// notAnswered shows the challenge again, with what was wrong.
func (c *call) notAnswered(kind mfa.Kind, err error) error {
	status, problem, clock := http.StatusUnauthorized, Text{}, time.Time{}
	var wait *limit.Wait
	switch {
	case errors.Is(err, login.ErrWrong) && kind == mfa.Recovery:
		problem = ProblemRecoveryCode
	case errors.Is(err, login.ErrWrong) && kind == mfa.WebAuthn, errors.Is(err, login.ErrStartAgain):
		problem = ProblemKey
	case errors.Is(err, factor.ErrMalformed):
		status, problem = http.StatusBadRequest, ProblemKeyUnread
	case errors.Is(err, login.ErrWrong):
		problem, clock = ProblemCode, c.s.Login.Now()
	case errors.As(err, &wait):
		status, problem = c.later(wait), ProblemWait(wait.Until.Sub(c.s.Login.Now()))
	case errors.Is(err, login.ErrLocked):
		status, problem = http.StatusForbidden, ProblemLocked
	default:
		return err
	}
	g, err := c.gather()
	if err != nil {
		return err
	}
	v, ok := c.challengeView(g)
	if !ok {
		// Nothing asks for a factor any more, yet this answer was wrong: say so
		// rather than pretend that it was accepted.
		v.Chrome, v.Offer = c.chrome(), g.Facts.Enrolled
	}
	v.Problem, v.Clock, v.Recovering = problem, clock, kind == mfa.Recovery
	v.Locked = status == http.StatusForbidden && kind == mfa.TOTP
	return c.challengePage(status, v)
}

// showEnroll shows the key of a new authenticator app.
func (c *call) showEnroll() error {
	g, err := c.gather()
	if err != nil {
		return err
	}
	if accept := g.Facts.Account.Accept; accept != 0 && !accept.Has(mfa.TOTP) && c.s.Login.Keys != nil && mfa.Decide(g.Facts).Verdict == mfa.Enroll {
		c.to("/enroll/webauthn", c.returnTo()) // an app would not count
		return nil
	}
	return c.enrollPage(http.StatusOK, Text{})
}

func (c *call) enrollPage(status int, problem Text) error {
	prompt, err := c.s.Login.BeginTOTP(c.r.Context(), c.sess)
	var u *login.Undecided
	if errors.As(err, &u) {
		return c.first(u.Decision, "/enroll/totp")
	}
	if err != nil {
		return err
	}
	g, err := c.gather()
	if err != nil {
		return err
	}
	around, d := c.chrome(), mfa.Decide(g.Facts)
	v := EnrollTOTP{
		Chrome: around, Return: c.returnTo(), Reason: d.Reason, Asked: c.asked(g, around, mfa.Enroll, mfa.Suggest),
		Secret: prompt.Secret, Link: prompt.URI, QR: prompt.QR,
		DeviceName: c.form.Get("name"), Problem: problem, Keys: c.s.Login.Keys != nil,
	}
	if problem.Key != "" {
		v.Clock = c.s.Login.Now()
	}
	return c.show(status, v)
}

// postEnroll confirms a new authenticator app by its first code.
func (c *call) postEnroll() error {
	sess, codes, err := c.s.Login.ConfirmTOTP(c.r.Context(), c.client(), c.sess, c.form.Get("code"), c.form.Get("name"))
	var u *login.Undecided
	switch {
	case errors.Is(err, login.ErrWrong):
		return c.enrollPage(http.StatusUnauthorized, ProblemCode)
	case errors.Is(err, login.ErrStartAgain):
		return c.enrollPage(http.StatusConflict, ProblemEnrollExpired)
	case errors.Is(err, login.ErrTooMany):
		return c.toNotice("/profile/security", "full")
	case errors.As(err, &u):
		return c.first(u.Decision, "/enroll/totp")
	case err != nil:
		return err
	}
	return c.enrolled(sess, codes)
}

// enrolled goes on after an authenticator was added: past the recovery codes,
// if there are new ones.
func (c *call) enrolled(sess storage.Session, codes bool) error {
	to := c.returnTo()
	if err := c.enter(sess); err != nil {
		return err
	}
	if codes {
		c.to("/recovery-codes", to)
		return nil
	}
	if to == "" {
		return c.toNotice("/profile/security", "enrolled")
	}
	return c.proceed()
}

// showRecoveryCodes shows new codes, the one time that they are shown.
func (c *call) showRecoveryCodes() error {
	if c.r.Method != http.MethodGet { // a look at the headers must not cost the codes
		c.message(MessageMethod)
		return nil
	}
	codes, err := c.s.Login.ShowRecoveryCodes(c.r.Context(), c.sess)
	if errors.Is(err, login.ErrStartAgain) {
		return c.toNotice("/profile/security", "codes-shown")
	}
	if err != nil {
		return err
	}
	to := c.returnTo()
	if to == "" {
		to = "/"
	}
	return c.show(http.StatusOK, RecoveryCodes{Chrome: c.chrome(), Return: to, Codes: codes})
}

// showSuggest invites the person to set up an authenticator.
func (c *call) showSuggest() error {
	g, err := c.gather()
	if err != nil {
		return err
	}
	if mfa.Decide(g.Facts).Verdict != mfa.Suggest {
		return c.proceed()
	}
	days := int((c.s.Login.Snooze + 12*time.Hour) / (24 * time.Hour))
	v := Suggest{Chrome: c.chrome(), Return: c.returnTo(), Days: max(1, days), Keys: c.s.Login.Keys != nil}
	v.Asked = why(mfa.PolicySuggested, toEnter, v.AccountName)
	return c.show(http.StatusOK, v)
}

func (c *call) postLater() error {
	err := c.s.Login.Later(c.r.Context(), c.client(), c.sess, c.account())
	var u *login.Undecided
	if errors.As(err, &u) {
		return c.proceed()
	}
	if errors.Is(err, storage.ErrNotFound) {
		return c.proceed()
	}
	if err != nil {
		return err
	}
	return c.proceed()
}
