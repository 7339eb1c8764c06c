package seal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// columns are what sealed places are called where their values are sealed.
var columns = map[storage.Place]string{
	storage.PlaceFactors:     "state",
	storage.PlaceTickets:     "data",
	storage.PlaceProviders:   "settings",
	storage.PlaceSigningKeys: "private",
}

// ErrMaster means that the master key given is not the store's.
var ErrMaster = errors.New("this is not the master key of this store")

// Open returns the box of a store. The store says which of the master keys seals;
// a store that knows none yet takes the first. It notices at once if the keys
// given are not those of the store: nobody is to find that out when they sign in.
func Open(ctx context.Context, store storage.Vault, now time.Time, masters ...[]byte) (*Box, error) {
	b, err := New(masters...)
	if err != nil {
		return nil, err
	}
	known, err := store.MasterKeys(ctx)
	if err != nil {
		return nil, err
	}
	if len(known) == 0 {
		if err := b.found(ctx, store, now); err != nil {
			return nil, err
		}
	}
	return b, b.Follow(ctx, store)
}

// found makes the first master key that of the store, unless what is sealed there
// already is under none of those given. Former keys that sealed something are
// put on record, too.
func (b *Box) found(ctx context.Context, store storage.Vault, now time.Time) error {
	signing, err := store.CountSealed(ctx, storage.PlaceSigningKeys, nil)
	if err != nil {
		return err
	}
	given := b.now.Load().all
	list := []key{given[0]}
	opens := false
	for i, k := range given {
		n, err := store.CountSealed(ctx, storage.PlaceSigningKeys, k.mark())
		if err != nil {
			return err
		}
		opens = opens || n > 0
		if i == 0 {
			continue
		}
		if n, err = under(ctx, store, k.name()); err != nil {
			return err
		}
		if n > 0 {
			list = append([]key{k}, list...)
		}
	}
	if signing > 0 && !opens {
		return fmt.Errorf("%w: what is sealed there is not under %s. %s", ErrMaster, b.names(), advice)
	}
	secret := make([]byte, KeySize)
	rand.Read(secret)
	former := ""
	for _, k := range list {
		err := store.ReplaceMasterKey(ctx, former, k.row(secret, now))
		if errors.Is(err, storage.ErrConflict) {
			return nil // another node was faster, and its secret is everybody's
		}
		if err != nil {
			return err
		}
		former = k.name()
	}
	return nil
}

func (k key) row(secret []byte, now time.Time) storage.MasterKey {
	return storage.MasterKey{ID: k.name(), Secret: k.seal(secret, "master_keys", k.name(), "secret"), Created: now}
}

const advice = "Give the right one as master_key (or put the right file master.key back); nothing was changed"

// Follow learns from the store which key seals now. Former keys must be given for
// as long as anything is sealed under them.
func (b *Box) Follow(ctx context.Context, store storage.Vault) error {
	known, err := store.MasterKeys(ctx)
	if err != nil {
		return err
	}
	now := b.now.Load()
	seals, derive := now.seals, now.derive
	for _, row := range known {
		k, given := b.named(row.ID)
		if !row.Retired.IsZero() {
			if given {
				continue
			}
			left, err := under(ctx, store, row.ID)
			if err != nil {
				return err
			}
			if left > 0 {
				return fmt.Errorf("%w: %d secrets are still sealed under the former master key %s. Give it in former_master_keys and run `caddy mfa seal rotate`", ErrMaster, left, row.ID)
			}
			continue
		}
		if !given {
			return fmt.Errorf("%w: it is sealed under the key %s, and given is %s. %s", ErrMaster, row.ID, b.names(), advice)
		}
		secret, err := b.Open(row.Secret, "master_keys", row.ID, "secret")
		if err != nil {
			return fmt.Errorf("%w: the proof of the key %s does not open. %s", ErrMaster, row.ID, advice)
		}
		if derive, err = makeKey(secret); err != nil {
			return err
		}
		seals = k
	}
	b.change(func(k *keys) { k.seals, k.derive = seals, derive })
	return nil
}

// under counts what is sealed under a key that may not be given.
func under(ctx context.Context, store storage.Vault, name string) (total int64, err error) {
	mark, err := markOf(name)
	if err != nil {
		return 0, err
	}
	for _, place := range storage.Places() {
		n, err := store.CountSealed(ctx, place, mark)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

func (b *Box) named(name string) (key, bool) {
	all := b.now.Load().all
	i := slices.IndexFunc(all, func(k key) bool { return k.name() == name })
	if i < 0 {
		return key{}, false
	}
	return all[i], true
}

// Given names the master keys that this box was given.
func (b *Box) Given() (names []string) {
	for _, k := range b.now.Load().all {
		names = append(names, k.name())
	}
	return names
}

// names are the keys given, for people.
func (b *Box) names() string { return strings.Join(b.Given(), ", ") }

// Add gives the box one more master key, which opens but does not seal yet.
func (b *Box) Add(master []byte) error {
	k, err := makeKey(master)
	if err != nil {
		return err
	}
	b.change(func(now *keys) {
		if !slices.ContainsFunc(now.all, func(other key) bool { return other.id == k.id }) {
			now.all = append(slices.Clip(now.all), k)
		}
	})
	return nil
}
