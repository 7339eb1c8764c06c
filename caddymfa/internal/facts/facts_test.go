package facts

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
	"github.com/caddymfa/gateway/caddymfa/storage/sqlite/sqlitetest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// spy counts what storage is asked, can be slow, and can lose its feed.
type spy struct {
	storage.Storage
	mu     sync.Mutex
	asked  int
	dead   bool
	lag    time.Duration
	broken error
	loaded func() // called after a row was read and before it is returned
}

func (s *spy) Live() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.dead
}

func (s *spy) Lag() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lag
}

// goes sets how storage fares from now on.
func (s *spy) goes(dead bool, lag time.Duration, broken error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead, s.lag, s.broken = dead, lag, broken
}

func (s *spy) Account(ctx context.Context, id string) (storage.Account, error) {
	s.mu.Lock()
	s.asked++
	loaded, broken := s.loaded, s.broken
	s.mu.Unlock()
	if broken != nil {
		return storage.Account{}, broken
	}
	a, err := s.Storage.Account(ctx, id)
	if loaded != nil {
		loaded()
	}
	return a, err
}

func (s *spy) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// world has account "acme" with user "u" in it, and a session of theirs.
func world(t *testing.T) (*Source, *spy, *storage.Session) {
	t.Helper()
	ctx := t.Context()
	store := sqlitetest.New(t)
	sess := storage.Session{ID: "s", User: "u", Account: "acme", Created: noon, Seen: noon, Expires: noon.Add(time.Hour),
		Proof: mfa.Proof{User: "u", First: noon, FirstBy: "password"}}
	for _, err := range []error{
		store.CreateAccount(ctx, storage.Account{ID: "acme", Name: "Acme", Policy: mfa.Optional, Created: noon}),
		store.CreateUser(ctx, storage.User{ID: "u", Email: "u@acme.example", Created: noon}),
		store.PutMembership(ctx, storage.Membership{Account: "acme", User: "u", Role: mfa.RoleMember, State: mfa.Joined, Created: noon}),
		store.CreateSession(ctx, sess),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s := &spy{Storage: store}
	source, err := New(s, 100)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(source.Close)
	return source, s, &sess
}

func decide(t *testing.T, s *Source, sess *storage.Session) mfa.Decision {
	t.Helper()
	g, err := s.Gather(t.Context(), sess, "acme", mfa.Route{}, noon)
	if err != nil {
		t.Fatal(err)
	}
	return mfa.Decide(g.Facts)
}

// TestEveryWriteIsInForceAtOnce writes each kind of fact after it was
// remembered.
func TestEveryWriteIsInForceAtOnce(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(ctx context.Context, s storage.Storage) error
		want  mfa.Reason
	}{
		{"policy", func(ctx context.Context, s storage.Storage) error {
			_, err := s.UpdateAccount(ctx, "acme", func(a *storage.Account) error { a.Policy = mfa.Required; return nil })
			return err
		}, mfa.PolicyRequired},
		{"account disabled", func(ctx context.Context, s storage.Storage) error {
			_, err := s.UpdateAccount(ctx, "acme", func(a *storage.Account) error { a.Disabled = true; return nil })
			return err
		}, mfa.AccountDisabled},
		{"user disabled", func(ctx context.Context, s storage.Storage) error {
			_, err := s.UpdateUser(ctx, "u", func(u *storage.User) error { u.Disabled = true; return nil })
			return err
		}, mfa.UserDisabled},
		{"membership removed", func(ctx context.Context, s storage.Storage) error {
			return s.RemoveMembership(ctx, "acme", "u")
		}, mfa.NotMember},
		{"authenticator added", func(ctx context.Context, s storage.Storage) error {
			return s.CreateFactor(ctx, storage.Factor{ID: "f", User: "u", Kind: mfa.TOTP, State: []byte("x"), Created: noon}, 1)
		}, mfa.Enrolled},
		{"disabled authenticator added", func(ctx context.Context, s storage.Storage) error {
			return s.CreateFactor(ctx, storage.Factor{ID: "f", User: "u", Kind: mfa.TOTP, State: []byte("x"), Disabled: true, Created: noon}, 1)
		}, mfa.Enrolled},
		{"domain enforced", func(ctx context.Context, s storage.Storage) error {
			return errors.Join(
				s.PutProvider(ctx, storage.IdentityProvider{ID: "p", Account: "acme", Kind: "oidc", Settings: []byte("{}"), Trust: mfa.Precedence, Created: noon}),
				s.PutDomain(ctx, storage.Domain{Account: "acme", Name: "acme.example", Verified: true, Enforce: true, Provider: "p", Created: noon}))
		}, mfa.DomainEnforced},
	} {
		t.Run(c.name, func(t *testing.T) {
			source, store, sess := world(t)
			if d := decide(t, source, sess); d.Reason != mfa.PolicyOptional {
				t.Fatalf("before: %+v", d)
			}
			if err := c.write(t.Context(), store.Storage); err != nil {
				t.Fatal(err)
			}
			if d := decide(t, source, sess); d.Reason != c.want {
				t.Errorf("after: %+v, want %s", d, c.want)
			}
		})
	}
}

func TestRevokedSessionIsSeenAtOnce(t *testing.T) {
	source, store, sess := world(t)
	if row, err := source.Session(t.Context(), sess.ID); err != nil || !row.Revoked.IsZero() {
		t.Fatal(row, err)
	}
	if err := store.RevokeSession(t.Context(), "u", sess.ID, noon); err != nil {
		t.Fatal(err)
	}
	if row, err := source.Session(t.Context(), sess.ID); err != nil || row.Revoked.IsZero() {
		t.Errorf("served from memory: %+v, %v", row, err)
	}
}

// TestLoadUnderWayIsNotRemembered: a row read before a write and returned after
// it must not be served to those who ask after the write.
func TestLoadUnderWayIsNotRemembered(t *testing.T) {
	source, store, sess := world(t)
	var once sync.Once
	store.loaded = func() {
		once.Do(func() {
			_, err := store.UpdateAccount(context.Background(), "acme", func(a *storage.Account) error { a.Policy = mfa.Required; return nil })
			if err != nil {
				t.Error(err)
			}
		})
	}
	_ = decide(t, source, sess) // reads "optional", while "required" is being written
	if d := decide(t, source, sess); d.Reason != mfa.PolicyRequired {
		t.Errorf("a stale row was remembered: %+v", d)
	}
}

func TestSignedInPathAsksNoStorage(t *testing.T) {
	source, store, sess := world(t)
	_ = decide(t, source, sess)
	before := store.count()
	for range 100 {
		_ = decide(t, source, sess)
	}
	if n := store.count() - before; n != 0 {
		t.Errorf("asked storage %d times", n)
	}
	store.mu.Lock()
	store.dead = true
	store.mu.Unlock()
	for range 3 {
		_ = decide(t, source, sess)
	}
	if n := store.count() - before; n != 3 {
		t.Errorf("with the feed down storage was asked %d times, want every time", n)
	}
}

func TestStorageFailureIsAnErrorAndNotRemembered(t *testing.T) {
	source, store, sess := world(t)
	store.broken = errors.New("disk on fire")
	if _, err := source.Gather(t.Context(), sess, "acme", mfa.Route{}, noon); !errors.Is(err, store.broken) {
		t.Fatalf("%v", err)
	}
	store.broken = nil
	if d := decide(t, source, sess); d.Reason != mfa.PolicyOptional {
		t.Errorf("after it came back: %+v", d)
	}
}

// TestWhatDoesNotExistIsRefused: nobody learns which accounts exist.
func TestWhatDoesNotExistIsRefused(t *testing.T) {
	source, store, sess := world(t)
	if err := store.CreateAccount(t.Context(), storage.Account{ID: "bolt", Name: "Bolt", Policy: mfa.Optional, Created: noon}); err != nil {
		t.Fatal(err)
	}
	var got []mfa.Decision
	for _, account := range []string{"bolt", "nothing"} {
		g, err := source.Gather(t.Context(), sess, account, mfa.Route{}, noon)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, mfa.Decide(g.Facts))
	}
	if got[0] != got[1] || got[0].Reason != mfa.NotMember {
		t.Errorf("an account that is not theirs: %+v; one that does not exist: %+v", got[0], got[1])
	}
	gone := *sess
	gone.User = "gone"
	g, err := source.Gather(t.Context(), &gone, "acme", mfa.Route{}, noon)
	if err != nil || mfa.Decide(g.Facts).Verdict != mfa.SignIn {
		t.Errorf("a session whose user is gone: %+v, %v", mfa.Decide(g.Facts), err)
	}
}

func BenchmarkGather(b *testing.B) {
	ctx := context.Background()
	store := sqlitetest.New(b)
	if err := errors.Join(
		store.CreateAccount(ctx, storage.Account{ID: "acme", Name: "Acme", Policy: mfa.Optional, Created: noon}),
		store.CreateUser(ctx, storage.User{ID: "u", Email: "u@acme.example", Created: noon}),
		store.PutMembership(ctx, storage.Membership{Account: "acme", User: "u", Role: mfa.RoleMember, State: mfa.Joined, Created: noon}),
	); err != nil {
		b.Fatal(err)
	}
	source, err := New(store, 100)
	if err != nil {
		b.Fatal(err)
	}
	defer source.Close()
	sess := &storage.Session{ID: "s", User: "u", Account: "acme", Proof: mfa.Proof{User: "u", First: noon, FirstBy: "password"}}
	b.ReportAllocs()
	for b.Loop() {
		g, err := source.Gather(ctx, sess, "acme", mfa.Route{}, noon)
		if err != nil || mfa.Decide(g.Facts).Verdict != mfa.Allow {
			b.Fatal(err)
		}
	}
}

// meeting is a storage in which nobody is answered before three have asked.
type meeting struct {
	storage.Storage
	mu    sync.Mutex
	asked int
	all   chan struct{}
}

func (m *meeting) wait(ctx context.Context) error {
	m.mu.Lock()
	if m.asked++; m.asked == 3 {
		close(m.all)
	}
	m.mu.Unlock()
	select {
	case <-m.all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *meeting) User(ctx context.Context, id string) (storage.User, error) {
	if err := m.wait(ctx); err != nil {
		return storage.User{}, err
	}
	return m.Storage.User(ctx, id)
}

func (m *meeting) Account(ctx context.Context, id string) (storage.Account, error) {
	if err := m.wait(ctx); err != nil {
		return storage.Account{}, err
	}
	return m.Storage.Account(ctx, id)
}

func (m *meeting) MembershipsOf(ctx context.Context, user string) ([]storage.Membership, error) {
	if err := m.wait(ctx); err != nil {
		return nil, err
	}
	return m.Storage.MembershipsOf(ctx, user)
}

// TestOneWaitForAll: what is not remembered is read at once, so that storage that
// is far away is waited for once.
func TestOneWaitForAll(t *testing.T) {
	_, s, sess := world(t)
	source, err := New(&meeting{Storage: s, all: make(chan struct{})}, 100)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(source.Close)
	if d := decide(t, source, sess); d.Verdict != mfa.Allow {
		t.Errorf("decided %+v", d)
	}
}
