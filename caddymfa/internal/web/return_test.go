package web

import (
	"strings"
	"testing"
)

func TestSafeReturnStaysOnThisOrigin(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"/", "/"},
		{"/orders/42?x=1&y=a%20b", "/orders/42?x=1&y=a%20b"},
		{"/a?next=https://other.example/", "/a?next=https://other.example/"},
		{"/caf%C3%A9", "/caf%C3%A9"},
		{"/a#part", "/a"},
		{"", ""},
		{"orders", ""},
		{"//evil.example", ""},
		{"///evil.example", ""},
		{`/\evil.example`, ""},
		{`\/evil.example`, ""},
		{`/a\..\evil`, ""},
		{"https://evil.example", ""},
		{"https:/evil.example", ""},
		{"javascript:alert(1)", ""},
		{"data:text/html,x", ""},
		{" /a", ""},
		{"/\t/evil.example", ""},
		{"/a\nb", ""},
		{"/a\rb", ""},
		{"/a\x00", ""},
		{"/%2fevil.example", ""},
		{"/%2Fevil.example", ""},
		{"/%5cevil.example", ""},
		{"/%252fevil.example", ""},
		{"/%255cevil.example", ""},
		{"/%09/evil.example", ""},
		{"/%0d%0aLocation:x", ""},
		{"/%zz", ""},
		{"/" + strings.Repeat("a", maxReturn), ""},
		{"//user@evil.example", ""},
		{"/.mfa/profile", "/.mfa/profile"},
		{"/..//evil.example", ""},
		{"/a/..", ""},
		{"/%2e%2e//evil.example", ""},
		{"/./a", ""},
		{"/a?b=/../c", "/a?b=/../c"},
	} {
		if got := SafeReturn(c.in); got != c.want {
			t.Errorf("SafeReturn(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzSafeReturn(f *testing.F) {
	for _, s := range []string{"/", "//x", `/\x`, "/%2f", "/a?b#c", "https://x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got := SafeReturn(in)
		if got == "" {
			return
		}
		if got[0] != '/' || len(got) > 1 && (got[1] == '/' || got[1] == '\\') || strings.ContainsAny(got, "\t\r\n\\") {
			t.Errorf("SafeReturn(%q) = %q", in, got)
		}
		if again := SafeReturn(got); len(got) <= maxReturn && again != got {
			t.Errorf("SafeReturn(%q) = %q, and of that %q", in, got, again)
		}
	})
}
