package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

const eventColumns = `id, happened_at, action, outcome, reason, actor, user_id, account_id, session_id, network, detail, line, prev_hash, hash`

func scanEvent(row scanner) (e storage.Event, err error) {
	err = row.Scan(&e.ID, instant{&e.At}, &e.Action, &e.Outcome, &e.Reason, &e.Actor, &e.User, &e.Account, &e.Session, &e.Network, &e.Detail,
		&e.Line, &e.Prev, &e.Hash)
	return e, err
}

func scanChain(row scanner) (c storage.Chain, err error) {
	err = row.Scan(&c.Account, &c.Line, &c.ID, &c.Hash)
	return c, err
}

const chainColumns = `account_id, line, last_id, hash`

// Events implements [storage.AuditLog]. Each combination of what is asked for is
// a query of its own, so that the engine can choose an index for it.
func (s *Store) Events(ctx context.Context, q storage.EventQuery) ([]storage.Event, error) {
	limit := max(q.Limit, 0)
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
	if q.Outcome != "" {
		only(`outcome = ?`, q.Outcome)
	}
	if !q.Since.IsZero() {
		only(`happened_at >= ?`, micros(q.Since))
	}
	if !q.Until.IsZero() {
		only(`happened_at < ?`, micros(q.Until))
	}
	if q.Before != 0 {
		only(`id < ?`, q.Before)
	}
	newest := func(more ...string) string {
		query := `SELECT ` + eventColumns + ` FROM audit`
		if conditions := append(more, where...); len(conditions) > 0 {
			query += ` WHERE ` + strings.Join(conditions, ` AND `)
		}
		return query + ` ORDER BY id DESC LIMIT ?`
	}
	query, args := newest(), append(args, limit)
	if q.Person != "" {
		// Each half has an index to walk; an OR would walk the whole account.
		query = `SELECT * FROM (SELECT * FROM (` + newest(`user_id = ?`) + `) AS about UNION ALL
			SELECT * FROM (` + newest(`actor = ?`, `user_id <> ?`) + `) AS by_them) AS either ORDER BY id DESC LIMIT ?`
		about := append([]any{q.Person}, args...)
		byThem := append([]any{q.Person, q.Person}, args...)
		args = append(append(about, byThem...), limit)
	}
	list, err := all(ctx, s.read, scanEvent, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading the audit: %w", err)
	}
	return list, nil
}

// Lines implements [storage.AuditLog].
func (s *Store) Lines(ctx context.Context, account string, from int64, limit int) ([]storage.Event, error) {
	list, err := all(ctx, s.read, scanEvent,
		`SELECT `+eventColumns+` FROM audit WHERE account_id = ? AND id >= ? ORDER BY id LIMIT ?`, account, from, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("reading the audit of account %q: %w", account, err)
	}
	return list, nil
}

// Chain implements [storage.AuditLog].
func (s *Store) Chain(ctx context.Context, account string) (storage.Chain, error) {
	end, err := one(ctx, s.read, scanChain, `SELECT `+chainColumns+` FROM audit_chains WHERE account_id = ?`, account)
	if errors.Is(err, storage.ErrNotFound) {
		return storage.Chain{Account: account}, nil
	}
	if err != nil {
		return storage.Chain{}, fmt.Errorf("reading the end of the audit of account %q: %w", account, err)
	}
	return end, nil
}

// Chains implements [storage.AuditLog].
func (s *Store) Chains(ctx context.Context, after string, limit int) ([]storage.Chain, error) {
	list, err := all(ctx, s.read, scanChain,
		`SELECT `+chainColumns+` FROM audit_chains WHERE account_id > ? ORDER BY account_id LIMIT ?`, after, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("listing the ends of the audit: %w", err)
	}
	return list, nil
}

// Extent implements [storage.AuditLog].
func (s *Store) Extent(ctx context.Context) (storage.Extent, error) {
	extent, err := one(ctx, s.read, func(row scanner) (x storage.Extent, err error) {
		err = row.Scan(&x.Last, &x.Unchained)
		return x, err
	}, `SELECT last_id, unchained FROM audit_head WHERE one = 1`)
	if err != nil {
		return extent, fmt.Errorf("reading the extent of the audit: %w", err)
	}
	return extent, nil
}

func scanID(row scanner) (id int64, err error) {
	err = row.Scan(&id)
	return id, err
}
