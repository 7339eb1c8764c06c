package caddymfa

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/mail"
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
func (a *App) newOutbox(store storage.Storage, steps *login.Service) *mail.Outbox {
	if a.life.notifier == nil {
		return nil
	}
	return mail.New(mail.Outbox{
		Store: store, Notifier: a.life.notifier, Now: now, Record: steps.Record,
		Write: func(ctx context.Context, l mail.Letter) (subject, text string, err error) {
			if err := steps.Address(ctx, &l); err != nil {
				return "", "", err
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
