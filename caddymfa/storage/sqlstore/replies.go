package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

const replyColumns = `token_id, reply_key, request, status, body, created_at`

func scanReply(row scanner) (r storage.Reply, err error) {
	err = row.Scan(&r.Token, &r.Key, &r.Request, &r.Status, &r.Body, instant{&r.Created})
	return r, err
}

// ClaimReply implements [storage.Replies].
func (s *Store) ClaimReply(ctx context.Context, r storage.Reply) (storage.Reply, error) {
	err := s.transact(ctx, func(t *tx) error {
		claimed, err := all(ctx, t, scanReply, `INSERT INTO api_replies (`+replyColumns+`) VALUES (?, ?, ?, 0, ?, ?)
			ON CONFLICT (token_id, reply_key) DO NOTHING RETURNING `+replyColumns,
			r.Token, r.Key, blob(r.Request), []byte{}, micros(r.Created))
		if err != nil {
			return err
		}
		if len(claimed) == 1 {
			r = claimed[0]
			return nil
		}
		if r, err = one(ctx, t, scanReply, `SELECT `+replyColumns+` FROM api_replies WHERE token_id = ? AND reply_key = ?`, r.Token, r.Key); err != nil {
			return err
		}
		return storage.ErrExists
	})
	if errors.Is(err, storage.ErrExists) {
		return r, storage.ErrExists
	}
	if err != nil {
		return storage.Reply{}, fmt.Errorf("claiming a reply to token %q: %w", r.Token, err)
	}
	return r, nil
}

// FinishReply implements [storage.Replies].
func (s *Store) FinishReply(ctx context.Context, token, key string, status int, body []byte) error {
	err := s.transact(ctx, func(t *tx) error {
		return t.touch(ctx, storage.ErrNotFound,
			`UPDATE api_replies SET status = ?, body = ? WHERE token_id = ? AND reply_key = ? AND status = 0`, status, blob(body), token, key)
	})
	if err != nil {
		return fmt.Errorf("finishing a reply to token %q: %w", token, err)
	}
	return nil
}

// DropReply implements [storage.Replies].
func (s *Store) DropReply(ctx context.Context, token, key string) error {
	err := s.transact(ctx, func(t *tx) error {
		return t.touch(ctx, storage.ErrNotFound, `DELETE FROM api_replies WHERE token_id = ? AND reply_key = ? AND status = 0`, token, key)
	})
	if err != nil {
		return fmt.Errorf("dropping a reply to token %q: %w", token, err)
	}
	return nil
}

// SweepReplies implements [storage.Replies].
func (s *Store) SweepReplies(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.sweep(ctx, "replies", micros(before), limit, repliesOver...)
}
