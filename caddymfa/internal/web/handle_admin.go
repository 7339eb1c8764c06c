package web

import (
	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// toAdmin leads to the first page of the administration.
func (c *call) toAdmin() error {
	c.to("/admin/mfa", "")
	return nil
}

// administer is the gate of every page for administrators of the account being
// entered. Whoever may not see it, or not change anything now, is sent to what
// they must do first, and back to the given page; done reports that this call
// was answered so.
func (c *call) administer(change bool, page string) (who admin.Actor, done bool, err error) {
	g, err := c.gather()
	if err != nil {
		return who, false, err
	}
	if d := mfa.DecideAdmin(g.Facts, change); d.Verdict != mfa.Allow {
		return who, true, c.first(d, page)
	}
	return admin.Actor{Account: g.Facts.Account.ID, User: c.sess.User, Session: c.sess.ID, Network: c.site.Network}, false, nil
}
