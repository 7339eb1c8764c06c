// Package smtp hands mails to a mail server (RFC 5321). Connections are
// encrypted, or there are none.
package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strings"

	"github.com/wneessen/go-mail"

	"github.com/caddymfa/gateway/caddymfa/notify"
)

// Send implements [notify.Notifier]. Each message has a connection of its own:
// there are few of them, and none that hangs can hold up another.
func (m *Module) Send(ctx context.Context, message notify.Message) error {
	msg, err := m.compose(message)
	if err != nil {
		return fmt.Errorf("%w: %w", notify.ErrRefused, err)
	}
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	client, err := mail.NewClient(m.host, m.options(ctx)...)
	if err != nil {
		return fmt.Errorf("preparing a connection to %s: %w", m.Server, err)
	}
	if err := client.DialAndSendWithContext(ctx, msg); err != nil {
		// A refusal is an answer of the 500s about this message. That the
		// connection broke, or that our password is wrong, may change.
		var refused *mail.SendError
		if errors.As(err, &refused) && refused.ErrorCode() >= 500 && refused.ErrorCode() < 600 {
			return fmt.Errorf("sending through %s: %w: %w", m.Server, notify.ErrRefused, err)
		}
		return fmt.Errorf("sending through %s: %w", m.Server, err)
	}
	return nil
}

func (m *Module) compose(message notify.Message) (*mail.Msg, error) {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := msg.From(m.From); err != nil {
		return nil, fmt.Errorf("the sender's address: %w", err)
	}
	if err := msg.To(message.To); err != nil {
		return nil, errors.New("the address cannot be written to") // which the error would repeat
	}
	msg.Subject(message.Subject)
	msg.SetBodyString(mail.TypeTextPlain, message.Text)
	msg.SetDate()
	msg.SetMessageIDWithValue(message.ID + "@" + m.domain)
	// Who is away must not answer, and no list must pass it on (RFC 3834).
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	return msg, nil
}

func (m *Module) options(ctx context.Context) []mail.Option {
	secure := &tls.Config{ServerName: m.host, RootCAs: m.trusted, MinVersion: tls.VersionTLS12}
	options := []mail.Option{
		mail.WithPort(m.port), mail.WithTimeout(m.timeout), mail.WithHELO(m.domain), mail.WithTLSConfig(secure),
		// The library stops dialling when the context is done, and would go on
		// waiting for a server that took the connection and says nothing.
		mail.WithDialContextFunc(func(dial context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(dial, network, address)
			if err != nil {
				return nil, err
			}
			context.AfterFunc(ctx, func() { conn.Close() })
			if m.TLS == tlsImplicit {
				return tls.Client(conn, secure), nil
			}
			return conn, nil
		}),
	}
	switch {
	case m.InsecurePlaintext:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	case m.TLS == tlsImplicit:
		options = append(options, mail.WithSSL())
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if m.username != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(m.username), mail.WithPassword(m.password))
	}
	return options
}

// domainOf returns the domain of an address such as "Portal <portal@example.com>".
func domainOf(from string) (string, error) {
	address, err := netmail.ParseAddress(from)
	if err != nil {
		return "", fmt.Errorf("from %q: expected an address such as \"Portal <portal@example.com>\"", from)
	}
	return address.Address[strings.LastIndexByte(address.Address, '@')+1:], nil
}

// Interface guard
var _ notify.Notifier = (*Module)(nil)
