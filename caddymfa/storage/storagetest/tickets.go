package storagetest

import (
	"strconv"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

func ticket(t *testing.T, s storage.Storage, purpose, id string) storage.Ticket {
	t.Helper()
	v := storage.Ticket{Purpose: purpose, ID: id, Data: []byte("sealed " + purpose), Expires: now.Add(time.Minute)}
	must(t, s.PutTicket(t.Context(), v))
	return v
}

var ticketChecks = []check{
	{"what was put is seen, and taken as it was", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		want := storage.Ticket{ID: "t1", Purpose: "enrol", User: "u1", Session: "s1", Data: []byte{0, 255}, Expires: now.Add(time.Minute)}
		must(t, s.PutTicket(t.Context(), want))
		same(t, value(s.Ticket(t.Context(), "enrol", "t1", now))(t), want)
		same(t, value(s.TakeTicket(t.Context(), "enrol", "t1", now))(t), want)
	}},
	{"one that was taken is spent", func(t *testing.T, s storage.Storage) {
		ticket(t, s, "enrol", "t1")
		value(s.TakeTicket(t.Context(), "enrol", "t1", now))(t)
		_, err := s.TakeTicket(t.Context(), "enrol", "t1", now)
		refuses(t, err, storage.ErrSpent)
		_, err = s.Ticket(t.Context(), "enrol", "t1", now)
		refuses(t, err, storage.ErrNotFound)
	}},
	{"one that never was is spent", func(t *testing.T, s storage.Storage) {
		_, err := s.TakeTicket(t.Context(), "enrol", "t1", now)
		refuses(t, err, storage.ErrSpent)
		_, err = s.Ticket(t.Context(), "enrol", "t1", now)
		refuses(t, err, storage.ErrNotFound)
	}},
	{"of many who take one ticket one succeeds", func(t *testing.T, s storage.Storage) {
		ticket(t, s, "enrol", "t1")
		oneWins(t, race(rivals, func(int) error {
			_, err := s.TakeTicket(t.Context(), "enrol", "t1", now)
			return err
		}), storage.ErrSpent)
	}},
	{"one that is over is refused before anybody swept it", func(t *testing.T, s storage.Storage) {
		v := ticket(t, s, "enrol", "t1")
		for _, at := range []time.Time{v.Expires, v.Expires.Add(time.Hour)} {
			_, err := s.Ticket(t.Context(), "enrol", "t1", at)
			refuses(t, err, storage.ErrNotFound)
			_, err = s.TakeTicket(t.Context(), "enrol", "t1", at)
			refuses(t, err, storage.ErrSpent)
		}
		same(t, value(s.TakeTicket(t.Context(), "enrol", "t1", v.Expires.Add(-time.Microsecond)))(t), v)
	}},
	{"one without an end is over", func(t *testing.T, s storage.Storage) {
		must(t, s.PutTicket(t.Context(), storage.Ticket{ID: "t1", Purpose: "enrol"}))
		_, err := s.TakeTicket(t.Context(), "enrol", "t1", now)
		refuses(t, err, storage.ErrSpent)
	}},
	{"one purpose's is never taken for another's", func(t *testing.T, s storage.Storage) {
		enrol := ticket(t, s, "enrol", "t1")
		_, err := s.Ticket(t.Context(), "setup", "t1", now)
		refuses(t, err, storage.ErrNotFound)
		_, err = s.TakeTicket(t.Context(), "setup", "t1", now)
		refuses(t, err, storage.ErrSpent)
		setup := ticket(t, s, "setup", "t1")
		same(t, value(s.TakeTicket(t.Context(), "setup", "t1", now))(t), setup)
		same(t, value(s.TakeTicket(t.Context(), "enrol", "t1", now))(t), enrol)
	}},
	{"to put it again replaces it", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		ticket(t, s, "enrol", "t1")
		want := storage.Ticket{ID: "t1", Purpose: "enrol", User: "u1", Session: "s2", Data: []byte("new"), Expires: now.Add(time.Hour)}
		must(t, s.PutTicket(t.Context(), want))
		same(t, value(s.TakeTicket(t.Context(), "enrol", "t1", now))(t), want)
	}},
	{"the user must be there", func(t *testing.T, s storage.Storage) {
		refuses(t, s.PutTicket(t.Context(), storage.Ticket{ID: "t1", Purpose: "enrol", User: "u1", Expires: now}), storage.ErrNotFound)
	}},
	{"a sweep takes what was over, up to its limit, and nothing else", func(t *testing.T, s storage.Storage) {
		for i := range 3 {
			must(t, s.PutTicket(t.Context(), storage.Ticket{ID: strconv.Itoa(i), Purpose: "enrol", Expires: now.Add(-time.Microsecond)}))
		}
		must(t, s.PutTicket(t.Context(), storage.Ticket{ID: "just over", Purpose: "enrol", Expires: now}))
		ticket(t, s, "enrol", "live")
		same(t, value(s.SweepTickets(t.Context(), now, 0))(t), 0)
		same(t, value(s.SweepTickets(t.Context(), now, 2))(t), 2)
		same(t, value(s.SweepTickets(t.Context(), now, 2))(t), 1)
		same(t, value(s.SweepTickets(t.Context(), now.Add(time.Second), 2))(t), 1)
		value(s.Ticket(t.Context(), "enrol", "live", now))(t)
	}},
}
