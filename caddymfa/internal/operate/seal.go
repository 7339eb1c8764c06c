package operate

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddymfa/gateway/caddymfa/internal/seal"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Masters is where the master key comes from.
type Masters interface {
	// Next returns the key that is to seal from now on; waiting: it was made for
	// a replacement that has begun before.
	Next() (key []byte, waiting bool, err error)
	// Settle is called when everything is sealed under the key of this name.
	Settle(sealing string) error
}

// Resealed is how far the replacement of a master key has come.
type Resealed struct {
	Key  string // that seals now
	Done int    // how many values were sealed anew by this step
	Left int64  // how many are under former keys yet
}

// MasterKeys lists the master keys that the store knows, newest first.
func (o *Operator) MasterKeys(ctx context.Context) ([]seal.Use, error) {
	return o.Login.Box.Uses(ctx, o.Store)
}

// ReplaceMasterKey makes the next master key the one that seals, unless a node
// that is there was not given it (ErrInvalid); leaveBehind: all the same. If a
// former replacement has not come to its end, it goes on with that one instead.
func (o *Operator) ReplaceMasterKey(ctx context.Context, leaveBehind bool) (Resealed, error) {
	key, waiting, err := o.Masters.Next()
	if err != nil {
		return Resealed{}, err
	}
	box := o.Login.Box
	if err := box.Add(key); err != nil {
		return Resealed{}, err
	}
	name, err := seal.Name(key)
	if err != nil {
		return Resealed{}, err
	}
	if err := box.Follow(ctx, o.Store); err != nil {
		return Resealed{}, err
	}
	if box.Sealing() != name && !leaveBehind {
		if err := o.everyNodeHas(ctx, name); err != nil {
			return Resealed{}, err
		}
	}
	err = box.Replace(ctx, o.Store, name, o.Now())
	nothing := errors.Is(err, seal.ErrNothing)
	if err != nil && !nothing {
		return Resealed{}, err
	}
	if err == nil {
		o.record(ctx, storage.Event{Action: "replace_master_key", Detail: name})
	}
	step, err := o.Reseal(ctx)
	if err == nil && nothing && !waiting && step.Done == 0 && step.Left == 0 {
		err = fmt.Errorf("%w: make one (openssl rand -base64 32), give it as master_key and the present one in former_master_keys, load that on every node, and run this again", ErrInvalid)
	}
	return step, err
}

// resealStep is how many values one step seals anew.
const resealStep = 1000

// Reseal seals some more values anew.
func (o *Operator) Reseal(ctx context.Context) (Resealed, error) {
	done, left, err := o.Login.Box.Reseal(ctx, o.Store, resealStep)
	if err != nil {
		return Resealed{}, err
	}
	sealing := o.Login.Box.Sealing()
	if left == 0 {
		if err := o.Masters.Settle(sealing); err != nil {
			return Resealed{}, err
		}
	}
	return Resealed{Key: sealing, Done: done, Left: left}, nil
}
