package web

import (
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/facts"
	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// dueOf tells of a planned mode whoever would have to set up an authenticator
// then, with the evidence that they have now.
func dueOf(g facts.Gathered) Due {
	if g.Tenant == nil || !DueFor(g.Facts) {
		return Due{}
	}
	return Due{Account: g.Tenant.Name, At: g.Facts.Account.NextAt}
}

// DueFor reports whether a stricter mode is planned under which the facts would
// no longer let the person in without setting up an authenticator.
func DueFor(f mfa.Facts) bool {
	a := f.Account
	if !a.Next.Valid() || !f.Now.Before(a.NextAt) {
		return false
	}
	f.Route = mfa.Route{}
	return mfa.Decide(f.Under(a.Next)).Verdict == mfa.Enroll && mfa.Decide(f).Verdict != mfa.Enroll
}

// DueDate is a planned day as programs read it.
func DueDate(at time.Time) string { return at.UTC().Format(time.DateOnly) }
