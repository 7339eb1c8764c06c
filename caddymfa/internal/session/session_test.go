package session

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/testkit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// world is a store, a clock and a manager over them.
type world struct {
	store storage.Storage
	keys  *Keyring
	*Manager
	clock *testkit.Clock
}

func (w *world) now() time.Time       { return w.clock.Now() }
func (w *world) pass(d time.Duration) { w.clock.Pass(d) }

func newWorld(t *testing.T, algorithm string) *world {
	t.Helper()
	k := testkit.New(t)
	w := &world{store: k.Store, clock: k.Clock}
	var err error
	w.keys = &Keyring{Store: k.Store, Box: k.Box, Now: w.now, Algorithm: algorithm}
	if w.Manager, err = NewManager(k.Store, w.keys, w.now, Limits{}, "caddymfa", 1000); err != nil {
		t.Fatal(err)
	}
	return w
}

// signIn makes a user with a session, and returns both.
func (w *world) signIn(t *testing.T) storage.Session {
	t.Helper()
	ctx := context.Background()
	u := storage.User{ID: NewID(), Email: NewID() + "@acme.example", Created: w.now()}
	if err := w.store.CreateUser(ctx, u); err != nil {
		t.Fatal(err)
	}
	s := storage.Session{
		ID: NewID(), User: u.ID, Proof: mfa.Proof{User: u.ID, First: w.now(), FirstBy: "password"},
		Created: w.now(), Seen: w.now(), Expires: w.now().Add(w.Limits.Absolute),
	}
	if err := w.store.CreateSession(ctx, s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) token(t *testing.T, s storage.Session) string {
	t.Helper()
	token, err := w.Token(t.Context(), &s, "portal.example")
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokenNamesItsSession(t *testing.T) {
	for _, algorithm := range []string{"", "ES256", "EdDSA"} {
		w := newWorld(t, algorithm)
		s := w.signIn(t)
		token := w.token(t, s)
		if len(token) > 400 {
			t.Errorf("the token has %d bytes, want at most 400", len(token))
		}
		c, due, err := w.Read(t.Context(), token, "portal.example")
		if err != nil || due || c.Session != s.ID || c.User != s.User {
			t.Fatalf("Read = %+v, %v, %v", c, due, err)
		}
		if _, _, err := w.Read(t.Context(), token, "other.example"); !errors.Is(err, ErrToken) {
			t.Errorf("read for another site: %v", err)
		}
		if again := w.token(t, s); again != token {
			t.Error("signed again within its life")
		}
	}
}

func TestDueTokenIsRenewedFromTheRow(t *testing.T) {
	w := newWorld(t, "")
	s := w.signIn(t)
	token := w.token(t, s)
	w.pass(w.Limits.Token)
	c, due, err := w.Read(t.Context(), token, "portal.example")
	if err != nil || !due {
		t.Fatalf("Read = %v, %v; want due", due, err)
	}
	renewed := make([]string, 50)
	var wg sync.WaitGroup
	for i := range renewed {
		wg.Go(func() {
			var err error
			if renewed[i], err = w.Renew(context.Background(), c); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, r := range renewed {
		if r != renewed[0] || r == token {
			t.Fatal("parallel renewals gave different tokens, or the former one")
		}
	}
	row, err := w.store.Session(t.Context(), s.ID)
	if err != nil || !row.Seen.Equal(w.now()) || row.Version != 2 {
		t.Errorf("the row was seen at %v in version %d, %v; want one write", row.Seen, row.Version, err)
	}
	if _, due, err := w.Read(t.Context(), renewed[0], "portal.example"); err != nil || due {
		t.Errorf("the new token: %v, %v", due, err)
	}
}

func TestSessionEnds(t *testing.T) {
	cases := map[string]func(t *testing.T, w *world, s storage.Session){
		"idle": func(t *testing.T, w *world, s storage.Session) { w.pass(w.Limits.Idle) },
		"absolute": func(t *testing.T, w *world, s storage.Session) {
			for w.now().Before(s.Expires) {
				w.pass(w.Limits.Idle / 2)
				if w.now().Before(s.Expires) {
					if _, err := w.Renew(t.Context(), &Claims{Session: s.ID, User: s.User, Audience: "portal.example"}); err != nil {
						t.Fatalf("a busy session ended early: %v", err)
					}
				}
			}
		},
		"revoked": func(t *testing.T, w *world, s storage.Session) {
			w.pass(w.Limits.Token)
			if err := w.store.RevokeSession(t.Context(), s.User, s.ID, w.now()); err != nil {
				t.Fatal(err)
			}
		},
		"swept": func(t *testing.T, w *world, s storage.Session) {
			w.pass(w.Limits.Absolute + time.Hour)
			if _, err := w.store.SweepSessions(t.Context(), w.now(), 10); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, end := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			s := w.signIn(t)
			end(t, w, s)
			if _, err := w.Renew(t.Context(), &Claims{Session: s.ID, User: s.User, Audience: "portal.example"}); !errors.Is(err, ErrToken) {
				t.Errorf("renewed: %v", err)
			}
		})
	}
}

func TestRenewalRefusesAnothersSession(t *testing.T) {
	w := newWorld(t, "")
	s, other := w.signIn(t), w.signIn(t)
	w.pass(w.Limits.Token)
	if _, err := w.Renew(t.Context(), &Claims{Session: s.ID, User: other.User, Audience: "portal.example"}); !errors.Is(err, ErrToken) {
		t.Errorf("renewed another's session: %v", err)
	}
}

func TestRotatedKeyStillVerifiesAndThenGoes(t *testing.T) {
	w := newWorld(t, "")
	s := w.signIn(t)
	token := w.token(t, s)
	if err := w.keys.Rotate(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	set, err := w.keys.JWKS(t.Context())
	if err != nil || len(set.Keys) != 4 {
		t.Fatalf("JWKS has %d keys, %v; want two for each purpose", len(set.Keys), err)
	}
	if _, err := w.keys.verify(t.Context(), token); err != nil {
		t.Errorf("a token of the retired key: %v", err)
	}
	w.pass(24 * time.Hour)
	if err := w.keys.Rotate(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if _, err := w.keys.verify(t.Context(), token); err != nil {
		t.Errorf("a day after: %v", err)
	}
	w.pass(retiredLife)
	if err := w.keys.Rotate(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if set, _ := w.keys.JWKS(t.Context()); len(set.Keys) != 2 {
		t.Errorf("JWKS has %d keys, want the retired ones gone", len(set.Keys))
	}
	w.pass(keyLife)
	if err := w.keys.Rotate(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if set, _ := w.keys.JWKS(t.Context()); len(set.Keys) != 4 {
		t.Errorf("JWKS has %d keys, want new ones after %s", len(set.Keys), keyLife)
	}
}

func TestTwoNodesAgreeOnTheFirstKey(t *testing.T) {
	w := newWorld(t, "")
	rings := make([]*Keyring, 8)
	tokens := make([]string, len(rings))
	var wg sync.WaitGroup
	for i := range rings {
		rings[i] = &Keyring{Store: w.store, Box: w.keys.Box, Now: w.now}
		wg.Go(func() {
			var err error
			claims := Claims{Issuer: "i", Audience: "a", User: "u", Session: "s", Issued: 1, Expires: 2}
			if tokens[i], err = rings[i].sign(context.Background(), ForSession, sessionType, claims); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, ring := range rings {
		for _, token := range tokens {
			if _, err := ring.verify(t.Context(), token); err != nil {
				t.Fatalf("one node's token on another: %v", err)
			}
		}
	}
}

// TestANewKeyWaitsUntilEveryNodeKnowsIt: between its making and the moment when
// other nodes have heard of it, nobody gets a token that those would refuse.
func TestANewKeyWaitsUntilEveryNodeKnowsIt(t *testing.T) {
	w := newWorld(t, "ES256")
	first, err := w.keys.signer(t.Context(), ForSession)
	if err != nil {
		t.Fatal(err)
	}
	w.pass(time.Hour)
	if err := w.keys.Rotate(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		pass time.Duration
		same bool
	}{{0, true}, {settle - 1, true}, {1, false}} {
		w.pass(step.pass)
		key, err := w.keys.signer(t.Context(), ForSession)
		if err != nil || (key.id == first.id) != step.same {
			t.Fatalf("%v later %v signs, %v; want the first one: %v", step.pass, key, err, step.same)
		}
	}
}

// TestANodeLooksForAKeyThatItMissed: a token of a key made elsewhere is good here
// although nothing was told, and strangers who make up keys cost one look-up a
// second.
func TestANodeLooksForAKeyThatItMissed(t *testing.T) {
	w := newWorld(t, "ES256")
	there := &Keyring{Store: w.store, Box: w.keys.Box, Now: w.now}
	if _, err := there.all(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.keys.Rotate(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	w.pass(settle)
	s := w.signIn(t)
	token, err := w.Token(t.Context(), &s, "localhost")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := there.verify(t.Context(), token); err != nil {
		t.Errorf("the other node refuses: %v", err)
	}

	counted := &countingKeys{Keys: w.store}
	there.Store = counted
	for range 100 {
		if key, err := there.named(t.Context(), "AAAAAAAA"); key != nil || err != nil {
			t.Fatal(key, err)
		}
	}
	if counted.reads != 0 {
		t.Errorf("asked storage %d times within the second in which it had looked already", counted.reads)
	}
	w.pass(lookAgain)
	for range 100 {
		there.named(t.Context(), "AAAAAAAA")
		there.named(t.Context(), "too long to be one of ours")
	}
	if counted.reads != 2 {
		t.Errorf("asked storage %d times in a second, want once for each purpose", counted.reads)
	}
}

// countingKeys counts how often keys are read.
type countingKeys struct {
	storage.Keys
	reads int
}

func (c *countingKeys) KeysFor(ctx context.Context, purpose string) ([]storage.Key, error) {
	c.reads++
	return c.Keys.KeysFor(ctx, purpose)
}

func TestKeysAreListed(t *testing.T) {
	w := newWorld(t, "EdDSA")
	if _, err := w.keys.all(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Hour)
	if err := w.keys.Rotate(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	list, err := w.keys.List(t.Context())
	if err != nil || len(list) != 4 {
		t.Fatalf("%d keys, %v; want two for each purpose", len(list), err)
	}
	for i, k := range list {
		if newer := i < 2; k.Retired.IsZero() != newer || k.Created.Equal(w.now()) != newer || k.Algorithm != "EdDSA" || k.ID == "" {
			t.Errorf("key %d of the list: %+v", i, k)
		}
	}
}

func TestNoIDIsAnOption(t *testing.T) {
	for range 2000 {
		if id := NewID(); len(id) != 22 || id[0] == '-' {
			t.Fatalf("got the id %q", id)
		}
	}
}
