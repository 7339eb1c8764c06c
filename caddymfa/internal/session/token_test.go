package session

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddymfa/gateway/caddymfa/mfa"
)

func encode(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// TestForgedTokensAreRefused holds what an attacker may send as a cookie.
func TestForgedTokensAreRefused(t *testing.T) {
	w := newWorld(t, "")
	s := w.signIn(t)
	good := w.token(t, s)
	parts := strings.Split(good, ".")
	key, err := w.keys.signer(t.Context(), ForSession)
	if err != nil {
		t.Fatal(err)
	}
	claims := w.claims(&s, "acme", "portal.example", w.now())
	signed := func(header map[string]any, method jwt.SigningMethod, with any, c jwt.Claims) string {
		token := jwt.NewWithClaims(method, c)
		token.Header = header
		out, err := token.SignedString(with)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	header := func(change ...any) map[string]any {
		h := map[string]any{"alg": "ES256", "kid": key.id, "typ": sessionType}
		for i := 0; i < len(change); i += 2 {
			h[change[i].(string)] = change[i+1]
		}
		return h
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.public.(*ecdsa.PublicKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	assertion, _, err := w.Assertion(t.Context(), &s, "portal.example", Person{"acme", mfa.RoleAdmin, "a@acme.example", "A"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.keys.verify(t.Context(), signed(header(), jwt.SigningMethodES256, key.private, claims)); err != nil {
		t.Fatalf("the control is refused: %v", err)
	}
	cases := map[string]string{
		"empty":                   "",
		"not a token":             "abc",
		"two parts":               parts[0] + "." + parts[1],
		"four parts":              good + ".x",
		"no signature":            parts[0] + "." + parts[1] + ".",
		"alg none":                encode(t, map[string]any{"alg": "none", "typ": sessionType, "kid": key.id}) + "." + parts[1] + ".",
		"alg None":                encode(t, map[string]any{"alg": "None", "typ": sessionType, "kid": key.id}) + "." + parts[1] + "." + parts[2],
		"HS256 of the public key": signed(header("alg", "HS256"), jwt.SigningMethodHS256, public, claims),
		"a stranger's key":        signed(header(), jwt.SigningMethodES256, stranger, claims),
		"unknown kid":             signed(header("kid", "nobody"), jwt.SigningMethodES256, key.private, claims),
		"kid is a number":         signed(header("kid", 7), jwt.SigningMethodES256, key.private, claims),
		"no kid":                  signed(map[string]any{"alg": "ES256", "typ": sessionType}, jwt.SigningMethodES256, key.private, claims),
		"plain JWT type":          signed(header("typ", "JWT"), jwt.SigningMethodES256, key.private, claims),
		"assertion type":          signed(header("typ", assertionType), jwt.SigningMethodES256, key.private, claims),
		"an assertion":            assertion,
		"critical extension":      signed(header("crit", []string{"b64"}, "b64", true), jwt.SigningMethodES256, key.private, claims),
		"no exp":                  signed(header(), jwt.SigningMethodES256, key.private, jwt.MapClaims{"sub": s.User, "sid": s.ID, "iat": 1}),
		"exp is text":             signed(header(), jwt.SigningMethodES256, key.private, jwt.MapClaims{"sub": s.User, "sid": s.ID, "iat": 1, "exp": "soon"}),
		"no sub":                  signed(header(), jwt.SigningMethodES256, key.private, jwt.MapClaims{"sid": s.ID, "iat": 1, "exp": 2}),
		"no sid":                  signed(header(), jwt.SigningMethodES256, key.private, jwt.MapClaims{"sub": s.User, "iat": 1, "exp": 2}),
		"sub is a list":           signed(header(), jwt.SigningMethodES256, key.private, jwt.MapClaims{"sub": []string{s.User}, "sid": s.ID, "iat": 1, "exp": 2}),
		"altered claims":          parts[0] + "." + encode(t, map[string]any{"sub": "x"}) + "." + parts[2],
		"padded base64":           parts[0] + "." + parts[1] + "." + parts[2] + "==",
		"line end in base64":      parts[0] + "." + parts[1] + "." + parts[2][:40] + "\n" + parts[2][40:],
		"too long":                good + strings.Repeat("A", MaxToken),
	}
	for name, token := range cases {
		t.Run(name, func(t *testing.T) {
			if _, _, err := w.Read(t.Context(), token, "portal.example"); !errors.Is(err, ErrToken) {
				t.Errorf("read with %v", err)
			}
		})
	}
}

// TestSignatureIsNotMalleable changes each character of the signature.
func TestSignatureIsNotMalleable(t *testing.T) {
	w := newWorld(t, "")
	good := w.token(t, w.signIn(t))
	at := strings.LastIndexByte(good, '.') + 1
	for i := at; i < len(good); i++ {
		for _, c := range "Aw" {
			altered := good[:i] + string(c) + good[i+1:]
			if altered == good {
				continue
			}
			if _, err := w.keys.verify(t.Context(), altered); !errors.Is(err, ErrToken) {
				t.Fatalf("accepted with character %d altered", i-at)
			}
		}
	}
}

func TestFutureTokenIsRefused(t *testing.T) {
	w := newWorld(t, "")
	token := w.token(t, w.signIn(t))
	w.pass(-2 * skew)
	if _, _, err := w.Read(t.Context(), token, "portal.example"); !errors.Is(err, ErrToken) {
		t.Errorf("read before it was issued: %v", err)
	}
}

func TestAssertionFollowsEveryChange(t *testing.T) {
	w := newWorld(t, "")
	s := w.signIn(t)
	get := func(account string, role mfa.Role, name string) string {
		token, _, err := w.Assertion(t.Context(), &s, "portal.example", Person{account, role, "a@acme.example", name})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	first := get("acme", mfa.RoleMember, "Ana")
	if get("acme", mfa.RoleMember, "Ana") != first {
		t.Error("signed again although nothing changed")
	}
	s.Proof.Second, s.Proof.SecondBy = w.now(), mfa.TOTP
	s.Version++
	for name, other := range map[string]string{
		"proof": get("acme", mfa.RoleMember, "Ana"), "role": get("acme", mfa.RoleAdmin, "Ana"),
		"account": get("bolt", mfa.RoleMember, "Ana"), "name": get("acme", mfa.RoleMember, "Anna"),
	} {
		if other == first {
			t.Errorf("the same assertion after a change of %s", name)
		}
	}
	var c Assertion
	if _, _, err := jwt.NewParser().ParseUnverified(get("acme", mfa.RoleAdmin, "Ana"), &c); err != nil {
		t.Fatal(err)
	}
	if c.Role != "admin" || c.Email != "a@acme.example" || strings.Join(c.AMR, " ") != "pwd otp mfa" || c.AuthTime != s.Proof.First.Unix() {
		t.Errorf("the app is told %+v", c)
	}
}

func TestAudience(t *testing.T) {
	for host, want := range map[string]string{
		"Portal.Example": "portal.example", "localhost:8443": "localhost", "[::1]:80": "[::1]", "[::1]": "[::1]", "": "",
	} {
		if got := Audience(host); got != want {
			t.Errorf("Audience(%q) = %q, want %q", host, got, want)
		}
	}
}
