package trial

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// notes is a store that fails on demand and keeps what it was told.
type notes struct {
	storage.Trials
	mu   sync.Mutex
	fail error
	kept []storage.TrialNote
}

func (n *notes) NoteTrial(_ context.Context, batch []storage.TrialNote) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail == nil {
		n.kept = append(n.kept, batch...)
	}
	return n.fail
}

func (n *notes) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.kept)
}

var begun = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// entering is somebody with a password alone, who enters an optional account.
func entering(user string) mfa.Facts {
	return mfa.Facts{
		Now: begun.Add(time.Minute), Account: mfa.Account{ID: "acme", Policy: mfa.Optional}, User: mfa.User{ID: user},
		Member: mfa.Member{Role: mfa.RoleMember, State: mfa.Joined}, Proof: mfa.Proof{User: user, First: begun, FirstBy: mfa.ByPassword},
	}
}

func newRecorder(t *testing.T, store storage.Trials, fault func(string, error)) *Recorder {
	t.Helper()
	r, err := New(store, fault)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNotedOnceForEachPersonAndOutcome(t *testing.T) {
	store := new(notes)
	r := newRecorder(t, store, func(doing string, err error) { t.Errorf("%s: %v", doing, err) })
	stranger := entering("u9")
	stranger.Member = mfa.Member{}
	enrolled := entering("u1")
	enrolled.Enrolled = mfa.KindsOf(mfa.TOTP)
	for range 3 {
		r.Watch(entering("u1"), mfa.Required, begun)
		r.Watch(entering("u2"), mfa.Required, begun)
		r.Watch(enrolled, mfa.Required, begun)
		r.Watch(stranger, mfa.Required, begun)
		r.Flush(t.Context())
	}
	r.Watch(entering("u1"), mfa.Required, begun.Add(time.Hour)) // another trial
	r.Flush(t.Context())
	got := make(map[storage.TrialNote]int)
	for _, n := range store.kept {
		got[n]++
	}
	at := begun.Add(time.Minute)
	for _, want := range []storage.TrialNote{
		{Account: "acme", User: "u1", Begun: begun, Outcome: mfa.MustEnroll, First: at},
		{Account: "acme", User: "u2", Begun: begun, Outcome: mfa.MustEnroll, First: at},
		{Account: "acme", User: "u1", Begun: begun, Outcome: mfa.Asked, First: at},
		{Account: "acme", User: "u1", Begun: begun.Add(time.Hour), Outcome: mfa.MustEnroll, First: at},
	} {
		if got[want] != 1 {
			t.Errorf("%+v was noted %d times", want, got[want])
		}
	}
	if len(got) != 4 {
		t.Errorf("noted: %v", got)
	}
}

func TestWhatCouldNotBeWrittenIsNotedAgain(t *testing.T) {
	store := &notes{fail: errors.New("the disk is full")}
	faults := 0
	r := newRecorder(t, store, func(string, error) { faults++ })
	r.Watch(entering("u1"), mfa.Required, begun)
	r.Flush(t.Context())
	store.fail = nil
	r.Flush(t.Context())
	if faults != 1 || store.count() != 0 {
		t.Fatalf("%d faults, %d notes", faults, store.count())
	}
	r.Watch(entering("u1"), mfa.Required, begun)
	r.Flush(t.Context())
	if store.count() != 1 {
		t.Errorf("%d notes", store.count())
	}
}

func TestRunWritesAlsoAtTheEnd(t *testing.T) {
	store := new(notes)
	r := newRecorder(t, store, func(doing string, err error) { t.Errorf("%s: %v", doing, err) })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	r.Watch(entering("u1"), mfa.Required, begun)
	stop()
	<-done
	if store.count() != 1 {
		t.Errorf("%d notes", store.count())
	}
}

// The signed-in path pays a look at memory for a trial, and no allocation.
func TestWatchAllocatesNothingOnceNoted(t *testing.T) {
	r := newRecorder(t, new(notes), func(string, error) {})
	f := entering("u1")
	r.Watch(f, mfa.Required, begun)
	if n := testing.AllocsPerRun(1000, func() { r.Watch(f, mfa.Required, begun) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkWatch(b *testing.B) {
	r, err := New(new(notes), func(string, error) {})
	if err != nil {
		b.Fatal(err)
	}
	f := entering("u1")
	for b.Loop() {
		r.Watch(f, mfa.Required, begun)
	}
}
