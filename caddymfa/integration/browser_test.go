package integration_test

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// chromium is the browser of all journeys; each has its own profile in it.
var chromium struct {
	once   sync.Once
	ctx    context.Context
	cancel context.CancelFunc
	err    error
}

// pictures is where pictures of the pages go, for people to look at: see
// `make screenshots`.
var pictures = flag.String("screenshots", "", "a folder for pictures of the pages; empty: none are taken")

// tab is one person's browser.
type tab struct {
	t      *testing.T
	g      *gate
	ctx    context.Context
	size   string // of sizes
	width  int64
	prefix string
	totp   *authenticator
	// scriptless says that JavaScript is switched off.
	scriptless bool
	mu         sync.Mutex
	faults     []string // what the console complained about
}

// sizes are those of a phone and of a desk.
var sizes = map[string][2]int64{"phone": {360, 740}, "desk": {1280, 800}}

// browse opens a new browser profile. Its pages must fit the screen and never
// break the rules that they set for themselves (Content-Security-Policy).
func (g *gate) browse(t *testing.T, size string) *tab {
	t.Helper()
	chromium.once.Do(func() {
		options := append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.NoSandbox, chromedp.DisableGPU, // in containers, tests run as root
			// A process for each site, and one in reserve, is a protection of the
			// browser's, which costs most of the time here.
			chromedp.Flag("disable-site-isolation-trials", true),
			chromedp.Flag("in-process-gpu", true), // one process less to hand pictures to
			chromedp.Flag("disable-features", "Translate,IsolateOrigins,site-per-process,SpareRendererForSitePerProcess,BackForwardCache"))
		// Where Debian puts Chromium without its windows, which costs less.
		if shell, err := exec.LookPath("chromium-headless-shell"); err == nil {
			options = append(options, chromedp.ExecPath(shell))
		}
		allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
		chromium.ctx, chromium.cancel = chromedp.NewContext(allocator)
		chromium.err = chromedp.Do(chromium.ctx)
	})
	if chromium.err != nil {
		t.Fatalf("starting Chromium: %v", chromium.err)
	}
	ctx, cancel := chromedp.NewContext(chromium.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("opening a tab: %v", err)
	}
	ctx, cancel = context.WithTimeout(ctx, 6*time.Minute)
	t.Cleanup(cancel)
	b := &tab{t: t, g: g, ctx: ctx, prefix: strings.ReplaceAll(t.Name(), "/", "-")}
	err := chromedp.Listen(ctx, func(event any) {
		fault := ""
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			fault = e.ExceptionDetails.Text
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
				fault = e.Entry.Text
			}
		}
		if fault != "" {
			b.mu.Lock()
			b.faults = append(b.faults, fault)
			b.mu.Unlock()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	b.resize(size)
	return b
}

// resize gives the browser another screen.
func (b *tab) resize(size string) {
	b.t.Helper()
	b.size, b.width = size, sizes[size][0]
	command(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: b.width, Height: sizes[size][1], DeviceScaleFactor: 1, Mobile: size == "phone",
	})
}

// do acts on the page.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	b.must(chromedp.Do(b.ctx, actions...))
}

func (b *tab) must(err error) {
	b.t.Helper()
	if err != nil {
		html, _ := chromedp.Run(b.ctx, chromedp.OuterHTML(chromedp.CSS("main")))
		b.t.Fatalf("%v, at %s\n%s", err, b.path(), html)
	}
}

// get returns what an action finds out about the page.
func get[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, action)
	b.must(err)
	return v
}

// command tells the browser something by its DevTools protocol.
func command[P, R any](b *tab, c cdp.Command[P, R], params P) R {
	b.t.Helper()
	r, err := chromedp.Call(b.ctx, c, params)
	b.must(err)
	return r
}

// run runs a script in the page.
func (b *tab) run(script string) { b.t.Helper(); b.do(chromedp.Evaluate[chromedp.Void](script)) }

// load does what makes the browser load another page, and waits for that page.
func (b *tab) load(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	_, err := chromedp.RunResponse(b.ctx, actions...)
	b.must(err)
	b.fits()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.faults {
		b.t.Errorf("%s: the console says %s", b.path(), f)
	}
	b.faults = nil
}

func (b *tab) open(path string) { b.t.Helper(); b.load(chromedp.Navigate(b.g.address + path)) }

// openAll opens whatever can be opened on the page.
func (b *tab) openAll() {
	b.t.Helper()
	b.run(`document.querySelectorAll("details").forEach(d => d.open = true)`)
}

// fill puts a text into a field as if pasted, in place of what is there.
func (b *tab) fill(selector, value string) {
	b.t.Helper()
	at := chromedp.CSS(selector)
	b.do(chromedp.WaitVisible(at), chromedp.Focus(at), chromedp.KeyEvent("a", chromedp.KeyModifiers(kb.ModifierCtrl)))
	command(b, input.InsertText, input.InsertTextParams{Text: value})
}

// press presses a button or link that leads to another page.
func (b *tab) press(selector string) {
	b.t.Helper()
	b.load(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// submit presses the first button of the form for an action.
func (b *tab) submit(action string) {
	b.t.Helper()
	b.press(fmt.Sprintf(`form[action="%s"] button`, action))
}

// path is what the address bar shows, without the host.
func (b *tab) path() string {
	at, err := chromedp.Run(b.ctx, chromedp.Location())
	if err != nil {
		return err.Error()
	}
	u, err := url.Parse(at)
	if err != nil {
		return at
	}
	return u.RequestURI()
}

// at fails the test unless the browser is on this path, with these words.
func (b *tab) at(path string, words ...string) {
	b.t.Helper()
	got := b.path()
	if got != path && !strings.HasPrefix(got, path+"?") {
		b.t.Fatalf("at %s, want %s\n%s", got, path, b.text("body"))
	}
	text := b.text("body")
	for _, w := range words {
		if !strings.Contains(text, w) {
			b.t.Fatalf("%s does not say %q:\n%s", got, w, text)
		}
	}
}

// text returns what an element shows.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return get(b, chromedp.Text(chromedp.CSS(selector)))
}

// visible reports whether an element is shown.
func (b *tab) visible(selector string) bool {
	b.t.Helper()
	return get(b, chromedp.Evaluate[bool](fmt.Sprintf(`(e => !!e && e.checkVisibility())(document.querySelector(%q))`, selector)))
}

// wait waits until a script's expression is true.
func (b *tab) wait(expression string) {
	b.t.Helper()
	b.g.until(expression, func() bool { return get(b, chromedp.Evaluate[bool](expression)) })
}

// arrive waits until the browser has gone to a path of itself, and shows it. What
// is asked of a page that is being left fails, and means nothing.
func (b *tab) arrive(path string) {
	b.t.Helper()
	there := chromedp.Evaluate[bool](fmt.Sprintf(`location.pathname === %q && document.readyState === "complete"`, path))
	b.g.until("the browser shows "+path, func() bool {
		shown, err := chromedp.Run(b.ctx, there)
		return err == nil && shown
	})
}

// shot looks at the page as it is shown now, on every size of screen, in light
// and in dark: it must fit the screen, and axe-core must find nothing, unless the
// page is the app's or scripts are off. It takes pictures if that is wished for.
func (b *tab) shot(name string) {
	b.t.Helper()
	driven := b.size
	for size := range sizes {
		b.resize(size)
		b.fits()
		for _, scheme := range schemes {
			b.prefer(scheme)
			if !b.scriptless && strings.HasPrefix(b.path(), "/.mfa") {
				b.findings(scheme)
			}
			b.picture(name, scheme)
		}
	}
	b.resize(driven)
}

func (b *tab) picture(name, scheme string) {
	b.t.Helper()
	if *pictures == "" {
		return
	}
	picture := get(b, chromedp.FullScreenshot(100))
	if err := os.MkdirAll(*pictures, 0o755); err != nil {
		b.t.Fatal(err)
	}
	file := filepath.Join(*pictures, fmt.Sprintf("%s-%s-%d-%s.png", strings.SplitN(b.prefix, "-", 2)[0], name, b.width, scheme))
	if err := os.WriteFile(file, picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// fits fails the test if the page is wider than the screen.
func (b *tab) fits() {
	b.t.Helper()
	if get(b, chromedp.Evaluate[bool]("document.documentElement.scrollWidth > window.innerWidth")) {
		b.t.Errorf("%s is wider than %d pixels", b.path(), b.width)
	}
}

// signIn shows the password, having asked for a page.
func (b *tab) signIn(email, path string) {
	b.t.Helper()
	b.open(path)
	b.at("/.mfa/login")
	b.fill("#email", email)
	b.submit("/.mfa/login")
	b.at("/.mfa/login/password", "Enter your password")
	b.fill("#password", password)
	b.submit("/.mfa/login/password")
}

// enroll sets up an authenticator app on the page that asks for it, up to the
// recovery codes.
func (b *tab) enroll() {
	b.t.Helper()
	b.at("/.mfa/enroll/totp")
	b.totp = newAuthenticator(b.text("#totp-secret"))
	b.g.secret(b.totp.secret)
	b.fill("#code", b.totp.code(b.t))
	b.submit("/.mfa/enroll/totp")
	b.at("/.mfa/recovery-codes")
}

// answer answers a challenge with the authenticator app.
func (b *tab) answer() {
	b.t.Helper()
	b.fill("#code", b.totp.code(b.t))
	b.submit("/.mfa/challenge/totp")
}

// withoutScript switches JavaScript off for all pages that follow.
func (b *tab) withoutScript() {
	b.t.Helper()
	b.scriptless = true
	command(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// downloads lets the browser save files to a folder.
func (b *tab) downloads(dir string) {
	b.t.Helper()
	command(b, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir, BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
	})
}

// permit grants the gate's pages permissions that a person would be asked for.
func (b *tab) permit(permissions ...string) {
	b.t.Helper()
	for _, name := range permissions {
		command(b, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: name}, Setting: browser.PermissionSettingGranted,
			Origin: b.g.address, BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
		})
	}
}
