// Package factor is the contract for kinds of second factor.
//
// A factor never sees storage: state in, state out. So nothing in it can be
// spent twice: whoever stores the state writes it only if nobody else did
// meanwhile.
package factor

import (
	"context"
	"errors"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// ErrIncorrect means a wrong answer. A replayed answer is a wrong answer too,
// and reads exactly like one. Any other error is a fault of ours and is not
// counted against the person.
var ErrIncorrect = errors.New("incorrect")

// ErrMalformed means an answer that is none: not what a browser or a key makes.
// It is not counted against the person either.
var ErrMalformed = errors.New("malformed")

// Subject is whom an authenticator is being enrolled for.
type Subject struct {
	User   string // the user's opaque id
	Label  string // what the authenticator shows to tell entries apart: the e-mail address
	Issuer string // what the authenticator shows as the service's name
}

// Prompt is what the person must see to enrol or answer.
type Prompt struct {
	Secret string // the key to type, where the kind has one
	URI    string // what the QR code says
	QR     [][]bool
}

// Response is a person's answer.
type Response struct {
	Code string
	At   time.Time // when it arrived
}

// Factor is one kind of second factor.
type Factor interface {
	Kind() mfa.Kind
	// Enroll makes new state, and what to show the person for it. The state is
	// confirmed by a first Verify.
	Enroll(ctx context.Context, who Subject) (state []byte, show Prompt, err error)
	// Prompt shows again what Enroll showed, as long as the state is pending.
	Prompt(ctx context.Context, state []byte, who Subject) (Prompt, error)
	// Verify returns the state to store. An error wrapping ErrIncorrect is a
	// wrong answer; any other error is a fault and is not counted as an
	// attempt. It runs inside a storage update and may be called more than once.
	Verify(ctx context.Context, state []byte, response Response) ([]byte, error)
}
