package caddymfa

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/internal/web"
)

// The headers that tell the app who the person is. What a client sends under
// these names never gets through.
const (
	headerUser      = "Remote-User"
	headerEmail     = "Remote-Email"
	headerName      = "Remote-Name"
	headerGroups    = "Remote-Groups"
	headerAccount   = "X-Mfa-Account"
	headerRole      = "X-Mfa-Role"
	headerAMR       = "X-Mfa-Amr"
	headerAssertion = "X-Mfa-Assertion"
	headerDue       = "X-Mfa-Due" // only where a stricter mode will keep the person out
)

// identityHeader reports whether some program might take a header for one of
// ours: many turn "-" and "_" into the same character (PHP does so with "." as
// well), and ignore case. The whole of X-Mfa-* is reserved.
func identityHeader(name string) bool {
	if len(name) < len("x-mfa-") {
		return false
	}
	switch name[0] {
	case 'R', 'r':
		return like(name, "remote-user") || like(name, "remote-email") || like(name, "remote-name") || like(name, "remote-groups")
	case 'X', 'x':
		return like(name[:len("x-mfa-")], "x-mfa-")
	}
	return false
}

// like compares a header's name with a lower-case one, "-" being whatever is
// neither a letter nor a digit.
func like(name, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case (c < 'a' || c > 'z') && (c < '0' || c > '9'):
			c = '-'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// stripIdentity removes from a request whatever could pass for our identity
// headers, in trailers too. A Connection header must not name them either: a
// proxy would remove ours as hop-by-hop headers, and the app see nobody.
func stripIdentity(r *http.Request) {
	for name := range r.Header {
		if identityHeader(name) {
			delete(r.Header, name)
		}
	}
	for name := range r.Trailer {
		if identityHeader(name) {
			delete(r.Trailer, name)
		}
	}
	for i, line := range r.Header["Connection"] {
		if len(line) < len("x-mfa-") || !namesIdentity(line) {
			continue
		}
		var kept []string
		for _, token := range strings.Split(line, ",") {
			if token = strings.TrimSpace(token); token != "" && !identityHeader(token) {
				kept = append(kept, token)
			}
		}
		r.Header["Connection"][i] = strings.Join(kept, ", ")
	}
}

func namesIdentity(line string) bool {
	for token := range strings.SplitSeq(line, ",") {
		if identityHeader(strings.TrimSpace(token)) {
			return true
		}
	}
	return false
}

// identityHeaders are our headers in the order of identity.values.
var identityHeaders = [...]string{headerUser, headerEmail, headerName, headerGroups, headerAccount, headerRole, headerAMR, headerAssertion}

// identify tells the app, and the rest of the configuration, who the person is.
func (g *gate) identify(r *http.Request, repl *caddy.Replacer, j judged) error {
	role := j.Facts.Member.Role
	token, amr, err := g.login.Sessions.Assertion(r.Context(), j.session, session.Audience(r.Host),
		session.Person{Account: j.account, Role: role, Email: j.Person.Email, Name: j.Person.Name})
	if err != nil {
		return err
	}
	p := j.Person
	// One array for all values; a header that grows gets an array of its own.
	values := [len(identityHeaders)]string{p.ID, p.Email, headerSafe(p.Name), j.account + ":" + role.String(), j.account, role.String(), amr, token}
	for i, name := range identityHeaders {
		r.Header[name] = values[i : i+1 : i+1]
	}
	due := ""
	if j.Facts.Account.Next.Valid() && web.DueFor(j.Facts) {
		due = web.DueDate(j.Facts.Account.NextAt)
		r.Header[headerDue] = []string{due}
	}
	account, roleName := j.account, role.String()
	repl.Map(func(key string) (any, bool) {
		field, ours := strings.CutPrefix(key, "http.auth.user.")
		if !ours {
			return nil, false
		}
		switch field {
		case "id":
			return p.ID, true
		case "email":
			return p.Email, true
		case "name":
			return p.Name, true
		case "account":
			return account, true
		case "role":
			return roleName, true
		case "amr":
			return amr, true
		case "due":
			return due, true
		}
		return nil, false
	})
	return nil
}

// headerSafe drops what must not stand in a header, and would make a proxy
// refuse the whole request.
func headerSafe(s string) string {
	clean := true
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			clean = false
		}
	}
	if clean {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}
