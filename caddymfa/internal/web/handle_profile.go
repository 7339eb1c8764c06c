package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// notViewable sends the person away if the rule does not let them see their own
// pages yet, and reports whether it did.
func (c *call) notViewable(page string) (bool, error) {
	_, err := c.s.Login.MayView(c.r.Context(), c.sess)
	var u *login.Undecided
	if errors.As(err, &u) {
		return true, c.first(u.Decision, page)
	}
	return err != nil, err
}

func (c *call) showProfile() error {
	if done, err := c.notViewable("/profile"); done || err != nil {
		return err
	}
	factors, codes, err := c.credentials()
	if err != nil {
		return err
	}
	sessions, err := c.liveSessions()
	if err != nil {
		return err
	}
	places, err := c.s.Login.Places(c.r.Context(), c.sess.User)
	if err != nil {
		return err
	}
	return c.show(http.StatusOK, ProfileOverview{
		Chrome: c.chrome(), Authenticators: len(factors), CodesLeft: codes, Sessions: len(sessions), Accounts: len(places),
		Provider: c.companyName(c.sess.Proof.Provider),
	})
}

// credentials returns the person's authenticators and how many recovery codes
// are left.
func (c *call) credentials() ([]storage.Factor, int, error) {
	factors, err := c.s.Login.Store.FactorsOf(c.r.Context(), c.sess.User)
	if err != nil {
		return nil, 0, err
	}
	codes, err := c.s.Login.Store.RecoveryCodesOf(c.r.Context(), c.sess.User)
	if err != nil {
		return nil, 0, err
	}
	left := 0
	for _, code := range codes {
		if code.Used.IsZero() {
			left++
		}
	}
	return factors, left, nil
}

func (c *call) liveSessions() ([]storage.Session, error) {
	now := c.s.Login.Now()
	rows, err := c.s.Login.Store.SessionsOf(c.r.Context(), c.sess.User, now)
	if err != nil {
		return nil, err
	}
	live := rows[:0]
	for _, row := range rows {
		if c.s.Login.Sessions.Live(&row, now) {
			live = append(live, row)
		}
	}
	return live, nil
}

func (c *call) showSecurity() error {
	return c.securityPage(http.StatusOK, Text{})
}

func (c *call) securityPage(status int, problem Text) error {
	if done, err := c.notViewable("/profile/security"); done || err != nil {
		return err
	}
	factors, codes, err := c.credentials()
	if err != nil {
		return err
	}
	user, err := c.s.Login.Store.User(c.r.Context(), c.sess.User)
	if err != nil {
		return err
	}
	v := ProfileSecurity{
		Chrome: c.chrome(), CodesLeft: codes, CodesTotal: login.RecoveryCodes, MinLength: login.MinPassword, Problem: problem,
		Password: user.PasswordHash != "" && user.Origin != storage.FromConfig,
		Keys:     c.s.Login.Keys != nil,
		Full:     len(factors) >= login.MaxFactors,
		Provider: c.companyName(c.sess.Proof.Provider),

		Deletable: user.Origin != storage.FromConfig,
	}
	devices, err := c.s.Login.Store.DevicesOf(c.r.Context(), c.sess.User, c.s.Login.Now())
	if err != nil {
		return err
	}
	for _, d := range devices {
		v.Devices = append(v.Devices, DeviceRow{SessionRow{ID: d.ID, Browser: d.Browser, Network: d.Network}, d.Shown})
	}
	for _, f := range factors {
		v.Authenticators = append(v.Authenticators, Authenticator{
			ID: f.ID, Name: f.Name, Kind: f.Kind, Disabled: f.Disabled, Added: f.Created, Used: f.Used,
		})
	}
	return c.show(status, v)
}

func (c *call) postRename() error {
	if c.form.Get("name") == "" {
		return c.toNotice("/profile/security", "name")
	}
	err := c.s.Login.RenameFactor(c.r.Context(), c.client(), c.sess, c.form.Get("factor"), c.form.Get("name"))
	return c.changed(err, "/profile/security", "renamed")
}

// changed ends a change of the person's own things: what must be proven first,
// what is gone, or a word that it is done.
func (c *call) changed(err error, page, notice string) error {
	var u *login.Undecided
	switch {
	case errors.As(err, &u):
		return c.first(u.Decision, page)
	case errors.Is(err, login.ErrStartAgain):
		return c.toNotice(page, "gone")
	case err != nil:
		return err
	}
	return c.toNotice(page, notice)
}

// postForget ends a remembered browser.
func (c *call) postForget() error {
	err := c.s.Login.ForgetDevice(c.r.Context(), c.client(), c.sess, c.form.Get("device"))
	return c.changed(err, "/profile/security", "device-forgotten")
}

// postRemove asks once more, and then removes an authenticator.
func (c *call) postRemove() error {
	id := c.form.Get("factor")
	if c.form.Get("confirm") == "" {
		row, last, err := c.s.Login.MayRemove(c.r.Context(), c.sess, id)
		if err == nil {
			return c.show(http.StatusOK, ConfirmRemove{Chrome: c.chrome(), Factor: row.ID, FactorName: row.Name, Last: last})
		}
		return c.notRemoved(err)
	}
	return c.notRemoved(c.s.Login.RemoveFactor(c.r.Context(), c.client(), c.sess, id))
}

func (c *call) notRemoved(err error) error {
	var required *login.RequiredBy
	if errors.As(err, &required) {
		c.message(MessageNeeded(required.Accounts))
		return nil
	}
	return c.changed(err, "/profile/security", "removed")
}

func (c *call) postNewCodes() error {
	if err := c.s.Login.NewRecoveryCodes(c.r.Context(), c.client(), c.sess); err != nil {
		return c.changed(err, "/profile/security", "")
	}
	c.to("/recovery-codes", c.s.Base+"/profile/security")
	return nil
}

func (c *call) postChangePassword() error {
	next := c.form.Get("new")
	if next != c.form.Get("again") {
		return c.securityPage(http.StatusUnprocessableEntity, ProblemPasswordDiffers)
	}
	err := c.s.Login.ChangePassword(c.r.Context(), c.client(), c.sess, c.form.Get("current"), next)
	if problem := passwordProblem(err, next); problem.Key != "" {
		return c.securityPage(http.StatusUnprocessableEntity, problem)
	}
	var wait *limit.Wait
	switch {
	case errors.Is(err, login.ErrWrong):
		return c.securityPage(http.StatusUnauthorized, ProblemCurrentPassword)
	case errors.As(err, &wait):
		return c.securityPage(c.later(wait), ProblemWait(wait.Until.Sub(c.s.Login.Now())))
	case errors.Is(err, login.ErrBusy):
		return c.securityPage(http.StatusServiceUnavailable, ProblemBusy)
	case errors.Is(err, login.ErrReadOnly):
		c.message(MessageForbidden)
		return nil
	}
	return c.changed(err, "/profile/security", "password-changed")
}

// showDelete says what is lost when the person deletes themselves.
func (c *call) showDelete() error {
	return c.deletePage(http.StatusOK, Text{})
}

func (c *call) deletePage(status int, problem Text) error {
	d, err := c.s.Login.MayDelete(c.r.Context(), c.sess)
	if err != nil {
		return c.notDeleted(err)
	}
	places, err := c.s.Login.Places(c.r.Context(), c.sess.User)
	if err != nil {
		return err
	}
	v := ProfileDelete{Chrome: c.chrome(), Password: d.Password, Provider: c.companyName(c.sess.Proof.Provider), Problem: problem}
	for _, p := range places {
		v.Leaves = append(v.Leaves, p.Name)
	}
	return c.show(status, v)
}

// postDelete removes the person, and signs this browser out like every other.
func (c *call) postDelete() error {
	left := c.s.Login.LeftAt(c.sess)
	if err := c.s.Login.Delete(c.r.Context(), c.client(), c.sess, c.form.Get("current")); err != nil {
		return c.notDeleted(err)
	}
	return c.signedOut(left, "?deleted")
}

func (c *call) notDeleted(err error) error {
	var last *login.LastAdminOf
	var wait *limit.Wait
	switch {
	case errors.As(err, &last):
		c.message(MessageNeededAdmin(last.Accounts))
		return nil
	case errors.Is(err, login.ErrReadOnly):
		c.message(MessageDeclared)
		return nil
	case errors.Is(err, login.ErrWrong):
		return c.deletePage(http.StatusUnauthorized, ProblemCurrentPassword)
	case errors.As(err, &wait):
		return c.deletePage(c.later(wait), ProblemWait(wait.Until.Sub(c.s.Login.Now())))
	case errors.Is(err, login.ErrBusy):
		return c.deletePage(http.StatusServiceUnavailable, ProblemBusy)
	}
	return c.changed(err, "/profile/security/delete", "")
}

func (c *call) showSessions() error {
	if done, err := c.notViewable("/profile/sessions"); done || err != nil {
		return err
	}
	live, err := c.liveSessions()
	if err != nil {
		return err
	}
	now, limits := c.s.Login.Now(), c.s.Login.Sessions.Limits
	past, err := c.s.Login.Store.PastSessionsOf(c.r.Context(), c.sess.User, now, now.Add(-limits.Idle), maxPast)
	if err != nil {
		return err
	}
	v := ProfileSessions{Chrome: c.chrome(), Sessions: c.sessionRows(live), Past: c.sessionRows(past)}
	for i, row := range past {
		v.Past[i].Ended, v.Past[i].How = row.Revoked, row.Ended
		if row.Revoked.IsZero() {
			v.Past[i].Ended, v.Past[i].Unused = row.Expires, false
			if idle := row.Seen.Add(limits.Idle); idle.Before(row.Expires) {
				v.Past[i].Ended, v.Past[i].Unused = idle, true
			}
		}
	}
	return c.show(http.StatusOK, v)
}

// maxPast is how many past sessions are shown.
const maxPast = 30

// sessionRows are what a person is shown of sessions of theirs.
func (c *call) sessionRows(sessions []storage.Session) []SessionRow {
	companies := make(map[string]string)
	rows := make([]SessionRow, len(sessions))
	for i, row := range sessions {
		rows[i] = SessionRow{
			ID: row.ID, Browser: row.Browser, Network: row.Network, Proof: row.Proof,
			SignedIn: latest(row.Proof.First, row.Created), Seen: row.Seen, Current: row.ID == c.sess.ID,
		}
		if row.Account != "" {
			if t, err := c.s.Login.Facts.Tenant(c.r.Context(), row.Account); err == nil {
				rows[i].AccountName = t.Name
			}
		}
		if _, known := companies[row.Proof.Provider]; !known {
			companies[row.Proof.Provider] = c.companyName(row.Proof.Provider)
		}
		rows[i].Provider = companies[row.Proof.Provider]
	}
	return rows
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (c *call) postRevoke() error {
	id := c.form.Get("session")
	if id == c.sess.ID {
		return c.postLogout()
	}
	return c.endSession(id, "session-ended")
}

func (c *call) postRevokeOthers() error { return c.endSession("", "sessions-ended") }

func (c *call) endSession(id, notice string) error {
	if done, err := c.notViewable("/profile/sessions"); done || err != nil {
		return err
	}
	if id == "" && notice == "session-ended" {
		return c.toNotice("/profile/sessions", "gone")
	}
	return c.changed(c.s.Login.EndSession(c.r.Context(), c.client(), c.sess, id), "/profile/sessions", notice)
}
