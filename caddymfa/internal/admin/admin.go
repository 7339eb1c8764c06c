// Package admin is what an account's administrators do: one method per step, as
// login has them for persons and operate for operators. The pages and the API
// call the same methods. Whether somebody may administer is for mfa.DecideAdmin
// and the API's tokens to say, before a method is called; each method sees to it
// that nothing of another account is read or changed.
package admin

import (
	"cmp"
	"context"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Service carries out the steps.
type Service struct {
	Store storage.Storage
	Login *login.Service
	Now   func() time.Time
	// Record writes the audit. It never fails the step it tells of.
	Record func(context.Context, storage.Event)
	// DNS is where domains are proven.
	DNS Resolver
}

// Actor is who administers, and in which account: the only one that the steps
// look at.
type Actor struct {
	Account string
	User    string // the person's id, or what stands for an API token
	Session string // empty: no browser
	Network string
}

// record writes an audit row of the actor's, in their account. A row of which
// nobody said how it ended does not read like a success.
func (s *Service) record(ctx context.Context, a Actor, e storage.Event) {
	e.Outcome = cmp.Or(e.Outcome, "failed")
	e.At, e.Actor, e.Account, e.Session, e.Network = s.Now(), a.User, a.Account, a.Session, a.Network
	s.Record(ctx, e)
}
