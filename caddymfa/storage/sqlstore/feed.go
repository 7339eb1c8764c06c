package sqlstore

import (
	"slices"
	"sync"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Feed tells the watchers in this process what was written through this store.
// It hears of no other process, and says that it is live all the same: it is
// the whole truth only where a single process has the database.
type Feed struct {
	mu       sync.Mutex
	watchers []*watcher // replaced as a whole, so that tell may walk it unlocked
}

type watcher struct{ tell func(storage.Change) }

// Watch calls tell for every change until stop is called. A call that is under
// way when stop is called may end after it. Calling stop twice does no harm.
func (f *Feed) Watch(tell func(storage.Change)) (stop func()) {
	w := &watcher{tell}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watchers = append(slices.Clone(f.watchers), w)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.watchers = slices.DeleteFunc(slices.Clone(f.watchers), func(other *watcher) bool { return other == w })
	}
}

// Live reports true: nothing is written elsewhere.
func (f *Feed) Live() bool { return true }

// Lag returns 0, for the same reason.
func (f *Feed) Lag() time.Duration { return 0 }

// Tell calls every watcher for every change. Stores do so by themselves for what
// they write; a store of several processes does for what the others wrote.
func (f *Feed) Tell(changes ...storage.Change) {
	if len(changes) == 0 {
		return
	}
	f.mu.Lock()
	watchers := f.watchers
	f.mu.Unlock()
	for _, w := range watchers {
		for _, c := range changes {
			w.tell(c)
		}
	}
}
