package facts

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

var errDown = errors.New("nobody answers")

// TestWhatIsServedWhileStorageIsDown walks what may come together: whether
// changes of other nodes arrive, how long they have not, whether storage
// answers, and for how long the operator wants memory to stand in.
func TestWhatIsServedWhileStorageIsDown(t *testing.T) {
	const grace = 30 * time.Second
	for _, c := range []struct {
		name   string
		stale  time.Duration
		dead   bool
		lag    time.Duration
		broken error
		served bool
	}{
		{"all is well", 0, false, 0, nil, true},
		{"storage is down, and it cannot have changed", 0, false, 0, errDown, true},
		{"changes do not arrive, storage answers", 0, true, time.Hour, nil, true},
		{"changes do not arrive, storage is down", 0, true, 0, errDown, false},
		{"so a moment ago, within the grace", grace, true, grace - time.Second, errDown, true},
		{"so at the end of the grace", grace, true, grace, errDown, false},
		{"so for an hour", grace, true, time.Hour, errDown, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			source, store, sess := world(t)
			source.ServeStale(c.stale)
			_ = decide(t, source, sess)
			store.goes(c.dead, c.lag, c.broken)
			for range 3 {
				g, err := source.Gather(t.Context(), sess, "acme", mfa.Route{}, noon)
				if served := err == nil && mfa.Decide(g.Facts).Verdict == mfa.Allow; served != c.served {
					t.Errorf("served: %v, error: %v; expected %v", served, err, c.served)
				}
			}
		})
	}
}

func TestGraceIsForWhatIsRememberedOnly(t *testing.T) {
	source, store, sess := world(t)
	source.ServeStale(time.Minute)
	store.goes(true, 0, errDown)
	if _, err := source.Gather(t.Context(), sess, "acme", mfa.Route{}, noon); !errors.Is(err, errDown) {
		t.Errorf("expected an error for what was never read, got %v", err)
	}
}

// TestGraceForgetsWhatStorageSaidLater: a revocation that this node has read
// while changes did not arrive is not undone when storage goes as well.
func TestGraceForgetsWhatStorageSaidLater(t *testing.T) {
	source, store, sess := world(t)
	source.ServeStale(time.Minute)
	_ = decide(t, source, sess)
	store.goes(true, 0, nil)
	// Written past the feed, as on another node.
	source.stop()
	if _, err := store.Storage.UpdateAccount(t.Context(), "acme", func(a *storage.Account) error { a.Policy = mfa.Required; return nil }); err != nil {
		t.Fatal(err)
	}
	source.stop = store.Watch(source.forget)
	if d := decide(t, source, sess); d.Reason != mfa.PolicyRequired {
		t.Fatalf("storage was not asked: %+v", d)
	}
	store.goes(true, 0, errDown)
	if g, err := source.Gather(t.Context(), sess, "acme", mfa.Route{}, noon); err == nil {
		t.Errorf("memory says again what storage had denied: %+v", mfa.Decide(g.Facts))
	}
}

// TestLoadUnderWayIsForgottenWithEverything: changes may have been missed while
// a row was being read for the first time, and then it is not remembered.
func TestLoadUnderWayIsForgottenWithEverything(t *testing.T) {
	source, store, sess := world(t)
	began, missed := make(chan struct{}), make(chan struct{})
	first := true
	store.loaded = func() {
		if first {
			first = false
			close(began)
			<-missed
		}
	}
	done := make(chan error)
	go func() {
		_, err := source.Tenant(context.Background(), "acme") // reads "optional"
		done <- err
	}()
	<-began
	source.stop() // what is written now is told to nobody here, as if the feed were cut
	if _, err := store.Storage.UpdateAccount(t.Context(), "acme", func(a *storage.Account) error { a.Policy = mfa.Required; return nil }); err != nil {
		t.Fatal(err)
	}
	source.stop = store.Watch(source.forget)
	source.forget(storage.Change{Subject: storage.SubjectAll})
	close(missed)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if d := decide(t, source, sess); d.Reason != mfa.PolicyRequired {
		t.Errorf("a row from before the gap was remembered: %+v", d)
	}
}
