package storage

import (
	"context"
	"time"
)

// Mail is something to be told to one address. It holds no secret: a link that
// opens something is made while the mail is being sent, and never stored.
type Mail struct {
	ID      string // opaque and random; also what receivers know it by
	Key     string // what it tells of: of mails with one key, one is queued, ever
	About   string // which letter it is: "invitation", "enrolled", ...
	To      string // the address
	User    string // whom it is about; empty: nobody known
	Account string // in which account; empty: none
	Data    []byte // what the letter says beyond that; gone once it is done
	Created time.Time
	Due     time.Time // no try before this
	Expires time.Time // given up from then on
	Tries   int       // how often it was claimed
	Done    time.Time // sent or given up; zero: waiting
	Failed  string    // why it was given up; empty: it was not
}

// Outbox keeps mails until they are sent, over restarts.
type Outbox interface {
	// QueueMail adds a mail, or returns ErrExists for a key that was there
	// before, also when that mail is done.
	QueueMail(ctx context.Context, m Mail) error
	// MailAbout returns the mail of a key.
	MailAbout(ctx context.Context, key string) (Mail, error)
	// ClaimMail returns up to limit mails that wait and are due at now, oldest
	// first. Each is due again only at until, and has one more try: of many
	// callers one gets it, and if that one dies, it is claimed again.
	ClaimMail(ctx context.Context, now, until time.Time, limit int) ([]Mail, error)
	// PostponeMail makes a waiting mail due at another time, or returns
	// ErrNotFound.
	PostponeMail(ctx context.Context, id string, due time.Time) error
	// FinishMail ends a waiting mail: sent, or given up for the reason named.
	// What it would have said is erased. ErrNotFound: it does not wait.
	FinishMail(ctx context.Context, id, failed string, at time.Time) error
	// SweepMail deletes up to limit mails that were done before the given time,
	// and returns how many. Their keys are free again.
	SweepMail(ctx context.Context, before time.Time, limit int) (int, error)
}
