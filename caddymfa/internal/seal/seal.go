// Package seal encrypts secrets before they are stored, and derives the keys
// for everything else that must be unforgeable.
package seal

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/chacha20poly1305"
)

// KeySize is the length of a master key in bytes.
const KeySize = 32

// ErrOpen means that a sealed value was made under another master key, for
// another place, or was altered. It does not say which.
var ErrOpen = errors.New("sealed value does not open")

// ErrKey means that something was signed under a master key that is not here.
var ErrKey = errors.New("signed under another master key")

// Box seals and opens under one or more master keys. One key seals; all of them
// open, so that the master key can be replaced while rows sealed under the former
// one remain. What must be unforgeable is derived from a secret of its own where
// the box was made by Open, and stays the same when the master key is replaced.
type Box struct {
	now      atomic.Pointer[keys]
	changing sync.Mutex
}

// change replaces what the box works with.
func (b *Box) change(edit func(*keys)) {
	b.changing.Lock()
	defer b.changing.Unlock()
	next := *b.now.Load()
	edit(&next)
	b.now.Store(&next)
}

// keys are what a box works with at one moment; never changed, only replaced.
type keys struct {
	all    []key // in the order in which they were given
	seals  key
	derive key // only signs
}

type key struct {
	id     [4]byte
	master []byte
	aead   cipher.AEAD
}

// name is how people see a key.
func (k key) name() string { return hex.EncodeToString(k.id[:]) }

// mark is what all values begin with that are sealed under a key.
func (k key) mark() []byte { return append([]byte{format}, k.id[:]...) }

// Sealed values begin with one format byte and the id of their master key.
const (
	format     = 1
	headerSize = 1 + 4
)

// New returns a box for master keys of KeySize bytes, of which the first seals.
func New(masters ...[]byte) (*Box, error) {
	if len(masters) == 0 {
		return nil, errors.New("no master key")
	}
	var k keys
	for _, m := range masters {
		derived, err := makeKey(m)
		if err != nil {
			return nil, err
		}
		k.all = append(k.all, derived)
	}
	k.seals, k.derive = k.all[0], k.all[0]
	b := new(Box)
	b.now.Store(&k)
	return b, nil
}

func makeKey(m []byte) (key, error) {
	k := key{master: m}
	if len(m) != KeySize {
		return k, fmt.Errorf("expected a master key of %d bytes, got %d", KeySize, len(m))
	}
	sub, err := hkdf.Key(sha256.New, m, nil, "caddymfa seal v1", KeySize)
	if err != nil {
		return k, fmt.Errorf("deriving the sealing key: %w", err)
	}
	if k.aead, err = chacha20poly1305.NewX(sub); err != nil {
		return k, fmt.Errorf("preparing the cipher: %w", err)
	}
	id, err := hkdf.Key(sha256.New, m, nil, "caddymfa key id v1", len(k.id))
	if err != nil {
		return k, fmt.Errorf("deriving the key's id: %w", err)
	}
	copy(k.id[:], id)
	return k, nil
}

// Seal encrypts plain for one place. A value moved to another table, row or
// column does not open there, so nobody who can write to the database can give
// one person another's secret.
func (b *Box) Seal(plain []byte, table, row, column string) []byte {
	return b.now.Load().seals.seal(plain, table, row, column)
}

func (k key) seal(plain []byte, table, row, column string) []byte {
	out := make([]byte, headerSize+k.aead.NonceSize(), headerSize+k.aead.NonceSize()+len(plain)+k.aead.Overhead())
	out[0] = format
	copy(out[1:], k.id[:])
	nonce := out[headerSize:]
	rand.Read(nonce) // never fails (crypto/rand)
	return k.aead.Seal(out, nonce, plain, place(table, row, column))
}

// Open decrypts what Seal made for the same place, or returns ErrOpen.
func (b *Box) Open(sealed []byte, table, row, column string) ([]byte, error) {
	if len(sealed) < headerSize || sealed[0] != format {
		return nil, ErrOpen
	}
	for _, k := range b.now.Load().all {
		if string(sealed[1:headerSize]) != string(k.id[:]) {
			continue
		}
		body := sealed[headerSize:]
		if len(body) < k.aead.NonceSize() {
			return nil, ErrOpen
		}
		plain, err := k.aead.Open(nil, body[:k.aead.NonceSize()], body[k.aead.NonceSize():], place(table, row, column))
		if err != nil {
			return nil, ErrOpen
		}
		return plain, nil
	}
	return nil, ErrOpen
}

// MAC authenticates data for one purpose: same inputs, same answer, on every
// node. Two purposes never share a key.
func (b *Box) MAC(purpose string, data ...string) []byte {
	return b.now.Load().derive.mac(purpose, data)
}

// Sign authenticates data that is kept for long: the answer names what it was
// derived from, so that Check knows it again.
func (b *Box) Sign(purpose string, data ...string) []byte {
	k := b.now.Load().derive
	return append(k.mark(), k.mac(purpose, data)...)
}

// Check returns nil if Sign made sum for the same purpose and data. ErrKey means
// that the master key is not here which it was made under, or claims to be;
// anything else that is not right is ErrOpen.
func (b *Box) Check(purpose string, sum []byte, data ...string) error {
	if len(sum) != headerSize+sha256.Size || sum[0] != format {
		return ErrOpen
	}
	now := b.now.Load()
	for _, k := range append([]key{now.derive}, now.all...) {
		if string(sum[1:headerSize]) != string(k.id[:]) {
			continue
		}
		if !hmac.Equal(sum[headerSize:], k.mac(purpose, data)) {
			return ErrOpen
		}
		return nil
	}
	return ErrKey
}

func (k key) mac(purpose string, data []string) []byte {
	sub, err := hkdf.Key(sha256.New, k.master, nil, "caddymfa mac v1 "+purpose, KeySize)
	if err != nil {
		panic(err) // only for absurd lengths; ours is constant
	}
	h := hmac.New(sha256.New, sub)
	for _, d := range data {
		var size [8]byte
		for i, n := 0, len(d); i < len(size); i++ {
			size[i] = byte(n >> (8 * i))
		}
		h.Write(size[:])
		h.Write([]byte(d))
	}
	return h.Sum(nil)
}

// place names where a value lives, unambiguously: none of our names holds NUL.
func place(table, row, column string) []byte {
	return []byte(table + "\x00" + row + "\x00" + column)
}
