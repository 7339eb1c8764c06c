// Package mail tells people what they must know, by mail. Whoever has something
// to tell queues a [Letter] in storage; it is written and sent from there, by a
// goroutine that no request waits for, and after a restart, too.
//
// A letter that is queued holds no secret. A link that opens something is made
// while it is being written, anew for each try.
package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/notify"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Letter is something to tell one person.
type Letter struct {
	About   string    `json:"-"` // which letter it is: one of those of internal/web
	Key     string    `json:"-"` // of letters with one key, one is sent, ever
	To      string    `json:"-"` // the address
	User    string    `json:"-"` // whom it is about; empty: nobody known
	Account string    `json:"-"` // in which account; empty: none
	Expires time.Time `json:"-"` // not sent from then on; zero: after [GiveUp]
	Says
}

// Says is what a letter says beyond its occasion.
type Says struct {
	At      time.Time `json:"at,omitzero"`    // when it happened, or will
	By      string    `json:"by,omitempty"`   // name of who did it
	What    string    `json:"what,omitempty"` // the name or kind of what it happened to
	Network string    `json:"from,omitempty"` // the address it was done from
	Mode    string    `json:"mode,omitempty"` // of the policy that it is about
	Link    string    `json:"-"`              // never stored
	Until   time.Time `json:"-"`              // how long the link is good for
	Name    string    `json:"-"`              // the account's, or of this service
}

// ErrNobody means that there is nothing to tell, or nobody: a writer says so,
// and the letter is dropped without a word.
var ErrNobody = errors.New("nobody to tell")

// Outbox sends letters.
type Outbox struct {
	Store interface {
		storage.Outbox
		storage.Users
		Administrators(ctx context.Context, account string) ([]storage.User, error)
	}
	Notifier notify.Notifier
	// Write turns a letter into words, and makes the link in it. ErrNobody: it
	// is not to be sent.
	Write func(ctx context.Context, l Letter) (subject, text string, err error)
	Now   func() time.Time
	// Record writes the audit of what was sent, or could not be.
	Record func(context.Context, storage.Event)
	// Fault tells the operator what went wrong.
	Fault func(doing string, err error)

	wake chan struct{}
}

// New returns an outbox that [Outbox.Run] empties.
func New(o Outbox) *Outbox {
	o.wake = make(chan struct{}, 1)
	return &o
}

// How letters are sent.
const (
	// GiveUp is how long a letter is tried that does not say it itself.
	GiveUp = 3 * 24 * time.Hour
	// claimTime is how long a letter is one sender's, longer than a try takes.
	claimTime = 5 * time.Minute
	// pollTime is how often is looked for what nobody woke us for: retries, and
	// what another process left behind.
	pollTime  = 15 * time.Second
	firstWait = time.Minute
	longWait  = time.Hour
)

// Queue adds a letter. It neither waits for the mail server nor fails because of
// it. A key that was there before is no error: the letter is sent, or was.
func (o *Outbox) Queue(ctx context.Context, l Letter) error {
	m, err := o.Prepare(l)
	if err == nil {
		err = o.Store.QueueMail(ctx, m)
	}
	if err != nil && !errors.Is(err, storage.ErrExists) {
		return err
	}
	o.Wake()
	return nil
}

// Prepare returns what is to be queued for a letter, for who queues it together
// with something else, and then calls [Outbox.Wake].
func (o *Outbox) Prepare(l Letter) (storage.Mail, error) {
	now := o.Now()
	if l.Expires.IsZero() {
		l.Expires = now.Add(GiveUp)
	}
	data, err := json.Marshal(l.Says)
	if err != nil {
		return storage.Mail{}, fmt.Errorf("encoding a letter: %w", err)
	}
	return storage.Mail{
		ID: session.NewID(), Key: l.Key, About: l.About, To: l.To, User: l.User, Account: l.Account, Data: data,
		Created: now, Due: now, Expires: l.Expires,
	}, nil
}

// Wake has the sender look for what was queued.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default: // it is awake already
	}
}

// Run sends what is queued until ctx ends.
func (o *Outbox) Run(ctx context.Context) {
	tick := time.NewTicker(pollTime)
	defer tick.Stop()
	for {
		if err := o.Deliver(ctx); err != nil && ctx.Err() == nil {
			o.Fault("sending mails", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		case <-tick.C:
		}
	}
}

// Deliver tries every letter that is due once. Its errors are the store's: a
// mail server that does not answer is no reason to stop.
func (o *Outbox) Deliver(ctx context.Context) error {
	for ctx.Err() == nil {
		now := o.Now()
		mails, err := o.Store.ClaimMail(ctx, now, now.Add(claimTime), 1)
		if err != nil || len(mails) == 0 {
			return err
		}
		// One that is being handed over when we are told to stop goes on, or its
		// receiver would get it twice.
		if err := o.deliver(context.WithoutCancel(ctx), mails[0]); err != nil {
			return err
		}
	}
	return nil
}

func (o *Outbox) deliver(ctx context.Context, m storage.Mail) error {
	now := o.Now()
	if !now.Before(m.Expires) {
		return o.finish(ctx, m, "too_late")
	}
	l := Letter{About: m.About, Key: m.Key, To: m.To, User: m.User, Account: m.Account, Expires: m.Expires}
	if err := json.Unmarshal(m.Data, &l.Says); err != nil {
		o.Fault("decoding a letter", err)
		return o.finish(ctx, m, "unreadable")
	}
	subject, text, err := o.Write(ctx, l)
	if errors.Is(err, ErrNobody) { // no audit row: it would only say that somebody typed an address
		return o.Store.FinishMail(ctx, m.ID, "", now)
	}
	if err == nil {
		err = o.Notifier.Send(ctx, notify.Message{ID: m.ID, To: m.To, Subject: subject, Text: text})
	}
	if err == nil {
		return o.finish(ctx, m, "")
	}
	o.Fault("sending a mail about "+m.About, err)
	if errors.Is(err, notify.ErrRefused) {
		return o.finish(ctx, m, "refused")
	}
	return o.Store.PostponeMail(ctx, m.ID, now.Add(backOff(m.Tries)))
}

// backOff is how long to wait after a number of tries.
func backOff(tries int) time.Duration {
	wait := firstWait
	for range tries - 1 {
		if wait *= 2; wait >= longWait {
			return longWait
		}
	}
	return wait
}

func (o *Outbox) finish(ctx context.Context, m storage.Mail, failed string) error {
	if err := o.Store.FinishMail(ctx, m.ID, failed, o.Now()); err != nil {
		return err
	}
	e := storage.Event{At: o.Now(), Action: "mail", Outcome: "ok", Reason: m.About, User: m.User, Account: m.Account}
	if failed != "" {
		e.Outcome, e.Detail = "failed", failed
	}
	o.Record(ctx, e)
	return nil
}
