package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

const eventColumns = `id, happened_at, action, outcome, reason, actor, user_id, account_id, session_id, network, detail`

func scanEvent(row scanner) (e storage.Event, err error) {
	err = row.Scan(&e.ID, instant{&e.At}, &e.Action, &e.Outcome, &e.Reason, &e.Actor, &e.User, &e.Account, &e.Session, &e.Network, &e.Detail)
	return e, err
}

// AppendEvent implements [storage.AuditLog].
func (s *Store) AppendEvent(ctx context.Context, e storage.Event) error {
	err := s.transact(ctx, func(t *tx) error {
		id, err := one(ctx, t, scanCount, `UPDATE audit_head SET last_id = last_id + 1 WHERE one = 1 RETURNING last_id`)
		if err != nil {
			return err
		}
		_, err = t.exec(ctx, `INSERT INTO audit (`+eventColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			id, micros(e.At), e.Action, e.Outcome, e.Reason, e.Actor, e.User, e.Account, e.Session, e.Network, e.Detail)
		return err
	})
	if err != nil {
		return fmt.Errorf("appending to the audit: %w", err)
	}
	return nil
}

// Events implements [storage.AuditLog]. Each combination of what is asked for is
// a query of its own, so that the engine can choose an index for it.
func (s *Store) Events(ctx context.Context, q storage.EventQuery) ([]storage.Event, error) {
	var where []string
	var args []any
	only := func(condition string, value any) {
		where = append(where, condition)
		args = append(args, value)
	}
	if q.Account != "" {
		only(`account_id = ?`, q.Account)
	}
	if q.User != "" {
		only(`user_id = ?`, q.User)
	}
	if q.Action != "" {
		only(`action = ?`, q.Action)
	}
	if q.Before != 0 {
		only(`id < ?`, q.Before)
	}
	query := `SELECT ` + eventColumns + ` FROM audit`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, ` AND `)
	}
	list, err := all(ctx, s.read, scanEvent, query+` ORDER BY id DESC LIMIT ?`, append(args, max(q.Limit, 0))...)
	if err != nil {
		return nil, fmt.Errorf("reading the audit: %w", err)
	}
	return list, nil
}
