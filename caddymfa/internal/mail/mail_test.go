package mail

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddymfa/gateway/caddymfa/notify"
	"github.com/caddymfa/gateway/caddymfa/storage"
	"github.com/caddymfa/gateway/caddymfa/storage/sqlite/sqlitetest"
)

// post is an outbox over a real store, with a mail server that says what the
// test wants.
type post struct {
	*Outbox
	store  storage.Storage
	at     time.Time
	sent   []notify.Message
	answer error // of the mail server
	write  error
	events []storage.Event
	faults []string
}

func (p *post) Send(_ context.Context, m notify.Message) error {
	if p.answer == nil {
		p.sent = append(p.sent, m)
	}
	return p.answer
}

func (p *post) pass(d time.Duration) { p.at = p.at.Add(d) }

func newPost(t *testing.T) *post {
	t.Helper()
	store := sqlitetest.New(t)
	p := &post{store: store, at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	p.Outbox = New(Outbox{
		Store: store, Notifier: p, Now: func() time.Time { return p.at },
		Write: func(_ context.Context, l Letter) (string, string, error) {
			return "About " + l.About, fmt.Sprintf("%s for %s", l.What, l.User), p.write
		},
		Record: func(_ context.Context, e storage.Event) { p.events = append(p.events, e) },
		Fault:  func(doing string, err error) { p.faults = append(p.faults, doing) },
	})
	return p
}

func (p *post) queue(t *testing.T, key string) {
	t.Helper()
	if err := p.Queue(t.Context(), Letter{About: "news", Key: key, To: "ana@acme.example", User: "u1", Account: "acme", Says: Says{What: key}}); err != nil {
		t.Fatal(err)
	}
}

func (p *post) deliver(t *testing.T) {
	t.Helper()
	if err := p.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (p *post) about(t *testing.T, key string) storage.Mail {
	t.Helper()
	m, err := p.store.MailAbout(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestOneKeyIsSentOnce(t *testing.T) {
	p := newPost(t)
	p.queue(t, "k")
	p.queue(t, "k")
	p.deliver(t)
	p.queue(t, "k")
	p.deliver(t)
	if len(p.sent) != 1 || p.sent[0].To != "ana@acme.example" || p.sent[0].Subject != "About news" || p.sent[0].Text != "k for u1" || p.sent[0].ID == "" {
		t.Errorf("sent %+v", p.sent)
	}
	if want := (storage.Event{At: p.at, Action: "mail", Outcome: "ok", Reason: "news", User: "u1", Account: "acme"}); !reflect.DeepEqual(p.events, []storage.Event{want}) {
		t.Errorf("recorded %+v", p.events)
	}
}

func TestTemporaryFailuresAreTriedAgainAndGivenUp(t *testing.T) {
	p := newPost(t)
	p.answer = errors.New("451 later")
	p.queue(t, "k")
	var tries []time.Duration
	from := p.at
	for p.about(t, "k").Done.IsZero() {
		before := p.about(t, "k").Tries
		p.deliver(t)
		if p.about(t, "k").Tries > before {
			tries = append(tries, p.at.Sub(from))
		}
		p.pass(time.Minute)
	}
	if want := []time.Duration{0, time.Minute, 3 * time.Minute, 7 * time.Minute, 15 * time.Minute, 31 * time.Minute, 63 * time.Minute, 123 * time.Minute}; !slices.Equal(tries[:8], want) {
		t.Errorf("tried after %v, want %v", tries[:8], want)
	}
	m := p.about(t, "k")
	if m.Failed != "too_late" || m.Done.Sub(from) < GiveUp || m.Done.Sub(from) > GiveUp+longWait {
		t.Errorf("given up as %q after %s", m.Failed, m.Done.Sub(from))
	}
	if last := p.events[len(p.events)-1]; len(p.events) != 1 || last.Outcome != "failed" || last.Detail != "too_late" {
		t.Errorf("recorded %+v", p.events)
	}
}

func TestTheMailServerComesBack(t *testing.T) {
	p := newPost(t)
	p.answer = errors.New("connection refused")
	p.queue(t, "k")
	p.deliver(t)
	id := p.about(t, "k").ID
	p.answer = nil
	p.deliver(t)
	if len(p.sent) != 0 {
		t.Error("tried again at once")
	}
	p.pass(time.Minute)
	p.deliver(t)
	if len(p.sent) != 1 || p.sent[0].ID != id {
		t.Errorf("sent %+v", p.sent)
	}
}

func TestARefusalIsForGood(t *testing.T) {
	p := newPost(t)
	p.answer = fmt.Errorf("no such mailbox: %w", notify.ErrRefused)
	p.queue(t, "k")
	p.deliver(t)
	if m := p.about(t, "k"); m.Failed != "refused" || m.Tries != 1 || len(m.Data) != 0 {
		t.Errorf("%+v", m)
	}
	if len(p.faults) != 1 {
		t.Errorf("told the operator %q", p.faults)
	}
}

func TestNobodyToTell(t *testing.T) {
	p := newPost(t)
	p.write = ErrNobody
	p.queue(t, "k")
	p.deliver(t)
	if m := p.about(t, "k"); m.Done.IsZero() || len(p.sent)+len(p.events)+len(p.faults) != 0 {
		t.Errorf("%+v, sent %v, recorded %v, told the operator %v", m, p.sent, p.events, p.faults)
	}
}

// A letter that another process died over is sent when its claim is over.
func TestWhatAnotherProcessLeftBehind(t *testing.T) {
	p := newPost(t)
	p.queue(t, "k")
	if _, err := p.store.ClaimMail(t.Context(), p.at, p.at.Add(claimTime), 1); err != nil {
		t.Fatal(err)
	}
	p.deliver(t)
	if len(p.sent) != 0 {
		t.Error("sent what is another's")
	}
	p.pass(claimTime)
	p.deliver(t)
	if len(p.sent) != 1 {
		t.Errorf("sent %+v", p.sent)
	}
}

// memory is an outbox in memory, for the bubble of synctest, and a mail server
// that takes everything.
type memory struct {
	people
	storage.Outbox
	waiting chan storage.Mail
	sent    chan notify.Message
}

type people interface {
	storage.Users
	Administrators(ctx context.Context, account string) ([]storage.User, error)
}

func (m *memory) QueueMail(_ context.Context, mail storage.Mail) error {
	m.waiting <- mail
	return nil
}

func (m *memory) ClaimMail(context.Context, time.Time, time.Time, int) ([]storage.Mail, error) {
	select {
	case first := <-m.waiting:
		return []storage.Mail{first}, nil
	default:
		return nil, nil
	}
}

func (m *memory) FinishMail(context.Context, string, string, time.Time) error { return nil }

func (m *memory) Send(_ context.Context, message notify.Message) error {
	m.sent <- message
	return nil
}

func TestQueueingWakesTheSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{waiting: make(chan storage.Mail, 10), sent: make(chan notify.Message, 10)}
		o := New(Outbox{Store: m, Notifier: m, Now: time.Now,
			Write:  func(context.Context, Letter) (string, string, error) { return "s", "t", nil },
			Record: func(context.Context, storage.Event) {},
		})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go o.Run(ctx)
		synctest.Wait()
		from := time.Now()
		if err := o.Queue(ctx, Letter{About: "news", Key: "k", To: "ana@acme.example"}); err != nil {
			t.Fatal(err)
		}
		if <-m.sent; time.Since(from) != 0 {
			t.Errorf("sent after %s", time.Since(from))
		}
		// What nobody woke it for is found as well: once it looks again, not
		// while it still does for the first.
		synctest.Wait()
		m.waiting <- storage.Mail{ID: "left", Data: []byte("{}"), Expires: time.Now().Add(time.Hour)}
		if <-m.sent; time.Since(from) != pollTime {
			t.Errorf("found after %s", time.Since(from))
		}
	})
}

func TestWhichEventsAreTold(t *testing.T) {
	p := newPost(t)
	if err := p.store.CreateUser(t.Context(), storage.User{ID: "u1", Email: "ana@acme.example", Created: p.at}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		event storage.Event
		about string
		what  string
	}{
		{storage.Event{Action: "enroll", Outcome: "ok", Reason: "totp", User: "u1"}, AboutEnrolled, "totp"},
		{storage.Event{Action: "enroll", Outcome: "refused", Reason: "wrong_totp", User: "u1"}, "", ""},
		{storage.Event{Action: "remove_factor", Outcome: "ok", Detail: "Phone", User: "u1"}, AboutRemoved, "Phone"},
		{storage.Event{Action: "change_password", Outcome: "ok", User: "u1"}, AboutPassword, ""},
		{storage.Event{Action: "set_up", Outcome: "ok", User: "u1"}, AboutPassword, ""},
		{storage.Event{Action: "set_password", Outcome: "ok", User: "u1"}, AboutPassword, ""},
		{storage.Event{Action: "challenge", Outcome: "ok", Reason: "recovery", User: "u1"}, AboutRecovery, ""},
		{storage.Event{Action: "challenge", Outcome: "ok", Reason: "totp", User: "u1"}, "", ""},
		{storage.Event{Action: "lock", Outcome: "ok", Reason: "totp", User: "u1"}, AboutLocked, "totp"},
		{storage.Event{Action: "reset_factors", Outcome: "ok", User: "u1"}, AboutReset, ""},
		{storage.Event{Action: "reset_factors", Outcome: "ok", User: "gone"}, "", ""},
		{storage.Event{Action: "sign_in", Outcome: "ok", User: "u1"}, "", ""},
	} {
		p.sent = nil
		p.pass(time.Second)
		test.event.At = p.at
		p.Tell(t.Context(), test.event)
		p.Tell(t.Context(), test.event) // told twice, sent once
		p.deliver(t)
		if test.about == "" {
			if len(p.sent) != 0 {
				t.Errorf("%+v: sent %+v", test.event, p.sent)
			}
			continue
		}
		if len(p.sent) != 1 || p.sent[0].To != "ana@acme.example" || p.sent[0].Subject != "About "+test.about || p.sent[0].Text != test.what+" for u1" {
			t.Errorf("%+v: sent %+v", test.event, p.sent)
		}
	}
	if len(p.faults) != 0 {
		t.Errorf("told the operator %q", p.faults)
	}
}
