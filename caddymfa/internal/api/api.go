// Package api lets an account's own programs do over HTTP what its administrators
// do on their pages, with the same methods of package admin. A program shows a
// token; cookies mean nothing here, so no page of another site can use somebody's
// browser for it.
//
// One table of operations ([operations]) routes, checks what arrives and makes the
// OpenAPI document, so that none of them can drift from the others.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Path is where the API is, under the gate's base path.
const Path = "/api/v1"

// API serves the programs of every account.
type API struct {
	Base    string // for example "/.mfa/api/v1"
	Admin   *admin.Service
	Limiter *limit.Limiter
	// Fault tells the operator about an error that the program only sees as a
	// status. It must not be told secrets.
	Fault func(r *http.Request, doing string, err error)
}

// Site is what the API must know about where it is being served.
type Site struct {
	Network string // the client's address, as Caddy determined it
	Account string // the account that this address is for; empty: any
}

// call is one request to one operation.
type call struct {
	*API
	w     http.ResponseWriter
	r     *http.Request
	ctx   context.Context
	site  Site
	op    *operation
	token storage.Token
	at    map[string]string // what the path names
	ask   url.Values        // what the query asks for
	body  []byte
	tag   string // of what is answered; empty: it has none
}

// changeTime bounds a change, which goes on when whoever asked has gone.
const changeTime = time.Minute

// ServeHTTP answers one request under Base.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request, site Site) {
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		// What nobody reads of a body would be taken for the next request.
		w.Header().Set("Connection", "close")
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	c := &call{API: a, w: w, r: r, ctx: r.Context(), site: site}
	if err := c.serve(); err != nil {
		c.refuse(err)
	}
}

func (c *call) serve() error {
	if err := c.route(); err != nil {
		return err
	}
	if !c.op.open {
		if err := c.authenticate(); err != nil {
			return err
		}
	}
	if c.op.person != "" {
		return problem(http.StatusForbidden, "person_needed",
			"No program can do this. An administrator of the account can, in a browser, at %s.", c.page(c.op.person))
	}
	var err error
	if c.ask, err = readQuery(c.r.URL.RawQuery, c.op.query); err != nil {
		return err
	}
	if c.body, err = c.readBody(); err != nil {
		return err
	}
	if c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		// A change that stops half-way, because a program was ended, would leave
		// neither the former state nor the one that was asked for.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.r.Context()), changeTime)
		defer cancel()
		c.ctx = ctx
	}
	if c.r.Method == http.MethodPost {
		return c.once(c.carryOut)
	}
	status, body, err := c.carryOut()
	if err != nil {
		return err
	}
	c.write(status, "application/json", body)
	return nil
}

// carryOut does what the operation does and returns what to answer.
func (c *call) carryOut() (status int, body []byte, err error) {
	answer, err := c.op.do(c)
	if err != nil {
		return 0, nil, err
	}
	if c.tag != "" {
		c.w.Header().Set("ETag", c.tag)
		if c.r.Header.Get("If-None-Match") == c.tag && c.op.method == http.MethodGet {
			return http.StatusNotModified, nil, nil
		}
	}
	if c.op.out == nil {
		return http.StatusNoContent, nil, nil
	}
	if body, err = json.Marshal(answer); err != nil {
		return 0, nil, fmt.Errorf("encoding the answer: %w", err)
	}
	return c.op.status(), append(body, '\n'), nil
}

func (c *call) write(status int, kind string, body []byte) {
	if body != nil {
		c.w.Header().Set("Content-Type", kind)
	}
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		c.w.Write(body) // whoever asked may be gone
	}
}

// route finds the operation that the request is for, and what its path names.
func (c *call) route() error {
	path := strings.TrimPrefix(c.r.URL.EscapedPath(), c.Base)
	method := c.r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var allowed []string
	for i := range operations {
		op := &operations[i]
		at, ok := match(op.path, path)
		if !ok {
			continue
		}
		if op.method == method {
			c.op, c.at = op, at
			return nil
		}
		if allowed = append(allowed, op.method); op.method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	if allowed != nil {
		c.w.Header().Set("Allow", strings.Join(allowed, ", "))
		return problem(http.StatusMethodNotAllowed, "method_not_allowed", "There is no %s here.", c.r.Method)
	}
	return problem(http.StatusNotFound, "not_found", "There is no such path in the API.")
}

// match compares the segments of an escaped path with a pattern's. A name in it
// may hold any character, a slash included, as long as it came escaped.
func match(pattern, path string) (map[string]string, bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	at := make(map[string]string)
	for i, segment := range want {
		text, err := url.PathUnescape(got[i])
		if err != nil {
			return nil, false
		}
		if name, ok := strings.CutPrefix(segment, "{"); ok && text != "" {
			at[strings.TrimSuffix(name, "}")] = text
		} else if segment != text {
			return nil, false
		}
	}
	return at, true
}

// authenticate finds out whose request it is, and whether it may be made.
func (c *call) authenticate() error {
	shown, err := bearer(c.r.Header)
	if err != nil {
		c.w.Header().Set("WWW-Authenticate", `Bearer realm="api"`)
		return err
	}
	c.token, err = c.Admin.OpenToken(c.ctx, shown, c.site.Network)
	switch {
	case errors.Is(err, admin.ErrTokenNetwork):
		return problem(http.StatusForbidden, "network_not_allowed", "This token is not for use from this network.")
	case errors.Is(err, admin.ErrToken):
		return c.badToken()
	case err != nil:
		return err
	case c.site.Account != "" && c.site.Account != c.token.Account:
		// On the address of one account, another one's token is none.
		return c.badToken()
	case !slices.Contains(c.token.Scopes, string(c.op.scope)):
		c.w.Header().Set("WWW-Authenticate", `Bearer realm="api", error="insufficient_scope", scope="`+string(c.op.scope)+`"`)
		return problem(http.StatusForbidden, "insufficient_scope", "This token has not the scope %q.", c.op.scope)
	}
	return nil
}

// badToken refuses a token that is none. The count only slows down whoever keeps
// sending them: nobody can guess one, and good ones are never refused for it, so
// no stranger in the same network can lock a program out.
func (c *call) badToken() error {
	err := c.Limiter.Try(c.ctx, limit.BadToken, limit.NetworkOf(c.site.Network))
	if wait := new(limit.Wait); errors.As(err, &wait) {
		return &Problem{Status: http.StatusTooManyRequests, Code: "too_many_tries",
			Detail: "Too many requests with a token that is none came from this network.", wait: wait.Until.Sub(c.Admin.Now())}
	}
	if err != nil {
		return err
	}
	c.w.Header().Set("WWW-Authenticate", `Bearer realm="api", error="invalid_token"`)
	return problem(http.StatusUnauthorized, "invalid_token", "There is no such token, or it is over.")
}

// bearer returns the token that a request shows: the only one, in the only place.
func bearer(h http.Header) (string, error) {
	given := h.Values("Authorization")
	if len(given) == 0 {
		return "", problem(http.StatusUnauthorized, "token_required", "Send a token: Authorization: Bearer cmfa_...")
	}
	kind, token, _ := strings.Cut(given[0], " ")
	if len(given) > 1 || !strings.EqualFold(kind, "Bearer") {
		return "", problem(http.StatusUnauthorized, "token_required", "Send one token: Authorization: Bearer cmfa_...")
	}
	return strings.TrimSpace(token), nil
}

// actor is who the steps are told acts.
func (c *call) actor() admin.Actor {
	return admin.Actor{Account: c.token.Account, User: admin.ByToken(c.token.ID), Network: c.site.Network}
}
