package fleet_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// unavailable stands on the page for those about whom nothing can be known now.
const unavailable = "We cannot check who you are right now"

// traffic is people at work on every node while something goes wrong. Whoever
// enters and must not fails the test, whatever happens meanwhile; and so does
// whoever may enter and gets another answer than the app or the page that says
// that this cannot be decided now.
type traffic struct {
	f     *fleet
	stop  chan struct{}
	group sync.WaitGroup

	// out is since when flo is known to be no member: a node acknowledged it,
	// and nobody has asked to take her back. Zero: she may be one.
	out atomic.Int64

	mu     sync.Mutex
	visits []visit // of somebody who may enter
	proofs []proof // that flo was kept out
	wrong  []string
}

// visit is one request of somebody who may enter.
type visit struct {
	node         int
	began, ended time.Time
	entered      bool
}

// proof is one request that was refused because of a change on some node.
type proof struct {
	node    int
	changed time.Time
}

// longest is how long flo stays away at most.
const longest = 15 * time.Second

// work has people begin.
func (f *fleet) work(t *testing.T) *traffic {
	t.Helper()
	f.account("work", "optional")
	f.account("strict", "required")
	for email, account := range map[string]string{"ann@example.com": "work", "flo@example.com": "work", "gone@example.com": "work", "bob@example.com": "strict"} {
		f.user(email, account)
	}
	ann, flo, gone := f.signedIn(t, "ann@example.com"), f.signedIn(t, "flo@example.com"), f.signedIn(t, "gone@example.com")
	f.operate(0, "DELETE", "users/gone@example.com/sessions", "")
	bob := f.person()
	if err := bob.signIn(f.nodes[0].address, "bob@example.com"); err != nil {
		t.Fatal(err)
	}
	for _, n := range f.nodes {
		f.until("nobody enters "+n.name+" who must not", func() bool {
			first, _ := gone.entered(n.address)
			second, _ := bob.entered(n.address)
			return !first && !second
		})
	}
	w := &traffic{f: f, stop: make(chan struct{})}
	for i, n := range f.nodes {
		ann, flo, gone, bob, nobody := ann.again(), flo.again(), gone.again(), bob.again(), f.person()
		w.keep(func() { w.visit(i, n, ann) })
		w.keep(func() { w.check(i, n, flo) })
		w.keep(func() {
			for why, p := range map[string]*person{"her session was ended": gone, "he has to enrol": bob, "nobody knows them": nobody} {
				if ok, _ := p.again().entered(n.address); ok {
					w.complain("%s let somebody in although %s", n.name, why)
				}
			}
		})
	}
	w.group.Go(w.change)
	t.Cleanup(w.end)
	return w
}

// keep has something done again and again.
func (w *traffic) keep(do func()) {
	w.group.Go(func() {
		tick := time.NewTicker(*pace)
		defer tick.Stop()
		for w.wait(tick.C) {
			do()
		}
	})
}

// wait reports false if it is time to go home.
func (w *traffic) wait(tick <-chan time.Time) bool {
	select {
	case <-w.stop:
		return false
	case <-tick:
		return true
	}
}

func (w *traffic) visit(i int, n *node, p *person) {
	v := visit{node: i, began: time.Now()}
	ok, a := p.entered(n.address)
	v.entered, v.ended = ok, time.Now()
	if !ok && (a.Status != 503 || !strings.Contains(a.Body, unavailable)) {
		w.complain("%s answered somebody who may enter with %d to %q", n.name, a.Status, a.Location)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.visits = append(w.visits, v)
}

// check makes sure that flo is not let in from one second after she left.
func (w *traffic) check(i int, n *node, p *person) {
	out, began := w.out.Load(), time.Now()
	ok, _ := p.entered(n.address)
	if out == 0 || began.Sub(time.Unix(0, out)) < second || w.out.Load() != out {
		return
	}
	if ok {
		w.complain("%s let somebody in who left %v before", n.name, began.Sub(time.Unix(0, out)))
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proofs = append(w.proofs, proof{i, time.Unix(0, out)})
}

// change has flo leave and come back, by one node after the other, but for the
// first: it is the one to which things happen, and may take long.
func (w *traffic) change() {
	const member = "accounts/work/members/flo@example.com"
	for n := 0; ; n++ {
		node := func() int { return 1 + n%(len(w.f.nodes)-1) }
		if _, err := w.f.try(node(), "DELETE", member, ""); err == nil {
			left := time.Now()
			w.out.Store(left.UnixNano())
			for !w.everywhere(left) && time.Since(left) < longest {
				if !w.wait(time.After(*pace)) {
					return
				}
			}
			w.out.Store(0)
		}
		// Whatever becomes of this, nothing is known of her until it is done.
		for {
			if _, err := w.f.try(node(), "PUT", member, `{}`); err == nil {
				break
			}
			if n++; !w.wait(time.After(*pace)) {
				return
			}
		}
	}
}

func (w *traffic) complain(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.wrong) < 20 {
		w.wrong = append(w.wrong, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	}
}

// end sends everybody home.
func (w *traffic) end() {
	select {
	case <-w.stop:
		return
	default:
	}
	close(w.stop)
	w.group.Wait()
	for _, complaint := range w.wrong {
		w.f.t.Error(complaint)
	}
	w.f.t.Logf("%d visits, %d of them let in; somebody who had left was refused %d times", len(w.visits), w.count(func(v visit) bool { return v.entered }), len(w.proofs))
}

// count returns how many visits are like this.
func (w *traffic) count(like func(visit) bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, v := range w.visits {
		if like(v) {
			n++
		}
	}
	return n
}

// first returns when the first visit like this was over; zero: there was none.
func (w *traffic) first(like func(visit) bool) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.IndexFunc(w.visits, like); i >= 0 {
		return w.visits[i].ended
	}
	return time.Time{}
}

// everywhere reports whether every node refused flo because she left then.
func (w *traffic) everywhere(left time.Time) bool {
	for i := range w.f.nodes {
		if !w.proved(i, left.Add(-1)) {
			return false
		}
	}
	return true
}

// proved reports whether a change that was made after a moment was seen in force
// on a node, a second later.
func (w *traffic) proved(node int, since time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.proofs, func(p proof) bool { return p.node == node && p.changed.After(since) })
}

// resumed waits until every node lets people in again since a moment, and says
// how long that took.
func (w *traffic) resumed(t *testing.T, since time.Time) time.Duration {
	t.Helper()
	last := since
	for i, n := range w.f.nodes {
		again := func(v visit) bool { return v.node == i && v.entered && v.ended.After(since) }
		w.f.until(n.name+" lets people in again", func() bool { return w.count(again) > 0 })
		if at := w.first(again); at.After(last) {
			last = at
		}
	}
	return last.Sub(since).Round(time.Millisecond)
}

// signsIn waits until somebody can sign in, and says how long that took.
func (w *traffic) signsIn(t *testing.T, since time.Time) time.Duration {
	t.Helper()
	w.f.until("people can sign in again", func() bool {
		p := w.f.person()
		if err := p.signIn(w.f.front.address, "ann@example.com"); err != nil {
			return false
		}
		ok, _ := p.entered(w.f.front.address)
		return ok
	})
	return time.Since(since).Round(time.Millisecond)
}
