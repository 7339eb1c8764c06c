package oidc

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/identity/oidc/idptest"
)

// logoutClaims are those of a good logout token.
func (i *idp) logoutClaims() object {
	return object{
		"iss": i.URL, "aud": idptest.ClientID, "iat": i.clock().Unix(), "exp": i.clock().Add(2 * time.Minute).Unix(),
		"jti": "id-1", "sub": "ana", "sid": "s1", "events": object{logoutEvent: object{}},
	}
}

// TestVerifyLogout goes through Back-Channel Logout 1.0, section 2.6.
func TestVerifyLogout(t *testing.T) {
	good := object{"typ": "logout+jwt"}
	for name, c := range map[string]struct {
		edit   func(object)
		header object
		token  func(i *idp, token string) string
		want   string // empty: accepted
	}{
		"as recommended":              {},
		"typed as any token":          {header: object{"typ": "JWT"}},
		"not typed":                   {header: object{"typ": ""}},
		"of a subject":                {edit: unset("sid")},
		"of a session":                {edit: unset("sub")},
		"of neither":                  {edit: func(o object) { delete(o, "sub"); delete(o, "sid") }, want: "logout_of_nobody"},
		"of a subject that is a list": {edit: func(o object) { o["sub"] = []string{"ana"}; delete(o, "sid") }, want: "token_malformed"},
		"typed as something else":     {header: object{"typ": "at+jwt"}, want: "token_type"},
		"unsigned":                    {header: object{"alg": "none"}, want: "algorithm_refused"},
		"signed with another key": {token: func(i *idp, _ string) string {
			return idptest.Sign(t, "RS256", otherKey, good, i.logoutClaims())
		}, want: "signature_invalid"},
		"signed with the client's secret": {token: func(i *idp, _ string) string {
			return idptest.Sign(t, "HS256", []byte(idptest.ClientSecret), good, i.logoutClaims())
		}, want: "algorithm_refused"},
		"of another issuer":       {edit: set("iss", "https://evil.example"), want: "issuer_mismatch"},
		"for another client":      {edit: set("aud", "other"), want: "audience_mismatch"},
		"issued at no time":       {edit: unset("iat"), want: "token_not_yet_valid"},
		"issued in the future":    {edit: set("iat", noon.Add(time.Hour).Unix()), want: "token_not_yet_valid"},
		"expired":                 {edit: set("exp", noon.Add(-time.Hour).Unix()), want: "token_expired"},
		"never expires":           {edit: unset("exp"), want: "token_expired"},
		"good for years":          {edit: set("exp", noon.AddDate(5, 0, 0).Unix()), want: "logout_life"},
		"about nothing":           {edit: unset("events"), want: "logout_event_missing"},
		"about something else":    {edit: set("events", object{"http://schemas.openid.net/event/other": object{}}), want: "logout_event_missing"},
		"about it in a text":      {edit: set("events", logoutEvent), want: "logout_event_missing"},
		"about it in a list":      {edit: set("events", []string{logoutEvent}), want: "logout_event_missing"},
		"about it with no object": {edit: set("events", object{logoutEvent: true}), want: "logout_event_missing"},
		"with a nonce":            {edit: set("nonce", "n"), want: "logout_nonce"},
		"with an empty nonce":     {edit: set("nonce", nil), want: "logout_nonce"},
		"without an id":           {edit: unset("jti"), want: "logout_id_missing"},
		"with an endless id":      {edit: set("jti", strings.Repeat("a", maxText+1)), want: "logout_id_missing"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIDP(t)
			claims := i.logoutClaims()
			if c.edit != nil {
				c.edit(claims)
			}
			if i.Header = c.header; i.Header == nil {
				i.Header = good
			}
			token := i.Sign(claims)
			if c.token != nil {
				token = c.token(i, token)
			}
			out, err := i.link().VerifyLogout(t.Context(), token)
			if c.want != "" {
				refused(t, err, c.want)
				return
			}
			text := func(name string) string { s, _ := claims[name].(string); return s }
			want := identity.Logout{Issuer: i.URL, Subject: text("sub"), Session: text("sid"), ID: "id-1", Expires: out.Expires}
			if err != nil || out != want || !out.Expires.Equal(noon.Add(2*time.Minute+leeway)) {
				t.Errorf("got %+v, %v", out, err)
			}
		})
	}
	t.Run("an ID token is none", func(t *testing.T) {
		i := newIDP(t)
		p := i.link()
		who, err := i.signIn(p, identity.Request{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.VerifyLogout(t.Context(), who.Token)
		refused(t, err, "logout_event_missing")
	})
	t.Run("the provider is down", func(t *testing.T) {
		i := newIDP(t)
		p, token := i.link(), i.Sign(i.logoutClaims())
		i.Close()
		_, err := p.VerifyLogout(t.Context(), token)
		unavailable(t, err)
	})
}

// TestLogoutURL sends the browser to sign out at the provider too.
func TestLogoutURL(t *testing.T) {
	i := newIDP(t)
	p := i.link()
	at, err := p.LogoutURL(t.Context(), "token", "https://portal.example.com/")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{"theme": {"plain"}, "client_id": {idptest.ClientID}, "id_token_hint": {"token"}, "post_logout_redirect_uri": {"https://portal.example.com/"}}
	if u.Query().Encode() != want.Encode() || !strings.HasPrefix(at, i.URL+"/end?") {
		t.Errorf("got %s", at)
	}
	if at, err = p.LogoutURL(t.Context(), strings.Repeat("a", maxLogoutURL), ""); err != nil || len(at) > maxLogoutURL || strings.Contains(at, "hint") {
		t.Errorf("got %d bytes, %v", len(at), err)
	}
	none := newIDP(t)
	none.Metadata = unset("end_session_endpoint")
	if at, err = none.link().LogoutURL(t.Context(), "token", ""); err != nil || at != "" {
		t.Errorf("got %q, %v", at, err)
	}
}
