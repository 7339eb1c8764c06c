// Package testkit is what the tests of the services share: a real store with
// what stands around it, and a clock that only the test moves.
package testkit

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/audit"
	"github.com/caddymfa/gateway/caddymfa/internal/facts"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/seal"
	"github.com/caddymfa/gateway/caddymfa/storage"
	"github.com/caddymfa/gateway/caddymfa/storage/sqlite/sqlitetest"
)

// Start is when every clock begins.
var Start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Clock stands still until it is moved.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock returns a clock that stands at Start.
func NewClock() *Clock { return &Clock{at: Start} }

// Now is what the clock says.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Pass moves the clock.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// Master makes a master key.
func Master() []byte {
	master := make([]byte, seal.KeySize)
	rand.Read(master)
	return master
}

// Box makes a box with these master keys, or with a new one.
func Box(t testing.TB, masters ...[]byte) *seal.Box {
	t.Helper()
	if len(masters) == 0 {
		masters = [][]byte{Master()}
	}
	box, err := seal.New(masters...)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

// Kit is what services are made of.
type Kit struct {
	*Clock
	Store   storage.Storage
	Path    string // of the store's database
	Box     *seal.Box
	Facts   *facts.Source
	Limiter *limit.Limiter
	t       testing.TB
}

// New makes an empty kit, which is taken apart when the test ends.
func New(t testing.TB) *Kit {
	t.Helper()
	k := &Kit{Clock: NewClock(), Path: filepath.Join(t.TempDir(), "mfa.db"), Box: Box(t), t: t}
	k.Store = sqlitetest.At(t, k.Path)
	source, err := facts.New(k.Store, 1000)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(source.Close)
	k.Facts = source
	k.Limiter = &limit.Limiter{Store: k.Store, Now: k.Now, MAC: k.Box.MAC}
	return k
}

// Record writes a row of the store's audit.
func (k *Kit) Record(ctx context.Context, e storage.Event) {
	k.t.Helper()
	if _, err := (audit.Log{Store: k.Store, Box: k.Box}).Append(ctx, e); err != nil {
		k.t.Error(err)
	}
}

// Must ends the test on an error.
func (k *Kit) Must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

// Hasher stands for the password hashes, whose cost is not what the test is
// about.
type Hasher struct {
	Busy func() // when set, is called whenever something is computed
}

// Hashed is the hash of a password.
func Hashed(password string) string { return "hash of " + password }

// Compare implements login.Hasher.
func (h *Hasher) Compare(hash, password []byte) (bool, error) {
	h.work()
	return string(hash) == Hashed(string(password)), nil
}

// Hash implements login.Hasher.
func (h *Hasher) Hash(password []byte) ([]byte, error) {
	h.work()
	return []byte(Hashed(string(password))), nil
}

// FakeHash implements login.Hasher.
func (h *Hasher) FakeHash() []byte { return []byte("nobody's") }

func (h *Hasher) work() {
	if h.Busy != nil {
		h.Busy()
	}
}
