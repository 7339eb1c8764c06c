package postgres

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// channel is where changes are announced.
const channel = "caddymfa"

const (
	// beat is how often the feed asks whether it has heard everything.
	beat = 250 * time.Millisecond
	// lease is how long the answer holds. Changes are in force everywhere within
	// one second: a node that may have missed one notices before.
	lease = 900 * time.Millisecond
	// pause is how long the feed waits before it connects anew.
	pause = 250 * time.Millisecond
)

// feed hears from the database what other nodes write.
//
// PostgreSQL delivers notifications in the order in which their transactions
// were committed. So the feed notifies itself, and when that comes back to it
// (a beat), everything that was committed before the beat was sent has been
// heard. It is live for a moment after that, and by no other evidence: a
// connection that is open but leads nowhere proves nothing.
type feed struct {
	config  *pgx.ConnConfig
	timeout time.Duration
	log     *slog.Logger
	name    string // of this store among those that announce
	origin  time.Time
	tell    func(...storage.Change)
	lost    func()

	listening atomic.Bool  // no change was missed since the last beat
	heard     atomic.Int64 // when the last beat that came back was sent, after origin

	cancel context.CancelFunc
	done   chan struct{}
}

func newFeed(config *pgx.ConnConfig, o Options) *feed {
	f := &feed{config: config, timeout: o.Timeout, log: o.Log, name: rand.Text(), origin: time.Now(), done: make(chan struct{})}
	f.heard.Store(math.MinInt64 / 2)
	return f
}

// Live reports whether all changes of other nodes are known, but those of the
// last moment.
func (f *feed) Live() bool { return f.listening.Load() && f.Lag() < lease }

// Lag is how long ago the last beat that came back was sent.
func (f *feed) Lag() time.Duration { return time.Since(f.origin) - time.Duration(f.heard.Load()) }

// start listens until close. Tell hears every change, and lost that the
// connection broke.
func (f *feed) start(tell func(...storage.Change), lost func()) {
	f.tell, f.lost = tell, lost
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	go f.run(ctx)
}

func (f *feed) close() {
	f.cancel()
	<-f.done
}

// run listens, and connects anew whenever that ends.
func (f *feed) run(ctx context.Context) {
	defer close(f.done)
	wait := time.NewTimer(0)
	defer wait.Stop()
	for told := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		lived, err := f.listen(ctx)
		if ctx.Err() != nil {
			return
		}
		if lived {
			f.lost()
			told = false
		}
		if !told {
			f.log.Warn("changes made on other nodes do not arrive: until they do, every request asks the database", slog.Any("error", err))
			told = true
		}
		wait.Reset(pause)
	}
}

// listen hears changes until something is wrong, and says whether it ever was
// live.
func (f *feed) listen(ctx context.Context) (lived bool, err error) {
	conn, err := pgx.ConnectConfig(ctx, f.config)
	if err != nil {
		return false, fmt.Errorf("connecting to listen: %w", err)
	}
	defer func() {
		f.listening.Store(false)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pause)
		defer cancel()
		conn.Close(ctx)
	}()
	own := channel + "_" + f.name
	// A beat need not survive anything, so nobody waits for a disk because of it.
	if err := f.exec(ctx, conn, `SET synchronous_commit = off; LISTEN `+channel+`; LISTEN `+pgx.Identifier{own}.Sanitize()); err != nil {
		return false, fmt.Errorf("listening: %w", err)
	}
	for n := 0; ; n++ {
		sent := time.Since(f.origin)
		if err := f.beat(ctx, conn, own, strconv.Itoa(n)); err != nil {
			return lived, err
		}
		if !lived {
			// What was written before it began to listen was told to nobody here.
			f.tell(storage.Change{Subject: storage.SubjectAll})
			f.listening.Store(true)
			f.log.Info("changes made on other nodes arrive")
		}
		f.heard.Store(int64(sent))
		lived = true
		if err := f.hear(ctx, conn, beat); err != nil {
			return lived, err
		}
	}
}

// beat sends something to itself and hears changes until it is there.
func (f *feed) beat(ctx context.Context, conn *pgx.Conn, own, payload string) error {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	if err := f.exec(ctx, conn, `SELECT pg_notify($1, $2)`, own, payload); err != nil {
		return fmt.Errorf("sending a notification to itself: %w", err)
	}
	for {
		n, err := conn.WaitForNotification(ctx)
		if n != nil {
			if n.Channel == own && n.Payload == payload {
				return nil
			}
			f.receive(n.Channel, n.Payload)
		}
		if err != nil {
			return fmt.Errorf("waiting for its own notification, which needs a connection without a pooler in between (listen_dsn): %w", err)
		}
	}
}

// hear hears changes for a while.
func (f *feed) hear(ctx context.Context, conn *pgx.Conn, while time.Duration) error {
	within, cancel := context.WithTimeout(ctx, while)
	defer cancel()
	for {
		n, err := conn.WaitForNotification(within)
		if n != nil {
			f.receive(n.Channel, n.Payload)
		}
		switch {
		case err == nil:
		case within.Err() != nil && !conn.IsClosed():
			return ctx.Err()
		default:
			return fmt.Errorf("waiting for notifications: %w", err)
		}
	}
}

func (f *feed) exec(ctx context.Context, conn *pgx.Conn, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	_, err := conn.Exec(ctx, query, args...)
	return err
}

// announcement is what a transaction tells of its changes.
type announcement struct {
	From    string   `json:"from"`
	Changes []change `json:"changes"`
}

type change struct {
	Subject storage.Subject `json:"subject"`
	ID      string          `json:"id,omitempty"`
}

// longest is how long an announcement may be; PostgreSQL takes 7999 bytes.
const longest = 7000

// announce returns the statement that tells of changes. Too many of them are
// told as one: that anything may have changed.
func (f *feed) announce(changes []storage.Change) (query, payload string) {
	query = `SELECT pg_notify('` + channel + `', ?)`
	a := announcement{From: f.name}
	size := 0
	for _, c := range changes {
		a.Changes = append(a.Changes, change{c.Subject, c.ID})
		size += len(c.ID)
	}
	if size < longest {
		if text, err := json.Marshal(a); err == nil && len(text) < longest {
			return query, string(text)
		}
	}
	a.Changes = []change{{Subject: storage.SubjectAll}}
	text, err := json.Marshal(a)
	if err != nil {
		return query, "" // which receive takes for anything
	}
	return query, string(text)
}

// receive tells what another node announced. Its own changes were told when
// they were made. What it does not understand, as from a newer version, may be
// anything.
func (f *feed) receive(from, payload string) {
	if from != channel {
		return // a beat that was given up
	}
	var a announcement
	if err := json.Unmarshal([]byte(payload), &a); err != nil || a.From == "" {
		f.tell(storage.Change{Subject: storage.SubjectAll})
		return
	}
	if a.From == f.name {
		return
	}
	changes := make([]storage.Change, len(a.Changes))
	for i, c := range a.Changes {
		if changes[i] = (storage.Change{Subject: c.Subject, ID: c.ID}); c.Subject == 0 || c.Subject > storage.SubjectAll {
			changes[i] = storage.Change{Subject: storage.SubjectAll}
		}
	}
	f.tell(changes...)
}
