package login

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Bounds of a password, in characters and bytes. The lower one is between what
// NIST SP 800-63B-4, section 3.1.1.2, asks of passwords beside a second factor
// and of passwords alone.
const (
	MinPassword = 12
	MaxPassword = 256
)

// A new password is refused for one of these. There are no rules about kinds of
// characters: they make passwords harder to remember, not to guess.
var (
	// ErrPassword means one out of bounds.
	ErrPassword = fmt.Errorf("expected a password of %d to %d characters", MinPassword, MaxPassword)
	// ErrPasswordCommon means one that a guesser comes to soon: made of what
	// many people use, of rows of keys, dates or repetitions.
	ErrPasswordCommon = errors.New("expected a password that is harder to guess")
	// ErrPasswordOwn means one made of the person's own address or name, or of
	// this service's.
	ErrPasswordOwn = errors.New("expected a password that is not made of the person's name or address")
	// ErrPasswordSame means the one that the person has.
	ErrPasswordSame = errors.New("expected another password than the present one")
)

const (
	// minScore is of zxcvbn's scale, from 0 to 4: "safely unguessable", about
	// 10^8 guesses at a hash that is slow to compute.
	minScore = 3
	// maxJudged is how many characters are looked at. The time that it takes
	// grows steeply with them, and whoever chose them is not to be trusted.
	maxJudged = 32
	// minRest is how many characters must be left without the person's own words.
	minRest = 8
)

// CheckNew says whether a password may be chosen by somebody to whom these words
// belong ([OwnWords]), if they are known.
func CheckNew(password string, own ...string) error {
	if utf8.RuneCountInString(password) < MinPassword || len(password) > MaxPassword || !utf8.ValidString(password) {
		return ErrPassword
	}
	rest := strings.ToLower(password)
	for _, word := range own {
		rest = strings.ReplaceAll(rest, word, "")
	}
	if utf8.RuneCountInString(rest) < minRest && len(rest) < len(password) {
		return ErrPasswordOwn
	}
	judged := []rune(password)
	judged = judged[:min(maxJudged, len(judged))]
	if zxcvbn.PasswordStrength(string(judged), own).Score < minScore {
		return ErrPasswordCommon
	}
	return nil
}

// mayChoose says whether this person may choose a password. It costs about as
// much as a hash, and takes its turn with them.
func (s *Service) mayChoose(ctx context.Context, password string, u storage.User) error {
	release, err := s.Passwords.slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	return CheckNew(password, OwnWords(u, s.Issuer)...)
}

// OwnWords are what somebody who knows the person tries first, in lower case
// and the longest first.
func OwnWords(u storage.User, issuer string) []string {
	local, domain, _ := strings.Cut(u.Email, "@")
	words := []string{u.Email, local, domain, u.Name, issuer}
	for _, whole := range words[1:] {
		words = append(words, strings.FieldsFunc(whole, func(r rune) bool { return strings.ContainsRune(" .-_+", r) })...)
	}
	own := words[:0]
	for _, w := range words {
		if utf8.RuneCountInString(w) > 2 {
			own = append(own, strings.ToLower(w))
		}
	}
	slices.SortStableFunc(own, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(own)
}

// NewHash makes the hash of a password that an operator chose for somebody, if
// that person could have chosen it.
func (s *Service) NewHash(ctx context.Context, u storage.User, password string) (string, error) {
	if err := s.mayChoose(ctx, password, u); err != nil {
		return "", err
	}
	return s.Passwords.Hash(ctx, password)
}
