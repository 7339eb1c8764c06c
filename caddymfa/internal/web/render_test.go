package web

import (
	"bytes"
	"html"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rendered renders a view and fails the test if that fails.
func rendered(t *testing.T, r *Renderer, view View) string {
	t.Helper()
	w := httptest.NewRecorder()
	if err := r.Page(w, http.StatusOK, view); err != nil {
		t.Fatal(err)
	}
	return w.Body.String()
}

func TestPageHeaders(t *testing.T) {
	w := httptest.NewRecorder()
	if err := newRenderer(t).Page(w, http.StatusForbidden, MessageForbidden); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusForbidden {
		t.Errorf("status %d, want 403", w.Code)
	}
	want := map[string]string{
		"Content-Type":            "text/html; charset=utf-8",
		"Cache-Control":           "no-store",
		"X-Content-Type-Options":  "nosniff",
		"X-Frame-Options":         "DENY",
		"Referrer-Policy":         "same-origin",
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",

		"Cross-Origin-Opener-Policy": "same-origin",
	}
	for name, value := range want {
		if got := w.Header().Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	for _, feature := range []string{"publickey-credentials-get=(self)", "publickey-credentials-create=(self)", "clipboard-write=(self)"} {
		if !strings.Contains(w.Header().Get("Permissions-Policy"), feature) {
			t.Errorf("Permissions-Policy lacks %s", feature)
		}
	}
}

// lost is a view that nobody wrote a template for.
type lost struct{ Chrome }

func (lost) Name() string { return "lost" }

func TestPageThatFailsWritesNothing(t *testing.T) {
	r := newRenderer(t)
	broken := Login{Problem: Text{Key: "no.such.key"}}
	for name, view := range map[string]View{"no template": lost{}, "no text": broken} {
		w := httptest.NewRecorder()
		if err := r.Page(w, http.StatusOK, view); err == nil {
			t.Errorf("%s: no error", name)
		}
		if w.Body.Len() != 0 || len(w.Header()) != 0 {
			t.Errorf("%s: wrote %q with %v", name, w.Body, w.Header())
		}
	}
}

func TestEveryTemplateHasASample(t *testing.T) {
	r := newRenderer(t)
	shown := make(map[string]bool)
	for _, view := range zeroes() {
		shown[view.Name()] = true
		rendered(t, r, view)
	}
	for name := range r.pages {
		if !shown[name] {
			t.Errorf("page %s is in no test", name)
		}
	}
}

func TestStatic(t *testing.T) {
	r := newRenderer(t)
	types := map[string]string{"app.css": "text/css; charset=utf-8", "app.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"}
	for plain, want := range types {
		address, err := r.asset(plain)
		if err != nil {
			t.Fatal(err)
		}
		if matched, _ := path.Match("/.mfa/static/*.????????????????.*", address); !matched {
			t.Errorf("%s is at %s, which has no hash", plain, address)
		}
		content, contentType, ok := r.Static(strings.TrimPrefix(address, "/.mfa/static/"))
		source, err := staticFiles.ReadFile("static/" + plain)
		if !ok || err != nil || !bytes.Equal(content, source) || contentType != want {
			t.Errorf("%s: found %v, type %q, error %v", plain, ok, contentType, err)
		}
		if _, _, ok := r.Static(plain); ok {
			t.Errorf("%s is served without its hash, and would be cached for good", plain)
		}
	}
	for _, name := range []string{"", ".", "../render.go", "nothing.css"} {
		if _, _, ok := r.Static(name); ok {
			t.Errorf("%q is served", name)
		}
	}
	if _, err := r.asset("nothing.css"); err == nil {
		t.Error("a template may refer to a file that does not exist")
	}
}

var link = regexp.MustCompile(`(?:href|src)="(/\.mfa/static/[^"]+)"`)

func TestChallengeWithAllItsFilesIsSmall(t *testing.T) {
	r := newRenderer(t)
	body := rendered(t, r, challenging())
	size := len(body)
	files := link.FindAllStringSubmatch(body, -1)
	if len(files) != 3 {
		t.Errorf("the page refers to %d files, want style, script and icon", len(files))
	}
	for _, file := range files {
		content, _, ok := r.Static(strings.TrimPrefix(file[1], "/.mfa/static/"))
		if !ok {
			t.Errorf("%s is not served", file[1])
		}
		size += len(content)
	}
	if size > 30_000 {
		t.Errorf("%d bytes in all, want at most 30000", size)
	}
}

func TestPath(t *testing.T) {
	r := newRenderer(t)
	for want, got := range map[string]string{
		"/.mfa/login": r.path("/login"),
		"/.mfa/login?return=%2Forders%3Fpage%3D2": r.path("/login", "return", "/orders?page=2"),
		"/.mfa/profile": r.path("/profile", "return", ""),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// tag is one opening tag of a page. Templates write attributes in double
// quotes or bare, and nothing else, so a regular expression reads them.
type tag struct {
	name  string
	attrs map[string]string
}

var (
	tagPattern  = regexp.MustCompile(`<([a-z][a-z0-9]*)((?:\s+[a-zA-Z-]+(?:="[^"]*")?)*)\s*/?>`)
	attrPattern = regexp.MustCompile(`([a-zA-Z-]+)(?:="([^"]*)")?`)
)

func tagsOf(page string) []tag {
	var tags []tag
	for _, m := range tagPattern.FindAllStringSubmatch(page, -1) {
		attrs := make(map[string]string)
		for _, a := range attrPattern.FindAllStringSubmatch(m[2], -1) {
			attrs[a[1]] = html.UnescapeString(a[2])
		}
		tags = append(tags, tag{m[1], attrs})
	}
	return tags
}

// checkMarkup holds every page to the same rules.
func checkMarkup(t *testing.T, page string) {
	t.Helper()
	tags := tagsOf(page)
	if opening := regexp.MustCompile(`<[a-z]`).FindAllString(page, -1); len(opening) != len(tags) {
		t.Errorf("read %d tags of %d", len(tags), len(opening))
	}
	ids, labels := make(map[string]bool), make(map[string]bool)
	count := make(map[string]int)
	for _, tag := range tags {
		count[tag.name]++
		if id, ok := tag.attrs["id"]; ok {
			if ids[id] || id == "" {
				t.Errorf("id %q is empty or there twice", id)
			}
			ids[id] = true
		}
		if tag.name == "label" {
			labels[tag.attrs["for"]] = true
		}
		for name := range tag.attrs {
			if name == "style" || strings.HasPrefix(name, "on") {
				t.Errorf("<%s> has the inline attribute %s", tag.name, name)
			}
		}
		if _, autofocus := tag.attrs["autofocus"]; autofocus {
			count["autofocus"]++
		}
	}
	for _, tag := range tags {
		for _, name := range []string{"aria-describedby", "aria-labelledby"} {
			for _, id := range strings.Fields(tag.attrs[name]) {
				if !ids[id] {
					t.Errorf("<%s> refers by %s to %q, which is not there", tag.name, name, id)
				}
			}
		}
		if tag.name == "input" && tag.attrs["type"] != "hidden" && !labels[tag.attrs["id"]] {
			t.Errorf("the input %v has no label", tag.attrs)
		}
		if tag.name == "a" && tag.attrs["href"] == "" {
			t.Errorf("a link leads nowhere: %v", tag.attrs)
		}
	}
	if count["h1"] != 1 || count["main"] != 1 || count["header"] != 1 || count["title"] != 1 {
		t.Errorf("h1 %d, main %d, header %d, title %d times: want one each", count["h1"], count["main"], count["header"], count["title"])
	}
	if count["style"] != 0 || count["script"] != 1 || !strings.Contains(page, "defer></script>") {
		t.Error("inline script or style")
	}
	if count["autofocus"] > 1 {
		t.Error("two fields want the focus")
	}
	for _, form := range formsOf(page) {
		if form.method == "post" && !slices.Contains(form.fields, "csrf") {
			t.Errorf("the form to %s has no csrf field", form.action)
		}
		if form.method == "get" && slices.Contains(form.fields, "csrf") {
			t.Errorf("the form to %s puts its csrf field into an address", form.action)
		}
		if form.method != "post" && form.method != "get" || !strings.HasPrefix(form.action, "/.mfa/") {
			t.Errorf("a form goes by %q to %q", form.method, form.action)
		}
	}
	for _, bad := range []string{"ZgotmplZ", "<no value>", "%!", "{{", "}}"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
}

// form is what a browser would send.
type form struct {
	method, action string
	fields         []string // the names, in order
	values         map[string]string
}

var formPattern = regexp.MustCompile(`(?s)<form .*?</form>`)

func formsOf(page string) []form {
	var forms []form
	for _, markup := range formPattern.FindAllString(page, -1) {
		f := form{values: make(map[string]string)}
		for _, tag := range tagsOf(markup) {
			switch name := tag.attrs["name"]; {
			case tag.name == "form":
				f.method, f.action = tag.attrs["method"], tag.attrs["action"]
			case name != "":
				f.fields = append(f.fields, name)
				f.values[name] = tag.attrs["value"]
			}
		}
		forms = append(forms, f)
	}
	return forms
}
