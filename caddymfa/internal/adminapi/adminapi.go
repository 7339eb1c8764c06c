// Package adminapi lets programs do over HTTP what an operator may do. It knows
// the operations and their JSON, and nothing of Caddy: whoever serves it decides
// who may reach it. Whoever may reach it may do anything.
package adminapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/audit"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/operate"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Prefix is the path under which everything is served.
const Prefix = "/mfa/"

// API serves the operations of one operator.
type API struct {
	Operator *operate.Operator
	// CheckHash says whether a password hash can be checked by this gate.
	CheckHash func(hash string) error
	// Base is the path of the gate's own pages, for set-up links.
	Base string
	// Origin is where people reach the gate, as far as it is known; empty: not.
	Origin string
	// Location says where the data lives; empty: that is nobody's business.
	Location string
}

// Error is a refusal with its HTTP status. Its text is for the operator.
type Error struct {
	Status int
	Err    error
	Allow  string // with 405: the methods there are
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// call is one request to one operation.
type call struct {
	*API
	ctx  context.Context
	at   map[string]string // what the path names
	ask  url.Values        // what the query asks for
	body []byte
}

// route is one operation: where it is, what it may be asked, and what it does.
// It answers with what is to be sent as JSON, or with an error.
type route struct {
	method string
	path   string   // segments; those in braces name something
	query  []string // the parameters there are; any other is an error
	body   bool     // whether it reads one; any other's is an error
	do     func(*call) (any, error)
}

var routes = []route{
	{method: "GET", path: "status", do: (*call).status},
	{method: "GET", path: "accounts", query: []string{"after", "limit"}, do: (*call).listAccounts},
	{method: "POST", path: "accounts", body: true, do: (*call).addAccount},
	{method: "PUT", path: "accounts/{account}/policy", body: true, do: (*call).setPolicy},
	{method: "PUT", path: "accounts/{account}/members/{user}", body: true, do: (*call).putMember},
	{method: "DELETE", path: "accounts/{account}/members/{user}", do: (*call).removeMember},
	{method: "GET", path: "accounts/{account}/domains", do: (*call).listDomains},
	{method: "POST", path: "accounts/{account}/domains", body: true, do: (*call).claimDomain},
	{method: "DELETE", path: "accounts/{account}/domains/{domain}", do: (*call).removeDomain},
	{method: "POST", path: "accounts/{account}/domains/{domain}/verify", do: (*call).verifyDomain},
	{method: "PUT", path: "accounts/{account}/domains/{domain}/signin", body: true, do: (*call).setSignIn},
	{method: "POST", path: "accounts/{account}/providers", body: true, do: (*call).addProvider},
	{method: "POST", path: "accounts/{account}/providers/{provider}/test", body: true, do: (*call).testProvider},
	{method: "PUT", path: "accounts/{account}/providers/{provider}/trust", body: true, do: (*call).setTrust},
	{method: "POST", path: "accounts/{account}/providers/{provider}/disable", do: (*call).disableProvider},
	{method: "POST", path: "accounts/{account}/providers/{provider}/enable", do: (*call).enableProvider},
	{method: "DELETE", path: "accounts/{account}/providers/{provider}", do: (*call).removeProvider},
	{method: "GET", path: "users", query: []string{"account", "after", "limit"}, do: (*call).listUsers},
	{method: "POST", path: "users", body: true, do: (*call).addUser},
	{method: "PUT", path: "users/{user}/password", body: true, do: (*call).setPassword},
	{method: "POST", path: "users/{user}/disable", do: (*call).disableUser},
	{method: "POST", path: "users/{user}/enable", do: (*call).enableUser},
	{method: "DELETE", path: "users/{user}/authenticators", do: (*call).resetAuthenticators},
	{method: "DELETE", path: "users/{user}/sessions", do: (*call).endSessions},
	{method: "POST", path: "users/{user}/setup", body: true, do: (*call).createSetUp},
	{method: "POST", path: "users/{user}/breakglass", body: true, do: (*call).createBreakGlass},
	{method: "GET", path: "accounts/{account}/providers", do: (*call).listProviders},
	{method: "GET", path: "keys", do: (*call).listKeys},
	{method: "POST", path: "keys/rotate", do: (*call).rotateKeys},
	{method: "GET", path: "seal", do: (*call).listMasterKeys},
	{method: "POST", path: "seal/rotate", query: []string{"leave_nodes_behind"}, do: (*call).replaceMasterKey},
	{method: "POST", path: "seal/reseal", do: (*call).reseal},
	{method: "GET", path: "explain", query: []string{"user", "account", "second"}, do: (*call).explain},
	{method: "GET", path: "audit", query: []string{"user", "account", "before", "limit"}, do: (*call).audit},
	{method: "GET", path: "audit/chains", query: []string{"after", "limit"}, do: (*call).listChains},
	{method: "GET", path: "audit/verify", query: []string{"account", "from", "noted", "limit"}, do: (*call).verifyAudit},
}

// maxBody is the longest body that is read.
const maxBody = 64 << 10

// changeTime bounds a change, which goes on when whoever asked has gone.
const changeTime = time.Minute

// Serve answers one request. Errors that it returns were not written: they are
// an *Error, or a fault.
func (a *API) Serve(w http.ResponseWriter, r *http.Request) error {
	found, at, err := find(r)
	if err != nil {
		return err
	}
	c := &call{API: a, ctx: r.Context(), at: at}
	if c.ask, err = query(r, found.query); err != nil {
		return err
	}
	if c.body, err = readBody(w, r, found.body); err != nil {
		return err
	}
	if r.Method != http.MethodGet {
		// A reset that stops half-way, because a terminal was closed, would
		// leave neither the former state nor the one that was asked for.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), changeTime)
		defer cancel()
		c.ctx = ctx
	}
	answer, err := found.do(c)
	if err != nil {
		return refusal(err)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(append(text, '\n')) // whoever asked may be gone
	return nil
}

// find returns the operation that a request is for, and what its path names.
func find(r *http.Request) (route, map[string]string, error) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), Prefix)
	var allowed []string
	for _, candidate := range routes {
		at, ok := match(candidate.path, path)
		if !ok {
			continue
		}
		if candidate.method == r.Method {
			return candidate, at, nil
		}
		allowed = append(allowed, candidate.method)
	}
	if allowed != nil {
		return route{}, nil, &Error{
			Status: http.StatusMethodNotAllowed, Err: fmt.Errorf("method %s is not for %s", r.Method, r.URL.Path),
			Allow: strings.Join(allowed, ", "),
		}
	}
	return route{}, nil, &Error{Status: http.StatusNotFound, Err: fmt.Errorf("there is no %s in the API", r.URL.Path)}
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
		if err != nil || text == "" {
			return nil, false
		}
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			at[strings.TrimSuffix(name, "}")] = text
		} else if segment != text {
			return nil, false
		}
	}
	return at, true
}

// query reads the parameters. A misspelt one must not list everybody.
func query(r *http.Request, known []string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalid("the query cannot be read: %w", err)
	}
	for name, given := range values {
		if !slices.Contains(known, name) {
			return nil, invalid("unknown parameter %q", name)
		}
		if len(given) > 1 {
			return nil, invalid("parameter %q is given twice", name)
		}
	}
	return values, nil
}

func readBody(w http.ResponseWriter, r *http.Request, wanted bool) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLong := new(http.MaxBytesError); errors.As(err, &tooLong) {
		return nil, &Error{Status: http.StatusRequestEntityTooLarge, Err: fmt.Errorf("a body has at most %d bytes", tooLong.Limit)}
	}
	if err != nil {
		return nil, invalid("reading the body: %w", err)
	}
	if !wanted && len(body) > 0 {
		return nil, invalid("there is nothing to say in a body here")
	}
	return body, nil
}

// decode reads the body into what an operation expects. No body says nothing.
func (c *call) decode(v any) error {
	if len(c.body) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return invalid("reading the body: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return invalid("reading the body: there is more than one value")
	}
	return nil
}

// The bounds of one list.
const defaultPage = 200

func (c *call) limit(otherwise int) (int, error) {
	text := c.ask.Get("limit")
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > operate.MaxPage {
		return 0, invalid("limit %q: expected a number from 1 to %d", text, operate.MaxPage)
	}
	return n, nil
}

// invalid says that a request makes no sense, and why.
func invalid(format string, args ...any) error {
	return &Error{Status: http.StatusBadRequest, Err: fmt.Errorf(format, args...)}
}

// refusal gives an error of the operations its status. What it does not know is
// a fault, and stays one.
func refusal(err error) error {
	if known := new(Error); errors.As(err, &known) {
		return err
	}
	for _, kind := range []struct {
		is     error
		status int
	}{
		{storage.ErrNotFound, http.StatusNotFound},
		{storage.ErrExists, http.StatusConflict},
		{storage.ErrConflict, http.StatusConflict},
		{login.ErrReadOnly, http.StatusConflict},
		{operate.ErrInvalid, http.StatusBadRequest},
		{audit.ErrResume, http.StatusConflict},
		{login.ErrPassword, http.StatusBadRequest},
		{login.ErrPasswordCommon, http.StatusBadRequest},
		{login.ErrPasswordOwn, http.StatusBadRequest},
		{login.ErrBusy, http.StatusServiceUnavailable},
	} {
		if errors.Is(err, kind.is) {
			return &Error{Status: kind.status, Err: err}
		}
	}
	return err
}
