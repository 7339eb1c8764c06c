package operate

import (
	"context"

	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// SigningKeys lists the keys that tokens are signed with, newest first.
func (o *Operator) SigningKeys(ctx context.Context) ([]session.KeyInfo, error) {
	return o.Login.Sessions.Keys.List(ctx)
}

// RotateKeys makes a new signing key for every purpose. The former ones no
// longer sign a few seconds later, and go on verifying what they signed.
func (o *Operator) RotateKeys(ctx context.Context) error {
	if err := o.Login.Sessions.Keys.Rotate(ctx, true); err != nil {
		return err
	}
	o.record(ctx, storage.Event{Action: "rotate_keys"})
	return nil
}
