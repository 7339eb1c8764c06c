package oidc

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/caddymfa/gateway/caddymfa/identity"
)

// maxToken is the longest token that is read, in bytes. Two hundred groups make
// some ten thousand.
const maxToken = 64 << 10

// algorithms are what a token may be signed with: never with a secret that both
// sides know, which a public key could be taken for, and never with nothing.
var algorithms = []string{oidc.RS256, oidc.PS256, oidc.ES256, oidc.EdDSA}

// header is what is looked at before a signature is checked.
type header struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
}

// keySet hands over to another, and keeps the error that the library flattens.
type keySet func(ctx context.Context, token string) ([]byte, error)

func (f keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	return f(ctx, token)
}

// verify checks a token's type, signature, issuer, audience and times, and
// returns it with its claims.
func (p *provider) verify(ctx context.Context, k *known, raw string, types ...string) (*oidc.IDToken, claims, error) {
	if len(raw) > maxToken {
		return nil, nil, refuse("token_too_large", "the token has %d bytes", len(raw))
	}
	var h header
	first, _, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err == nil {
		err = json.Unmarshal(text, &h)
	}
	switch {
	case err != nil:
		return nil, nil, refuse("token_malformed", "reading the token's header: %w", err)
	case !slices.Contains(algorithms, h.Algorithm):
		return nil, nil, refuse("algorithm_refused", "the token is signed with %q", short(h.Algorithm))
	case !slices.Contains(types, strings.ToLower(h.Type)):
		return nil, nil, refuse("token_type", "the token is of the type %q", short(h.Type))
	}
	var failed error
	library := oidc.NewVerifier("", keySet(func(ctx context.Context, token string) (payload []byte, err error) {
		payload, failed = k.keys.VerifySignature(ctx, token)
		return payload, failed
	}), &oidc.Config{
		// The claims are checked below, so that each has a reason and the leeway.
		SkipIssuerCheck: true, SkipClientIDCheck: true, SkipExpiryCheck: true,
		SupportedSigningAlgs: []string{h.Algorithm},
	})
	token, err := library.Verify(ctx, raw)
	if failed != nil {
		return nil, nil, fault("signature_invalid", failed)
	}
	if err != nil {
		return nil, nil, refuse("token_malformed", "%s", short(err.Error()))
	}
	var c claims
	if err := token.Claims(&c); err != nil {
		return nil, nil, refuse("token_malformed", "%w", err)
	}
	return token, c, p.checkToken(k, c)
}

// checkToken holds a token to what all tokens must be (OpenID Connect Core 1.0,
// section 3.1.3.7).
func (p *provider) checkToken(k *known, c claims) error {
	issuer, tenant := c.text("iss"), c.text("tid")
	if len(p.Tenants) > 0 && !slices.Contains(p.Tenants, tenant) {
		return refuse("tenant_refused", "the token is of the tenant %q", short(tenant))
	}
	if issuer == "" || issuer != k.issuerOf(tenant) {
		return refuse("issuer_mismatch", "expected a token of %q, got one of %q", k.issuerOf(short(tenant)), short(issuer))
	}
	audience, party := c.list("aud"), c.text("azp")
	switch {
	case !slices.Contains(audience, p.ClientID):
		return refuse("audience_mismatch", "the token is not for client %q", p.ClientID)
	case len(audience) > 1 && party == "", c["azp"] != nil && party != p.ClientID:
		return refuse("party_mismatch", "the token was issued to %q, expected %q", short(party), p.ClientID)
	}
	now, issued, expires := p.now(), c.moment("iat"), c.moment("exp")
	switch {
	case expires.IsZero() || !now.Before(expires.Add(leeway)):
		return refuse("token_expired", "the token expired at %s", expires.Format(time.RFC3339))
	case issued.IsZero() || issued.After(now.Add(leeway)), c.moment("nbf").After(now.Add(leeway)):
		return refuse("token_not_yet_valid", "the token was issued at %s", issued.Format(time.RFC3339))
	}
	return nil
}

// checkSignIn holds an ID token to the sign-in that asked for it.
func (p *provider) checkSignIn(c claims, s secret) error {
	if subject := c.text("sub"); subject == "" || len(subject) > 255 {
		return refuse("subject_missing", "the token does not say who signed in")
	}
	if subtle.ConstantTimeCompare([]byte(c.text("nonce")), []byte(s.Nonce)) != 1 {
		return refuse("nonce_mismatch", "the token is of another sign-in")
	}
	asked, at := s.Again || s.MaxAge > 0, c.moment("auth_time")
	oldest := s.Begun
	if !s.Again {
		oldest = p.now().Add(-s.MaxAge)
	}
	switch {
	case !asked:
	case at.IsZero():
		return refuse("auth_time_missing", "%w: the token does not say when it was", identity.ErrStale)
	case at.Before(oldest.Add(-leeway)):
		return refuse("sign_in_too_old", "%w: the provider asked at %s, expected %s or later", identity.ErrStale, at.Format(time.RFC3339), oldest.Format(time.RFC3339))
	}
	return nil
}

// describe adds what the provider says about the person elsewhere than in the
// token (section 5.3). It must be about the same subject, and says nothing about
// how they signed in.
func (p *provider) describe(ctx context.Context, k *known, token *oauth2.Token, c claims) error {
	info, err := k.library.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return fault("userinfo_malformed", err)
	}
	if info.Subject != c.text("sub") {
		return refuse("userinfo_subject_mismatch", "the provider described somebody else")
	}
	var more claims
	if err := info.Claims(&more); err != nil {
		return refuse("userinfo_malformed", "%w", err)
	}
	for _, name := range p.described() {
		if c[name] == nil && more[name] != nil {
			c[name] = more[name]
		}
	}
	return nil
}
