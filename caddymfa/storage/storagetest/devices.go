package storagetest

import (
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func deviceID(d storage.Device) string { return d.ID }

// device remembers a browser in which a second factor was shown at a time.
func device(t *testing.T, s storage.Storage, user, id string, shown time.Time) storage.Device {
	t.Helper()
	d := storage.Device{
		ID: id, User: user, Hash: []byte{1, 2, 3}, Shown: shown, ShownBy: mfa.TOTP, Expires: shown.Add(24 * time.Hour),
		Browser: "a browser", Network: "203.0.113.7",
	}
	must(t, s.CreateDevice(t.Context(), d))
	return d
}

// counting opens a session that was entered by being remembered.
func counting(t *testing.T, s storage.Storage, d storage.Device, id string) {
	t.Helper()
	v := newSession(d.User, id, now)
	v.Proof.Remembered, v.Proof.RememberedBy = d.Shown, d.ShownBy
	must(t, s.CreateSession(t.Context(), v))
}

var deviceChecks = []check{
	{"what was created is read back", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		want := device(t, s, "u1", "d1", now)
		same(t, value(s.Device(t.Context(), "d1"))(t), want)
		refuses(t, s.CreateDevice(t.Context(), want), storage.ErrExists)
		_, err := s.Device(t.Context(), "d2")
		refuses(t, err, storage.ErrNotFound)
		want.ID, want.User = "d2", "u2"
		refuses(t, s.CreateDevice(t.Context(), want), storage.ErrNotFound)
	}},
	{"a person's own are listed, newest first, until they are over", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		user(t, s, "u2")
		device(t, s, "u1", "old", now.Add(-25*time.Hour))
		device(t, s, "u1", "a", now.Add(-time.Hour))
		device(t, s, "u1", "b", now)
		device(t, s, "u2", "c", now)
		same(t, ids(value(s.DevicesOf(t.Context(), "u1", now))(t), deviceID), []string{"b", "a"})
	}},
	{"one that is removed counts in no session any more", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		user(t, s, "u2")
		counting(t, s, device(t, s, "u1", "d1", now), "s1")
		counting(t, s, device(t, s, "u1", "d2", now.Add(-time.Minute)), "s2")
		counting(t, s, device(t, s, "u2", "d3", now), "s3")
		refuses(t, s.RemoveDevice(t.Context(), "u2", "d1"), storage.ErrNotFound)
		must(t, s.RemoveDevice(t.Context(), "u1", "d1"))
		refuses(t, s.RemoveDevice(t.Context(), "u1", "d1"), storage.ErrNotFound)
		for id, counts := range map[string]bool{"s1": false, "s2": true, "s3": true} {
			v := value(s.Session(t.Context(), id))(t)
			if v.Proof.Remembered.IsZero() == counts || (v.Proof.RememberedBy == 0) == counts || !v.Revoked.IsZero() {
				t.Errorf("session %s counts on being remembered: %t; it is %+v", id, counts, v)
			}
		}
	}},
	{"all of a person's end with all of their sessions", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		user(t, s, "u2")
		d := device(t, s, "u1", "d1", now)
		device(t, s, "u2", "d2", now)
		counting(t, s, d, "kept")
		counting(t, s, d, "ended")
		same(t, value(s.RevokeSessionsOf(t.Context(), "u1", "kept", now))(t), 1)
		_, err := s.Device(t.Context(), "d1")
		refuses(t, err, storage.ErrNotFound)
		value(s.Device(t.Context(), "d2"))(t)
		if v := value(s.Session(t.Context(), "kept"))(t); !v.Proof.Remembered.IsZero() || !v.Revoked.IsZero() {
			t.Errorf("the session that goes on counts on a browser that is forgotten: %+v", v)
		}
	}},
	{"those that were over are swept", func(t *testing.T, s storage.Storage) {
		user(t, s, "u1")
		device(t, s, "u1", "old", now.Add(-25*time.Hour))
		device(t, s, "u1", "older", now.Add(-26*time.Hour))
		device(t, s, "u1", "new", now)
		same(t, value(s.SweepDevices(t.Context(), now, 1))(t), 1)
		same(t, value(s.SweepDevices(t.Context(), now, 9))(t), 1)
		value(s.Device(t.Context(), "new"))(t)
	}},
}
