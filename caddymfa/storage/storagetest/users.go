package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

var userChecks = []check{
	{"one that is not there is not found", func(t *testing.T, s storage.Storage) {
		_, err := s.User(t.Context(), "u1")
		refuses(t, err, storage.ErrNotFound)
		_, err = s.UserByEmail(t.Context(), "u1@example.com")
		refuses(t, err, storage.ErrNotFound)
	}},
	{"what was created is found by id and by e-mail", func(t *testing.T, s storage.Storage) {
		want := storage.User{
			ID: "u1", Email: "ann@example.com", Name: "Ann", PasswordHash: "$2b$12$hash", PasswordChanged: now.Add(-time.Hour),
			Disabled: true, Origin: storage.FromConfig, Created: now, Version: 9,
		}
		must(t, s.CreateUser(t.Context(), want))
		want.Version = 1
		same(t, value(s.User(t.Context(), "u1"))(t), want)
		same(t, value(s.UserByEmail(t.Context(), "ann@example.com"))(t), want)
	}},
	{"an id is taken once", func(t *testing.T, s storage.Storage) {
		u := user(t, s, "u1")
		u.Email = "other@example.com"
		refuses(t, s.CreateUser(t.Context(), u), storage.ErrExists)
	}},
	{"an e-mail is taken once", func(t *testing.T, s storage.Storage) {
		u := user(t, s, "u1")
		u.ID = "u2"
		refuses(t, s.CreateUser(t.Context(), u), storage.ErrExists)
		_, err := s.User(t.Context(), "u2")
		refuses(t, err, storage.ErrNotFound)
	}},
	{"of many who want one e-mail one gets it", func(t *testing.T, s storage.Storage) {
		oneWins(t, race(rivals, func(i int) error {
			return s.CreateUser(t.Context(), storage.User{ID: string(rune('A' + i)), Email: "ann@example.com", Created: now})
		}), storage.ErrExists)
	}},
	{"an update changes what may change, and the version", func(t *testing.T, s storage.Storage) {
		want := user(t, s, "u1")
		got, err := s.UpdateUser(t.Context(), "u1", func(u *storage.User) error {
			same(t, *u, want)
			u.Email, u.Name, u.PasswordHash, u.PasswordChanged = "new@example.com", "New", "", time.Time{}
			u.Disabled, u.Origin = true, storage.FromConfig
			u.ID, u.Created, u.Version = "other", time.Time{}, 99
			return nil
		})
		must(t, err)
		want.Email, want.Name, want.PasswordHash, want.PasswordChanged = "new@example.com", "New", "", time.Time{}
		want.Disabled, want.Origin, want.Version = true, storage.FromConfig, 2
		same(t, got, want)
		same(t, value(s.User(t.Context(), "u1"))(t), want)
		_, err = s.UserByEmail(t.Context(), "u1@example.com")
		refuses(t, err, storage.ErrNotFound)
	}},
	{"an update cannot take another's e-mail", func(t *testing.T, s storage.Storage) {
		want := user(t, s, "u1")
		user(t, s, "u2")
		_, err := s.UpdateUser(t.Context(), "u1", func(u *storage.User) error {
			u.Email = "u2@example.com"
			return nil
		})
		refuses(t, err, storage.ErrExists)
		same(t, value(s.User(t.Context(), "u1"))(t), want)
	}},
	{"an update that change refuses writes nothing", func(t *testing.T, s storage.Storage) {
		want := user(t, s, "u1")
		_, err := s.UpdateUser(t.Context(), "u1", func(u *storage.User) error {
			u.Disabled = true
			return errChange
		})
		refuses(t, err, errChange)
		same(t, value(s.User(t.Context(), "u1"))(t), want)
	}},
	{"one that is not there cannot be updated", func(t *testing.T, s storage.Storage) {
		_, err := s.UpdateUser(t.Context(), "u1", func(*storage.User) error { return nil })
		refuses(t, err, storage.ErrNotFound)
	}},
	{"a list has pages, by e-mail", func(t *testing.T, s storage.Storage) {
		for _, id := range []string{"d", "b", "e", "a", "c"} {
			user(t, s, id)
		}
		got := pages(t, func(u storage.User) string { return u.Email }, func(ctx context.Context, after string) ([]storage.User, error) {
			return s.Users(ctx, after, 2)
		})
		same(t, got, []string{"a@example.com", "b@example.com", "c@example.com", "d@example.com", "e@example.com"})
	}},
	{"declared ones who are not disabled are listed apart, in pages", func(t *testing.T, s storage.Storage) {
		for _, u := range []storage.User{
			{ID: "c", Origin: storage.FromConfig}, {ID: "a", Origin: storage.FromConfig}, {ID: "b"},
			{ID: "d", Origin: storage.FromConfig, Disabled: true}, {ID: "e", Origin: storage.FromConfig},
		} {
			u.Email = u.ID + "@example.com"
			must(t, s.CreateUser(t.Context(), u))
		}
		got := pages(t, func(u storage.User) string { return u.Email }, func(ctx context.Context, after string) ([]storage.User, error) {
			return s.UsersDeclared(ctx, after, 2)
		})
		same(t, got, []string{"a@example.com", "c@example.com", "e@example.com"})
	}},
	{"a limit of none lists none", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		for _, limit := range []int{0, -1} {
			same(t, len(value(s.Users(t.Context(), "", limit))(t)), 0)
		}
	}},
}
