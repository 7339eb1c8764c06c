package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Problem is a refusal, as RFC 9457 words it.
type Problem struct {
	Type   string `json:"type" jsonschema:"always about:blank: the title is that of the status"`
	Title  string `json:"title" jsonschema:"the meaning of the status"`
	Status int    `json:"status" jsonschema:"the status of the answer"`
	Code   string `json:"code" jsonschema:"what a program can tell the reason by; it stays the same"`
	Detail string `json:"detail" jsonschema:"for people; it may change"`

	wait time.Duration // until it may be tried again; 0: not said
}

func (p *Problem) Error() string { return p.Detail }

func problem(status int, code, detail string, args ...any) error {
	return &Problem{Status: status, Code: code, Detail: fmt.Sprintf(detail, args...)}
}

func invalid(detail string, args ...any) error {
	return problem(http.StatusBadRequest, "invalid_request", detail, args...)
}

// known gives the errors of the steps their status.
var known = []struct {
	is     error
	status int
	code   string
}{
	{storage.ErrNotFound, http.StatusNotFound, "not_found"},
	{login.ErrReadOnly, http.StatusConflict, "read_only"},
	{storage.ErrExists, http.StatusConflict, "exists"},
	{storage.ErrConflict, http.StatusConflict, "conflict"},
	{storage.ErrLastAdmin, http.StatusConflict, "last_admin"},
	{admin.ErrElsewhere, http.StatusConflict, "other_accounts"},
	{admin.ErrMember, http.StatusConflict, "joined"},
	{admin.ErrInvited, http.StatusConflict, "invited"},
	{admin.ErrNoMail, http.StatusConflict, "no_mail"},
	{admin.ErrDomainMany, http.StatusConflict, "too_many"},
	{admin.ErrProviderMany, http.StatusConflict, "too_many"},
}

// refuse answers with what went wrong. What it does not know is a fault of ours,
// of which the program is told nothing but that.
func (c *call) refuse(err error) {
	p := c.problem(err)
	if p.Status >= http.StatusInternalServerError {
		if errors.Is(err, context.Canceled) && c.r.Context().Err() != nil {
			return // nobody is there to be told
		}
		c.Fault(c.r, "serving the API", err)
	}
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	if p.wait > 0 {
		c.w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(p.wait.Seconds()))))
	}
	text, err := json.Marshal(p)
	if err != nil { // it holds nothing that could not be encoded
		panic(err)
	}
	c.write(p.Status, "application/problem+json", append(text, '\n'))
}

// problem gives an error its words and its status.
func (c *call) problem(err error) *Problem {
	if p := new(Problem); errors.As(err, &p) {
		return p
	}
	if wait := new(limit.Wait); errors.As(err, &wait) {
		return &Problem{Status: http.StatusTooManyRequests, Code: "too_many_tries", Detail: "This was done too often. Wait a while.",
			wait: wait.Until.Sub(c.Admin.Now())}
	}
	for _, k := range known {
		if errors.Is(err, k.is) {
			return &Problem{Status: k.status, Code: k.code, Detail: k.is.Error()}
		}
	}
	return &Problem{Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: "This cannot be done right now. It is on our side; please try again."}
}
