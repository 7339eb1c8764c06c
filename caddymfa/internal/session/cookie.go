package session

import (
	"net/http"
	"net/textproto"
	"strings"
	"time"
)

// Cookies are the gate's cookies on one site. Over HTTPS their names begin
// with "__Host-", which browsers accept only with Secure, Path=/ and no Domain,
// so that no other host can plant one (RFC 6265bis, section 4.1.3.2).
type Cookies struct {
	Session string // the session token
	Flow    string // a sign-in under way
	Known   string // says that this browser has signed in before
	Offer   string // says that a passkey was offered here, and not wanted
	Device  string // says that this browser is remembered after a second factor
	secure  bool
}

var (
	secureCookies = Cookies{Session: "__Host-mfa", Flow: "__Host-mfa-flow", Known: "__Host-mfa-known", Offer: "__Host-mfa-offer", Device: "__Host-mfa-device", secure: true}
	plainCookies  = Cookies{Session: "mfa", Flow: "mfa-flow", Known: "mfa-known", Offer: "mfa-offer", Device: "mfa-device"}
)

// CookiesFor returns the cookies' names for a request's scheme.
func CookiesFor(r *http.Request) *Cookies {
	if r.TLS != nil {
		return &secureCookies
	}
	return &plainCookies
}

// Ours reports whether a cookie of this name is the gate's, under either scheme.
func Ours(name string) bool {
	name = strings.TrimPrefix(name, "__Host-")
	rest, ok := strings.CutPrefix(name, "mfa")
	return ok && (rest == "" || rest == "-flow" || rest == "-known" || rest == "-offer" || rest == "-device")
}

// Read returns the value of the one cookie of this name. A cookie that comes
// twice is none: somebody planted one of them.
func Read(r *http.Request, name string) string {
	value, found := "", false
	for _, line := range r.Header["Cookie"] {
		for line != "" {
			var part string
			part, line, _ = strings.Cut(line, ";")
			k, v, ok := strings.Cut(textproto.TrimString(part), "=")
			if !ok || k != name {
				continue
			}
			if found {
				return ""
			}
			value, found = v, true
		}
	}
	return value
}

// Strip removes the gate's cookies from the request that the app will see.
func Strip(r *http.Request) {
	lines := r.Header["Cookie"]
	if len(lines) == 0 {
		return
	}
	var kept []string
	for _, line := range lines {
		if !strings.Contains(line, "mfa") {
			kept = append(kept, line)
			continue
		}
		var b strings.Builder
		for line != "" {
			var part string
			part, line, _ = strings.Cut(line, ";")
			part = textproto.TrimString(part)
			if k, _, _ := strings.Cut(part, "="); part == "" || Ours(textproto.TrimString(k)) {
				continue
			}
			if b.Len() > 0 {
				b.WriteString("; ")
			}
			b.WriteString(part)
		}
		if b.Len() > 0 {
			kept = append(kept, b.String())
		}
	}
	if len(kept) == 0 {
		delete(r.Header, "Cookie")
		return
	}
	r.Header["Cookie"] = kept
}

// Set sets a cookie. A life of zero lasts as long as the browser runs.
func (c *Cookies) Set(h http.Header, name, value string, life time.Duration) {
	k := http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: c.secure}
	if life > 0 {
		k.MaxAge = int(life / time.Second)
	}
	h.Add("Set-Cookie", k.String())
}

// Clear removes a cookie from the browser.
func (c *Cookies) Clear(h http.Header, name string) {
	k := http.Cookie{Name: name, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: c.secure, MaxAge: -1}
	h.Add("Set-Cookie", k.String())
}

// FilterResponse removes from the app's answer whatever would set or clear one
// of the gate's cookies.
func FilterResponse(h http.Header) {
	if set := h["Set-Cookie"]; len(set) > 0 {
		kept := set[:0:0]
		for _, line := range set {
			pair, _, _ := strings.Cut(line, ";")
			name, _, _ := strings.Cut(pair, "=")
			if !Ours(textproto.TrimString(name)) {
				kept = append(kept, line)
			}
		}
		if len(kept) == 0 {
			delete(h, "Set-Cookie")
		} else if len(kept) < len(set) {
			h["Set-Cookie"] = kept
		}
	}
	for _, v := range h["Clear-Site-Data"] {
		if strings.Contains(v, "cookies") || strings.Contains(v, "*") {
			delete(h, "Clear-Site-Data")
			break
		}
	}
}
