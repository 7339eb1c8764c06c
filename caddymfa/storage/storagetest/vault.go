package storagetest

import (
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

var vaultChecks = []check{
	{"one master key seals, and the others are kept", func(t *testing.T, s storage.Storage) {
		same(t, len(value(s.MasterKeys(t.Context()))(t)), 0)
		first := storage.MasterKey{ID: "k1", Secret: []byte{1}, Created: now}
		second := storage.MasterKey{ID: "k2", Secret: []byte{2}, Created: now.Add(time.Minute)}
		must(t, s.ReplaceMasterKey(t.Context(), "", first))
		refuses(t, s.ReplaceMasterKey(t.Context(), "", second), storage.ErrConflict)
		refuses(t, s.ReplaceMasterKey(t.Context(), "", storage.MasterKey{ID: "k1", Secret: []byte{9}, Created: now}), storage.ErrConflict)
		refuses(t, s.ReplaceMasterKey(t.Context(), "k0", second), storage.ErrConflict)
		must(t, s.ReplaceMasterKey(t.Context(), "k1", second))
		refuses(t, s.ReplaceMasterKey(t.Context(), "k1", second), storage.ErrConflict)
		first.Retired = second.Created
		same(t, value(s.MasterKeys(t.Context()))(t), []storage.MasterKey{second, first})
		first.Created, first.Retired, second.Retired = now.Add(time.Hour), time.Time{}, now.Add(time.Hour)
		must(t, s.ReplaceMasterKey(t.Context(), "k2", first)) // it comes back
		same(t, value(s.MasterKeys(t.Context()))(t), []storage.MasterKey{first, second})
	}},
	{"values are found by their mark, in every place", func(t *testing.T, s storage.Storage) {
		mark, other := []byte{1, 0, 255, 'a', 'b'}, []byte{1, 0, 255, 'a', 'c'}
		sealed := func(mark []byte) []byte { return append(append([]byte{}, mark...), "rest"...) }
		account(t, s, "acme")
		user(t, s, "u1")
		for i, m := range [][]byte{mark, other, mark, mark} {
			id := string(rune('a' + i))
			must(t, s.CreateFactor(t.Context(), storage.Factor{ID: id, User: "u1", Kind: mfa.TOTP, State: sealed(m), Created: now}, 100))
			must(t, s.PutTicket(t.Context(), storage.Ticket{ID: id, Purpose: "p", Data: sealed(m), Expires: now.Add(time.Hour)}))
			must(t, s.PutProvider(t.Context(), storage.IdentityProvider{ID: id, Account: "acme", Kind: "oidc", Trust: mfa.Precedence, Settings: sealed(m), Created: now}))
			must(t, s.RotateKey(t.Context(), "", storage.Key{ID: id, Purpose: id, Algorithm: "ES256", Private: sealed(m), Created: now}))
		}
		must(t, s.PutTicket(t.Context(), storage.Ticket{ID: "plain", Purpose: "p", Data: nil, Expires: now.Add(time.Hour)}))
		for _, place := range storage.Places() {
			same(t, value(s.CountSealed(t.Context(), place, mark))(t), int64(3))
			same(t, value(s.CountSealed(t.Context(), place, other))(t), int64(1))
			if all := value(s.CountSealed(t.Context(), place, nil))(t); all < 4 {
				t.Errorf("%s: expected all values, got %d", place, all)
			}
			list := value(s.SealedUnder(t.Context(), place, mark, "", 2))(t)
			same(t, list, []storage.Sealed{{Row: "a", Value: sealed(mark)}, {Row: "c", Value: sealed(mark)}})
			same(t, value(s.SealedUnder(t.Context(), place, mark, "c", 2))(t), []storage.Sealed{{Row: "d", Value: sealed(mark)}})
		}
	}},
	{"a value is sealed anew unless the row was written meanwhile", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		old := factor(t, s, "u1", "f1", now)
		reseal := func(from, to string) {
			must(t, s.Reseal(t.Context(), storage.PlaceFactors, []storage.Resealed{{Sealed: storage.Sealed{Row: "f1", Value: []byte(from)}, Next: []byte(to)}}))
		}
		reseal("something else", "lost")
		same(t, value(s.Factor(t.Context(), "f1"))(t), old)
		reseal(string(old.State), "anew")
		old.State = []byte("anew")
		same(t, value(s.Factor(t.Context(), "f1"))(t), old) // its version, too
	}},
}
