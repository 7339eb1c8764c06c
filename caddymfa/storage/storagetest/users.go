package storagetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
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
	{"one that is removed goes with everything that is theirs, and nobody else's, and is told", func(t *testing.T, s storage.Storage) {
		for _, id := range []string{"b", "a"} {
			account(t, s, id)
		}
		for _, id := range []string{"gone", "kept"} {
			user(t, s, id)
			member(t, s, "b", id)
			member(t, s, "a", id)
			factor(t, s, id, "factor-"+id, now)
			codes(t, s, id, "code-"+id)
			session(t, s, id, "session-"+id, now)
			device(t, s, id, "device-"+id, now)
			identity(t, s, "https://idp.example", id, id)
			must(t, s.PutTicket(t.Context(), storage.Ticket{Purpose: "set_up", ID: id, User: id, Expires: now.Add(time.Hour)}))
		}
		farewell := storage.Mail{ID: "m1", Key: "k1", About: "deleted", To: "gone@example.com", User: "gone", Created: now, Due: now, Expires: now.Add(time.Hour)}
		same(t, value(s.RemoveUser(t.Context(), "gone", farewell))(t), []string{"a", "b"})
		for id, want := range map[string]int{"gone": 0, "kept": 1} {
			same(t, len(value(s.MembershipsOf(t.Context(), id))(t)), 2*want)
			same(t, len(value(s.FactorsOf(t.Context(), id))(t)), want)
			same(t, len(value(s.RecoveryCodesOf(t.Context(), id))(t)), want)
			same(t, len(value(s.SessionsOf(t.Context(), id, now))(t)), want)
			same(t, len(value(s.DevicesOf(t.Context(), id, now))(t)), want)
			same(t, len(value(s.IdentitiesOf(t.Context(), id))(t)), want)
			_, err := s.Ticket(t.Context(), "set_up", id, now)
			same(t, err == nil, want == 1)
		}
		_, err := s.User(t.Context(), "gone")
		refuses(t, err, storage.ErrNotFound)
		_, err = s.Session(t.Context(), "session-gone")
		refuses(t, err, storage.ErrNotFound)
		same(t, ids(value(s.ClaimMail(t.Context(), now, now.Add(time.Minute), 9))(t), func(m storage.Mail) string { return m.ID }), []string{"m1"})
		_, err = s.RemoveUser(t.Context(), "gone", storage.Mail{})
		refuses(t, err, storage.ErrNotFound)
		user(t, s, "gone") // the address is free again
	}},
	{"nobody is removed whom an account needs or a configuration declares, and nobody is told", func(t *testing.T, s storage.Storage) {
		farewell := storage.Mail{ID: "m1", Key: "k1", About: "deleted", To: "u1@example.com", Created: now, Due: now, Expires: now.Add(time.Hour)}
		user(t, s, "u1")
		user(t, s, "u2")
		for _, id := range []string{"c", "a", "b", "d"} {
			account(t, s, id)
			must(t, s.PutMembership(t.Context(), storage.Membership{Account: id, User: "u1", Role: mfa.RoleAdmin, State: mfa.Joined, Created: now}))
		}
		must(t, s.PutMembership(t.Context(), storage.Membership{Account: "b", User: "u2", Role: mfa.RoleAdmin, State: mfa.Joined, Created: now}))
		member(t, s, "d", "u1")
		needed, err := s.RemoveUser(t.Context(), "u1", farewell)
		refuses(t, err, storage.ErrLastAdmin)
		same(t, needed, []string{"a", "c"})
		must(t, s.CreateUser(t.Context(), storage.User{ID: "declared", Email: "declared@example.com", Origin: storage.FromConfig, Created: now}))
		_, err = s.RemoveUser(t.Context(), "declared", farewell)
		refuses(t, err, storage.ErrConflict)
		for id, belongs := range map[string]int{"u1": 4, "declared": 0} {
			value(s.User(t.Context(), id))(t)
			same(t, len(value(s.MembershipsOf(t.Context(), id))(t)), belongs)
		}
		same(t, len(value(s.ClaimMail(t.Context(), now, now.Add(time.Minute), 9))(t)), 0)
	}},
	{"of administrators of the same accounts who all remove themselves at once, one stays", func(t *testing.T, s storage.Storage) {
		accounts := []string{"a", "b", "c"}
		for _, id := range accounts {
			account(t, s, id)
		}
		for i := range rivals {
			id := fmt.Sprintf("u%02d", i)
			user(t, s, id)
			for _, account := range accounts {
				must(t, s.PutMembership(t.Context(), storage.Membership{Account: account, User: id, Role: mfa.RoleAdmin, State: mfa.Joined, Created: now}))
			}
		}
		refused := 0
		for _, err := range race(rivals, func(i int) error {
			_, err := s.RemoveUser(t.Context(), fmt.Sprintf("u%02d", i), storage.Mail{})
			return err
		}) {
			if err != nil {
				refuses(t, err, storage.ErrLastAdmin)
				refused++
			}
		}
		same(t, refused, 1)
		for _, id := range accounts {
			same(t, len(value(s.Administrators(t.Context(), id))(t)), 1)
		}
	}},
	{"a limit of none lists none", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		for _, limit := range []int{0, -1} {
			same(t, len(value(s.Users(t.Context(), "", limit))(t)), 0)
		}
	}},
}
