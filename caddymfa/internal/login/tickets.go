package login

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// newCode makes what is shown once and handed over: 160 random bits, as letters
// and digits that can be typed.
func newCode() string {
	var random [20]byte
	rand.Read(random[:])
	return base32.StdEncoding.EncodeToString(random[:])
}

// ticketID hashes what the holder shows, so that the database holds nothing
// that could be shown.
func (s *Service) ticketID(purpose, shown string) string {
	return base64.RawURLEncoding.EncodeToString(s.Box.MAC("ticket "+purpose, shown))
}

// putTicket keeps a ticket with sealed data, for whoever shows this.
func (s *Service) putTicket(ctx context.Context, t storage.Ticket, shown string, data any, life time.Duration) error {
	raw, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encoding a ticket (%s): %w", t.Purpose, err)
	}
	t.ID, t.Expires = s.ticketID(t.Purpose, shown), s.Now().Add(life)
	t.Data = s.Box.Seal(raw, "tickets", t.ID, "data")
	return s.Store.PutTicket(ctx, t)
}

// openTicket reads what putTicket sealed.
func (s *Service) openTicket(t storage.Ticket, data any) error {
	raw, err := s.Box.Open(t.Data, "tickets", t.ID, "data")
	if err != nil {
		return fmt.Errorf("opening a ticket (%s): %w", t.Purpose, err)
	}
	if err := json.Unmarshal(raw, data); err != nil {
		return fmt.Errorf("decoding a ticket (%s): %w", t.Purpose, err)
	}
	return nil
}

// putOwn keeps a ticket that is good in one session only.
func (s *Service) putOwn(ctx context.Context, purpose string, sess *storage.Session, data any, life time.Duration) error {
	return s.putTicket(ctx, storage.Ticket{Purpose: purpose, User: sess.User, Session: sess.ID}, sess.ID, data, life)
}

// openOwn reads what putOwn sealed, in that session. ErrStartAgain: it is another.
func (s *Service) openOwn(t storage.Ticket, sess *storage.Session, data any) error {
	if t.User != sess.User || t.Session != sess.ID {
		return ErrStartAgain
	}
	return s.openTicket(t, data)
}
