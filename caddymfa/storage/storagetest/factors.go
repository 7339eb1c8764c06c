package storagetest

import (
	"strconv"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func factorID(f storage.Factor) string { return f.ID }

var factorChecks = []check{
	{"what was created is read back with version 1", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		want := storage.Factor{
			ID: "f1", User: "u1", Kind: mfa.WebAuthn, Name: "Key", State: []byte{0, 1, 2, 255},
			Disabled: true, Created: now, Used: now.Add(time.Second), Version: 5,
		}
		must(t, s.CreateFactor(t.Context(), want, 1))
		want.Version = 1
		same(t, value(s.Factor(t.Context(), "f1"))(t), want)
	}},
	{"one that is not there is not found", func(t *testing.T, s storage.Storage) {
		_, err := s.Factor(t.Context(), "f1")
		refuses(t, err, storage.ErrNotFound)
		_, err = s.UpdateFactor(t.Context(), "f1", func(*storage.Factor) error { return nil })
		refuses(t, err, storage.ErrNotFound)
	}},
	{"the user must be there", func(t *testing.T, s storage.Storage) {
		refuses(t, s.CreateFactor(t.Context(), storage.Factor{ID: "f1", User: "u1", Kind: mfa.TOTP, Created: now}, 9), storage.ErrNotFound)
	}},
	{"without a kind there is no factor", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		if s.CreateFactor(t.Context(), storage.Factor{ID: "f1", User: "u1", Created: now}, 9) == nil {
			t.Error("a factor without a kind was created")
		}
	}},
	{"an id is taken once", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		user(t, s, "u2")
		want := factor(t, s, "u1", "f1", now)
		refuses(t, s.CreateFactor(t.Context(), storage.Factor{ID: "f1", User: "u2", Kind: mfa.TOTP, Created: now}, 9), storage.ErrExists)
		same(t, value(s.Factor(t.Context(), "f1"))(t), want)
	}},
	{"a person has at most so many", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		user(t, s, "u2")
		next := func(id, user string) storage.Factor {
			return storage.Factor{ID: id, User: user, Kind: mfa.TOTP, Created: now}
		}
		must(t, s.CreateFactor(t.Context(), next("f1", "u1"), 2))
		must(t, s.CreateFactor(t.Context(), next("f2", "u1"), 2))
		refuses(t, s.CreateFactor(t.Context(), next("f3", "u1"), 2), storage.ErrConflict)
		must(t, s.CreateFactor(t.Context(), next("f4", "u2"), 2))
		same(t, ids(value(s.FactorsOf(t.Context(), "u1"))(t), factorID), []string{"f1", "f2"})
	}},
	{"at most so many also when all come at once", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		oneWins(t, race(rivals, func(i int) error {
			return s.CreateFactor(t.Context(), storage.Factor{ID: "f" + strconv.Itoa(i), User: "u1", Kind: mfa.TOTP, Created: now}, 1)
		}), storage.ErrConflict)
		same(t, len(value(s.FactorsOf(t.Context(), "u1"))(t)), 1)
	}},
	{"a person's list is oldest first, and theirs alone", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		user(t, s, "u2")
		factor(t, s, "u1", "a", now.Add(2*time.Second))
		factor(t, s, "u1", "b", now)
		factor(t, s, "u1", "c", now.Add(time.Second))
		factor(t, s, "u2", "d", now)
		same(t, ids(value(s.FactorsOf(t.Context(), "u1"))(t), factorID), []string{"b", "c", "a"})
	}},
	{"an update changes name, state, disabled and used, and nothing else", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		user(t, s, "u2")
		want := factor(t, s, "u1", "f1", now)
		got, err := s.UpdateFactor(t.Context(), "f1", func(f *storage.Factor) error {
			same(t, *f, want)
			f.Name, f.State, f.Disabled, f.Used = "Tablet", []byte("next"), true, now.Add(time.Minute)
			f.ID, f.User, f.Kind, f.Created, f.Version = "other", "u2", mfa.WebAuthn, time.Time{}, 99
			return nil
		})
		must(t, err)
		want.Name, want.State, want.Disabled, want.Used, want.Version = "Tablet", []byte("next"), true, now.Add(time.Minute), 2
		same(t, got, want)
		same(t, value(s.Factor(t.Context(), "f1"))(t), want)
	}},
	{"an update that change refuses writes nothing", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		want := factor(t, s, "u1", "f1", now)
		_, err := s.UpdateFactor(t.Context(), "f1", func(f *storage.Factor) error {
			f.State[0] = 'X'
			f.Used = now
			return errChange
		})
		refuses(t, err, errChange)
		same(t, value(s.Factor(t.Context(), "f1"))(t), want)
	}},
	{"of many answers with one code one is accepted", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		factor(t, s, "u1", "f1", now)
		oneWins(t, race(rivals, func(int) error {
			_, err := s.UpdateFactor(t.Context(), "f1", func(f *storage.Factor) error {
				if string(f.State) == "step 42 spent" {
					return errChange
				}
				f.State = []byte("step 42 spent")
				return nil
			})
			return err
		}), errChange)
		same(t, value(s.Factor(t.Context(), "f1"))(t).Version, int64(2))
	}},
	{"only its owner's can be removed, once", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		user(t, s, "u2")
		factor(t, s, "u1", "f1", now)
		refuses(t, s.RemoveFactor(t.Context(), "u2", "f1"), storage.ErrNotFound)
		must(t, s.RemoveFactor(t.Context(), "u1", "f1"))
		refuses(t, s.RemoveFactor(t.Context(), "u1", "f1"), storage.ErrNotFound)
		_, err := s.Factor(t.Context(), "f1")
		refuses(t, err, storage.ErrNotFound)
	}},
	{"all of a person's go with their recovery codes", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		user(t, s, "u2")
		for _, id := range []string{"f1", "f2"} {
			factor(t, s, "u1", id, now)
		}
		codes(t, s, "u1", "a", "b", "c")
		kept := factor(t, s, "u2", "f3", now)
		keptCodes := codes(t, s, "u2", "d")
		same(t, value(s.RemoveFactorsOf(t.Context(), "u1"))(t), 2)
		same(t, value(s.RemoveFactorsOf(t.Context(), "u1"))(t), 0)
		same(t, len(value(s.FactorsOf(t.Context(), "u1"))(t)), 0)
		same(t, len(value(s.RecoveryCodesOf(t.Context(), "u1"))(t)), 0)
		same(t, value(s.FactorsOf(t.Context(), "u2"))(t), []storage.Factor{kept})
		same(t, value(s.RecoveryCodesOf(t.Context(), "u2"))(t), keptCodes)
	}},
}

// codes gives a user a set of recovery codes, in the order of their ids.
func codes(t *testing.T, s storage.Storage, user string, names ...string) []storage.RecoveryCode {
	t.Helper()
	var set []storage.RecoveryCode
	for _, id := range names {
		set = append(set, storage.RecoveryCode{ID: id, User: user, Salt: []byte("salt of " + user), Hash: []byte("hash of " + id)})
	}
	must(t, s.ReplaceRecoveryCodes(t.Context(), user, set))
	return set
}

func codeID(c storage.RecoveryCode) string { return c.ID }

var recoveryChecks = []check{
	{"a set is read back, and is one person's alone", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		user(t, s, "u2")
		want := codes(t, s, "u1", "a", "b")
		codes(t, s, "u2", "c")
		same(t, value(s.RecoveryCodesOf(t.Context(), "u1"))(t), want)
	}},
	{"a new set voids the old one", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		codes(t, s, "u1", "a", "b")
		want := codes(t, s, "u1", "c")
		same(t, value(s.RecoveryCodesOf(t.Context(), "u1"))(t), want)
		refuses(t, s.UseRecoveryCode(t.Context(), "u1", "a", now), storage.ErrSpent)
		codes(t, s, "u1")
		same(t, len(value(s.RecoveryCodesOf(t.Context(), "u1"))(t)), 0)
	}},
	{"a set that cannot be stored leaves the old one", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		want := codes(t, s, "u1", "a", "b")
		err := s.ReplaceRecoveryCodes(t.Context(), "u1", []storage.RecoveryCode{{ID: "c", User: "u1"}, {ID: "c", User: "u1"}})
		refuses(t, err, storage.ErrExists)
		same(t, value(s.RecoveryCodesOf(t.Context(), "u1"))(t), want)
	}},
	{"of many sets stored at once one stays", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		for _, err := range race(rivals, func(i int) error {
			n := strconv.Itoa(i)
			return s.ReplaceRecoveryCodes(t.Context(), "u1", []storage.RecoveryCode{{ID: n + "a", User: "u1"}, {ID: n + "b", User: "u1"}})
		}) {
			must(t, err)
		}
		left := ids(value(s.RecoveryCodesOf(t.Context(), "u1"))(t), codeID)
		if len(left) != 2 || left[0][:len(left[0])-1] != left[1][:len(left[1])-1] {
			t.Errorf("expected the two codes of one set, got %q", left)
		}
	}},
	{"a code is good once", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		want := codes(t, s, "u1", "a", "b")
		must(t, s.UseRecoveryCode(t.Context(), "u1", "a", now))
		refuses(t, s.UseRecoveryCode(t.Context(), "u1", "a", now.Add(time.Hour)), storage.ErrSpent)
		want[0].Used = now
		same(t, value(s.RecoveryCodesOf(t.Context(), "u1"))(t), want)
	}},
	{"of many who use one code one succeeds", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		codes(t, s, "u1", "a")
		oneWins(t, race(rivals, func(int) error { return s.UseRecoveryCode(t.Context(), "u1", "a", now) }), storage.ErrSpent)
	}},
	{"nobody uses another's code, or one that never was", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		user(t, s, "u2")
		want := codes(t, s, "u1", "a")
		refuses(t, s.UseRecoveryCode(t.Context(), "u2", "a", now), storage.ErrSpent)
		refuses(t, s.UseRecoveryCode(t.Context(), "u1", "z", now), storage.ErrSpent)
		same(t, value(s.RecoveryCodesOf(t.Context(), "u1"))(t), want)
	}},
	{"a code used at no time would stay good, and is refused", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		codes(t, s, "u1", "a")
		if s.UseRecoveryCode(t.Context(), "u1", "a", time.Time{}) == nil {
			t.Error("a code was accepted without being spent")
		}
	}},
}
