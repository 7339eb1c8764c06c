package web

import (
	"errors"
	"net/http"

	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
)

// showForgot helps somebody who forgot their password: by a mail, or by saying
// whom to ask.
func (c *call) showForgot() error {
	if err := c.writeFlow(); err != nil {
		return err
	}
	return c.forgotPage(http.StatusOK, c.flow.Email, Text{})
}

func (c *call) forgotPage(status int, email string, problem Text) error {
	return c.show(status, Forgot{Chrome: c.chrome(), Email: email, Mailed: c.s.Login.Mail != nil, Problem: problem})
}

// postForgot answers every address alike.
func (c *call) postForgot() error {
	typed := c.form.Get("email")
	err := c.s.Login.Forgot(c.r.Context(), c.client(), typed)
	var wait *limit.Wait
	switch {
	case errors.Is(err, login.ErrNoMail):
		return c.forgotPage(http.StatusNotFound, "", Text{})
	case errors.Is(err, login.ErrNoAddress):
		if len(typed) > 254 {
			typed = ""
		}
		return c.forgotPage(http.StatusUnprocessableEntity, typed, ProblemEmail)
	case errors.As(err, &wait):
		return c.forgotPage(c.later(wait), typed, ProblemWait(wait.Until.Sub(c.s.Login.Now())))
	case err != nil:
		return err
	}
	return c.show(http.StatusOK, Forgot{Chrome: c.chrome(), Mailed: true, Sent: true})
}
