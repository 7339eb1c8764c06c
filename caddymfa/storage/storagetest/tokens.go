package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// token makes a token that is good for an hour.
func token(t *testing.T, s storage.Storage, account, id string) storage.Token {
	t.Helper()
	v := storage.Token{
		ID: id, Account: account, Name: "Token " + id, Hash: []byte("hash " + id), Scopes: []string{"people", "read"},
		Networks: []string{"192.0.2.0/24", "2001:db8::/32"}, By: "u1", Created: now, Expires: now.Add(time.Hour),
	}
	must(t, s.CreateToken(t.Context(), v, 100))
	return v
}

func tokenID(v storage.Token) string { return v.ID }

var tokenChecks = []check{
	{"what was created is found by its hash, and in its account alone", func(t *testing.T, s storage.Storage) {
		account(t, s, "a")
		account(t, s, "b")
		want := token(t, s, "a", "t1")
		same(t, value(s.TokenByHash(t.Context(), want.Hash))(t), want)
		same(t, value(s.TokensOf(t.Context(), "a", "", 9))(t), []storage.Token{want})
		same(t, len(value(s.TokensOf(t.Context(), "b", "", 9))(t)), 0)
		_, err := s.TokenByHash(t.Context(), []byte("hash t"))
		refuses(t, err, storage.ErrNotFound)
	}},
	{"a token without scopes and networks stays so", func(t *testing.T, s storage.Storage) {
		account(t, s, "a")
		want := storage.Token{ID: "t1", Account: "a", Hash: []byte{0, 255}, Created: now, Expires: now.Add(time.Hour)}
		must(t, s.CreateToken(t.Context(), want, 1))
		same(t, value(s.TokenByHash(t.Context(), want.Hash))(t), want)
	}},
	{"no two tokens have one hash, and none is of no account", func(t *testing.T, s storage.Storage) {
		account(t, s, "a")
		v := token(t, s, "a", "t1")
		v.ID = "t2"
		refuses(t, s.CreateToken(t.Context(), v, 9), storage.ErrExists)
		v.Account, v.Hash = "nobody", []byte("other")
		refuses(t, s.CreateToken(t.Context(), v, 9), storage.ErrNotFound)
	}},
	{"an account has at most so many that are not over", func(t *testing.T, s storage.Storage) {
		account(t, s, "a")
		account(t, s, "b")
		token(t, s, "b", "other")
		gone := token(t, s, "a", "gone")
		must(t, s.RevokeToken(t.Context(), "a", gone.ID, now))
		for _, err := range race(rivals, func(i int) error {
			id := string(rune('A' + i))
			return s.CreateToken(t.Context(), storage.Token{ID: id, Account: "a", Hash: []byte(id), Created: now, Expires: now.Add(time.Hour)}, 3)
		}) {
			if err != nil {
				refuses(t, err, storage.ErrConflict)
			}
		}
		same(t, len(value(s.TokensOf(t.Context(), "a", "", 99))(t)), 4)
		later := storage.Token{ID: "later", Account: "a", Hash: []byte("later"), Created: now.Add(time.Hour), Expires: now.Add(2 * time.Hour)}
		must(t, s.CreateToken(t.Context(), later, 3))
	}},
	{"a list has pages, by id", func(t *testing.T, s storage.Storage) {
		account(t, s, "a")
		account(t, s, "b")
		for _, id := range []string{"t3", "t1", "t2"} {
			token(t, s, "a", id)
			token(t, s, "b", "b"+id)
		}
		same(t, pages(t, tokenID, func(ctx context.Context, after string) ([]storage.Token, error) {
			return s.TokensOf(ctx, "a", after, 2)
		}), []string{"t1", "t2", "t3"})
	}},
	{"its use is noted, but not at every moment", func(t *testing.T, s storage.Storage) {
		account(t, s, "a")
		v := token(t, s, "a", "t1")
		must(t, s.UseToken(t.Context(), "t1", "192.0.2.1", now, now.Add(-time.Minute)))
		must(t, s.UseToken(t.Context(), "t1", "192.0.2.2", now.Add(time.Second), now.Add(time.Second-time.Minute)))
		v.Used, v.UsedFrom = now, "192.0.2.1"
		same(t, value(s.TokenByHash(t.Context(), v.Hash))(t), v)
		must(t, s.UseToken(t.Context(), "t1", "192.0.2.2", now.Add(time.Hour), now.Add(time.Minute)))
		v.Used, v.UsedFrom = now.Add(time.Hour), "192.0.2.2"
		same(t, value(s.TokenByHash(t.Context(), v.Hash))(t), v)
	}},
	{"only its own account revokes it, and once", func(t *testing.T, s storage.Storage) {
		account(t, s, "a")
		account(t, s, "b")
		v := token(t, s, "a", "t1")
		refuses(t, s.RevokeToken(t.Context(), "b", "t1", now), storage.ErrNotFound)
		if err := s.RevokeToken(t.Context(), "a", "t1", time.Time{}); err == nil {
			t.Error("a token was revoked at no time")
		}
		must(t, s.RevokeToken(t.Context(), "a", "t1", now))
		refuses(t, s.RevokeToken(t.Context(), "a", "t1", now.Add(time.Hour)), storage.ErrNotFound)
		v.Revoked = now
		same(t, value(s.TokenByHash(t.Context(), v.Hash))(t), v)
	}},
	{"a sweep takes what was over before, up to its limit", func(t *testing.T, s storage.Storage) {
		account(t, s, "a")
		for _, id := range []string{"t1", "t2", "t3"} {
			token(t, s, "a", id)
		}
		must(t, s.RevokeToken(t.Context(), "a", "t2", now))
		same(t, value(s.SweepTokens(t.Context(), now, 9))(t), 0)
		same(t, value(s.SweepTokens(t.Context(), now.Add(time.Second), 9))(t), 1)
		same(t, value(s.SweepTokens(t.Context(), now.Add(2*time.Hour), 1))(t), 1)
		same(t, value(s.SweepTokens(t.Context(), now.Add(2*time.Hour), 9))(t), 1)
	}},
}

func claim(token, key string) storage.Reply {
	return storage.Reply{Token: token, Key: key, Request: []byte("request"), Created: now}
}

var replyChecks = []check{
	{"what was claimed and finished is told to whoever claims it again", func(t *testing.T, s storage.Storage) {
		account(t, s, "a")
		token(t, s, "a", "t1")
		want := value(s.ClaimReply(t.Context(), claim("t1", "k")))(t)
		same(t, want.Status, 0)
		got, err := s.ClaimReply(t.Context(), storage.Reply{Token: "t1", Key: "k", Request: []byte("other"), Created: now.Add(time.Hour)})
		refuses(t, err, storage.ErrExists)
		same(t, got, want)
		must(t, s.FinishReply(t.Context(), "t1", "k", 201, []byte("body")))
		want.Status, want.Body = 201, []byte("body")
		got, err = s.ClaimReply(t.Context(), claim("t1", "k"))
		refuses(t, err, storage.ErrExists)
		same(t, got, want)
	}},
	{"of many who claim one key one carries it out", func(t *testing.T, s storage.Storage) {
		account(t, s, "a")
		token(t, s, "a", "t1")
		oneWins(t, race(rivals, func(int) error {
			_, err := s.ClaimReply(t.Context(), claim("t1", "k"))
			return err
		}), storage.ErrExists)
	}},
	{"a key is one token's alone", func(t *testing.T, s storage.Storage) {
		account(t, s, "a")
		token(t, s, "a", "t1")
		token(t, s, "a", "t2")
		value(s.ClaimReply(t.Context(), claim("t1", "k")))(t)
		value(s.ClaimReply(t.Context(), claim("t2", "k")))(t)
		refuses(t, s.FinishReply(t.Context(), "t3", "k", 200, nil), storage.ErrNotFound)
	}},
	{"one that was dropped can be claimed again; one that is finished stays", func(t *testing.T, s storage.Storage) {
		account(t, s, "a")
		token(t, s, "a", "t1")
		value(s.ClaimReply(t.Context(), claim("t1", "k")))(t)
		must(t, s.DropReply(t.Context(), "t1", "k"))
		refuses(t, s.DropReply(t.Context(), "t1", "k"), storage.ErrNotFound)
		value(s.ClaimReply(t.Context(), claim("t1", "k")))(t)
		must(t, s.FinishReply(t.Context(), "t1", "k", 200, nil))
		refuses(t, s.FinishReply(t.Context(), "t1", "k", 500, nil), storage.ErrNotFound)
		refuses(t, s.DropReply(t.Context(), "t1", "k"), storage.ErrNotFound)
	}},
	{"a sweep takes what was created before, up to its limit", func(t *testing.T, s storage.Storage) {
		account(t, s, "a")
		token(t, s, "a", "t1")
		for _, key := range []string{"k1", "k2", "k3"} {
			value(s.ClaimReply(t.Context(), claim("t1", key)))(t)
		}
		same(t, value(s.SweepReplies(t.Context(), now, 9))(t), 0)
		same(t, value(s.SweepReplies(t.Context(), now.Add(time.Second), 2))(t), 2)
		same(t, value(s.SweepReplies(t.Context(), now.Add(time.Second), 2))(t), 1)
	}},
}
