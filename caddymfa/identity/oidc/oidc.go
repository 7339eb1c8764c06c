// Package oidc is the kind of identity provider that speaks OpenID Connect:
// Entra ID, ADFS, Keycloak, Okta and many others.
//
// People are sent to the provider for a code, which is exchanged for an ID token
// (OpenID Connect Core 1.0, section 3.1). What counts is the token: its
// signature, and every claim that says for whom, by whom, for which sign-in and
// until when it is.
package oidc

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/caddymfa/gateway/caddymfa/identity"
)

// leeway is how far a provider's clock may be off.
const leeway = time.Minute

// maxParameter is the longest parameter of a callback that is read, in bytes.
// Entra ID's codes have some two thousand.
const maxParameter = 8 << 10

// provider is one account's provider.
type provider struct {
	Settings
	client     *http.Client
	wire       *wire
	now        func() time.Time
	life       context.Context
	end        context.CancelFunc
	background sync.WaitGroup

	mu     sync.Mutex
	found  *known    // nil: not asked yet
	looked time.Time // when it was asked for last
}

func open(s Settings, g guard, now func() time.Time) *provider {
	w := newWire(g, now)
	p := &provider{Settings: s, client: client(w), wire: w, now: now}
	p.life, p.end = context.WithCancel(context.Background())
	return p
}

// Close implements [identity.Provider].
func (p *provider) Close() error {
	p.end()
	p.background.Wait()
	p.wire.close()
	return nil
}

// secret is what is kept from the beginning of a sign-in to its end.
type secret struct {
	Nonce    string        `json:"nonce"`
	Verifier string        `json:"verifier"`
	Redirect string        `json:"redirect"`
	Begun    time.Time     `json:"begun"`
	MaxAge   time.Duration `json:"max_age,omitempty"` // what was asked for; zero: nothing
	Again    bool          `json:"again,omitempty"`
}

// Begin implements [identity.Redirector].
func (p *provider) Begin(ctx context.Context, r identity.Request) (identity.Begun, error) {
	k, err := p.known(ctx)
	if err != nil {
		return identity.Begun{}, err
	}
	s := secret{
		Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Redirect: r.RedirectURI,
		Begun: p.now(), MaxAge: time.Duration(p.MaxAge), Again: r.Again,
	}
	if r.MaxAge > 0 && (s.MaxAge == 0 || r.MaxAge < s.MaxAge) {
		s.MaxAge = max(r.MaxAge, time.Second)
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(s.Nonce), oauth2.S256ChallengeOption(s.Verifier)}
	ask := func(name, value string) {
		if value != "" {
			options = append(options, oauth2.SetAuthURLParam(name, value))
		}
	}
	ask("login_hint", r.LoginHint)
	ask("acr_values", joined(p.ACRValues))
	switch {
	case s.Again:
		// Of the two, max_age makes the provider say when it asked.
		ask("prompt", "login")
		ask("max_age", "0")
	case s.MaxAge > 0:
		ask("prompt", p.Prompt)
		ask("max_age", strconv.Itoa(int(s.MaxAge/time.Second)))
	default:
		ask("prompt", p.Prompt)
	}
	raw, err := json.Marshal(s)
	if err != nil {
		return identity.Begun{}, fmt.Errorf("encoding a sign-in: %w", err)
	}
	state := rand.Text()
	return identity.Begun{URL: p.config(k, s.Redirect).AuthCodeURL(state, options...), State: state, Secret: raw}, nil
}

// Finish implements [identity.Redirector].
func (p *provider) Finish(ctx context.Context, raw []byte, callback url.Values) (identity.Identity, error) {
	var none identity.Identity
	var s secret
	if err := json.Unmarshal(raw, &s); err != nil {
		return none, fmt.Errorf("reading a sign-in: %w", err)
	}
	k, err := p.known(ctx)
	if err != nil {
		return none, err
	}
	code, err := p.codeOf(k, callback)
	if err != nil {
		return none, err
	}
	ctx = oidc.ClientContext(ctx, p.client)
	token, err := p.config(k, s.Redirect).Exchange(ctx, code, oauth2.VerifierOption(s.Verifier))
	if err != nil {
		return none, notExchanged(err)
	}
	idToken, ok := token.Extra("id_token").(string)
	if !ok || idToken == "" {
		return none, refuse("token_missing", "the provider answered without an ID token")
	}
	verified, c, err := p.verify(ctx, k, idToken, "", "jwt")
	if err != nil {
		return none, err
	}
	if err := p.checkSignIn(c, s); err != nil {
		return none, err
	}
	if verified.AccessTokenHash != "" && verified.VerifyAccessToken(token.AccessToken) != nil {
		return none, refuse("access_token_mismatch", "the access token does not belong to the ID token")
	}
	if p.lacks(c) && k.UserInfo != "" {
		if err := p.describe(ctx, k, token, c); err != nil {
			return none, err
		}
	}
	who := p.identity(c)
	if k.EndSession != "" {
		who.Token = idToken
	}
	return who, nil
}

// codeOf returns the code of a callback. Who answers is checked before anything
// that they say is believed, an error too (mix-up attacks, RFC 9207).
func (p *provider) codeOf(k *known, callback url.Values) (string, error) {
	for _, name := range []string{"iss", "code", "error", "error_description", "state"} {
		if v := callback[name]; len(v) > 1 || len(v) == 1 && len(v[0]) > maxParameter {
			return "", refuse("callback_malformed", "the parameter %s is repeated or too long", name)
		}
	}
	switch issuer := callback.Get("iss"); {
	case issuer == "" && k.Issues:
		return "", refuse("issuer_missing", "the provider names itself in its answers, and this one has no name")
	case issuer != "" && !p.issues(k, issuer):
		return "", refuse("issuer_mismatch", "expected an answer of %q, got one of %q", k.Issuer, short(issuer))
	}
	if code := callback.Get("error"); code != "" {
		said := fmt.Errorf("the provider said %q: %q", short(code), short(callback.Get("error_description")))
		switch code {
		case "temporarily_unavailable", "server_error":
			return "", fmt.Errorf("%w: %w", identity.ErrUnavailable, said)
		case "access_denied":
			return "", refuse("access_denied", "%w", said)
		}
		return "", refuse("provider_refused", "%w", said)
	}
	if code := callback.Get("code"); code != "" {
		return code, nil
	}
	return "", refuse("code_missing", "the answer has neither a code nor an error")
}

// notExchanged says why a code got no token. What the provider sent stays out of
// it, but for the error's name: it may repeat our secret.
func notExchanged(err error) error {
	var said *oauth2.RetrieveError
	if !errors.As(err, &said) {
		return fault("token_malformed", err)
	}
	reason := "token_refused"
	switch said.ErrorCode {
	case "invalid_grant":
		reason = "code_refused" // spent, expired, or another sign-in's
	case "invalid_client", "unauthorized_client":
		reason = "client_refused"
	}
	return refuse(reason, "the token endpoint answered %s, error %q", said.Response.Status, short(said.ErrorCode))
}

func refuse(reason, format string, args ...any) *identity.Refusal {
	return &identity.Refusal{Reason: reason, Err: fmt.Errorf(format, args...)}
}

// short keeps what others send from filling the log.
func short(s string) string { return s[:min(len(s), 200)] }

// Interface guards
var (
	_ identity.Redirector       = (*provider)(nil)
	_ identity.LogoutReceiver   = (*provider)(nil)
	_ identity.LogoutRedirector = (*provider)(nil)
)
