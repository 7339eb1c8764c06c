package web

import (
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"strings"
)

// keep is the address of a page of ours with what was typed in its form, so that
// it outlives a challenge in between. An address is no place for secrets, nor for
// more than can be come back to: then it is the page alone. It is signed for the
// person, since a form that somebody else filled in is a trap.
func (c *call) keep(page string, names ...string) string {
	if c.sess == nil {
		return page
	}
	path, query, _ := strings.Cut(page, "?")
	typed, err := url.ParseQuery(query)
	if err != nil {
		return page
	}
	for _, name := range names {
		for _, value := range c.form[name] {
			if value != "" {
				typed.Add(name, value)
			}
		}
	}
	typed.Set("notice", "again")
	typed.Set(typedBy, c.mark(path, typed))
	if kept := path + "?" + typed.Encode(); len(c.s.Base)+len(kept) <= maxReturn {
		return kept
	}
	return page
}

// kept returns what the person typed into the form of this page before they were
// challenged; nil: nothing.
func (c *call) kept() url.Values {
	typed := c.r.URL.Query()
	by := typed.Get(typedBy)
	typed.Del(typedBy)
	if c.sess == nil || subtle.ConstantTimeCompare([]byte(by), []byte(c.mark(strings.TrimPrefix(c.r.URL.Path, c.s.Base), typed))) != 1 {
		return nil
	}
	return typed
}

const typedBy = "typed"

func (c *call) mark(path string, form url.Values) string {
	return base64.RawURLEncoding.EncodeToString(c.s.Login.Box.MAC(typedBy, c.sess.User, path, form.Encode())[:18])
}
