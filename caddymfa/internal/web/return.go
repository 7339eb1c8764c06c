package web

import (
	"net/url"
	"strings"
)

// maxReturn is the longest path that is remembered to come back to.
const maxReturn = 2000

// SafeReturn returns the path and query to come back to, or "" for anything
// that could lead to another site: browsers take "//host" and "/\host" for
// addresses of hosts, drop tabs and line ends inside them, and some servers
// decode before they redirect again.
func SafeReturn(raw string) string {
	if len(raw) > maxReturn || !rooted(raw) {
		return ""
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return ""
	}
	path := u.EscapedPath()
	for range 3 { // encoded once, twice
		if !rooted(path) || dotted(path) {
			return ""
		}
		next, err := url.PathUnescape(path)
		if err != nil {
			return ""
		}
		if next == path {
			break
		}
		path = next
	}
	u.Fragment = ""
	return u.String()
}

// rooted reports whether a browser takes p for a path on the same host.
func rooted(p string) bool {
	if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") {
		return false
	}
	for _, r := range p {
		if r < ' ' || r == 0x7f || r == '\\' {
			return false
		}
	}
	return true
}

// dotted reports whether p has dot segments. Browsers resolve them before they
// ask for anything, and what is left over them may begin with two slashes.
func dotted(p string) bool {
	return strings.Contains(p+"/", "/../") || strings.Contains(p+"/", "/./")
}
