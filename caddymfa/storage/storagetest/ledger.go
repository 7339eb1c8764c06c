package storagetest

import (
	"strconv"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// attempt reads a counter by an update that changes nothing.
func attempt(t *testing.T, s storage.Storage, key string) storage.Attempt {
	t.Helper()
	var seen storage.Attempt
	refuses(t, s.UpdateAttempt(t.Context(), key, func(a *storage.Attempt) error {
		seen = *a
		return errChange
	}), errChange)
	return seen
}

var attemptChecks = []check{
	{"a counter begins at zero, with its key", func(t *testing.T, s storage.Storage) {
		same(t, attempt(t, s, "k"), storage.Attempt{Key: "k"})
	}},
	{"what was written is read next time", func(t *testing.T, s storage.Storage) {
		want := storage.Attempt{Key: "k", Consecutive: 3, Window: now, Rolling: 7, Last: now.Add(time.Second), Blocked: now.Add(time.Minute)}
		must(t, s.UpdateAttempt(t.Context(), "k", func(a *storage.Attempt) error {
			*a = want
			a.Key = "other"
			return nil
		}))
		same(t, attempt(t, s, "k"), want)
		same(t, attempt(t, s, "other"), storage.Attempt{Key: "other"})
	}},
	{"an error from change is returned as it is, and nothing written", func(t *testing.T, s storage.Storage) {
		err := s.UpdateAttempt(t.Context(), "k", func(a *storage.Attempt) error {
			a.Consecutive = 9
			return errChange
		})
		if err != errChange {
			t.Errorf("expected the very error of change, got %v", err)
		}
		same(t, attempt(t, s, "k"), storage.Attempt{Key: "k"})
	}},
	{"no try goes uncounted", func(t *testing.T, s storage.Storage) {
		for _, err := range race(rivals, func(int) error {
			return s.UpdateAttempt(t.Context(), "k", func(a *storage.Attempt) error {
				a.Consecutive++
				a.Rolling += 2
				return nil
			})
		}) {
			must(t, err)
		}
		same(t, attempt(t, s, "k"), storage.Attempt{Key: "k", Consecutive: rivals, Rolling: 2 * rivals})
	}},
	{"a sweep takes no counter that is touched meanwhile", func(t *testing.T, s storage.Storage) {
		for i := range rivals {
			must(t, s.UpdateAttempt(t.Context(), strconv.Itoa(i), func(a *storage.Attempt) error {
				a.Consecutive, a.Last = 1, now.Add(-time.Hour)
				return nil
			}))
		}
		for _, err := range race(2*rivals, func(i int) error {
			if i%2 == 1 {
				_, err := s.SweepAttempts(t.Context(), now, 2)
				return err
			}
			return s.UpdateAttempt(t.Context(), strconv.Itoa(i/2), func(a *storage.Attempt) error {
				a.Consecutive, a.Last = a.Consecutive+1, now
				return nil
			})
		}) {
			must(t, err)
		}
		for i := range rivals {
			if a := attempt(t, s, strconv.Itoa(i)); a.Consecutive == 0 || !a.Last.Equal(now) {
				t.Errorf("a try was forgotten: %+v", a)
			}
		}
	}},
	{"a sweep takes what was last touched before, up to its limit", func(t *testing.T, s storage.Storage) {
		touch := func(key string, at time.Time) {
			must(t, s.UpdateAttempt(t.Context(), key, func(a *storage.Attempt) error {
				a.Consecutive, a.Last = 1, at
				return nil
			}))
		}
		for i := range 3 {
			touch(strconv.Itoa(i), now.Add(-time.Second))
		}
		touch("new", now)
		same(t, value(s.SweepAttempts(t.Context(), now, 0))(t), 0)
		same(t, value(s.SweepAttempts(t.Context(), now, 2))(t), 2)
		same(t, value(s.SweepAttempts(t.Context(), now, 2))(t), 1)
		same(t, value(s.SweepAttempts(t.Context(), now, 2))(t), 0)
		same(t, attempt(t, s, "new").Consecutive, 1)
	}},
}

func newKey(id string, created time.Time) storage.Key {
	return storage.Key{ID: id, Purpose: "session", Algorithm: "ES256", Public: []byte("public " + id), Private: []byte("sealed " + id), Created: created}
}

var keyChecks = []check{
	{"the first key is read back, for its purpose alone", func(t *testing.T, s storage.Storage) {
		want := newKey("k1", now)
		must(t, s.RotateKey(t.Context(), "", want))
		same(t, value(s.KeysFor(t.Context(), "session"))(t), []storage.Key{want})
		same(t, len(value(s.KeysFor(t.Context(), "assertion"))(t)), 0)
		other := newKey("k2", now)
		other.Purpose = "assertion"
		must(t, s.RotateKey(t.Context(), "", other))
	}},
	{"a rotation retires the old key, and the list is newest first", func(t *testing.T, s storage.Storage) {
		old, next := newKey("k1", now), newKey("k2", now.Add(time.Hour))
		must(t, s.RotateKey(t.Context(), "", old))
		must(t, s.RotateKey(t.Context(), "k1", next))
		got := value(s.KeysFor(t.Context(), "session"))(t)
		if len(got) != 2 || got[1].Retired.IsZero() {
			t.Fatalf("expected a signing key and a retired one, got %+v", got)
		}
		old.Retired = got[1].Retired
		same(t, got, []storage.Key{next, old})
	}},
	{"whoever is late is told so", func(t *testing.T, s storage.Storage) {
		must(t, s.RotateKey(t.Context(), "", newKey("k1", now)))
		refuses(t, s.RotateKey(t.Context(), "", newKey("k2", now)), storage.ErrConflict)
		refuses(t, s.RotateKey(t.Context(), "k0", newKey("k2", now)), storage.ErrConflict)
		must(t, s.RotateKey(t.Context(), "k1", newKey("k2", now)))
		refuses(t, s.RotateKey(t.Context(), "k1", newKey("k3", now)), storage.ErrConflict)
	}},
	{"one purpose's rotation cannot retire another's key", func(t *testing.T, s storage.Storage) {
		want := newKey("k1", now)
		must(t, s.RotateKey(t.Context(), "", want))
		other := newKey("k2", now)
		other.Purpose = "assertion"
		refuses(t, s.RotateKey(t.Context(), "k1", other), storage.ErrConflict)
		same(t, value(s.KeysFor(t.Context(), "session"))(t), []storage.Key{want})
	}},
	{"of many first keys one signs", func(t *testing.T, s storage.Storage) {
		oneWins(t, race(rivals, func(i int) error {
			return s.RotateKey(t.Context(), "", newKey("k"+strconv.Itoa(i), now))
		}), storage.ErrConflict)
		same(t, len(value(s.KeysFor(t.Context(), "session"))(t)), 1)
	}},
	{"of many rotations one succeeds", func(t *testing.T, s storage.Storage) {
		must(t, s.RotateKey(t.Context(), "", newKey("k", now)))
		oneWins(t, race(rivals, func(i int) error {
			return s.RotateKey(t.Context(), "k", newKey("k"+strconv.Itoa(i), now))
		}), storage.ErrConflict)
		same(t, len(value(s.KeysFor(t.Context(), "session"))(t)), 2)
	}},
	{"only a retired key can be removed", func(t *testing.T, s storage.Storage) {
		must(t, s.RotateKey(t.Context(), "", newKey("k1", now)))
		refuses(t, s.RemoveKey(t.Context(), "k1"), storage.ErrNotFound)
		must(t, s.RotateKey(t.Context(), "k1", newKey("k2", now)))
		must(t, s.RemoveKey(t.Context(), "k1"))
		refuses(t, s.RemoveKey(t.Context(), "k1"), storage.ErrNotFound)
		same(t, value(s.KeysFor(t.Context(), "session"))(t), []storage.Key{newKey("k2", now)})
	}},
}
