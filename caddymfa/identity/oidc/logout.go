package oidc

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
)

// logoutEvent says what a logout token is about.
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

const (
	// maxLogoutLife is how long a logout token may be good for: so long its id is
	// remembered. Two minutes are recommended.
	maxLogoutLife = 24 * time.Hour
	// maxLogoutURL is the longest address that browsers and servers agree on.
	maxLogoutURL = 8000
)

// VerifyLogout implements [identity.LogoutReceiver]: every check of OpenID
// Connect Back-Channel Logout 1.0, section 2.6, but whether the token came
// before, which the caller knows.
func (p *provider) VerifyLogout(ctx context.Context, token string) (identity.Logout, error) {
	var none identity.Logout
	k, err := p.known(ctx)
	if err != nil {
		return none, err
	}
	_, c, err := p.verify(ctx, k, token, "logout+jwt", "jwt", "")
	if err != nil {
		return none, err
	}
	var events claims
	out := identity.Logout{
		Issuer: c.text("iss"), Subject: c.text("sub"), Session: c.text("sid"), ID: c.text("jti"), Expires: c.moment("exp").Add(leeway),
	}
	switch {
	case json.Unmarshal(c["events"], &events) != nil || !bytes.HasPrefix(events[logoutEvent], []byte("{")):
		return none, refuse("logout_event_missing", "the token is not about a sign-out")
	case c["nonce"] != nil:
		return none, refuse("logout_nonce", "an ID token is no logout token")
	case out.Subject == "" && out.Session == "":
		return none, refuse("logout_of_nobody", "the token names neither a subject nor a session")
	case out.ID == "" || len(out.ID) > maxText:
		return none, refuse("logout_id_missing", "the token has no id by which a replay would be known")
	case out.Expires.Sub(p.now()) > maxLogoutLife:
		return none, refuse("logout_life", "the token is good until %s", out.Expires.Format(time.RFC3339))
	}
	return out, nil
}

// LogoutURL implements [identity.LogoutRedirector].
func (p *provider) LogoutURL(ctx context.Context, token, returnTo string) (string, error) {
	k, err := p.known(ctx)
	if err != nil || k.EndSession == "" {
		return "", err
	}
	u, err := url.Parse(k.EndSession)
	if err != nil {
		return "", err
	}
	q := u.Query()
	q.Set("client_id", p.ClientID)
	if returnTo != "" {
		q.Set("post_logout_redirect_uri", returnTo)
	}
	if token != "" {
		q.Set("id_token_hint", token)
	}
	if u.RawQuery = q.Encode(); len(u.String()) > maxLogoutURL {
		q.Del("id_token_hint") // the provider asks the person instead
		u.RawQuery = q.Encode()
	}
	return u.String(), nil
}
