package seal

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// ErrNothing means that there is no other master key to go over to.
var ErrNothing = errors.New("the newest master key is in use already")

// Name says which key a master key is, for people. Nothing can be learnt from it.
func Name(master []byte) (string, error) {
	k, err := makeKey(master)
	return k.name(), err
}

// Sealing names the key that seals now.
func (b *Box) Sealing() string { return b.now.Load().seals.name() }

func markOf(name string) ([]byte, error) {
	id, err := hex.DecodeString(name)
	if err != nil {
		return nil, fmt.Errorf("reading the name of a master key: %w", err)
	}
	return append([]byte{format}, id...), nil
}

// Replace makes the master key the one that seals from now on, on every node that
// was given it. What is sealed under the former one goes on opening, and is
// sealed anew by Reseal.
func (b *Box) Replace(ctx context.Context, store storage.Vault, name string, now time.Time) error {
	if err := b.Follow(ctx, store); err != nil {
		return err
	}
	k, given := b.named(name)
	if !given {
		return fmt.Errorf("replacing the master key: this node was not given the key %s", name)
	}
	present := b.now.Load()
	if k.id == present.seals.id {
		return ErrNothing
	}
	if err := store.ReplaceMasterKey(ctx, present.seals.name(), k.row(present.derive.master, now)); err != nil {
		return err
	}
	return b.Follow(ctx, store)
}

// Reseal seals up to limit values anew that are under a former master key, and
// says how many it did and how many are left. It can be ended at any moment, by
// any means, and begun again on any node.
func (b *Box) Reseal(ctx context.Context, store storage.Vault, limit int) (done int, left int64, err error) {
	known, err := store.MasterKeys(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, row := range known {
		if row.Retired.IsZero() {
			continue
		}
		mark, err := markOf(row.ID)
		if err != nil {
			return done, left, err
		}
		for _, place := range storage.Places() {
			n, err := b.resealPlace(ctx, store, place, mark, limit-done)
			if err != nil {
				return done, left, err
			}
			done += n
			rest, err := store.CountSealed(ctx, place, mark)
			if err != nil {
				return done, left, err
			}
			left += rest
		}
	}
	return done, left, nil
}

// page is how many values are written at once: so few that nobody who signs in
// waits for long.
const page = 50

func (b *Box) resealPlace(ctx context.Context, store storage.Vault, place storage.Place, mark []byte, limit int) (done int, err error) {
	for after := ""; done < limit; {
		list, err := store.SealedUnder(ctx, place, mark, after, min(page, limit-done))
		if err != nil || len(list) == 0 {
			return done, err
		}
		var anew []storage.Resealed
		for _, old := range list {
			after = old.Row
			plain, err := b.Open(old.Value, string(place), old.Row, columns[place])
			if err != nil {
				continue // damaged: it opens under no key, and stays for whoever looks for the reason
			}
			anew = append(anew, storage.Resealed{Sealed: old, Next: b.Seal(plain, string(place), old.Row, columns[place])})
		}
		if err := store.Reseal(ctx, place, anew); err != nil {
			return done, err
		}
		done += len(anew)
	}
	return done, nil
}

// Use is how much is sealed under a master key.
type Use struct {
	Key    storage.MasterKey
	Given  bool // to this node
	Values int64
}

// Uses lists the master keys that the store knows, newest first.
func (b *Box) Uses(ctx context.Context, store storage.Vault) ([]Use, error) {
	known, err := store.MasterKeys(ctx)
	if err != nil {
		return nil, err
	}
	var list []Use
	for _, row := range known {
		n, err := under(ctx, store, row.ID)
		if err != nil {
			return nil, err
		}
		_, given := b.named(row.ID)
		list = append(list, Use{Key: row, Given: given, Values: n})
	}
	return list, nil
}
