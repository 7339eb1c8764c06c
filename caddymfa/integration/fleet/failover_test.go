package fleet_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestFailover kills the primary while people are at work and others enrol, and
// promotes the standby.
func TestFailover(t *testing.T) {
	t.Parallel()
	primary, name := database(t)
	standby, err := primary.Standby()
	if standby != nil {
		t.Cleanup(standby.Close)
	}
	if err != nil {
		t.Fatal(err)
	}
	hosts := fmt.Sprintf("127.0.0.1:%d,127.0.0.1:%d", primary.Port, standby.Port)
	dsn := way{dsn: strings.Replace(primary.DSN(name), fmt.Sprintf("127.0.0.1:%d", primary.Port), hosts, 1) + "&target_session_attrs=read-write"}
	f := newFleet(t, "5s", "", dsn, dsn, dsn)
	w := f.work(t)

	var (
		mu       sync.Mutex
		enrolled = make(map[string]*person) // as it was acknowledged
		last     time.Time                  // when the last of them was
		stop     = make(chan struct{})
		group    sync.WaitGroup
	)
	for n := range 3 {
		group.Go(func() {
			tick := time.NewTicker(*pace)
			defer tick.Stop()
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-tick.C:
				}
				email := fmt.Sprintf("new-%d-%d@example.com", n, i)
				p, err := f.join(n, email)
				if err != nil {
					continue
				}
				mu.Lock()
				enrolled[email], last = p, time.Now()
				mu.Unlock()
			}
		})
	}
	known := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(enrolled)
	}
	since := func(at time.Time) bool {
		mu.Lock()
		defer mu.Unlock()
		return last.After(at)
	}
	f.until("some have enrolled", func() bool { return known() >= 10 })

	killed := time.Now()
	primary.Kill()
	before := known()
	for i, n := range f.nodes {
		f.until(n.name+" refuses people", func() bool {
			return w.count(func(v visit) bool { return v.node == i && v.began.Sub(killed) > second && !v.entered }) > 0
		})
	}
	promoting := time.Now()
	if wrong := w.count(func(v visit) bool {
		return v.began.Sub(killed) > second && v.ended.Before(promoting) && v.entered
	}); wrong > 0 {
		t.Errorf("%d visits were let in when there was no primary", wrong)
	}
	if err := standby.Promote(); err != nil {
		t.Fatal(err)
	}
	promoted := time.Now()
	t.Logf("promoting took %v; people are let in by every node %v after that", promoted.Sub(promoting).Round(time.Millisecond), w.resumed(t, promoted))
	t.Logf("people can sign in %v after that, and enrol", w.signsIn(t, promoted))
	f.until("others enrol", func() bool { return since(promoted) })
	for i, n := range f.nodes {
		f.until("changes are in force on "+n.name, func() bool { return w.proved(i, promoted) })
	}
	close(stop)
	group.Wait()
	w.end()

	for email, p := range enrolled {
		q := f.person()
		q.Secret = p.Secret
		if err := q.signIn(f.front.address, email); err != nil {
			t.Errorf("%s cannot sign in: %v", email, err)
			continue
		}
		if a, err := q.ask(f.front.address, "GET", "/", nil); err != nil || a.Location != "/.mfa/challenge?return=%2F" {
			t.Errorf("%s has enrolled, and is not asked for a code: %d to %q, %v", email, a.Status, a.Location, err)
		}
		if err := q.answer(f.front.address); err != nil {
			t.Errorf("%s has enrolled: %v", email, err)
		}
	}
	t.Logf("%d enrolments were acknowledged before the primary was killed, %d afterwards; none is lost", before, len(enrolled)-before)
}

// join adds somebody by one node, who enrols there. Without an error, that was
// acknowledged.
func (f *fleet) join(node int, email string) (*person, error) {
	if err := f.add(node, email, "strict"); err != nil {
		return nil, err
	}
	p := f.person()
	if err := p.signIn(f.nodes[node].address, email); err != nil {
		return nil, err
	}
	_, err := p.Enroll(context.Background(), f.nodes[node].address)
	return p, err
}
