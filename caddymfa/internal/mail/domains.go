package mail

import (
	"context"
	"fmt"
	"strings"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// The letters to an account's administrators about its e-mail domains.
const (
	AboutProofMissing = "proof_missing"     // the record that proves one is not there any more
	AboutUnverified   = "domain_unverified" // it stayed away for too long: the domain counts as not proven
)

// aboutDomain says which letter to the administrators tells of what happened,
// and of which domain; empty: none.
func aboutDomain(e storage.Event) (about, domain string) {
	if e.Action != "recheck_domain" {
		return "", ""
	}
	domain, _, _ = strings.Cut(e.Detail, ":")
	switch e.Reason {
	case AboutProofMissing, AboutUnverified:
		return e.Reason, domain
	}
	return "", ""
}

// tellAdministrators queues a letter to each administrator of an account.
func (o *Outbox) tellAdministrators(ctx context.Context, e storage.Event, about, domain string) error {
	admins, err := o.Store.Administrators(ctx, e.Account)
	if err != nil {
		return err
	}
	for _, u := range admins {
		if err := o.Queue(ctx, Letter{
			About: about, Key: fmt.Sprintf("%s %s %s %s %d", about, e.Account, domain, u.ID, e.At.UnixMicro()),
			To: u.Email, User: u.ID, Account: e.Account, Says: Says{At: e.At, What: domain},
		}); err != nil {
			return err
		}
	}
	return nil
}
