package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// MaxToken is the longest token that is looked at, in bytes.
const MaxToken = 2048

// The header types of the two tokens.
const (
	sessionType   = "mfa+jwt"
	assertionType = "mfa-assertion+jwt"
)

// ErrToken means a token that is not ours, not for this, or altered.
var ErrToken = errors.New("invalid token")

// Claims are the session token's: who and which session, and nothing personal.
type Claims struct {
	Issuer    string `json:"iss"`
	Audience  string `json:"aud"`
	User      string `json:"sub"`
	Session   string `json:"sid"`
	Account   string `json:"acct,omitempty"`
	Issued    int64  `json:"iat"`
	NotBefore int64  `json:"nbf"`
	Expires   int64  `json:"exp"`
}

// Assertion is what the app is told about the person, signed.
type Assertion struct {
	Claims
	AuthTime int64    `json:"auth_time"` // when the first factor was verified
	Role     string   `json:"role"`
	Email    string   `json:"email"`
	Name     string   `json:"name,omitempty"`
	AMR      []string `json:"amr"` // RFC 8176
	ACR      string   `json:"acr,omitempty"`
	IDP      string   `json:"idp,omitempty"` // issuer of the identity provider
}

// The methods below are those of jwt.Claims (RFC 7519, section 4.1).

// GetExpirationTime returns exp.
func (c Claims) GetExpirationTime() (*jwt.NumericDate, error) { return date(c.Expires), nil }

// GetIssuedAt returns iat.
func (c Claims) GetIssuedAt() (*jwt.NumericDate, error) { return date(c.Issued), nil }

// GetNotBefore returns nbf.
func (c Claims) GetNotBefore() (*jwt.NumericDate, error) { return date(c.NotBefore), nil }

// GetIssuer returns iss.
func (c Claims) GetIssuer() (string, error) { return c.Issuer, nil }

// GetSubject returns sub.
func (c Claims) GetSubject() (string, error) { return c.User, nil }

// GetAudience returns aud.
func (c Claims) GetAudience() (jwt.ClaimStrings, error) { return jwt.ClaimStrings{c.Audience}, nil }

func date(unix int64) *jwt.NumericDate { return jwt.NewNumericDate(time.Unix(unix, 0)) }

// sign signs claims with the purpose's present key.
func (k *Keyring) sign(ctx context.Context, p Purpose, typ string, claims jwt.Claims) (string, error) {
	key, err := k.signer(ctx, p)
	if err != nil {
		return "", err
	}
	t := jwt.NewWithClaims(jwt.GetSigningMethod(key.algorithm), claims)
	t.Header["kid"], t.Header["typ"] = key.id, typ
	signed, err := t.SignedString(key.private)
	if err != nil {
		return "", fmt.Errorf("signing a %s token: %w", p, err)
	}
	return signed, nil
}

// verify checks everything about a session token but its times, which belong
// to the caller: an expired token still names the session to be renewed. It
// returns ErrToken for a bad token and any other error for a fault.
func (k *Keyring) verify(ctx context.Context, token string) (*Claims, error) {
	if len(token) > MaxToken || !compact(token) {
		return nil, ErrToken
	}
	var claims Claims
	var fault error
	_, err := parser.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		// Everything the header says is compared with what the key is for: it
		// chooses nothing. Critical extensions are refused, since we have none
		// (RFC 7515, section 4.1.11).
		id, _ := t.Header["kid"].(string)
		var key *signingKey
		if key, fault = k.named(ctx, id); fault != nil {
			return nil, fault
		}
		if _, critical := t.Header["crit"]; critical || key == nil || key.purpose != ForSession ||
			t.Header["typ"] != sessionType || t.Method.Alg() != key.algorithm {
			return nil, ErrToken
		}
		return key.public, nil
	})
	if fault != nil {
		return nil, fault
	}
	if err != nil || claims.User == "" || claims.Session == "" || claims.Expires == 0 || claims.Issued == 0 {
		return nil, ErrToken
	}
	return &claims, nil
}

// compact reports whether a token has only the characters of a compact JWS (RFC
// 7515, section 7.1). Go's base64 skips line ends even when it is strict, and
// one token must not have two spellings.
func compact(token string) bool {
	for i := range len(token) {
		switch c := token[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

var parser = jwt.NewParser(
	jwt.WithValidMethods([]string{"ES256", "EdDSA"}),
	jwt.WithStrictDecoding(),
	jwt.WithoutClaimsValidation(),
)

// acr names how strong a proof is, for apps that know no "amr": by our second
// factor, or else in the provider's words.
func acr(p mfa.Proof) string {
	if !p.Second.IsZero() {
		return "mfa"
	}
	return p.ProviderACR
}

// Audience is the audience of tokens for a request's Host: the host without
// its port, in lower case. Cookies do not keep ports apart either.
func Audience(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host[i:], ']') < 0 {
		host = host[:i]
	}
	return strings.ToLower(host)
}
