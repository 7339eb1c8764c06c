package factor

import "time"

// Keys is the kind of factor that answers a challenge with a key: security keys
// and passkeys (WebAuthn Level 3). Everything is state in, state out, as with
// [Factor]; options and responses are the JSON that browsers make and take
// (WebAuthn Level 3, section 5.1.8 and 5.1.9).
//
// A ceremony is what must be remembered between a challenge and its answer. The
// caller keeps it sealed, bound to the browser, for one use.
type Keys interface {
	// BeginRegistration asks for a new credential, other than the existing ones.
	// A discoverable one can be the whole sign-in.
	BeginRegistration(who Subject, existing [][]byte, discoverable bool) (ceremony, options []byte, err error)
	// FinishRegistration returns the state to store.
	FinishRegistration(ceremony, response []byte, now time.Time) (state []byte, about Credential, err error)
	// BeginAssertion asks one of the person's credentials for an answer.
	BeginAssertion(who Subject, states [][]byte, verification bool) (ceremony, options []byte, err error)
	// FinishAssertion returns which credential answered, and its new state. An
	// error wrapping ErrIncorrect is a wrong answer.
	FinishAssertion(ceremony, response []byte, states [][]byte, now time.Time) (index int, state []byte, about Credential, err error)
	// BeginDiscoverable asks for any credential whose owner was verified.
	BeginDiscoverable() (ceremony, options []byte, err error)
	// FinishDiscoverable asks find for the states of the person whose opaque id
	// the credential names.
	FinishDiscoverable(ceremony, response []byte, now time.Time, find func(user string) ([][]byte, error)) (user string, index int, state []byte, about Credential, err error)
}

// Credential is what is known about a key.
type Credential struct {
	Name     string // the product's, where known
	Synced   bool   // it may be copied between its owner's devices (backup eligible)
	Verified bool   // it made sure of its owner (user verification)
}
