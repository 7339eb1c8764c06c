package sqlstore

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// micros is a time as it is stored: microseconds since 1970, in UTC. The zero
// time is 0, so the instant 1970 began cannot be told from it.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// kept is a time as it is read back after it was stored.
func kept(t time.Time) time.Time {
	if micros(t) == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros(t)).UTC()
}

// instant scans a stored time into a time.Time.
type instant struct{ to *time.Time }

func (i instant) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("expected a time in microseconds, got %T", src)
	}
	*i.to = time.Time{}
	if n != 0 {
		*i.to = time.UnixMicro(n).UTC()
	}
	return nil
}

// span scans a stored duration.
type span struct{ to *time.Duration }

func (s span) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("expected a duration in microseconds, got %T", src)
	}
	*s.to = time.Duration(n) * time.Microsecond
	return nil
}

// noPolicy is a mode that there may not be, as it is stored.
func noPolicy(p mfa.Policy) string {
	if p == 0 {
		return ""
	}
	return p.String()
}

func parseNoPolicy(name string) (mfa.Policy, error) {
	if name == "" {
		return 0, nil
	}
	return mfa.ParsePolicy(name)
}

// flag is a yes or no as it is stored.
func flag(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

// blob is bytes as they are stored: none is an empty value, never NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// optional is a reference as it is stored: none is NULL, which no foreign key
// looks at.
func optional(id string) any {
	if id == "" {
		return nil
	}
	return id
}

// clean makes UTF-8 without NUL of every text. Some engines fail on anything
// else, and what a client sends (a host name, what its browser is) must never be
// a fault: as a name it is one that nobody has.
func clean(args []any) []any {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = utf8Text(text)
		}
	}
	return args
}

func utf8Text(text string) string {
	if utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 {
		return text
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// word scans a stored name into what it stands for.
type word[T any] struct {
	to    *T
	parse func(string) (T, error)
}

func (w word[T]) Scan(src any) error {
	var name string
	switch v := src.(type) {
	case string:
		name = v
	case []byte:
		name = string(v)
	default:
		return fmt.Errorf("expected a name, got %T", src)
	}
	var err error
	*w.to, err = w.parse(name)
	return err
}

var originNames = [...]string{storage.FromStore: "store", storage.FromConfig: "configuration"}

// originName returns "" for an origin that is none, which no table takes.
func originName(o storage.Origin) string {
	if int(o) >= len(originNames) {
		return ""
	}
	return originNames[o]
}

func parseOrigin(name string) (storage.Origin, error) {
	for o, n := range originNames {
		if n == name {
			return storage.Origin(o), nil
		}
	}
	return 0, fmt.Errorf("unknown origin %q", name)
}

// words scans a list of words that are separated by spaces.
type words struct{ to *[]string }

func (w words) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("expected words, got %T", src)
	}
	*w.to = nil
	if text != "" {
		*w.to = strings.Split(text, " ")
	}
	return nil
}

// parseSecond reads the kind of a second factor that may not have been shown.
func parseSecond(name string) (mfa.Kind, error) {
	if name == mfa.Kind(0).String() {
		return 0, nil
	}
	return mfa.ParseKind(name)
}

// dated refuses the zero time where it would read as "not yet": a code used at
// no time would be good again, a session revoked at no time would live.
func dated(at time.Time) error {
	if micros(at) == 0 {
		return errors.New("no time was given")
	}
	return nil
}

func scanText(row scanner) (text string, err error) {
	err = row.Scan(&text)
	return text, err
}

func scanCount(row scanner) (n int, err error) {
	err = row.Scan(&n)
	return n, err
}
