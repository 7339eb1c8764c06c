package storagetest

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// mail queues a mail that is due from now on, and waits for an hour.
func mail(t *testing.T, s storage.Storage, id string) storage.Mail {
	t.Helper()
	m := storage.Mail{ID: id, Key: "key of " + id, About: "invitation", To: id + "@example.com", User: "u1", Account: "acme",
		Data: []byte("says " + id), Created: now, Due: now, Expires: now.Add(time.Hour)}
	must(t, s.QueueMail(t.Context(), m))
	return m
}

func mailID(m storage.Mail) string { return m.ID }

var outboxChecks = []check{
	{"what was queued is read back, and claimed as it was", func(t *testing.T, s storage.Storage) {
		want := mail(t, s, "m1")
		same(t, value(s.MailAbout(t.Context(), want.Key))(t), want)
		want.Tries, want.Due = 1, now.Add(time.Minute)
		same(t, value(s.ClaimMail(t.Context(), now, now.Add(time.Minute), 10))(t), []storage.Mail{want})
	}},
	{"a key is queued once, also after its mail is done", func(t *testing.T, s storage.Storage) {
		m := mail(t, s, "m1")
		again := m
		again.ID = "m2"
		refuses(t, s.QueueMail(t.Context(), again), storage.ErrExists)
		must(t, s.FinishMail(t.Context(), "m1", "", now))
		refuses(t, s.QueueMail(t.Context(), again), storage.ErrExists)
	}},
	{"of many who queue one key one succeeds", func(t *testing.T, s storage.Storage) {
		oneWins(t, race(rivals, func(i int) error {
			return s.QueueMail(t.Context(), storage.Mail{ID: strconv.Itoa(i), Key: "k", About: "invitation", To: "a@example.com", Created: now, Due: now, Expires: now})
		}), storage.ErrExists)
	}},
	{"of many who claim one gets it", func(t *testing.T, s storage.Storage) {
		mail(t, s, "m1")
		got := make([]int, rivals)
		for _, err := range race(rivals, func(i int) error {
			list, err := s.ClaimMail(t.Context(), now, now.Add(time.Minute), 1)
			got[i] = len(list)
			return err
		}) {
			must(t, err)
		}
		slices.Sort(got)
		if got[rivals-1] != 1 || got[rivals-2] != 0 {
			t.Errorf("expected one of %d to claim it, got %v", rivals, got)
		}
	}},
	{"a claim holds until its time, and then somebody else may try", func(t *testing.T, s storage.Storage) {
		mail(t, s, "m1")
		until := now.Add(time.Minute)
		same(t, len(value(s.ClaimMail(t.Context(), now, until, 1))(t)), 1)
		same(t, len(value(s.ClaimMail(t.Context(), until.Add(-time.Microsecond), until, 1))(t)), 0)
		list := value(s.ClaimMail(t.Context(), until, until.Add(time.Minute), 1))(t)
		same(t, len(list), 1)
		same(t, list[0].Tries, 2)
	}},
	{"one that is not due is not claimed; postponed, it is due then", func(t *testing.T, s storage.Storage) {
		mail(t, s, "m1")
		later := now.Add(time.Hour)
		must(t, s.PostponeMail(t.Context(), "m1", later))
		same(t, len(value(s.ClaimMail(t.Context(), later.Add(-time.Microsecond), later, 1))(t)), 0)
		same(t, len(value(s.ClaimMail(t.Context(), later, later.Add(time.Minute), 1))(t)), 1)
		refuses(t, s.PostponeMail(t.Context(), "none", later), storage.ErrNotFound)
	}},
	{"the oldest come first, up to the limit", func(t *testing.T, s storage.Storage) {
		for i, id := range []string{"c", "a", "b"} {
			at := now.Add(time.Duration(i) * time.Second)
			must(t, s.QueueMail(t.Context(), storage.Mail{ID: id, Key: id, About: "invitation", To: "a@example.com", Created: at, Due: at, Expires: at}))
		}
		at := now.Add(time.Minute)
		same(t, ids(value(s.ClaimMail(t.Context(), at, at.Add(time.Minute), 2))(t), mailID), []string{"c", "a"})
		same(t, ids(value(s.ClaimMail(t.Context(), at, at.Add(time.Minute), 2))(t), mailID), []string{"b"})
		same(t, len(value(s.ClaimMail(t.Context(), at, at, 0))(t)), 0)
	}},
	{"what is done says how it ended, and no more what it said", func(t *testing.T, s storage.Storage) {
		m := mail(t, s, "m1")
		must(t, s.FinishMail(t.Context(), "m1", "mailbox unavailable", now))
		got := value(s.MailAbout(t.Context(), m.Key))(t)
		same(t, got.Failed, "mailbox unavailable")
		same(t, got.Done, now)
		same(t, len(got.Data), 0)
		same(t, len(value(s.ClaimMail(t.Context(), now, now, 1))(t)), 0)
		refuses(t, s.FinishMail(t.Context(), "m1", "", now), storage.ErrNotFound)
		refuses(t, s.PostponeMail(t.Context(), "m1", now), storage.ErrNotFound)
	}},
	{"it cannot be done at no time", func(t *testing.T, s storage.Storage) {
		mail(t, s, "m1")
		if s.FinishMail(t.Context(), "m1", "", time.Time{}) == nil {
			t.Error("it was finished at the zero time, which means that it waits")
		}
	}},
	{"there is no mail of a key that was never queued", func(t *testing.T, s storage.Storage) {
		_, err := s.MailAbout(t.Context(), "none")
		refuses(t, err, storage.ErrNotFound)
	}},
	{"a sweep takes what was done, up to its limit, and nothing that waits", func(t *testing.T, s storage.Storage) {
		for i := range 3 {
			id := strconv.Itoa(i)
			mail(t, s, id)
			must(t, s.FinishMail(t.Context(), id, "", now))
		}
		m := mail(t, s, "waiting")
		same(t, value(s.SweepMail(t.Context(), now, 10))(t), 0)
		later := now.Add(time.Microsecond)
		same(t, value(s.SweepMail(t.Context(), later, 2))(t), 2)
		same(t, value(s.SweepMail(t.Context(), later, 2))(t), 1)
		value(s.MailAbout(t.Context(), m.Key))(t)
		mail(t, s, "0")
	}},
}
