package web

import (
	"errors"
	"net/http"

	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
)

// showInvitation asks for the code of an invitation. Who came back from signing
// in for one is shown what it is for.
func (c *call) showInvitation() error {
	if c.sess != nil && c.flow.Invite != "" {
		in, err := c.s.Login.Invitation(c.r.Context(), c.client(), c.flow.Invite)
		switch {
		case err == nil && in.User.ID == c.sess.User:
			return c.show(http.StatusOK, c.joining(in, c.flow.Invite))
		case errors.Is(err, login.ErrStartAgain): // their company's sign-in has let them join
			c.cookies.Clear(c.w.Header(), c.cookies.Flow)
			c.redirect("/")
			return nil
		case err != nil:
			return c.notInvited(err)
		}
	}
	if c.sess == nil {
		if err := c.writeFlow(); err != nil {
			return err
		}
	}
	return c.show(http.StatusOK, Joining{Chrome: c.chrome()})
}

func (c *call) joining(in login.Invitation, code string) Joining {
	return Joining{Chrome: c.chrome(), Ticket: code, Inviting: in.Title, Whom: in.User.Email, Choosing: in.Chooses, MinLength: login.MinPassword}
}

// postInvitation takes the code. Who has no way to sign in yet chooses a
// password with it; everybody else signs in as always, and then joins.
func (c *call) postInvitation() error {
	code := c.form.Get("ticket")
	in, err := c.s.Login.Invitation(c.r.Context(), c.client(), code)
	switch {
	case err != nil:
		return c.notInvited(err)
	case in.Chooses && !c.form.Has("new"):
		return c.show(http.StatusOK, c.joining(in, code))
	case in.Chooses:
		return c.joinNew(in, code)
	case c.sess == nil:
		c.flow.Invite, c.flow.Email, c.flow.Return = code, in.User.Email, c.s.Base+"/invitation"
		if err := c.writeFlow(); err != nil {
			return err
		}
		c.to("/login", c.flow.Return)
		return nil
	case in.User.ID != c.sess.User:
		c.message(MessageInvitation)
		return nil
	case c.form.Get("join") == "":
		return c.show(http.StatusOK, c.joining(in, code))
	}
	in, err = c.s.Login.Accept(c.r.Context(), c.client(), c.sess, code)
	var undecided *login.Undecided
	if errors.As(err, &undecided) {
		c.flow.Invite = code
		if err := c.writeFlow(); err != nil {
			return err
		}
		return c.first(undecided.Decision, "/invitation")
	}
	if err != nil {
		return c.notInvited(err)
	}
	c.cookies.Clear(c.w.Header(), c.cookies.Flow)
	next, err := c.s.Login.Switch(c.r.Context(), c.client(), c.sess, in.Account)
	if err != nil {
		return err
	}
	if err := c.enter(next); err != nil {
		return err
	}
	c.redirect("/")
	return nil
}

func (c *call) joinNew(in login.Invitation, code string) error {
	v := c.joining(in, code)
	password := c.form.Get("new")
	if password != c.form.Get("again") {
		v.Problem = ProblemPasswordDiffers
		return c.show(http.StatusUnprocessableEntity, v)
	}
	err := c.s.Login.AcceptNew(c.r.Context(), c.client(), code, password)
	if v.Problem = passwordProblem(err, password); v.Problem.Key != "" {
		return c.show(http.StatusUnprocessableEntity, v)
	}
	if errors.Is(err, login.ErrBusy) {
		c.w.Header().Set("Retry-After", "2")
		v.Problem = ProblemBusy
		return c.show(http.StatusServiceUnavailable, v)
	}
	if err != nil {
		return c.notInvited(err)
	}
	c.flow.Email = in.User.Email
	if err := c.writeFlow(); err != nil {
		return err
	}
	return c.toNotice("/login", "invitation-accepted")
}

func (c *call) notInvited(err error) error {
	var wait *limit.Wait
	switch {
	case errors.Is(err, login.ErrStartAgain):
		c.message(MessageLinkExpired)
		return nil
	case errors.Is(err, login.ErrSomebodyElse):
		c.message(MessageInvitation)
		return nil
	case errors.As(err, &wait):
		return c.show(c.later(wait), Joining{Chrome: c.chrome(), Problem: ProblemWait(wait.Until.Sub(c.s.Login.Now()))})
	}
	return err
}
