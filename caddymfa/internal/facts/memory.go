package facts

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// memory remembers one kind of thing, and knows how to load it.
type memory[V any] struct {
	*trust
	cache *otter.Cache[string, held[V]]
	load  func(context.Context, string) (V, error)
}

// held is a value and the epoch in which its loading began.
type held[V any] struct {
	value V
	epoch uint64
}

// trust is how far what is remembered may be believed. All kinds share it.
type trust struct {
	feed storage.Feed
	// epoch grows when everything is to be forgotten. What began to be loaded
	// before counts as forgotten, too, wherever it turns up.
	epoch atomic.Uint64
	// stale is how long after changes ceased to arrive something remembered is
	// served if storage does not answer. Zero: not at all.
	stale time.Duration
	// began is when this process began, and failed when storage last failed to
	// answer, after that.
	began  time.Time
	failed atomic.Int64
}

const (
	// loadTime bounds a load that several requests may wait for.
	loadTime = 5 * time.Second
	// impatience bounds a load for which something remembered can stand in, and
	// is how long after a failure it does so without asking.
	impatience = time.Second
)

func remember[V any](t *trust, capacity int, load func(context.Context, string) (V, error)) (memory[V], error) {
	c, err := otter.New(&otter.Options[string, held[V]]{MaximumSize: capacity})
	if err != nil {
		return memory[V]{}, fmt.Errorf("preparing the facts cache: %w", err)
	}
	return memory[V]{trust: t, cache: c, load: load}, nil
}

// recall answers from memory, where that is certainly current.
func (m *memory[V]) recall(id string) (v V, ok bool) {
	if !m.feed.Live() {
		return v, false
	}
	epoch := m.epoch.Load()
	h, ok := m.cache.GetIfPresent(id)
	return h.value, ok && h.epoch >= epoch
}

// get answers from memory, or loads.
func (m *memory[V]) get(ctx context.Context, id string) (V, error) {
	if v, ok := m.recall(id); ok {
		return v, nil
	}
	if !m.feed.Live() {
		return m.ask(ctx, id)
	}
	for epoch := m.epoch.Load(); ; m.cache.Invalidate(id) {
		h, err := m.cache.Get(ctx, id, otter.LoaderFunc[string, held[V]](m.loadHeld))
		if err != nil || h.epoch >= epoch {
			return h.value, err
		}
	}
}

func (m *memory[V]) loadHeld(ctx context.Context, id string) (held[V], error) {
	epoch := m.epoch.Load()
	v, err := m.loadWithin(ctx, loadTime, id)
	return held[V]{v, epoch}, err
}

// loadWithin loads for as long as it may take: whoever asked first may leave, and
// the others still want the answer.
func (m *memory[V]) loadWithin(ctx context.Context, limit time.Duration, id string) (V, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	return m.load(ctx, id)
}

// ask loads what may have changed without being told. Where storage does not
// answer, what is remembered stands in if the operator wants that, and for as
// long as they want: it was true when changes ceased to arrive.
func (m *memory[V]) ask(ctx context.Context, id string) (V, error) {
	old, ok := m.cache.GetIfPresent(id)
	ok = ok && old.epoch == m.epoch.Load() && m.feed.Lag() < m.stale
	limit := loadTime
	if ok {
		if m.elapsed()-time.Duration(m.failed.Load()) < impatience {
			return old.value, nil
		}
		limit = impatience
	}
	v, err := m.loadWithin(ctx, limit, id)
	if err == nil || errors.Is(err, storage.ErrNotFound) {
		// What was remembered is superseded, and must not stand in for it later.
		m.cache.Invalidate(id)
		return v, err
	}
	if ok {
		m.failed.Store(int64(m.elapsed()))
		return old.value, nil
	}
	return v, err
}

func (t *trust) elapsed() time.Duration { return time.Since(t.began) }

// together runs several reads at once, and returns one of their errors.
func together(reads ...func() error) error {
	errs := make([]error, len(reads))
	var group sync.WaitGroup
	for i, read := range reads {
		group.Go(func() { errs[i] = read() })
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
