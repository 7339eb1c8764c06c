package mail

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// The letters about a person's own security.
const (
	AboutEnrolled = "enrolled" // an authenticator was added
	AboutRemoved  = "removed"  // an authenticator was removed
	AboutPassword = "password" // there is another password
	AboutRecovery = "recovery" // a recovery code was used
	AboutLocked   = "locked"   // too many wrong answers
	AboutReset    = "reset"    // somebody else removed all authenticators
	AboutDeleted  = "deleted"  // the person deleted themselves
)

// The letters to somebody who forgot their password.
const (
	AboutForgot    = "forgot"    // with a link
	AboutElsewhere = "elsewhere" // the password is not ours to replace
)

// AboutPlan is the letter to somebody whom a stricter mode will keep out that an
// account has planned.
const AboutPlan = "plan"

// The letters that an account's administrators have sent to its people.
const (
	AboutInvitation = "invitation" // to join the account, with a link
	AboutOffer      = "offer"      // their company's sign-in ended: a link for choosing a password
)

// aboutEvent says which letter tells of what happened; empty: none.
func aboutEvent(e storage.Event) string {
	if e.Outcome != "ok" || e.User == "" {
		return ""
	}
	switch e.Action {
	case "enroll":
		return AboutEnrolled
	case "remove_factor":
		return AboutRemoved
	case "change_password", "set_up", "set_password":
		return AboutPassword
	case "challenge":
		if e.Reason == mfa.Recovery.String() {
			return AboutRecovery
		}
	case "lock":
		return AboutLocked
	case "reset_factors":
		return AboutReset
	}
	return ""
}

// Tell queues a letter to the person if what was written to the audit touches
// how they prove who they are, and to an account's administrators if it is about
// a domain of theirs. The step that it tells of is done: it never fails because
// of this.
func (o *Outbox) Tell(ctx context.Context, e storage.Event) {
	if about, domain := aboutDomain(e); about != "" {
		if err := o.tellAdministrators(ctx, e, about, domain); err != nil {
			o.Fault("queueing a mail about "+about, err)
		}
		return
	}
	about := aboutEvent(e)
	if about == "" {
		return
	}
	u, err := o.Store.User(ctx, e.User)
	if errors.Is(err, storage.ErrNotFound) {
		return
	}
	if err == nil {
		l := Letter{About: about, Key: fmt.Sprintf("%s %s %d", about, u.ID, e.At.UnixMicro()), To: u.Email, User: u.ID,
			Says: Says{At: e.At, Network: e.Network}}
		switch about {
		case AboutEnrolled, AboutLocked:
			l.What = e.Reason
		case AboutRemoved:
			l.What = e.Detail
		}
		err = o.Queue(ctx, l)
	}
	if err != nil {
		o.Fault("queueing a mail about "+about, err)
	}
}
