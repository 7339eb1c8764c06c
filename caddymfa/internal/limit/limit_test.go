package limit

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// memory is a store of counters, as storagetest describes it.
type memory struct {
	mu   sync.Mutex
	rows map[string]storage.Attempt
}

func (m *memory) UpdateAttempt(_ context.Context, key string, change func(*storage.Attempt) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.rows[key]
	if !ok {
		a.Key = key
	}
	if err := change(&a); err != nil {
		return err
	}
	m.rows[key] = a
	return nil
}

func (m *memory) SweepAttempts(context.Context, time.Time, int) (int, error) { return 0, nil }

// clock is a time that only the test moves.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func newLimiter() (*Limiter, *clock, *memory) {
	c := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	m := &memory{rows: make(map[string]storage.Attempt)}
	return &Limiter{Store: m, Now: c.now, MAC: func(purpose string, data ...string) []byte {
		sum := sha256.Sum256([]byte(purpose + "\x00" + strings.Join(data, "\x00")))
		return sum[:]
	}}, c, m
}

func TestDelaysGrowAndSuccessClearsThem(t *testing.T) {
	l, c, _ := newLimiter()
	ctx := t.Context()
	r := Rule{Name: "r", Free: 3, Delay: time.Second, Longest: 10 * time.Second}
	for i := range 3 {
		if err := l.Try(ctx, r, "x"); err != nil {
			t.Fatalf("free try %d: %v", i, err)
		}
	}
	for _, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second, 10 * time.Second} {
		var wait *Wait
		if err := l.Try(ctx, r, "x"); !errors.As(err, &wait) || wait.Until.Sub(c.Time) != want {
			t.Fatalf("got %v, want a wait of %s", err, want)
		}
		c.Time = wait.Until.Add(-time.Nanosecond)
		if err := l.Try(ctx, r, "x"); !errors.As(err, &wait) {
			t.Fatalf("a moment early: %v", err)
		}
		c.Time = wait.Until
		if err := l.Try(ctx, r, "x"); err != nil {
			t.Fatalf("in time: %v", err)
		}
	}
	if err := l.Try(ctx, r, "y"); err != nil {
		t.Fatalf("another's counter was touched: %v", err)
	}
	if err := l.Succeeded(ctx, r, "x"); err != nil {
		t.Fatal(err)
	}
	if err := l.Try(ctx, r, "x"); err != nil {
		t.Fatalf("after success: %v", err)
	}
}

func TestRefusedTriesAreNotCounted(t *testing.T) {
	l, _, m := newLimiter()
	r := Rule{Name: "r", Free: 1, Delay: time.Hour, Longest: time.Hour, Cap: 5}
	for range 100 {
		_ = l.Try(t.Context(), r, "x")
	}
	for _, a := range m.rows {
		if a.Consecutive != 1 {
			t.Errorf("counted %d, want 1: a stranger could drive a counter to its cap while nothing is checked", a.Consecutive)
		}
	}
}

func TestParallelTriesCannotOutrunTheCount(t *testing.T) {
	l, _, _ := newLimiter()
	r := Rule{Name: "r", Free: 5, Delay: time.Hour, Longest: time.Hour}
	var mu sync.Mutex
	passed := 0
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if l.Try(t.Context(), r, "x") == nil {
				mu.Lock()
				passed++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if passed != 5 {
		t.Errorf("%d tries passed, want 5", passed)
	}
}

func TestCapsEndIt(t *testing.T) {
	l, c, _ := newLimiter()
	ctx := t.Context()
	for i := range SecondFactor.Cap {
		if err := l.Try(ctx, SecondFactor, "u", "totp"); err != nil {
			t.Fatalf("try %d: %v", i, err)
		}
		c.Time = c.Add(SecondFactor.Longest)
	}
	c.Time = c.Add(24 * time.Hour)
	if err := l.Try(ctx, SecondFactor, "u", "totp"); !errors.Is(err, ErrCapped) {
		t.Fatalf("after %d failures in a row: %v", SecondFactor.Cap, err)
	}
	if err := l.Try(ctx, SecondFactor, "u", "recovery"); err != nil {
		t.Fatalf("the other kind is counted apart: %v", err)
	}
	if err := l.Forget(ctx, SecondFactor, "u", "totp"); err != nil {
		t.Fatal(err)
	}
	if err := l.Try(ctx, SecondFactor, "u", "totp"); err != nil {
		t.Fatalf("after re-binding: %v", err)
	}
}

func TestRollingCapHoldsAcrossSuccesses(t *testing.T) {
	l, c, _ := newLimiter()
	ctx := t.Context()
	failures := 0
	for failures < SecondFactor.RollingCap {
		for range 4 { // a few wrong, one right, again and again
			if err := l.Try(ctx, SecondFactor, "u"); err != nil {
				if errors.Is(err, ErrCapped) && failures >= SecondFactor.RollingCap {
					return
				}
				t.Fatalf("after %d failures: %v", failures, err)
			}
			if failures++; failures == SecondFactor.RollingCap {
				break
			}
		}
		if failures == SecondFactor.RollingCap {
			break
		}
		c.Time = c.Add(time.Minute)
		if err := l.Try(ctx, SecondFactor, "u"); err != nil {
			t.Fatal(err)
		}
		if err := l.Succeeded(ctx, SecondFactor, "u"); err != nil {
			t.Fatal(err)
		}
	}
	c.Time = c.Add(time.Hour)
	if err := l.Try(ctx, SecondFactor, "u"); !errors.Is(err, ErrCapped) {
		t.Fatalf("after %d failures in the window: %v", failures, err)
	}
	c.Time = c.Add(SecondFactor.Window)
	if err := l.Try(ctx, SecondFactor, "u"); err != nil {
		t.Fatalf("in the next window: %v", err)
	}
}

func TestTakeBackLeavesEarlierFailuresStanding(t *testing.T) {
	l, _, _ := newLimiter()
	ctx := t.Context()
	r := Rule{Name: "r", Free: 3, Delay: time.Hour, Longest: time.Hour}
	for range 2 {
		if err := l.Try(ctx, r, "net"); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 { // an attacker signs in to their own account in between
		if err := l.Try(ctx, r, "net"); err != nil {
			t.Fatal(err)
		}
		if err := l.TakeBack(ctx, r, "net"); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Try(ctx, r, "net"); err != nil {
		t.Fatal(err)
	}
	var wait *Wait
	if err := l.Try(ctx, r, "net"); !errors.As(err, &wait) {
		t.Fatalf("two failures and one more: %v", err)
	}
}

func TestForgetAfterAQuietTime(t *testing.T) {
	l, c, _ := newLimiter()
	r := Rule{Name: "r", Free: 1, Delay: time.Minute, Longest: time.Minute, Forget: time.Hour}
	if err := l.Try(t.Context(), r, "x"); err != nil {
		t.Fatal(err)
	}
	c.Time = c.Add(time.Hour + time.Second)
	if err := l.Try(t.Context(), r, "x"); err != nil {
		t.Fatal(err)
	}
}

func TestZeroRuleDelaysFromTheFirstFailure(t *testing.T) {
	l, c, _ := newLimiter()
	_ = l.Try(t.Context(), Rule{Delay: time.Hour, Longest: time.Hour}, "x")
	var wait *Wait
	if err := l.Try(t.Context(), Rule{Delay: time.Hour, Longest: time.Hour}, "x"); !errors.As(err, &wait) {
		t.Fatal("a rule without free tries let a second one pass", c, err)
	}
}

func TestNetworkOf(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7":            "192.0.2.7",
		"::ffff:192.0.2.7":     "192.0.2.7",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2::1":      "2001:db8:1:2::/64",
		"fe80::1%eth0":         "fe80::/64",
		"":                     `unreadable:""`,
	} {
		if got := NetworkOf(in); got != want {
			t.Errorf("NetworkOf(%q) = %q, want %q", in, got, want)
		}
	}
}
