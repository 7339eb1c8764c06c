// Package notify is the contract between the gate and what carries its messages
// to people.
package notify

import (
	"context"
	"errors"
)

// Message is one mail in plain text.
type Message struct {
	ID      string // the same at every try, so that whoever receives two can tell
	To      string // an address, normalised
	Subject string
	Text    string // lines end in "\n"
}

// ErrRefused means that a message will never be taken: to try again is in vain.
var ErrRefused = errors.New("refused for good")

// Notifier carries messages. It may be called by several goroutines.
type Notifier interface {
	// Send returns nil once the other side has taken the message. An error that
	// wraps ErrRefused is for good; after any other, a later try may succeed. It
	// returns soon after ctx is done. No error holds a secret or what the
	// message says.
	Send(ctx context.Context, m Message) error
}
