package caddymfa

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/caddymfa/gateway/caddymfa/internal/login"
)

// hasher checks passwords with Caddy's own code, so that whatever
// `caddy hash-password` prints works here too.
type hasher struct{}

// maxHashMemory is the most memory, in KiB, that a declared hash may cost: a
// hash from elsewhere must not exhaust the machine at every sign-in.
const maxHashMemory = 64 << 10

func (hasher) Compare(hash, password []byte) (bool, error) {
	if bytes.HasPrefix(hash, []byte("$2")) {
		return caddyauth.BcryptHash{}.Compare(hash, password)
	}
	return caddyauth.Argon2idHash{}.Compare(hash, password)
}

// The parameters of new hashes: those of `caddy hash-password`.
const (
	hashTime    = 1
	hashMemory  = 46 << 10 // KiB
	hashThreads = 1
)

func (hasher) Hash(password []byte) ([]byte, error) {
	salt := make([]byte, 16)
	rand.Read(salt)
	key := argon2.IDKey(password, salt, hashTime, hashMemory, hashThreads, 32)
	return fmt.Appendf(nil, "$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashTime, hashThreads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key)), nil
}

func (hasher) FakeHash() []byte { return caddyauth.Argon2idHash{}.FakeHash() }

// checkHash says whether a password hash can be checked here, and cheaply
// enough.
func checkHash(hash string) error {
	if cost, err := bcrypt.Cost([]byte(hash)); err == nil {
		if cost > 16 {
			return fmt.Errorf("a bcrypt hash of cost %d takes too long: at most 16", cost)
		}
		return nil
	}
	if _, _, err := caddyauth.DecodeHash([]byte(hash)); err != nil {
		return errors.New("expected a password hash as `caddy hash-password` prints it (argon2id or bcrypt)")
	}
	return checkCost(hash)
}

func checkCost(hash string) error {
	var version, memory, time, threads int
	if _, err := fmt.Sscanf(hash, "$argon2id$v=%d$m=%d,t=%d,p=%d$", &version, &memory, &time, &threads); err != nil {
		return errors.New("expected a password hash as `caddy hash-password` prints it (argon2id or bcrypt)")
	}
	if memory > maxHashMemory || time > 10 {
		return fmt.Errorf("an argon2id hash with m=%d,t=%d costs too much: at most m=%d,t=10", memory, time, maxHashMemory)
	}
	return nil
}

// Interface guard
var _ login.Hasher = hasher{}
