package fleet_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/caddymfa/gateway/caddymfa/integration/gatetest"
)

// line leads to a database, until something is done to it.
type line struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
}

func newLine(t *testing.T, upstream string) *line {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	l := &line{t, toxiproxy.NewProxy(server, t.Name(), fmt.Sprintf("127.0.0.1:%d", gatetest.Port(t)), upstream)}
	if err := l.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.proxy.Stop)
	return l
}

// cut ends all connections, and refuses new ones.
func (l *line) cut() { l.proxy.Stop() }

// disturb does something to all that goes through, in each direction.
func (l *line) disturb(kind, attributes string) {
	for _, direction := range []string{"upstream", "downstream"} {
		if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(`{"type": %q, "stream": %q, "attributes": {%s}}`, kind, direction, attributes))); err != nil {
			l.t.Fatal(err)
		}
	}
}

// slow lets answers take longer.
func (l *line) slow(by time.Duration) {
	if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(`{"type": "latency", "attributes": {"latency": %d}}`, by.Milliseconds()))); err != nil {
		l.t.Fatal(err)
	}
}

// mend makes it a good line again. What was connected is cut, since to wait for
// what is still on its way may take long.
func (l *line) mend() {
	l.cut()
	l.proxy.Toxics.ResetToxics(context.Background())
	if err := l.proxy.Start(); err != nil {
		l.t.Fatal(err)
	}
}

// TestFaults goes through the table of docs/security-model.md that says what is
// in force when, row by row, while people are at work.
func TestFaults(t *testing.T) {
	t.Parallel()
	c, name := database(t, "fsync=off")
	upstream := fmt.Sprintf("127.0.0.1:%d", c.Port)
	var lines, feeds []*line
	var ways []way
	for range 3 {
		l, feed := newLine(t, upstream), newLine(t, upstream)
		through := func(l *line) string {
			return strings.Replace(c.DSN(name), upstream, l.proxy.Listen, 1)
		}
		lines, feeds, ways = append(lines, l), append(feeds, feed), append(ways, way{through(l), through(feed)})
	}
	f := newFleet(t, "3s", "", ways...)
	w := f.work(t)
	all := func(do func(*line)) func() {
		return func() {
			for i := range lines {
				do(lines[i])
				do(feeds[i])
			}
		}
	}
	one := func(do func(*line)) func() { return func() { do(lines[0]); do(feeds[0]) } }

	const (
		serves  = iota // goes on letting people in, and hears of every change
		refuses        // lets nobody in from a second on
		either         // lets people in, or refuses them after its timeout
	)
	for _, c := range []struct {
		name  string
		begin func()
		first int // what node 0 does
		rest  int // what the others do
	}{
		{"one node does not hear", func() { feeds[0].cut() }, serves, serves},
		{"the database is down", all((*line).cut), refuses, refuses},
		{"connections are reset", all(func(l *line) { l.disturb("reset_peer", `"timeout": 0`) }), refuses, refuses},
		{"connections close slowly", all(func(l *line) { l.disturb("slow_close", `"delay": 1000`) }), serves, serves},
		{"the database takes a fifth of a second longer", all(func(l *line) { l.slow(time.Second / 5) }), serves, serves},
		{"the database takes two seconds longer for one node", one(func(l *line) { l.slow(2 * time.Second) }), either, serves},
		{"one node is cut off, and hears not even that", one(func(l *line) { l.disturb("timeout", `"timeout": 0`) }), refuses, serves},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			c.begin()
			begun := time.Now() // what is done to six lines takes a while
			for i, n := range f.nodes {
				does := c.rest
				if i == 0 {
					does = c.first
				}
				late := func(v visit) bool { return v.node == i && v.began.Sub(begun) > second }
				switch does {
				case serves:
					f.until(n.name+" shows a change in force", func() bool { return w.proved(i, began) })
				case refuses:
					f.until(n.name+" refuses people", func() bool { return w.count(late) > 0 })
				case either:
					f.until(n.name+" has answered", func() bool { return w.proved(i, began) && w.count(late) > 0 })
				}
			}
			if c.rest == serves && c.first == refuses {
				f.until("the load balancer leaves out the node that was cut off", func() bool {
					for range 6 {
						a, err := f.person().ask(f.front.address, http.MethodGet, "/open", nil)
						if err != nil || a.Status != http.StatusOK || a.Header.Get("X-Node") == "0" {
							return false
						}
					}
					return true
				})
			}
			for _, n := range f.nodes {
				if a, err := f.person().ask(n.address, http.MethodGet, "/open", nil); err != nil || a.Status != http.StatusOK {
					t.Errorf("a public path of %s: %d, %v", n.name, a.Status, err)
				}
			}
			ending := time.Now()
			for i := range lines {
				lines[i].mend()
				feeds[i].mend()
			}
			ended := time.Now()
			resumed := w.resumed(t, ended)
			t.Logf("people are let in by every node %v after the end, and can sign in after %v", resumed, w.signsIn(t, ended))
			for i, n := range f.nodes {
				does := c.rest
				if i == 0 {
					does = c.first
				}
				during := func(v visit) bool { return v.node == i && v.began.After(began) && v.ended.Before(ending) }
				in := w.count(func(v visit) bool { return during(v) && v.entered })
				late := w.count(func(v visit) bool { return during(v) && v.entered && v.began.Sub(begun) > second })
				refused := w.count(func(v visit) bool { return during(v) && !v.entered })
				t.Logf("%s let in %d (%d of them after the first second) and refused %d", n.name, in, late, refused)
				if does == serves && refused > 0 {
					t.Errorf("%s refused %d visits, and said last: %s", n.name, refused, n.trouble())
				}
				if does == refuses && late > 0 {
					t.Errorf("%s let in %d visits that began when nothing could be known", n.name, late)
				}
			}
		})
	}
}
