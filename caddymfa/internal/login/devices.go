package login

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// MaxDevices is in how many browsers one person is remembered.
const MaxDevices = 20

// Remember remembers this browser for the second factor that the session has
// just shown, if the account being entered lets browsers be remembered. It
// returns what the browser is to keep, and for how long; nothing if there is
// nothing to remember. A recovery code is for getting in once.
func (s *Service) Remember(ctx context.Context, c Client, sess *storage.Session, account string) (cookie string, life time.Duration, err error) {
	tenant, err := s.Facts.Tenant(ctx, account)
	if errors.Is(err, storage.ErrNotFound) {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, err
	}
	now := s.Now()
	life = tenant.Remember
	if life <= 0 || sess.Proof.Second.IsZero() || !mfa.Authenticators.Has(sess.Proof.SecondBy) {
		return "", 0, nil
	}
	if err := s.makeRoom(ctx, c, sess.User); err != nil {
		return "", 0, err
	}
	var secret [32]byte
	rand.Read(secret[:])
	id, shown := session.NewID(), base64.RawURLEncoding.EncodeToString(secret[:])
	if err := s.Store.CreateDevice(ctx, storage.Device{
		ID: id, User: sess.User, Hash: s.Box.MAC("device", id, shown), Shown: sess.Proof.Second, ShownBy: sess.Proof.SecondBy,
		Expires: now.Add(life), Browser: shorten(c.Browser, 200), Network: c.Network,
	}); err != nil {
		return "", 0, err
	}
	s.Record(ctx, s.event(c, sess, "remember_browser", "ok", sess.Proof.SecondBy.String()))
	return id + "." + shown, life, nil
}

// makeRoom forgets what this browser held before, and the oldest browsers of a
// person who has too many.
func (s *Service) makeRoom(ctx context.Context, c Client, user string) error {
	list, err := s.Store.DevicesOf(ctx, user, s.Now())
	if err != nil {
		return err
	}
	former, _, _ := strings.Cut(c.Device, ".")
	for i, d := range list {
		if d.ID != former && i < MaxDevices-1 {
			continue
		}
		if err := s.Store.RemoveDevice(ctx, user, d.ID); err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
	}
	return nil
}

// recall adds to the proof of a first factor what this browser is remembered
// for. Another person's browser, a forged or an old one is remembered for
// nothing.
func (s *Service) recall(ctx context.Context, c Client, proof *mfa.Proof) error {
	proof.Remembered, proof.RememberedBy = time.Time{}, 0
	id, shown, ok := strings.Cut(c.Device, ".")
	if !ok {
		return nil
	}
	d, err := s.Store.Device(ctx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if d.User == proof.User && hmac.Equal(d.Hash, s.Box.MAC("device", id, shown)) && s.Now().Before(d.Expires) {
		proof.Remembered, proof.RememberedBy = d.Shown, d.ShownBy
	}
	return nil
}

// ForgetDevice ends one of the person's remembered browsers, and what sessions
// of theirs count on it.
func (s *Service) ForgetDevice(ctx context.Context, c Client, sess *storage.Session, id string) error {
	if _, err := s.MayView(ctx, sess); err != nil {
		return err
	}
	err := s.Store.RemoveDevice(ctx, sess.User, id)
	if errors.Is(err, storage.ErrNotFound) {
		return ErrStartAgain // over already, or not theirs: nothing to tell apart
	}
	if err != nil {
		return err
	}
	e := s.event(c, sess, "forget_browser", "ok", "by_person")
	e.Detail = id
	s.Record(ctx, e)
	return nil
}
