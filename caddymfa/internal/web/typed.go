package web

import (
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"strings"
)

// keep is the address of a page of ours with what was typed in its form, so that
// it outlives a challenge in between; the page then says that nothing is saved yet.
func (c *call) keep(page string, names ...string) string { return c.fill(page, "again", names) }

// fill is the address of a page of ours with a notice, unless that is empty, and
// with what was typed in its form. An address is no place for secrets, nor for
// more than can be come back to: then it is the page alone. It is signed for the
// person, since a form that somebody else filled in is a trap.
func (c *call) fill(page, notice string, names []string) string {
	path, query, _ := strings.Cut(page, "?")
	typed, err := url.ParseQuery(query)
	if err != nil || c.sess == nil {
		return page
	}
	for _, name := range names {
		for _, value := range c.form[name] {
			if value != "" {
				typed.Add(name, value)
			}
		}
	}
	if notice != "" {
		typed.Set("notice", notice)
	}
	typed.Set(typedBy, c.mark(path, typed))
	if filled := path + "?" + typed.Encode(); len(c.s.Base)+len(filled) <= maxReturn {
		return filled
	}
	return page
}

// kept returns what the person typed into the form of this page, by its address;
// nil: nothing.
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
