package session

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/seal"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Purpose is what a key signs. A token of one purpose never verifies as
// another: type, audience and key all differ.
type Purpose string

// The purposes.
const (
	ForSession   Purpose = "session"   // the cookie
	ForAssertion Purpose = "assertion" // what the app receives
)

const (
	// keyLife is how long a key signs before the next one takes over.
	keyLife = 30 * 24 * time.Hour
	// retiredLife is how long a retired key still verifies: longer than any
	// token or session lives.
	retiredLife = 8 * 24 * time.Hour
	// settle is how long a new key waits before it signs, so that no other node
	// meets a token of a key that it has not heard of yet.
	settle = 3 * time.Second
	// lookAgain is how often, at most, storage is asked for a key that nobody
	// here knows: a node may have missed its making, and strangers may make up
	// names.
	lookAgain = time.Second
)

// Keyring holds the signing keys of this installation. They live sealed in
// storage; the first use makes them, and every node uses the same ones.
type Keyring struct {
	Store     storage.Keys
	Box       *seal.Box
	Now       func() time.Time
	Algorithm string // "ES256" (default) or "EdDSA"

	mu     sync.Mutex // held while loading
	state  atomic.Pointer[map[string]*signingKey]
	looked atomic.Int64 // when storage was last asked for an unknown key, in Unix nanoseconds
}

// signingKey is one key, ready to use. Its algorithm is pinned: a token's
// header cannot choose another.
type signingKey struct {
	id        string
	purpose   Purpose
	algorithm string
	public    crypto.PublicKey
	private   crypto.Signer
	created   time.Time
	retired   time.Time
}

// Forget drops what is remembered, so that the next use reads storage again.
func (k *Keyring) Forget() { k.state.Store(nil) }

// all returns every usable key by id.
func (k *Keyring) all(ctx context.Context) (map[string]*signingKey, error) {
	if m := k.state.Load(); m != nil {
		return *m, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if m := k.state.Load(); m != nil {
		return *m, nil
	}
	keys := make(map[string]*signingKey)
	for _, p := range []Purpose{ForSession, ForAssertion} {
		rows, err := k.Store.KeysFor(ctx, string(p))
		if err != nil {
			return nil, fmt.Errorf("reading the %s keys: %w", p, err)
		}
		if len(rows) == 0 {
			if rows, err = k.first(ctx, p); err != nil {
				return nil, err
			}
		}
		for _, row := range rows {
			key, err := k.open(row)
			if err != nil {
				return nil, err
			}
			keys[key.id] = key
		}
	}
	k.state.Store(&keys)
	return keys, nil
}

func (k *Keyring) first(ctx context.Context, p Purpose) ([]storage.Key, error) {
	row, err := k.generate(p)
	if err != nil {
		return nil, err
	}
	// Another node may be as fast; then its key is the one.
	if err := k.Store.RotateKey(ctx, "", row); err != nil && !errors.Is(err, storage.ErrConflict) {
		return nil, fmt.Errorf("storing the first %s key: %w", p, err)
	}
	rows, err := k.Store.KeysFor(ctx, string(p))
	if err != nil {
		return nil, fmt.Errorf("reading the %s keys: %w", p, err)
	}
	return rows, nil
}

// named returns the key of an id; nil: there is none.
func (k *Keyring) named(ctx context.Context, id string) (*signingKey, error) {
	keys, err := k.all(ctx)
	if err != nil {
		return nil, err
	}
	if key := keys[id]; key != nil || len(id) != keyIDLength {
		return key, nil
	}
	now, last := k.Now().UnixNano(), k.looked.Load()
	if now-last < int64(lookAgain) || !k.looked.CompareAndSwap(last, now) {
		return nil, nil
	}
	k.Forget()
	if keys, err = k.all(ctx); err != nil {
		return nil, err
	}
	return keys[id], nil
}

// signer returns the key that signs for a purpose: the one that is not retired
// or, until every node has heard of that, the one before.
func (k *Keyring) signer(ctx context.Context, p Purpose) (*signingKey, error) {
	signs, err := k.current(ctx, p)
	if err != nil || k.Now().Sub(signs.created) >= settle {
		return signs, err
	}
	keys, err := k.all(ctx)
	if err != nil {
		return nil, err
	}
	var former *signingKey
	for _, key := range keys {
		if key.purpose == p && !key.retired.IsZero() && (former == nil || key.created.After(former.created)) {
			former = key
		}
	}
	if former == nil { // it is the first one
		return signs, nil
	}
	return former, nil
}

// Rotate makes a new key for each purpose whose key is older than its life, or
// for every purpose if forced, and removes keys that no live token can need.
func (k *Keyring) Rotate(ctx context.Context, force bool) error {
	now := k.Now()
	for _, p := range []Purpose{ForSession, ForAssertion} {
		current, err := k.current(ctx, p)
		if err != nil {
			return err
		}
		if force || now.Sub(current.created) > keyLife {
			row, err := k.generate(p)
			if err != nil {
				return err
			}
			if err := k.Store.RotateKey(ctx, current.id, row); err != nil && !errors.Is(err, storage.ErrConflict) {
				return fmt.Errorf("rotating the %s key: %w", p, err)
			}
		}
		rows, err := k.Store.KeysFor(ctx, string(p))
		if err != nil {
			return fmt.Errorf("reading the %s keys: %w", p, err)
		}
		for _, row := range rows {
			if !row.Retired.IsZero() && now.Sub(row.Retired) > retiredLife {
				if err := k.Store.RemoveKey(ctx, row.ID); err != nil && !errors.Is(err, storage.ErrNotFound) {
					return fmt.Errorf("removing a retired key: %w", err)
				}
			}
		}
	}
	k.Forget()
	return nil
}

// current returns the one key of a purpose that is not retired.
func (k *Keyring) current(ctx context.Context, p Purpose) (*signingKey, error) {
	keys, err := k.all(ctx)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if key.purpose == p && key.retired.IsZero() {
			return key, nil
		}
	}
	return nil, fmt.Errorf("no %s key signs", p)
}

// KeyInfo is what an operator may see of a signing key.
type KeyInfo struct {
	ID        string
	Purpose   Purpose
	Algorithm string
	Created   time.Time
	Retired   time.Time // no longer signs, and still verifies; zero: signs
}

// List returns the keys there are, newest first.
func (k *Keyring) List(ctx context.Context) ([]KeyInfo, error) {
	keys, err := k.all(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]KeyInfo, 0, len(keys))
	for _, key := range keys {
		list = append(list, KeyInfo{key.id, key.purpose, key.algorithm, key.created, key.retired})
	}
	slices.SortFunc(list, func(a, b KeyInfo) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(a.ID, b.ID))
	})
	return list, nil
}

// keyIDLength is how long the ids are that generate makes.
const keyIDLength = 8

func (k *Keyring) generate(p Purpose) (storage.Key, error) {
	row := storage.Key{Purpose: string(p), Algorithm: k.Algorithm, Created: k.Now()}
	var id [6]byte
	rand.Read(id[:])
	row.ID = base64.RawURLEncoding.EncodeToString(id[:])
	var private crypto.Signer
	var err error
	switch k.Algorithm {
	case "", "ES256":
		row.Algorithm = "ES256"
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		return row, fmt.Errorf("unknown signing algorithm %q: choose ES256 or EdDSA", k.Algorithm)
	}
	if err != nil {
		return row, fmt.Errorf("generating a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return row, fmt.Errorf("encoding a key: %w", err)
	}
	if row.Public, err = x509.MarshalPKIXPublicKey(private.Public()); err != nil {
		return row, fmt.Errorf("encoding a key: %w", err)
	}
	row.Private = k.Box.Seal(der, "signing_keys", row.ID, "private")
	return row, nil
}

func (k *Keyring) open(row storage.Key) (*signingKey, error) {
	der, err := k.Box.Open(row.Private, "signing_keys", row.ID, "private")
	if err != nil {
		return nil, fmt.Errorf("opening signing key %q: %w (is this the master key that sealed it?)", row.ID, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("decoding signing key %q: %w", row.ID, err)
	}
	key := &signingKey{id: row.ID, purpose: Purpose(row.Purpose), algorithm: row.Algorithm, created: row.Created, retired: row.Retired}
	switch p := parsed.(type) {
	case *ecdsa.PrivateKey:
		key.private, key.public = p, &p.PublicKey
		if row.Algorithm == "ES256" && p.Curve == elliptic.P256() {
			return key, nil
		}
	case ed25519.PrivateKey:
		key.private, key.public = p, p.Public()
		if row.Algorithm == "EdDSA" {
			return key, nil
		}
	}
	return nil, fmt.Errorf("signing key %q is not for %s", row.ID, row.Algorithm)
}

// JWKS returns the public keys as a JSON Web Key Set (RFC 7517, section 5).
func (k *Keyring) JWKS(ctx context.Context) (JWKS, error) {
	keys, err := k.all(ctx)
	if err != nil {
		return JWKS{}, err
	}
	set := JWKS{Keys: []JWK{}}
	for _, key := range keys {
		jwk := JWK{ID: key.id, Use: "sig", Algorithm: key.algorithm}
		switch pub := key.public.(type) {
		case *ecdsa.PublicKey:
			point, err := pub.Bytes() // uncompressed: 4, x, y
			if err != nil {
				return JWKS{}, fmt.Errorf("encoding key %q: %w", key.id, err)
			}
			jwk.Type, jwk.Curve = "EC", "P-256"
			jwk.X = base64.RawURLEncoding.EncodeToString(point[1:33])
			jwk.Y = base64.RawURLEncoding.EncodeToString(point[33:])
		case ed25519.PublicKey:
			jwk.Type, jwk.Curve = "OKP", "Ed25519"
			jwk.X = base64.RawURLEncoding.EncodeToString(pub)
		}
		set.Keys = append(set.Keys, jwk)
	}
	// The same keys are the same answer, for whoever compares or caches it.
	slices.SortFunc(set.Keys, func(a, b JWK) int { return strings.Compare(a.ID, b.ID) })
	return set, nil
}

// JWKS is a JSON Web Key Set.
type JWKS struct {
	Keys []JWK `json:"keys"`
}

// JWK is a public JSON Web Key (RFC 7517; RFC 7518, section 6.2; RFC 8037).
type JWK struct {
	ID        string `json:"kid"`
	Type      string `json:"kty"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y,omitempty"`
}
