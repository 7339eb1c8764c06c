package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// maxBody is the longest body that is read.
const maxBody = 64 << 10

// readQuery reads the parameters. A misspelt one must not list everybody.
func readQuery(raw string, known []parameter) (url.Values, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, invalid("The query cannot be read.")
	}
	for name, given := range values {
		if !has(known, name) {
			return nil, invalid("There is no parameter %q here.", name)
		}
		if len(given) > 1 {
			return nil, invalid("The parameter %q is given twice.", name)
		}
	}
	return values, nil
}

// readBody reads the body to its end, and sees that it is what the operation
// wants.
func (c *call) readBody() ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	if large := new(http.MaxBytesError); errors.As(err, &large) {
		return nil, problem(http.StatusRequestEntityTooLarge, "too_large", "A body has at most %d bytes.", maxBody)
	}
	if err != nil {
		return nil, invalid("The body cannot be read.")
	}
	c.w.Header().Del("Connection")
	if c.op.in == nil {
		if len(body) > 0 {
			return nil, invalid("There is nothing to say in a body here.")
		}
		return nil, nil
	}
	kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, problem(http.StatusUnsupportedMediaType, "not_json", "Send the body as application/json.")
	}
	// What the document says of the body is what decides.
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return nil, invalid("The body is no JSON: %v.", err)
	}
	if err := c.op.checkIn(value); err != nil {
		return nil, invalid("The body is not as it should be: %v.", err)
	}
	return body, nil
}

// decode reads the body into what the operation wants.
func (c *call) decode(v any) error {
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return invalid("The body is not as it should be: %v.", err)
	}
	return nil
}

// The bounds of one list.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

func (c *call) limit() (int, error) {
	text := c.ask.Get("limit")
	if text == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxLimit {
		return 0, invalid("limit: expected a number from 1 to %d.", maxLimit)
	}
	return n, nil
}

func (c *call) moment(name string) (time.Time, error) {
	text := c.ask.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, invalid("%s: expected a time such as 2026-01-31T08:00:00Z.", name)
	}
	return at, nil
}

// version is the one that a write is based on, as its If-Match says. Without one,
// somebody else's change could be overwritten unseen.
func (c *call) version() (int64, error) {
	given := c.r.Header.Values("If-Match")
	if len(given) == 0 {
		return 0, problem(http.StatusPreconditionRequired, "precondition_required", "Send If-Match with the ETag that you read.")
	}
	n, ok := versionOf(given[0])
	if len(given) > 1 || !ok {
		return 0, problem(http.StatusPreconditionFailed, "changed", "If-Match is not the ETag of what is there now.")
	}
	return n, nil
}

// changedBy is what a write is told whose version is not the present one; by is
// who was faster, and empty if that is nobody's address.
func changedBy(detail, by string) error {
	if by != "" {
		detail += ", by " + by
	}
	return problem(http.StatusPreconditionFailed, "changed", "%s.", detail)
}

func tagOf(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

func versionOf(tag string) (int64, bool) {
	n, err := strconv.ParseInt(strings.Trim(tag, `"`), 10, 64)
	return n, err == nil && tag == tagOf(n)
}

// maxKey is how long an Idempotency-Key may be.
const maxKey = 200

// once carries a POST out once for each Idempotency-Key of a token, and answers
// again what it answered then.
func (c *call) once(do func() (int, []byte, error)) error {
	given := c.r.Header.Values("Idempotency-Key")
	if len(given) == 0 {
		status, body, err := do()
		if err == nil {
			c.write(status, "application/json", body)
		}
		return err
	}
	key := given[0]
	if len(given) > 1 || key == "" || len(key) > maxKey || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return invalid("Idempotency-Key: expected one, of at most %d printable ASCII characters.", maxKey)
	}
	store := c.Admin.Store
	claim := storage.Reply{Token: c.token.ID, Key: key, Request: c.fingerprint(), Created: c.Admin.Now()}
	stored, err := store.ClaimReply(c.ctx, claim)
	if errors.Is(err, storage.ErrExists) {
		return c.again(stored, claim)
	}
	if err != nil {
		return err
	}
	status, body, err := do()
	if err != nil && c.problem(err).Status < http.StatusInternalServerError {
		// It was refused, so nothing stands in the way of another try.
		return errors.Join(err, store.DropReply(c.ctx, c.token.ID, key))
	}
	if err != nil {
		return err // whether something was carried out is not known
	}
	if err := store.FinishReply(c.ctx, c.token.ID, key, status, body); err != nil {
		return err
	}
	c.write(status, "application/json", body)
	return nil
}

// again answers a request that came before.
func (c *call) again(stored, claim storage.Reply) error {
	switch {
	case !bytes.Equal(stored.Request, claim.Request):
		return problem(http.StatusUnprocessableEntity, "key_reused", "This Idempotency-Key was used for another request.")
	case stored.Status == 0:
		return problem(http.StatusConflict, "in_progress",
			"The first request with this Idempotency-Key was not answered yet, or never was. See whether it was carried out.")
	}
	c.w.Header().Set("Idempotency-Replayed", "true")
	body := stored.Body
	if len(body) == 0 {
		body = nil
	}
	c.write(stored.Status, "application/json", body)
	return nil
}

// fingerprint tells one request from another. It has a key, because a body may
// hold a secret that whoever reads the database could guess at otherwise.
func (c *call) fingerprint() []byte {
	return c.Admin.Login.Box.MAC("api request", c.r.Method, c.r.URL.RequestURI(), string(c.body))
}
