// Package trial writes down what a mode that an account only tries would have
// meant to its people, beside the requests that the real mode decides.
package trial

import (
	"context"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Recorder notes outcomes, once for each person and trial. A request waits for
// no storage: what is new is written by [Recorder.Run], a batch at a time.
type Recorder struct {
	store storage.Trials
	// fault tells the operator what went wrong. What could not be written is
	// noted again when it happens again.
	fault func(doing string, err error)
	noted *otter.Cache[key, struct{}]

	mu      sync.Mutex
	waiting []storage.TrialNote
	wake    chan struct{}
	writing sync.Mutex // held while a batch is written
}

// key is what is noted once.
type key struct {
	account string
	user    string
	begun   int64
	outcome mfa.Outcome
}

func keyOf(n storage.TrialNote) key { return key{n.Account, n.User, n.Begun.UnixNano(), n.Outcome} }

// Bounds of the memory. What is forgotten is written again, to no effect; what
// finds no room is noted at a later request.
const (
	remembered = 200_000
	maxWaiting = 10_000
)

// New returns a recorder.
func New(store storage.Trials, fault func(doing string, err error)) (*Recorder, error) {
	noted, err := otter.New(&otter.Options[key, struct{}]{MaximumSize: remembered})
	if err != nil {
		return nil, err
	}
	return &Recorder{store: store, fault: fault, noted: noted, wake: make(chan struct{}, 1)}, nil
}

// Watch asks the rule what the given mode would have done about a request, and
// notes it. Who is no joined member of the account is of no interest.
func (r *Recorder) Watch(f mfa.Facts, mode mfa.Policy, begun time.Time) {
	if f.Member.State != mfa.Joined || f.Proof.User == "" {
		return
	}
	n := storage.TrialNote{
		Account: f.Account.ID, User: f.User.ID, Begun: begun, Outcome: mfa.Decide(f.Under(mode)).Outcome(), First: f.Now,
	}
	k := keyOf(n)
	if _, known := r.noted.GetIfPresent(k); known {
		return
	}
	if _, first := r.noted.SetIfAbsent(k, struct{}{}); !first {
		return
	}
	r.mu.Lock()
	room := len(r.waiting) < maxWaiting
	if room {
		r.waiting = append(r.waiting, n)
	}
	r.mu.Unlock()
	if !room {
		r.noted.Invalidate(k)
		return
	}
	select {
	case r.wake <- struct{}{}:
	default: // it is awake already
	}
}

// Flush writes what waits.
func (r *Recorder) Flush(ctx context.Context) {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.Lock()
	batch := r.waiting
	r.waiting = nil
	r.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	if err := r.store.NoteTrial(ctx, batch); err != nil {
		for _, n := range batch {
			r.noted.Invalidate(keyOf(n))
		}
		r.fault("noting what a trial would have done", err)
	}
}

// pause is how long news gather before they are written.
const pause = time.Second

// Run writes what is noted, until ctx ends and for a last time then.
func (r *Recorder) Run(ctx context.Context) {
	defer r.Flush(context.WithoutCancel(ctx))
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		}
		gather := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			gather.Stop()
			return
		case <-gather.C:
		}
		r.Flush(ctx)
	}
}
