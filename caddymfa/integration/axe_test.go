package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// axeCore is axe-core, which finds what keeps people out of a page. The tests
// never fetch it: .ci/deps does.
var axeCore = filepath.Join("..", "..", ".cache", "axe", "node_modules", "axe-core", "axe.min.js")

// schemes are the colours that a person may prefer.
var schemes = []string{"light", "dark"}

// prefer makes the browser prefer a colour scheme, and nothing move.
func (b *tab) prefer(scheme string) {
	b.t.Helper()
	command(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
}

// findings fails the test for every serious or critical finding of axe-core on
// the page as it is shown now.
func (b *tab) findings(scheme string) {
	b.t.Helper()
	library, err := os.ReadFile(axeCore)
	if err != nil {
		b.t.Fatalf("reading axe-core, which `make deps` installs: %v", err)
	}
	if !get(b, chromedp.Evaluate[bool](`typeof axe === "object"`)) {
		b.run(string(library) + "\n;undefined")
	}
	// A scheme changes nothing but colours. No rule that counts reads style sheets.
	rules := `undefined`
	if scheme != schemes[0] {
		rules = `{type: "rule", values: ["color-contrast", "link-in-text-block"]}`
	}
	found := get(b, chromedp.Evaluate[[]string](`axe.run(document, {resultTypes: ["violations"], preload: false, runOnly: `+rules+`}).then(r =>
		r.violations.filter(v => v.impact === "serious" || v.impact === "critical").map(v =>
			v.impact + ": " + v.help + " (" + v.id + "): " + v.nodes.map(n => n.html + " [" + n.failureSummary + "]").join("; ")))`,
		chromedp.EvalAwaitPromise))
	if len(found) > 0 {
		b.t.Error(fmt.Sprintf("%s in %s at %d px:\n", b.path(), scheme, b.width) + strings.Join(found, "\n"))
	}
}
