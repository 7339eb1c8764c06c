package admin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Scope is something that a token may do.
type Scope string

// The scopes. None includes another one.
const (
	ScopeRead      Scope = "read"      // read the account, its policy, its domains and its identity providers
	ScopePolicy    Scope = "policy"    // change the policy
	ScopeSSO       Scope = "sso"       // change domains
	ScopeProviders Scope = "providers" // change identity providers, and so who can sign in
	ScopePeople    Scope = "people"    // list the people, invite, change and remove them
	ScopeAudit     Scope = "audit"     // read the audit
	ScopeTokens    Scope = "tokens"    // list tokens, and revoke them
)

// Scopes lists all of them.
var Scopes = []Scope{ScopeRead, ScopePolicy, ScopeSSO, ScopeProviders, ScopePeople, ScopeAudit, ScopeTokens}

// The bounds of tokens.
const (
	MaxTokens     = 50 // of one account, not counting those that are over
	MaxTokenDays  = 365
	MaxTokenName  = 60
	MaxNetworks   = 20
	tokenPrefix   = "cmfa_"
	tokenBytes    = 32
	tokenUseQuiet = time.Minute // how often the use of a token is written down
)

// Why a token is not made.
var (
	ErrTokenName     = errors.New("a token needs a name that can be shown, of at most 60 characters")
	ErrTokenScopes   = errors.New("a token needs something that it may do")
	ErrTokenDays     = errors.New("a token is good for 1 to 365 days")
	ErrTokenNetworks = errors.New("expected at most 20 addresses or networks such as 192.0.2.0/24")
	ErrTokenMany     = errors.New("the account has as many tokens as it may")
)

// Why a token does not open anything. What is shown to whoever tried says no
// more than the error does.
var (
	ErrToken        = errors.New("no such token, or it is over")
	ErrTokenNetwork = errors.New("this token is not for use from this network")
)

// TokenWish is what a token is to be.
type TokenWish struct {
	Name     string
	Scopes   []Scope
	Networks []string // addresses or CIDR prefixes; none: from anywhere
	Days     int
}

// checked returns the wish as it is stored, or why it cannot be granted.
func (w TokenWish) checked() (storage.Token, error) {
	t := storage.Token{Name: strings.TrimSpace(w.Name)}
	if t.Name == "" || !utf8.ValidString(t.Name) || utf8.RuneCountInString(t.Name) > MaxTokenName ||
		strings.ContainsFunc(t.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return t, ErrTokenName
	}
	for _, known := range Scopes { // each once, in one order
		if slices.Contains(w.Scopes, known) {
			t.Scopes = append(t.Scopes, string(known))
		}
	}
	if len(t.Scopes) == 0 || slices.ContainsFunc(w.Scopes, func(s Scope) bool { return !slices.Contains(Scopes, s) }) {
		return t, ErrTokenScopes
	}
	if w.Days < 1 || w.Days > MaxTokenDays {
		return t, ErrTokenDays
	}
	if len(w.Networks) > MaxNetworks {
		return t, ErrTokenNetworks
	}
	for _, text := range w.Networks {
		prefix, err := parseNetwork(text)
		if err != nil {
			return t, fmt.Errorf("%w: %.60q", ErrTokenNetworks, text)
		}
		t.Networks = append(t.Networks, prefix.String())
	}
	return t, nil
}

// parseNetwork reads a prefix, or an address as the prefix that it is alone in.
func parseNetwork(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, errors.New("expected an address")
		}
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, errors.New("expected a prefix")
	}
	return p.Masked(), nil
}

// CreateToken makes a token and returns what its holder shows: the only time that
// anybody sees it.
func (s *Service) CreateToken(ctx context.Context, a Actor, w TokenWish) (secret string, t storage.Token, err error) {
	if t, err = w.checked(); err != nil {
		return "", t, err
	}
	now := s.Now()
	t.ID, t.Account, t.By, t.Created, t.Expires = session.NewID(), a.Account, a.User, now, now.AddDate(0, 0, w.Days)
	if secret, err = s.createToken(ctx, &t); err != nil {
		return "", t, err
	}
	s.record(ctx, a, storage.Event{Action: "create_token", Outcome: "ok", Detail: t.Name + ": " + strings.Join(t.Scopes, ", ")})
	return secret, t, nil
}

func (s *Service) createToken(ctx context.Context, t *storage.Token) (secret string, err error) {
	secret = newToken()
	t.Hash = hashToken(secret)
	err = s.Store.CreateToken(ctx, *t, MaxTokens)
	if errors.Is(err, storage.ErrConflict) {
		return "", ErrTokenMany
	}
	return secret, err
}

// RotateToken makes a token that may do the same as one of the account's, for as
// long as that one was made for, and revokes that one.
func (s *Service) RotateToken(ctx context.Context, a Actor, id string) (secret string, t storage.Token, err error) {
	if t, err = s.token(ctx, a.Account, id); err != nil {
		return "", t, err
	}
	now := s.Now()
	if err = s.Store.RevokeToken(ctx, a.Account, id, now); err != nil {
		return "", t, err
	}
	t = storage.Token{ID: session.NewID(), Account: a.Account, Name: t.Name, Scopes: t.Scopes, Networks: t.Networks, By: a.User,
		Created: now, Expires: now.Add(t.Expires.Sub(t.Created))}
	if secret, err = s.createToken(ctx, &t); err != nil {
		return "", t, err
	}
	s.record(ctx, a, storage.Event{Action: "rotate_token", Outcome: "ok", Detail: t.Name})
	return secret, t, nil
}

// token returns one of an account's tokens.
func (s *Service) token(ctx context.Context, account, id string) (storage.Token, error) {
	all, err := s.Store.TokensOf(ctx, account, "", maxListed)
	if err != nil {
		return storage.Token{}, err
	}
	i := slices.IndexFunc(all, func(t storage.Token) bool { return t.ID == id })
	if i < 0 {
		return storage.Token{}, storage.ErrNotFound
	}
	return all[i], nil
}

// maxListed is how many tokens an account is shown: those that are over stay for a
// while, and nobody makes that many.
const maxListed = 1000

// Tokens lists an account's tokens, the newest first; those that are over, too.
func (s *Service) Tokens(ctx context.Context, a Actor) ([]storage.Token, error) {
	all, err := s.Store.TokensOf(ctx, a.Account, "", maxListed)
	slices.SortStableFunc(all, func(x, y storage.Token) int { return y.Created.Compare(x.Created) })
	return all, err
}

// RevokeToken ends one of the account's tokens at once. ErrNotFound: there is none
// that could be ended.
func (s *Service) RevokeToken(ctx context.Context, a Actor, id string) error {
	t, err := s.token(ctx, a.Account, id)
	if err != nil {
		return err
	}
	if err := s.Store.RevokeToken(ctx, a.Account, id, s.Now()); err != nil {
		return err
	}
	s.record(ctx, a, storage.Event{Action: "revoke_token", Outcome: "ok", Detail: t.Name})
	return nil
}

// TokenOver says whether a token opens nothing any more.
func TokenOver(t storage.Token, now time.Time) bool {
	return !t.Revoked.IsZero() || !now.Before(t.Expires)
}

// ByToken is who the audit names for what is done with a token.
func ByToken(id string) string { return "token:" + id }

// OpenToken returns the token that was shown, for use from an address. An ErrToken
// is about the token, or its account, and nothing else; a fault is neither.
func (s *Service) OpenToken(ctx context.Context, secret, network string) (storage.Token, error) {
	if !wellFormed(secret) {
		return storage.Token{}, ErrToken
	}
	hash := hashToken(secret)
	t, err := s.Store.TokenByHash(ctx, hash)
	if errors.Is(err, storage.ErrNotFound) {
		return storage.Token{}, ErrToken
	}
	if err != nil {
		return storage.Token{}, err
	}
	// The row was found by the hash of 256 random bits, so how long that took tells
	// nothing; this sees to it that no collation, index or store makes two one.
	if subtle.ConstantTimeCompare(hash, t.Hash) != 1 || TokenOver(t, s.Now()) {
		return storage.Token{}, ErrToken
	}
	tenant, err := s.Login.Facts.Tenant(ctx, t.Account)
	if errors.Is(err, storage.ErrNotFound) || err == nil && tenant.Disabled {
		return storage.Token{}, ErrToken
	}
	if err != nil {
		return storage.Token{}, err
	}
	if !allowed(t.Networks, network) {
		return t, ErrTokenNetwork
	}
	return t, s.Store.UseToken(ctx, t.ID, network, s.Now(), s.Now().Add(-tokenUseQuiet))
}

// allowed reports whether an address is in one of the networks. One that cannot
// be read is in none.
func allowed(networks []string, address string) bool {
	if len(networks) == 0 {
		return true
	}
	a, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(networks, func(text string) bool {
		p, err := netip.ParsePrefix(text)
		return err == nil && p.Contains(a)
	})
}

var tokenEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newToken makes what a program shows: a prefix by which scanners of repositories
// recognise it, 256 random bits, and a checksum, so that whatever else is sent
// here does not reach the database.
func newToken() string {
	raw := make([]byte, tokenBytes, tokenBytes+4)
	rand.Read(raw) // never fails (crypto/rand)
	raw = binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	return tokenPrefix + tokenEncoding.EncodeToString(raw)
}

func wellFormed(secret string) bool {
	text, ok := strings.CutPrefix(secret, tokenPrefix)
	if !ok || len(text) != tokenEncoding.EncodedLen(tokenBytes+4) {
		return false
	}
	raw, err := tokenEncoding.DecodeString(text)
	return err == nil && binary.BigEndian.Uint32(raw[tokenBytes:]) == crc32.ChecksumIEEE(raw[:tokenBytes])
}

// hashToken needs no salt and no key: nobody can guess 256 random bits.
func hashToken(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}
