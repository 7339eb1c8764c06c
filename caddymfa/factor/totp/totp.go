// Package totp is the authenticator app as a second factor (RFC 6238): SHA-1,
// six digits, 30 seconds, since no other variant works in every app.
package totp

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/boombuler/barcode/qr"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/caddymfa/gateway/caddymfa/factor"
	"github.com/caddymfa/gateway/caddymfa/mfa"
)

const (
	period     = 30 // seconds
	secretSize = 20 // bytes: SHA-1's own length (RFC 4226, section 4, R6)
)

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// state is what is kept about one authenticator.
type state struct {
	Secret []byte `json:"secret"`
	// Step is the last time step accepted. Codes of this step or an earlier
	// one are replays (RFC 6238, section 5.2).
	Step int64 `json:"step"`
}

// Factor verifies codes of authenticator apps. The zero value works.
type Factor struct{}

// Kind returns mfa.TOTP.
func (Factor) Kind() mfa.Kind { return mfa.TOTP }

// Enroll makes a secret.
func (f Factor) Enroll(ctx context.Context, who factor.Subject) ([]byte, factor.Prompt, error) {
	s := state{Secret: make([]byte, secretSize)}
	rand.Read(s.Secret)
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, factor.Prompt{}, fmt.Errorf("encoding the state: %w", err)
	}
	show, err := f.Prompt(ctx, raw, who)
	return raw, show, err
}

// Prompt shows the secret as text, as an otpauth link and as a QR code.
func (Factor) Prompt(_ context.Context, raw []byte, who factor.Subject) (factor.Prompt, error) {
	s, err := decode(raw)
	if err != nil {
		return factor.Prompt{}, err
	}
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: who.Issuer, AccountName: who.Label, Secret: s.Secret,
		Period: period, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1,
	})
	if err != nil {
		return factor.Prompt{}, fmt.Errorf("writing the otpauth link: %w", err)
	}
	code, err := qr.Encode(key.URL(), qr.M, qr.Auto)
	if err != nil {
		return factor.Prompt{}, fmt.Errorf("drawing the QR code: %w", err)
	}
	size := code.Bounds()
	modules := make([][]bool, size.Dy())
	for y := range modules {
		modules[y] = make([]bool, size.Dx())
		for x := range modules[y] {
			r, _, _, _ := code.At(size.Min.X+x, size.Min.Y+y).RGBA()
			modules[y][x] = r == 0
		}
	}
	return factor.Prompt{Secret: encoding.EncodeToString(s.Secret), URI: key.URL(), QR: modules}, nil
}

// Verify accepts the code of the present step or the one before, once: the
// state it returns refuses this step and all earlier ones.
func (Factor) Verify(_ context.Context, raw []byte, response factor.Response) ([]byte, error) {
	s, err := decode(raw)
	if err != nil {
		return nil, err
	}
	code := strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '\u00a0' || r == '\u202f' {
			return -1
		}
		return r
	}, response.Code)
	now := response.At.Unix() / period
	matched := int64(-1)
	for step := now - 1; step <= now; step++ {
		want, err := totp.GenerateCodeCustom(encoding.EncodeToString(s.Secret), time.Unix(step*period, 0),
			totp.ValidateOpts{Period: period, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return nil, fmt.Errorf("computing a code: %w", err)
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && step > s.Step {
			matched = step
		}
	}
	if matched < 0 {
		return nil, factor.ErrIncorrect
	}
	s.Step = matched
	next, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encoding the state: %w", err)
	}
	return next, nil
}

func decode(raw []byte) (state, error) {
	var s state
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("decoding the state: %w", err)
	}
	if len(s.Secret) == 0 {
		return s, fmt.Errorf("decoding the state: no secret")
	}
	return s, nil
}
