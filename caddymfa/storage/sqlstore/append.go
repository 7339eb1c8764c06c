package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// The numbers of the audit have no gaps and become visible in their order, so
// that a row or a whole chain that is gone is missed. That takes one writer at a
// time, over all accounts and nodes, and each commit waits for the disk. So what
// a node has to append meanwhile is appended together, by one transaction: the
// more there is to do, the more each of them does.

// appendLimit bounds how many rows one transaction appends.
const appendLimit = 64

// appends are the rows that wait for their turn on this node.
type appends struct {
	turn    chan struct{} // held by whoever writes
	mu      sync.Mutex
	waiting []*appending
}

// appending is a row on its way, and what becomes of it once done is closed.
type appending struct {
	event storage.Event
	hash  func(storage.Event) []byte
	done  chan struct{}
	err   error
}

func (q *appends) join(a *appending) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, a)
}

// leave takes a row back, unless somebody is writing it already.
func (q *appends) leave(a *appending) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, a)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return true
}

func (q *appends) next() []*appending {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.waiting), appendLimit)
	batch := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	return batch
}

var errNoHash = errors.New("the row has no hash")

// AppendEvent implements [storage.AuditLog].
func (s *Store) AppendEvent(ctx context.Context, e storage.Event, hash func(storage.Event) []byte) (storage.Event, error) {
	// The hash must be of the texts as they will be stored.
	for _, text := range []*string{&e.Action, &e.Outcome, &e.Reason, &e.Actor, &e.User, &e.Account, &e.Session, &e.Network, &e.Detail} {
		*text = utf8Text(*text)
	}
	e.At = kept(e.At)
	a := &appending{event: e, hash: hash, done: make(chan struct{})}
	if err := s.append(ctx, a); err != nil {
		return storage.Event{}, fmt.Errorf("appending to the audit: %w", err)
	}
	return a.event, nil
}

// append waits until a row is appended, by its own goroutine or another one.
func (s *Store) append(ctx context.Context, a *appending) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.appends.join(a)
	gone := ctx.Done()
	for {
		select {
		case <-a.done:
			return a.err
		case s.appends.turn <- struct{}{}:
			s.appendNext(ctx)
		case <-gone:
			if s.appends.leave(a) {
				return ctx.Err()
			}
			gone = nil // it is being written, and what comes of that is to be told
		}
	}
}

// appendNext appends what waits, and gives the turn back. It is bounded by the
// store's own timeout, because most of the rows are others'.
func (s *Store) appendNext(ctx context.Context) {
	defer func() { <-s.appends.turn }()
	ctx, cancel := s.dialect.within(context.WithoutCancel(ctx))
	defer cancel()
	s.appendAll(ctx, s.appends.next())
}

// appendAll appends rows by one transaction. If that is undone because of one of
// them, which may be somebody's attempt to keep all of them out, each is tried
// alone.
func (s *Store) appendAll(ctx context.Context, batch []*appending) {
	if len(batch) == 0 {
		return
	}
	finished := errors.New("it was not finished")
	defer func() {
		for _, a := range batch {
			a.err = finished
			close(a.done)
		}
	}()
	undone := false
	err := s.transact(ctx, func(t *tx) error {
		err := t.append(ctx, batch)
		undone = err != nil
		return err
	})
	if undone && len(batch) > 1 {
		for len(batch) > 0 {
			first := batch[:1]
			batch = batch[1:]
			s.appendAll(ctx, first)
		}
		return
	}
	finished = err
}

// append adds rows to the ends of their chains, in their order. Whoever appends
// holds the one row of audit_head first, so the ends can be read without a lock
// of their own, and no two writers can wait for each other.
func (t *tx) append(ctx context.Context, batch []*appending) error {
	id, err := one(ctx, t, scanID, `UPDATE audit_head SET last_id = last_id + ? WHERE one = 1 RETURNING last_id`, len(batch))
	if err != nil {
		return err
	}
	id -= int64(len(batch))
	ends, err := t.ends(ctx, batch)
	if err != nil {
		return err
	}
	var rows, changed []any
	for _, a := range batch {
		e := &a.event
		end := ends[e.Account]
		id++
		e.ID, e.Line, e.Prev = id, end.Line+1, end.Hash
		if e.Hash = a.hash(*e); len(e.Hash) == 0 {
			return errNoHash
		}
		ends[e.Account] = storage.Chain{Account: e.Account, Line: e.Line, ID: e.ID, Hash: e.Hash}
		rows = append(rows, e.ID, micros(e.At), e.Action, e.Outcome, e.Reason, e.Actor, e.User, e.Account, e.Session, e.Network, e.Detail,
			e.Line, e.Prev, e.Hash)
	}
	if _, err := t.exec(ctx, `INSERT INTO audit (`+eventColumns+`) VALUES `+tuples(len(batch), 14), rows...); err != nil {
		return err
	}
	for _, end := range ends {
		changed = append(changed, end.Account, end.Line, end.ID, end.Hash)
	}
	_, err = t.exec(ctx, `INSERT INTO audit_chains (`+chainColumns+`) VALUES `+tuples(len(ends), 4)+`
		ON CONFLICT (account_id) DO UPDATE SET line = excluded.line, last_id = excluded.last_id, hash = excluded.hash`, changed...)
	return err
}

// ends returns where the chains end that rows are about to be added to.
func (t *tx) ends(ctx context.Context, batch []*appending) (map[string]storage.Chain, error) {
	ends := make(map[string]storage.Chain)
	var accounts []any
	for _, a := range batch {
		if _, ok := ends[a.event.Account]; !ok {
			ends[a.event.Account] = storage.Chain{}
			accounts = append(accounts, a.event.Account)
		}
	}
	found, err := all(ctx, t, scanChain, `SELECT `+chainColumns+` FROM audit_chains WHERE account_id IN `+tuples(1, len(accounts)), accounts...)
	for _, end := range found {
		ends[end.Account] = end
	}
	return ends, err
}

// tuples writes the parameters of some rows, as in (?, ?), (?, ?).
func tuples(rows, columns int) string {
	row := "(?" + strings.Repeat(", ?", columns-1) + ")"
	return row + strings.Repeat(", "+row, rows-1)
}
