package web

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// pairs are the colours that meet on the pages, by their names in app.css: what
// is drawn, what it is drawn on, and the least contrast that WCAG 2.2 AA asks
// for (1.4.3 for text, 1.4.11 for the edges of controls).
var pairs = []struct {
	drawn, on string
	least     float64
}{
	{"ink", "page", 4.5}, {"ink", "card", 4.5}, {"ink", "accent-tint", 4.5},
	{"quiet", "page", 4.5}, {"quiet", "card", 4.5}, {"quiet", "accent-tint", 4.5},
	{"accent", "page", 4.5}, {"accent", "card", 4.5}, {"accent", "accent-tint", 4.5},
	{"accent-hover", "page", 4.5}, {"accent-hover", "card", 4.5},
	{"on-accent", "accent", 4.5}, {"on-accent", "accent-hover", 4.5},
	{"ok", "ok-tint", 4.5}, {"ok", "card", 4.5},
	{"warn", "warn-tint", 4.5}, {"warn", "card", 4.5},
	{"error", "error-tint", 4.5}, {"error", "card", 4.5}, {"on-error", "error", 4.5},
	{"edge", "card", 3}, {"edge", "page", 3}, {"edge", "accent-tint", 3},
}

var (
	rootBlock = regexp.MustCompile(`:root \{([^}]*)\}`)
	colour    = regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`)
)

func TestContrast(t *testing.T) {
	css, err := staticFiles.ReadFile("static/app.css")
	if err != nil {
		t.Fatal(err)
	}
	blocks := rootBlock.FindAllStringSubmatch(string(css), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks of colours, want light and dark", len(blocks))
	}
	for i, scheme := range []string{"light", "dark"} {
		colours := make(map[string]float64)
		for _, m := range colour.FindAllStringSubmatch(blocks[i][1], -1) {
			colours[m[1]] = luminance(t, m[2])
		}
		for _, p := range pairs {
			drawn, ok1 := colours[p.drawn]
			on, ok2 := colours[p.on]
			if !ok1 || !ok2 {
				t.Errorf("%s: %s or %s is not declared", scheme, p.drawn, p.on)
				continue
			}
			if got := (max(drawn, on) + .05) / (min(drawn, on) + .05); got < p.least {
				t.Errorf("%s: %s on %s is %.2f:1, want %.1f:1", scheme, p.drawn, p.on, got, p.least)
			}
		}
	}
}

// luminance is the relative luminance as WCAG defines it.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	channel := func(shift uint) float64 {
		c := float64(n>>shift&0xff) / 255
		if c <= .04045 {
			return c / 12.92
		}
		return math.Pow((c+.055)/1.055, 2.4)
	}
	return .2126*channel(16) + .7152*channel(8) + .0722*channel(0)
}

// Everything the style sheet draws with comes from the declared colours, save
// the black and white of the QR code and of paper.
func TestColoursAreDeclared(t *testing.T) {
	css, err := staticFiles.ReadFile("static/app.css")
	if err != nil {
		t.Fatal(err)
	}
	rules := rootBlock.ReplaceAllString(string(css), "")
	rules, _, _ = strings.Cut(rules, "@media print")
	for _, c := range regexp.MustCompile(`#[0-9a-f]{3,8}\b`).FindAllString(rules, -1) {
		if c != "#fff" {
			t.Errorf("the colour %s has no name, so its contrast is not computed", c)
		}
	}
	for _, m := range regexp.MustCompile(`var\(--([a-z-]+)\)`).FindAllStringSubmatch(rules, -1) {
		if !strings.Contains(string(css), "--"+m[1]+": #") {
			t.Errorf("the colour %s is used, but not declared", m[1])
		}
	}
}
