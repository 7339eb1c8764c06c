package caddymfa

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/mail"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/notify"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// provisionMail loads what carries mails.
func (a *App) provisionMail(ctx caddy.Context) error {
	if a.MailRaw == nil {
		return nil
	}
	if len(a.Origins) == 0 {
		return errors.New("mail needs an origin: the address, such as https://portal.example.com, that links in mails lead to")
	}
	mod, err := ctx.LoadModule(a, "MailRaw")
	if err != nil {
		return fmt.Errorf("loading what carries mails: %w", err)
	}
	notifier, ok := mod.(notify.Notifier)
	if !ok {
		return fmt.Errorf("module %T carries no mails", mod)
	}
	a.life.notifier = notifier
	return nil
}

// pagesAddress is where people reach the pages, for links in mails: configured, and
// never taken from a request. Without an origin nothing is mailed.
func (a *App) pagesAddress() string {
	if len(a.Origins) == 0 {
		return ""
	}
	return a.Origins[0] + a.Base
}

// newOutbox wires what tells people by mail; nil: nothing does.
func (a *App) newOutbox(store storage.Storage, steps *login.Service, admins *admin.Service) *mail.Outbox {
	if a.life.notifier == nil {
		return nil
	}
	return mail.New(mail.Outbox{
		Store: store, Notifier: a.life.notifier, Now: now, Record: steps.Record,
		Write: func(ctx context.Context, l mail.Letter) (subject, text string, err error) {
			if err := steps.Address(ctx, &l); err != nil {
				return "", "", err
			}
			if l.About == mail.AboutPlan {
				if concerns, err := admins.Concerns(ctx, l.Account, l.User, l.At); err != nil || !concerns {
					return "", "", cmp.Or(err, mail.ErrNobody)
				}
			}
			return a.life.pages.Letter(l)
		},
		Fault: func(doing string, err error) {
			a.life.log.Error("a mail is not under way", zap.String("doing", doing), zap.Error(err))
		},
	})
}

// telling writes the audit, and mails people what touches their own security.
func telling(record func(context.Context, storage.Event), outbox *mail.Outbox) func(context.Context, storage.Event) {
	return func(ctx context.Context, e storage.Event) {
		record(ctx, e)
		outbox.Tell(context.WithoutCancel(ctx), e)
	}
}

// remindTime is how often is looked for people to be reminded, by one node.
const remindTime = time.Hour

// remind tells people by mail what planned modes will ask of them.
func (g *gate) remind(ctx context.Context) error {
	if g.mail == nil {
		return nil
	}
	// Nobody gives this back: who comes within the hour, this node too, finds it
	// taken. The mails' keys see to it that each is sent once; this only spares
	// the database from being asked so often.
	err := g.login.Store.TakeLease(ctx, "reminders", session.NewID(), now(), now().Add(remindTime))
	if errors.Is(err, storage.ErrConflict) {
		return nil
	}
	if err != nil {
		return err
	}
	return g.admin.Remind(ctx, func(ctx context.Context, r admin.Reminder) error {
		return g.mail.Queue(ctx, mail.Letter{
			About: mail.AboutPlan, Key: r.Key, To: r.To, User: r.User, Account: r.Account, Expires: r.Until,
			Says: mail.Says{At: r.At, Mode: r.Mode.String()},
		})
	})
}
