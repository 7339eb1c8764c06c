// Package web holds the pages that people see: what they look like and say
// ([Renderer], the views, the catalogue of texts), and what their forms do.
//
// Every page works without JavaScript and under a strict Content-Security-Policy.
// A new page is a view, a template and its texts; the tests hold all of them to
// the same rules.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// pageHeaders go out with every page. Nothing but our own files runs or shows:
// no inline script or style, no frames around us, no page kept by a cache.
//
// Referrer-Policy is same-origin because under no-referrer a browser may send
// "Origin: null" with a form, and the check for cross-site posts would refuse it.
var pageHeaders = [...][2]string{
	{"Content-Type", "text/html; charset=utf-8"},
	{"Cache-Control", "no-store"},
	{"Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; " +
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Permissions-Policy", "publickey-credentials-get=(self), publickey-credentials-create=(self), clipboard-write=(self), " +
		"camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"},
	{"Referrer-Policy", "same-origin"},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
}

// StaticCacheControl is the Cache-Control of what [Renderer.Static] returns.
// The name carries a hash of the content, so it never changes.
const StaticCacheControl = "public, max-age=31536000, immutable"

// contentTypes are named here and not asked of the system, whose answer
// depends on files outside this program.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// Renderer turns views into pages. It is made once and used by all requests.
type Renderer struct {
	base   string
	texts  *catalogue
	pages  map[string]*template.Template
	assets map[string]asset  // by the hashed name
	hashed map[string]string // from the plain name to the hashed one
}

type asset struct {
	content     []byte
	contentType string
}

// NewRenderer reads the texts, the templates and the static files. base is the
// path that all pages are under, without a slash at its end.
func NewRenderer(base string) (*Renderer, error) {
	texts, err := loadCatalogue(textFiles)
	if err != nil {
		return nil, err
	}
	r := &Renderer{base: base, texts: texts, pages: make(map[string]*template.Template)}
	if err := r.loadAssets(); err != nil {
		return nil, err
	}
	layout, err := template.New("layout").Funcs(template.FuncMap{
		"asset": r.asset,
		"clock": func(t time.Time) string { return t.UTC().Format("15:04:05") },
		"lang":  func(v View) string { return texts.language(v.chrome().Lang) },
		"path":  r.path,
		"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"t":     r.say,
		"when":  func(v View, t time.Time) (string, error) { return texts.when(v.chrome().Lang, t) },
	}).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("parsing the layout: %w", err)
	}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("listing templates: %w", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		page, err := layout.Clone()
		if err == nil {
			page, err = page.ParseFS(templateFiles, file)
		}
		if err != nil {
			return nil, fmt.Errorf("parsing page %s: %w", name, err)
		}
		r.pages[name] = page
	}
	return r, nil
}

// Page answers with a view. It renders first and writes afterwards, so when it
// returns an error of rendering, nothing was written and another answer can
// still be given.
func (r *Renderer) Page(w http.ResponseWriter, status int, view View) error {
	page, ok := r.pages[view.Name()]
	if !ok {
		return fmt.Errorf("no page %q", view.Name())
	}
	var body bytes.Buffer
	if err := page.ExecuteTemplate(&body, "layout.html", view); err != nil {
		return fmt.Errorf("rendering page %s: %w", view.Name(), err)
	}
	for _, h := range pageHeaders {
		w.Header().Set(h[0], h[1])
	}
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, err := w.Write(body.Bytes())
	return err
}

// Static returns the file that a page referred to as <base>/static/<name>. It
// may be cached for good, see [StaticCacheControl].
func (r *Renderer) Static(name string) (content []byte, contentType string, ok bool) {
	a, ok := r.assets[name]
	return a.content, a.contentType, ok
}

// loadAssets reads the static files and gives each a name that changes with its
// content.
func (r *Renderer) loadAssets() error {
	r.assets = make(map[string]asset)
	r.hashed = make(map[string]string)
	files, err := fs.ReadDir(staticFiles, "static")
	if err != nil {
		return fmt.Errorf("listing static files: %w", err)
	}
	for _, file := range files {
		content, err := fs.ReadFile(staticFiles, "static/"+file.Name())
		if err != nil {
			return fmt.Errorf("reading static files: %w", err)
		}
		ext := path.Ext(file.Name())
		if contentTypes[ext] == "" {
			return fmt.Errorf("reading static files: %s is of no known type", file.Name())
		}
		sum := sha256.Sum256(content)
		name := strings.TrimSuffix(file.Name(), ext) + "." + hex.EncodeToString(sum[:8]) + ext
		r.assets[name] = asset{content, contentTypes[ext]}
		r.hashed[file.Name()] = name
	}
	return nil
}

// asset is the template function that refers to a static file.
func (r *Renderer) asset(name string) (string, error) {
	hashed, ok := r.hashed[name]
	if !ok {
		return "", fmt.Errorf("no static file %q", name)
	}
	return r.base + "/static/" + hashed, nil
}

// path is the template function that makes an address below the base, with
// query values as name, value. Empty values are left out.
func (r *Renderer) path(below string, query ...string) string {
	values := make(url.Values)
	for pair := range slices.Chunk(query, 2) {
		if len(pair) == 2 && pair[1] != "" {
			values.Set(pair[0], pair[1])
		}
	}
	if len(values) == 0 {
		return r.base + below
	}
	return r.base + below + "?" + values.Encode()
}

// say is the template function t: what is a key, or a Text made by Go.
func (r *Renderer) say(v View, what any, args ...any) (string, error) {
	text, ok := what.(Text)
	if !ok {
		text = Text{Key: fmt.Sprint(what), Args: args}
	}
	return r.texts.text(v.chrome().Lang, text)
}
