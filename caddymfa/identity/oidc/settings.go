package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// Settings are those of one account's provider.
type Settings struct {
	// Who the provider says it is: its metadata is at this address, with
	// `/.well-known/openid-configuration` after it. It must begin with
	// `https://`; plain HTTP is for this machine only.
	Issuer string `json:"issuer"`

	// The id under which this gate is registered at the provider.
	ClientID string `json:"client_id"`

	// The secret that goes with it. Default: none, for a public client.
	ClientSecret string `json:"client_secret,omitempty"`

	// The tenants whose people may sign in, by id, for an issuer that many
	// tenants share (Entra ID's `organizations` and `common`). Such an issuer is
	// refused without it. Default: none.
	Tenants []string `json:"tenants,omitempty"`

	// What to ask for besides `openid`. Default: `email profile`.
	Scopes []string `json:"scopes,omitempty"`

	// The authentication contexts to ask for, preferred ones first. What was
	// asked for counts for nothing: only what the provider then says does.
	// Default: none.
	ACRValues []string `json:"acr_values,omitempty"`

	// How old a sign-in at the provider may be. An older one is repeated there,
	// and refused here. Default: as old as the provider lets it be.
	MaxAge caddy.Duration `json:"max_age,omitempty"`

	// What the provider must ask even if it knows the browser: `login`,
	// `consent` or `select_account`. Default: nothing.
	Prompt string `json:"prompt,omitempty"`

	// The authentication contexts (`acr`) that mean several factors. Default:
	// none, so that only the methods (`amr`) tell.
	MFAACRValues []string `json:"mfa_acr_values,omitempty"`

	// The claim that holds the e-mail address. Default: `email`.
	EmailClaim string `json:"email_claim,omitempty"`

	// The claim that says that the address is verified. It has to be named for
	// an `email_claim` other than `email`, since `email_verified` speaks of
	// `email` only. Default: `email_verified`.
	EmailVerifiedClaim string `json:"email_verified_claim,omitempty"`

	// Takes every address for verified, for providers that do not say so (Entra
	// ID, ADFS). It is as safe as the provider: whoever can choose their address
	// there can be anybody with an address in the account's own domains.
	InsecureAssumeEmailVerified bool `json:"insecure_assume_email_verified,omitempty"`

	// The claim that holds the person's name. Default: `name`.
	NameClaim string `json:"name_claim,omitempty"`

	// The claim that lists the person's groups. Default: none.
	GroupsClaim string `json:"groups_claim,omitempty"`
}

// placeholder stands for the tenant in the issuer that Entra ID's metadata
// names where many tenants share it.
const placeholder = "{tenantid}"

var (
	tenantID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	prompts  = []string{"", "login", "consent", "select_account"}
)

// parse reads settings, and refuses misspelt ones.
func parse(raw []byte) (Settings, error) {
	var s Settings
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, fmt.Errorf("reading the settings: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return s, errors.New("reading the settings: something follows them")
	}
	return s, s.check()
}

func (s Settings) check() error {
	issuer, err := address(s.Issuer, true)
	if err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	if issuer.RawQuery != "" || strings.Contains(s.Issuer, "{") {
		return fmt.Errorf("issuer %q: it must have neither a query nor a placeholder", s.Issuer)
	}
	if s.ClientID == "" {
		return errors.New("client_id is missing")
	}
	for _, t := range s.Tenants {
		if !tenantID.MatchString(t) {
			return fmt.Errorf("tenant %q: expected an id such as 9122040d-6c67-4c5b-b112-36a304b66dad, in lower case", t)
		}
	}
	if s.MaxAge < 0 || time.Duration(s.MaxAge)%time.Second != 0 {
		return fmt.Errorf("max_age %s: expected whole seconds", time.Duration(s.MaxAge))
	}
	if !slices.Contains(prompts, s.Prompt) {
		return fmt.Errorf("prompt %q: expected login, consent or select_account", s.Prompt)
	}
	for _, list := range [][]string{s.Scopes, s.ACRValues, s.MFAACRValues} {
		for _, v := range list {
			if v == "" || strings.ContainsAny(v, " \t\r\n") {
				return fmt.Errorf("%q: expected values without spaces", v)
			}
		}
	}
	return nil
}

// address reads where something of a provider is. Only this machine's own may
// go without encryption.
func address(text string, plain bool) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return nil, fmt.Errorf("%q is no address such as https://login.example.com", text)
	case u.User != nil || u.Fragment != "":
		return nil, fmt.Errorf("%q: it must have neither a name nor a fragment in it", text)
	case u.Scheme != "https" && (!plain || u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, fmt.Errorf("%q: expected https://", text)
	}
	return u, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

func (s Settings) scopes() []string {
	if len(s.Scopes) == 0 {
		return []string{"openid", "email", "profile"}
	}
	return append([]string{"openid"}, slices.DeleteFunc(slices.Clone(s.Scopes), func(v string) bool { return v == "openid" })...)
}
