package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func (c *call) showTokens() error {
	who, done, err := c.administer(false, "/admin/tokens")
	if done || err != nil {
		return err
	}
	form := TokenForm{Days: 90, Scopes: scopeChoices(nil)}
	if kept := c.kept(); kept != nil {
		form = typedToken(kept)
	}
	return c.tokensPage(who, http.StatusOK, AdminTokens{Form: form})
}

// typedToken reads the form. Days that cannot be read are refused as others that
// cannot be.
func typedToken(form url.Values) TokenForm {
	days, _ := strconv.Atoi(form.Get("days"))
	return TokenForm{Title: form.Get("name"), Networks: form.Get("networks"), Days: days, Scopes: scopeChoices(form["scope"])}
}

// tokensPage shows the account's tokens, and what the view holds already.
func (c *call) tokensPage(who admin.Actor, status int, v AdminTokens) error {
	rows, err := c.s.Admin.Tokens(c.r.Context(), who)
	if err != nil {
		return err
	}
	v.Chrome = c.chrome()
	now := c.s.Admin.Now()
	for _, row := range rows {
		t := TokenRow{ID: row.ID, Title: row.Name, Networks: row.Networks, Created: row.Created, Expires: row.Expires,
			Used: row.Used, UsedFrom: row.UsedFrom, Revoked: row.Revoked, Expired: !now.Before(row.Expires)}
		for _, scope := range row.Scopes {
			t.Scopes = append(t.Scopes, TokenScope{Scope: admin.Scope(scope)})
		}
		if t.Maker, err = c.s.Admin.MemberEmail(c.r.Context(), who, row.By); err != nil {
			return err
		}
		v.Tokens = append(v.Tokens, t)
	}
	return c.show(status, v)
}

func scopeChoices(chosen []string) []TokenScope {
	var list []TokenScope
	for _, scope := range admin.Scopes {
		list = append(list, TokenScope{scope, slices.Contains(chosen, string(scope))})
	}
	return list
}

// postToken makes a token and shows it, in the answer to the form: it stands in no
// address, and a page that is opened again cannot show it.
func (c *call) postToken() error {
	who, done, err := c.administer(true, c.keep("/admin/tokens", "name", "scope", "days", "networks"))
	if done || err != nil {
		return err
	}
	form := typedToken(c.form)
	wish := admin.TokenWish{Name: form.Title, Days: form.Days,
		Networks: strings.FieldsFunc(form.Networks, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '\r' || r == '\t' })}
	for _, scope := range c.form["scope"] {
		wish.Scopes = append(wish.Scopes, admin.Scope(scope))
	}
	secret, _, err := c.s.Admin.CreateToken(c.r.Context(), who, wish)
	if problem, ok := tokenProblem(err); ok {
		return c.tokensPage(who, http.StatusUnprocessableEntity, AdminTokens{Form: form, Problem: problem})
	}
	if err != nil {
		return err
	}
	return c.tokensPage(who, http.StatusOK, AdminTokens{Secret: secret, Form: TokenForm{Days: 90, Scopes: scopeChoices(nil)}})
}

func tokenProblem(err error) (Text, bool) {
	for _, p := range []struct {
		is   error
		text Text
	}{
		{admin.ErrTokenName, say("tokens.problem.name")},
		{admin.ErrTokenScopes, say("tokens.problem.scopes")},
		{admin.ErrTokenDays, say("tokens.problem.days")},
		{admin.ErrTokenNetworks, say("tokens.problem.networks")},
		{admin.ErrTokenMany, say("tokens.problem.many")},
	} {
		if errors.Is(err, p.is) {
			return p.text, true
		}
	}
	return Text{}, false
}

func (c *call) postRotateToken() error {
	who, done, err := c.administer(true, "/admin/tokens")
	if done || err != nil {
		return err
	}
	secret, _, err := c.s.Admin.RotateToken(c.r.Context(), who, c.form.Get("token"))
	if errors.Is(err, storage.ErrNotFound) {
		return c.toNotice("/admin/tokens", "gone")
	}
	if err != nil {
		return err
	}
	return c.tokensPage(who, http.StatusOK, AdminTokens{Secret: secret, Form: TokenForm{Days: 90, Scopes: scopeChoices(nil)}})
}

func (c *call) postRevokeToken() error {
	who, done, err := c.administer(true, "/admin/tokens")
	if done || err != nil {
		return err
	}
	err = c.s.Admin.RevokeToken(c.r.Context(), who, c.form.Get("token"))
	if errors.Is(err, storage.ErrNotFound) {
		return c.toNotice("/admin/tokens", "gone")
	}
	if err != nil {
		return err
	}
	return c.toNotice("/admin/tokens", "token-revoked")
}
