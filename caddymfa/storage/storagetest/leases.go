package storagetest

import (
	"strconv"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

var leaseChecks = []check{
	{"it is one holder's until it ends", func(t *testing.T, s storage.Storage) {
		until := now.Add(time.Minute)
		must(t, s.TakeLease(t.Context(), "house", "a", now, until))
		refuses(t, s.TakeLease(t.Context(), "house", "b", now, until), storage.ErrConflict)
		refuses(t, s.TakeLease(t.Context(), "house", "b", until.Add(-time.Microsecond), until), storage.ErrConflict)
		must(t, s.TakeLease(t.Context(), "other", "b", now, until))
		must(t, s.TakeLease(t.Context(), "house", "a", now, until.Add(time.Minute))) // longer
		refuses(t, s.TakeLease(t.Context(), "house", "b", until, until.Add(time.Hour)), storage.ErrConflict)
		must(t, s.TakeLease(t.Context(), "house", "b", until.Add(time.Minute), until.Add(time.Hour)))
		refuses(t, s.TakeLease(t.Context(), "house", "a", until.Add(time.Minute), until.Add(time.Hour)), storage.ErrConflict)
	}},
	{"it can be given back", func(t *testing.T, s storage.Storage) {
		must(t, s.TakeLease(t.Context(), "house", "a", now, now.Add(time.Minute)))
		must(t, s.TakeLease(t.Context(), "house", "a", now, now))
		must(t, s.TakeLease(t.Context(), "house", "b", now, now.Add(time.Minute)))
	}},
	{"those that are held are listed, and those that ended are swept", func(t *testing.T, s storage.Storage) {
		until := now.Add(time.Minute)
		must(t, s.TakeLease(t.Context(), "node b", "k1 k2", now, until))
		must(t, s.TakeLease(t.Context(), "house", "a", now, until.Add(time.Minute)))
		must(t, s.TakeLease(t.Context(), "returned", "a", now, now))
		same(t, value(s.LeasesAt(t.Context(), now))(t), []storage.Lease{{Name: "house", Holder: "a", Until: until.Add(time.Minute)}, {Name: "node b", Holder: "k1 k2", Until: until}})
		same(t, value(s.LeasesAt(t.Context(), until))(t), []storage.Lease{{Name: "house", Holder: "a", Until: until.Add(time.Minute)}})
		same(t, value(s.SweepLeases(t.Context(), until, 9))(t), 1) // what was returned
		same(t, value(s.SweepLeases(t.Context(), until.Add(time.Hour), 1))(t), 1)
		same(t, value(s.SweepLeases(t.Context(), until.Add(time.Hour), 9))(t), 1)
	}},
	{"of many who want it one gets it", func(t *testing.T, s storage.Storage) {
		got := 0
		for _, err := range race(rivals, func(i int) error {
			return s.TakeLease(t.Context(), "house", strconv.Itoa(i), now, now.Add(time.Minute))
		}) {
			if err == nil {
				got++
			} else {
				refuses(t, err, storage.ErrConflict)
			}
		}
		same(t, got, 1)
	}},
}
