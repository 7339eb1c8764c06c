package caddymfa

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddymfa/gateway/caddymfa/internal/operate"
	"github.com/caddymfa/gateway/caddymfa/internal/settings"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// errDemonstrated means that a demonstration's account has what would be real.
var errDemonstrated = errors.New("a demonstration has no domains and no identity providers: declare the account outside of it")

// demonstrate creates what the demonstration declares and is not there yet, and
// says on the console how to try it.
func (a *App) demonstrate(ctx context.Context, op *operate.Operator) error {
	d := a.Demonstration
	accounts, users, err := declare(d.Accounts, d.Users)
	if err != nil {
		return err
	}
	if d.Password == "" {
		return errors.New("a password is needed")
	}
	for _, account := range accounts {
		if len(account.Domains)+len(account.Providers) > 0 {
			return fmt.Errorf("account %q: %w", account.ID, errDemonstrated)
		}
		err := op.AddAccount(ctx, account.ID, account.Name, account.Policy)
		if errors.Is(err, storage.ErrExists) {
			continue
		}
		if err == nil && account.Rules != (settings.Rules{}) {
			_, _, err = op.SetPolicy(ctx, account.ID, operate.PolicyChange{
				Policy: account.Policy, Accept: &account.Rules.Accept, SecondFactorAge: &account.Rules.SecondFactorAge, Remember: &account.Rules.Remember,
			})
		}
		if err != nil {
			return fmt.Errorf("account %q: %w", account.ID, err)
		}
	}
	hash := ""
	for _, u := range users {
		if _, err := op.AddUser(ctx, u.Email, u.Name); errors.Is(err, storage.ErrExists) {
			continue
		} else if err != nil {
			return fmt.Errorf("user %q: %w", u.Email, err)
		}
		if hash == "" {
			if hash, err = op.Login.Passwords.Hash(ctx, d.Password); err != nil {
				return err
			}
		}
		if err := op.SetPassword(ctx, u.Email, hash); err != nil {
			return fmt.Errorf("user %q: %w", u.Email, err)
		}
		for _, m := range u.Memberships {
			if err := op.AddMember(ctx, m.Account, u.Email, m.Role); err != nil {
				return fmt.Errorf("user %q in account %q: %w", u.Email, m.Account, err)
			}
		}
	}
	a.life.log.Warn("this is a demonstration: everybody knows its password; never use it for anything real")
	a.announce()
	return nil
}

// announce prints the address and the credentials for whoever started Caddy in
// a terminal.
func (a *App) announce() {
	var b strings.Builder
	fmt.Fprintf(&b, "\n  caddymfa demonstration")
	if a.life.address != "" {
		fmt.Fprintf(&b, " at %s", a.life.address)
	}
	fmt.Fprintf(&b, "\n  Password of everybody: %s\n", a.Demonstration.Password)
	for _, u := range a.Demonstration.Users {
		var places []string
		for _, m := range u.Memberships {
			for _, account := range a.Demonstration.Accounts {
				if account.ID == m.Account {
					places = append(places, fmt.Sprintf("%s (%s)", account.ID, account.Policy))
				}
			}
		}
		fmt.Fprintf(&b, "    %-26s %s\n", u.Email, strings.Join(places, ", "))
	}
	fmt.Fprintf(&b, "  Data: %s\n\n", a.life.node.location())
	fmt.Fprint(os.Stderr, b.String())
}

// servedBy remembers the address of the first server that serves the pages, for
// the demonstration's announcement.
func (a *App) servedBy(ctx caddy.Context) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || len(server.Listen) == 0 || a.life.address != "" {
		return
	}
	at, err := caddy.ParseNetworkAddress(server.Listen[0])
	if err != nil {
		return
	}
	host := at.Host
	if host == "" || host == "127.0.0.1" || host == "::1" {
		host = "localhost"
	}
	a.life.address = fmt.Sprintf("http://%s:%d", host, at.StartPort)
}
