package caddymfa

import (
	"net/http"
	"net/url"
	"testing"
)

func TestPublicPathsAreExactOrBelowASegment(t *testing.T) {
	p, err := parsePublic([]string{"/healthz", "/assets/*", "/a b/*"})
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]bool{
		"/healthz":                          true,
		"/healthz?x=/../admin":              true,
		"/assets/app.css":                   true,
		"/assets/deep/er/x.js":              true,
		"/assets/":                          true,
		"/a%20b/c":                          true,
		"/assets/gr%C3%BC%C3%9Fe":           true,
		"/assets":                           false,
		"/assetsevil":                       false,
		"/healthz/":                         false,
		"/healthz/x":                        false,
		"/HEALTHZ":                          false,
		"/":                                 false,
		"/orders":                           false,
		"//healthz":                         false,
		"/assets//x":                        false,
		"/assets/../orders":                 false,
		"/assets/./x":                       false,
		"/assets/..":                        false,
		"/assets/%2e%2e/orders":             false,
		"/assets/%2E./orders":               false,
		"/assets/..%2forders":               false,
		"/assets/%2f..%2forders":            false,
		"/assets/..%5corders":               false,
		`/assets/..\orders`:                 false,
		"/assets/..;/orders":                false,
		"/assets/x;y":                       false,
		"/assets/%00":                       false,
		"/assets/%252e%252e/orders":         false,
		"/assets%2fx":                       false,
		"/orders/%2e%2e/healthz":            false,
		"/assets/%c0%ae%c0%ae/x":            false, // an overlong ".."
		"/assets/．．／orders":                 false,
		"/assets/%EF%BC%8E%EF%BC%8E/orders": false,
		"/assets/%E2%80%A5/orders":          false, // one character of two dots
	} {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatalf("%q: %v", target, err)
		}
		if got := p.match(&http.Request{URL: u, Host: "portal.example"}); got != want {
			t.Errorf("%q public = %v, want %v", target, got, want)
		}
	}
	absolute, _ := url.ParseRequestURI("http://other.example/healthz")
	if p.match(&http.Request{URL: absolute, Host: "portal.example"}) {
		t.Error("an absolute-form target for another host is public")
	}
}

func TestPublicPathsThatCannotBeMeantAreRefused(t *testing.T) {
	for _, path := range []string{"", "/*", "*", "assets", "/a/*/b", "/a*", "/a/../b", "//a", "/a?b", `/a\b`, "/a;b", "/a%2fb", "/./a"} {
		if _, err := parsePublic([]string{path}); err == nil {
			t.Errorf("accepted %q", path)
		}
	}
}

func TestEverySpellingOfAnIdentityHeaderIsOne(t *testing.T) {
	for name, want := range map[string]bool{
		"Remote-User": true, "remote_user": true, "REMOTE-USER": true, "Remote_Email": true, "remote-name": true, "REMOTE_GROUPS": true,
		"X-Mfa-Account": true, "x_mfa_account": true, "X-MFA-ASSERTION": true, "X-Mfa-Anything": true, "x-mfa_role": true, "X-Mfa-": true,
		"Remote.User": true, "remote.EMAIL": true, "X.Mfa.Account": true, "x-mfa.role": true, "REMOTE~USER": true, "X!Mfa*Amr": true,
		"Remote-Users": false, "Remote-Addr": false, "X-Mfa": false, "X-Mfaa-B": false, "Cookie": false, "R": false, "": false, "X-Forwarded-For": false,
	} {
		if got := identityHeader(name); got != want {
			t.Errorf("identityHeader(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestConnectionCannotNameIdentityHeaders(t *testing.T) {
	r := &http.Request{
		Header: http.Header{
			"Connection": {"keep-alive, Remote-User, x_mfa_assertion", "upgrade"}, "Upgrade": {"websocket"},
			"Remote-User": {"admin"}, "remote_user": {"admin"}, "X-Mfa-Role": {"admin"}, "Accept": {"*/*"},
		},
		Trailer: http.Header{"X-Mfa-Account": {"x"}, "X-Checksum": {"1"}},
	}
	stripIdentity(r)
	if got := r.Header["Connection"]; got[0] != "keep-alive" || got[1] != "upgrade" {
		t.Errorf("Connection is %q", got)
	}
	if len(r.Header) != 3 || len(r.Trailer) != 1 {
		t.Errorf("left: %v and trailers %v", r.Header, r.Trailer)
	}
}

func TestHeaderSafe(t *testing.T) {
	for in, want := range map[string]string{"Ana": "Ana", "Zoë\r\nX: y": "ZoëX: y", "\x7f": ""} {
		if got := headerSafe(in); got != want {
			t.Errorf("headerSafe(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestHasherSpeaksCaddysHashes(t *testing.T) {
	h := hasher{}
	made, err := h.Hash([]byte("a good password"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := h.Hash([]byte("a good password"))
	if err != nil || string(made) == string(again) {
		t.Error("two hashes of one password are the same: the salt repeats")
	}
	for hash, password := range map[string]string{
		string(made): "a good password",
		"$2a$04$RBDh1qoXhyyuhhBJsE4Yt.tPNs9C.hSrVHXbcYlyDVLKRIJbOeh.C": "",
	} {
		if err := checkHash(hash); err != nil {
			t.Errorf("%s: %v", hash, err)
		}
		if ok, err := h.Compare([]byte(hash), []byte("wrong")); ok || err != nil {
			t.Errorf("%s: a wrong password got %v, %v", hash, ok, err)
		}
		if password != "" {
			if ok, err := h.Compare([]byte(hash), []byte(password)); !ok || err != nil {
				t.Errorf("%s: the right password got %v, %v", hash, ok, err)
			}
		}
	}
	for _, bad := range []string{"", "secret", "$argon2id$v=19$m=9999999,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g", "$argon2i$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA", "$2a$31$RBDh1qoXhyyuhhBJsE4Yt.tPNs9C.hSrVHXbcYlyDVLKRIJbOeh.C"} {
		if err := checkHash(bad); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}
