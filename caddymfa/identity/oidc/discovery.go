package oidc

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/caddymfa/gateway/caddymfa/identity"
)

// fresh is how long a provider's metadata is used before it is asked for again,
// which nobody waits for.
const fresh = time.Hour

// metadata is what a provider says about itself (OpenID Connect Discovery 1.0,
// section 3) beyond what the library reads.
type metadata struct {
	Issuer      string   `json:"issuer"`
	Auth        string   `json:"authorization_endpoint"`
	Token       string   `json:"token_endpoint"`
	Keys        string   `json:"jwks_uri"`
	UserInfo    string   `json:"userinfo_endpoint"`
	EndSession  string   `json:"end_session_endpoint"`
	AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	// Issues means that the provider names itself in each answer (RFC 9207), so
	// that an answer without it is not its own.
	Issues bool `json:"authorization_response_iss_parameter_supported"`
}

// known is a provider as its metadata describes it.
type known struct {
	metadata
	library *oidc.Provider
	keys    oidc.KeySet
}

// known returns what is known about the provider, having asked it if need be.
// Old knowledge serves until there is newer.
func (p *provider) known(ctx context.Context) (*known, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found == nil {
		// The answer is for all who wait for it, not only for the first.
		found, err := p.discover(context.WithoutCancel(ctx))
		if err != nil {
			return nil, err
		}
		p.found, p.looked = found, p.now()
	} else if p.now().Sub(p.looked) >= fresh {
		p.looked = p.now()
		p.background.Go(p.refresh)
	}
	return p.found, nil
}

// refresh asks for the metadata again. If that fails, what is known stays.
func (p *provider) refresh() {
	found, err := p.discover(p.life)
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if found.Keys == p.found.Keys {
		found.keys = p.found.keys
	}
	p.found = found
}

// discover reads the metadata.
func (p *provider) discover(ctx context.Context) (*known, error) {
	ctx = oidc.ClientContext(ctx, p.client)
	if len(p.Tenants) > 0 {
		// The library would compare issuers, which differ here by the tenant; the
		// check is below.
		ctx = oidc.InsecureIssuerURLContext(ctx, p.Issuer)
	}
	library, err := oidc.NewProvider(ctx, p.Issuer)
	var mismatch *oidc.IssuerMismatchError
	if errors.As(err, &mismatch) {
		if strings.Contains(mismatch.Discovered, placeholder) {
			return nil, refuse("tenants_missing", "the issuer %q serves many tenants, and none is named", p.Issuer)
		}
		return nil, refuse("discovery_issuer_mismatch", "expected issuer %q, got %q", p.Issuer, mismatch.Discovered)
	}
	if err != nil {
		return nil, fault("metadata_malformed", err)
	}
	k := &known{library: library}
	if err := library.Claims(&k.metadata); err != nil {
		return nil, refuse("metadata_malformed", "%w", err)
	}
	if err := p.checkMetadata(k.metadata); err != nil {
		return nil, err
	}
	k.keys = oidc.NewRemoteKeySet(oidc.ClientContext(p.life, client(&seldom{next: p.client.Transport, now: p.now})), k.Keys)
	return k, nil
}

func (p *provider) checkMetadata(m metadata) error {
	if m.Issuer != p.Issuer {
		ours, _ := url.Parse(p.Issuer)
		theirs, err := url.Parse(strings.Replace(m.Issuer, placeholder, "tenant", 1))
		if err != nil || !strings.Contains(m.Issuer, placeholder) || ours.Scheme != theirs.Scheme || ours.Host != theirs.Host {
			return refuse("discovery_issuer_mismatch", "expected issuer %q, got %q", p.Issuer, m.Issuer)
		}
	}
	for _, e := range []struct {
		name, address string
		needed        bool
	}{
		{"authorization_endpoint", m.Auth, true}, {"token_endpoint", m.Token, true}, {"jwks_uri", m.Keys, true},
		{"userinfo_endpoint", m.UserInfo, false}, {"end_session_endpoint", m.EndSession, false},
	} {
		if e.address == "" && !e.needed {
			continue
		}
		if _, err := address(e.address, strings.HasPrefix(p.Issuer, "http:")); err != nil {
			return refuse("metadata_malformed", "%s: %w", e.name, err)
		}
	}
	return nil
}

// issuerOf returns who issues for a tenant; the tenant does not matter where an
// issuer has only one.
func (k *known) issuerOf(tenant string) string {
	return strings.Replace(k.Issuer, placeholder, tenant, 1)
}

// issues reports whether an issuer is this provider.
func (p *provider) issues(k *known, issuer string) bool {
	if len(p.Tenants) == 0 {
		return issuer == k.Issuer
	}
	return slices.ContainsFunc(p.Tenants, func(t string) bool { return issuer == k.issuerOf(t) })
}

// config returns the provider as the OAuth library wants it. How the secret is
// sent is never tried out: a second try would spend the code twice.
func (p *provider) config(k *known, redirect string) *oauth2.Config {
	style := oauth2.AuthStyleInHeader
	if p.ClientSecret == "" || len(k.AuthMethods) > 0 && !slices.Contains(k.AuthMethods, "client_secret_basic") {
		style = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{
		ClientID: p.ClientID, ClientSecret: p.ClientSecret, RedirectURL: redirect, Scopes: p.scopes(),
		Endpoint: oauth2.Endpoint{AuthURL: k.Auth, TokenURL: k.Token, AuthStyle: style},
	}
}

// fault keeps an outage or a refusal for what it is, and makes anything else a
// refusal: an answer that is none.
func fault(reason string, err error) error {
	var refusal *identity.Refusal
	if errors.As(err, &refusal) || errors.Is(err, identity.ErrUnavailable) {
		return err
	}
	return refuse(reason, "%s", short(err.Error()))
}
