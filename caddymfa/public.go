package caddymfa

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// publicPaths are paths that anybody may reach.
type publicPaths struct {
	exact    map[string]bool
	prefixes []string // each ends with "/"
}

func parsePublic(paths []string) (publicPaths, error) {
	p := publicPaths{exact: make(map[string]bool)}
	for _, path := range paths {
		prefix, below := strings.CutSuffix(path, "/*")
		switch {
		case below && prefix == "":
			return p, fmt.Errorf("public path %q would make everything public: name the paths, or leave the guard out", path)
		case !strings.HasPrefix(path, "/"), strings.ContainsAny(prefix, "*?#%\\;"), !canonical(prefix):
			return p, fmt.Errorf("public path %q: expected a path such as /healthz, or /assets/* for everything below", path)
		case below:
			p.prefixes = append(p.prefixes, prefix+"/")
		default:
			p.exact[path] = true
		}
	}
	return p, nil
}

// match compares the path that the app will see. Whatever two programs could
// read differently is not public: one may take a full-width "．．／" for "../".
func (p publicPaths) match(r *http.Request) bool {
	if len(p.exact) == 0 && len(p.prefixes) == 0 {
		return false
	}
	path := r.URL.Path
	if !canonical(path) || !norm.NFKC.IsNormalString(path) || !utf8.ValidString(path) || ambiguous(r.URL.RawPath) || r.URL.Host != "" && !strings.EqualFold(r.URL.Host, r.Host) {
		return false
	}
	if p.exact[path] {
		return true
	}
	for _, prefix := range p.prefixes {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// canonical reports whether a decoded path means the same to everybody.
func canonical(path string) bool {
	for i := range len(path) {
		if c := path[i]; c < ' ' || c == 0x7f || c == '\\' || c == ';' || c == '%' {
			return false
		}
	}
	return !strings.Contains(path, "//") && !strings.Contains(path+"/", "/./") && !strings.Contains(path+"/", "/../")
}

// ambiguous reports whether an encoded path hides what a path is made of.
// RawPath is only set where the default encoding differs, so most are empty.
func ambiguous(raw string) bool {
	lower := strings.ToLower(raw)
	for _, hidden := range []string{"%2f", "%5c", "%2e", "%00", "%3b", "%25"} {
		if strings.Contains(lower, hidden) {
			return true
		}
	}
	return false
}
