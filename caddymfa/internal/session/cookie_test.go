package session

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func request(cookies ...string) *http.Request {
	r := &http.Request{Header: http.Header{}}
	for _, c := range cookies {
		r.Header.Add("Cookie", c)
	}
	return r
}

func TestReadTakesOneCookieOrNone(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"alone", []string{"mfa=v"}, "v"},
		{"among others", []string{"a=1; mfa=v; b=2"}, "v"},
		{"second line", []string{"a=1", "mfa=v"}, "v"},
		{"twice in a line", []string{"mfa=v; mfa=w"}, ""},
		{"twice in two lines", []string{"mfa=v", "mfa=w"}, ""},
		{"twice the same", []string{"mfa=v; mfa=v"}, ""},
		{"no value", []string{"mfa"}, ""},
		{"another's name", []string{"xmfa=v; mfa2=w; MFA=x"}, ""},
		{"nothing", nil, ""},
	} {
		if got := Read(request(c.lines...), "mfa"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestStripLeavesTheAppItsOwn(t *testing.T) {
	for in, want := range map[string]string{
		"mfa=v":           "",
		"a=1; mfa=v; b=2": "a=1; b=2",
		"__Host-mfa=v; mfa-flow=f; __Host-mfa-known=k": "",
		"xmfa=1; mfax=2; a=mfa":                        "xmfa=1; mfax=2; a=mfa",
		"a=1; b=2":                                     "a=1; b=2",
		"mfa":                                          "",
	} {
		r := request(in)
		Strip(r)
		if got := strings.Join(r.Header["Cookie"], "|"); got != want {
			t.Errorf("Strip(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSecureCookiesHaveEveryMark(t *testing.T) {
	h := http.Header{}
	secureCookies.Set(h, secureCookies.Session, "v", time.Hour)
	for _, mark := range []string{"__Host-mfa=v", "Path=/", "Max-Age=3600", "HttpOnly", "Secure", "SameSite=Lax"} {
		if !strings.Contains(h.Get("Set-Cookie"), mark) {
			t.Errorf("%q has no %s", h.Get("Set-Cookie"), mark)
		}
	}
	if strings.Contains(h.Get("Set-Cookie"), "Domain") {
		t.Error("a domain lets other hosts see the cookie")
	}
}

func TestTheAppCannotTouchOurCookies(t *testing.T) {
	h := http.Header{
		"Set-Cookie":      {"a=1", "mfa=evil; Path=/", " __Host-mfa=evil", "mfa-flow=; Max-Age=0", "mfa=", "b=2"},
		"Clear-Site-Data": {`"cache", "cookies"`},
	}
	FilterResponse(h)
	if got := strings.Join(h["Set-Cookie"], "|"); got != "a=1|b=2" {
		t.Errorf("passed %q", got)
	}
	if h.Get("Clear-Site-Data") != "" {
		t.Error("the app may clear our cookies")
	}
	h = http.Header{"Clear-Site-Data": {`"cache"`}, "Set-Cookie": {"a=1"}}
	FilterResponse(h)
	if h.Get("Clear-Site-Data") == "" || h.Get("Set-Cookie") != "a=1" {
		t.Error("what is the app's own was taken")
	}
}
