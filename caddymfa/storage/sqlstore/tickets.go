package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// A ticket that is nobody's has NULL for its user; see optional.
const ticketFields = `purpose, id, COALESCE(user_id, ''), session_id, data, expires_at`

func scanTicket(row scanner) (v storage.Ticket, err error) {
	err = row.Scan(&v.Purpose, &v.ID, &v.User, &v.Session, &v.Data, instant{&v.Expires})
	return v, err
}

// PutTicket implements [storage.Tickets]. ErrNotFound: no such user.
func (s *Store) PutTicket(ctx context.Context, v storage.Ticket) error {
	err := s.transact(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `INSERT INTO tickets (purpose, id, user_id, session_id, data, expires_at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (purpose, id) DO UPDATE SET user_id = excluded.user_id, session_id = excluded.session_id,
				data = excluded.data, expires_at = excluded.expires_at`,
			v.Purpose, v.ID, optional(v.User), v.Session, blob(v.Data), micros(v.Expires))
		return err
	})
	if err != nil {
		return fmt.Errorf("putting a ticket for %q: %w", v.Purpose, err)
	}
	return nil
}

// Ticket implements [storage.Tickets].
func (s *Store) Ticket(ctx context.Context, purpose, id string, now time.Time) (storage.Ticket, error) {
	v, err := one(ctx, s.read, scanTicket,
		`SELECT `+ticketFields+` FROM tickets WHERE purpose = ? AND id = ? AND expires_at > ?`, purpose, id, micros(now))
	if err != nil {
		return storage.Ticket{}, fmt.Errorf("reading a ticket for %q: %w", purpose, err)
	}
	return v, nil
}

// TakeTicket implements [storage.Tickets]. The row is deleted and read by one
// statement: a ticket that was read before it is deleted could be taken twice.
func (s *Store) TakeTicket(ctx context.Context, purpose, id string, now time.Time) (storage.Ticket, error) {
	var v storage.Ticket
	err := s.transact(ctx, func(t *tx) (err error) {
		v, err = one(ctx, t, scanTicket,
			`DELETE FROM tickets WHERE purpose = ? AND id = ? AND expires_at > ? RETURNING `+ticketFields, purpose, id, micros(now))
		if errors.Is(err, storage.ErrNotFound) {
			return storage.ErrSpent
		}
		return err
	})
	if err != nil {
		return storage.Ticket{}, fmt.Errorf("taking a ticket for %q: %w", purpose, err)
	}
	return v, nil
}

// SweepTickets implements [storage.Tickets].
func (s *Store) SweepTickets(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.sweep(ctx, "tickets", micros(before), limit, ticketsOver...)
}
