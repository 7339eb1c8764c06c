package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

const deviceColumns = `id, user_id, hash, shown_at, shown_by, expires_at, browser, network`

func scanDevice(row scanner) (d storage.Device, err error) {
	err = row.Scan(&d.ID, &d.User, &d.Hash, instant{&d.Shown}, word[mfa.Kind]{&d.ShownBy, mfa.ParseKind}, instant{&d.Expires}, &d.Browser, &d.Network)
	return d, err
}

// CreateDevice implements [storage.Devices].
func (s *Store) CreateDevice(ctx context.Context, d storage.Device) error {
	err := s.transact(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `INSERT INTO devices (`+deviceColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			d.ID, d.User, blob(d.Hash), micros(d.Shown), d.ShownBy.String(), micros(d.Expires), d.Browser, d.Network)
		return err
	})
	if err != nil {
		return fmt.Errorf("remembering a browser of user %q: %w", d.User, err)
	}
	return nil
}

// Device implements [storage.Devices].
func (s *Store) Device(ctx context.Context, id string) (storage.Device, error) {
	d, err := one(ctx, s.read, scanDevice, `SELECT `+deviceColumns+` FROM devices WHERE id = ?`, id)
	if err != nil {
		return storage.Device{}, fmt.Errorf("reading a remembered browser: %w", err)
	}
	return d, nil
}

// DevicesOf implements [storage.Devices].
func (s *Store) DevicesOf(ctx context.Context, user string, now time.Time) ([]storage.Device, error) {
	list, err := all(ctx, s.read, scanDevice, `SELECT `+deviceColumns+` FROM devices
		WHERE user_id = ? AND expires_at > ? ORDER BY shown_at DESC, id DESC`, user, micros(now))
	if err != nil {
		return nil, fmt.Errorf("listing the remembered browsers of user %q: %w", user, err)
	}
	return list, nil
}

// RemoveDevice implements [storage.Devices].
func (s *Store) RemoveDevice(ctx context.Context, user, id string) error {
	err := s.transact(ctx, func(t *tx) error {
		shown, err := one(ctx, t, scanCount, `DELETE FROM devices WHERE id = ? AND user_id = ? RETURNING shown_at`, id, user)
		if err != nil {
			return err
		}
		return t.disregard(ctx, `user_id = ? AND remembered_at = ?`, user, shown)
	})
	if err != nil {
		return fmt.Errorf("forgetting browser %q of user %q: %w", id, user, err)
	}
	return nil
}

// disregard takes from live sessions what they were entered with by being
// remembered. Which sessions, where says.
func (t *tx) disregard(ctx context.Context, where string, args ...any) error {
	sessions, err := all(ctx, t, scanText, `UPDATE sessions SET remembered_at = 0, remembered_by = 'none', version = version + 1
		WHERE `+where+` AND remembered_at <> 0 AND revoked_at = 0 RETURNING id`, args...)
	for _, id := range sessions {
		t.changed(storage.SubjectSession, id)
	}
	return err
}

// SweepDevices implements [storage.Devices].
func (s *Store) SweepDevices(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.sweep(ctx, "remembered browsers", micros(before), limit, devicesOver...)
}
