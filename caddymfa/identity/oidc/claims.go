package oidc

import (
	"encoding/json"
	"math"
	"strings"
	"time"
)

// What is taken of lists and texts that a provider sends: more than anybody's
// directory needs, and no more than the store should hold.
const (
	maxList = 500
	maxText = 512
)

// claims are those of a token, by their exact names. A struct would take "EMAIL"
// for "email", and some providers let people choose the names of claims.
type claims map[string]json.RawMessage

// The readers below return the zero value for a claim that is missing or of
// another type: no check is passed by it.

func (c claims) text(name string) string {
	var s string
	if json.Unmarshal(c[name], &s) != nil {
		return ""
	}
	return s
}

// list takes one text for a list of one, as the audience may be written.
func (c claims) list(name string) []string {
	var list []string
	if json.Unmarshal(c[name], &list) != nil {
		if s := c.text(name); s != "" {
			return []string{s}
		}
		return nil
	}
	return list
}

// flag takes the spellings of true that providers use.
func (c claims) flag(name string) bool {
	switch strings.Trim(string(c[name]), `"`) {
	case "true", "1":
		return true
	}
	return false
}

// moment reads a NumericDate (RFC 7519, section 2).
func (c claims) moment(name string) time.Time {
	var seconds float64
	if json.Unmarshal(c[name], &seconds) != nil || seconds <= 0 || seconds > math.MaxInt32*100 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

// bounded drops from a list what is not worth keeping.
func bounded(list []string) []string {
	var kept []string
	for _, s := range list[:min(len(list), maxList)] {
		if s != "" && len(s) <= maxText {
			kept = append(kept, s)
		}
	}
	return kept
}

func joined(list []string) string { return strings.Join(list, " ") }
