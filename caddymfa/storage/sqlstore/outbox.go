package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

const mailColumns = `id, mail_key, about, address, user_id, account_id, data, created_at, due_at, expires_at, tries, done_at, failed`

func scanMail(row scanner) (m storage.Mail, err error) {
	err = row.Scan(&m.ID, &m.Key, &m.About, &m.To, &m.User, &m.Account, &m.Data,
		instant{&m.Created}, instant{&m.Due}, instant{&m.Expires}, &m.Tries, instant{&m.Done}, &m.Failed)
	return m, err
}

// QueueMail implements [storage.Outbox].
func (s *Store) QueueMail(ctx context.Context, m storage.Mail) error {
	err := s.transact(ctx, func(t *tx) error { return t.queueMail(ctx, m) })
	if err != nil {
		return fmt.Errorf("queueing a mail about %q: %w", m.About, err)
	}
	return nil
}

func (t *tx) queueMail(ctx context.Context, m storage.Mail) error {
	_, err := t.exec(ctx, `INSERT INTO outbox (`+mailColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		m.ID, m.Key, m.About, m.To, m.User, m.Account, blob(m.Data),
		micros(m.Created), micros(m.Due), micros(m.Expires), m.Tries, micros(m.Done), m.Failed)
	return err
}

// MailAbout implements [storage.Outbox].
func (s *Store) MailAbout(ctx context.Context, key string) (storage.Mail, error) {
	m, err := one(ctx, s.read, scanMail, `SELECT `+mailColumns+` FROM outbox WHERE mail_key = ?`, key)
	if err != nil {
		return storage.Mail{}, fmt.Errorf("reading a mail: %w", err)
	}
	return m, nil
}

// ClaimMail implements [storage.Outbox].
func (s *Store) ClaimMail(ctx context.Context, now, until time.Time, limit int) ([]storage.Mail, error) {
	var claimed []storage.Mail
	err := s.transact(ctx, func(t *tx) (err error) {
		claimed, err = all(ctx, t, scanMail, `UPDATE outbox SET due_at = ?, tries = tries + 1 WHERE id IN
			(SELECT id FROM outbox WHERE done_at = 0 AND due_at <= ? ORDER BY due_at LIMIT ?`+t.ForUpdate+`)
			RETURNING `+mailColumns, micros(until), micros(now), max(limit, 0))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claiming mails: %w", err)
	}
	slices.SortFunc(claimed, func(a, b storage.Mail) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return claimed, nil
}

// PostponeMail implements [storage.Outbox].
func (s *Store) PostponeMail(ctx context.Context, id string, due time.Time) error {
	err := s.transact(ctx, func(t *tx) error {
		return t.touch(ctx, storage.ErrNotFound, `UPDATE outbox SET due_at = ? WHERE id = ? AND done_at = 0`, micros(due), id)
	})
	if err != nil {
		return fmt.Errorf("postponing mail %q: %w", id, err)
	}
	return nil
}

// FinishMail implements [storage.Outbox].
func (s *Store) FinishMail(ctx context.Context, id, failed string, at time.Time) error {
	err := s.transact(ctx, func(t *tx) error {
		if err := dated(at); err != nil {
			return err
		}
		return t.touch(ctx, storage.ErrNotFound, `UPDATE outbox SET done_at = ?, failed = ?, data = ? WHERE id = ? AND done_at = 0`,
			micros(at), failed, blob(nil), id)
	})
	if err != nil {
		return fmt.Errorf("finishing mail %q: %w", id, err)
	}
	return nil
}

// SweepMail implements [storage.Outbox].
func (s *Store) SweepMail(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.sweep(ctx, "mails", micros(before), limit, mailsOver...)
}
