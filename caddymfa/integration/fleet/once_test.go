package fleet_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// atOnce is how many use the same thing at the same moment.
const atOnce = 50

// onceIsOnce has many use one code of an authenticator app, one recovery code and
// one one-time entry at the same moment, on all nodes: one of them is let in.
func (f *fleet) onceIsOnce(t *testing.T) {
	f.account("once", "required")
	var next, done atomic.Int64
	var group sync.WaitGroup
	for range 3 { // who wait for a new code have others work meanwhile
		group.Go(func() {
			for round := next.Add(1); round <= int64(*rounds) && !t.Failed(); round = next.Add(1) {
				if err := f.useOnce(int(round)); err != nil {
					t.Errorf("round %d: %v", round, err)
					return
				}
				done.Add(1)
			}
		})
	}
	group.Wait()
	t.Logf("%d rounds: of %d at once, one was let in by a code, one by a recovery code and one by an entry", done.Load(), atOnce)
}

// useOnce is one round, with somebody of its own.
func (f *fleet) useOnce(round int) error {
	email := fmt.Sprintf("person-%d@once.example", round)
	home := round % len(f.nodes)
	if err := f.add(home, email, "once"); err != nil {
		return err
	}
	steady()
	p := f.person()
	if err := p.signIn(f.nodes[home].address, email); err != nil {
		return err
	}
	codes, err := p.enroll(f.nodes[home].address)
	if err != nil {
		return err
	}
	// Several browsers stand before the question, so that it is not only their
	// session that decides who is first.
	var asked []*person
	for n := range 5 {
		q := f.person()
		if err := q.signIn(f.nodes[n%3].address, email); err != nil {
			return err
		}
		asked = append(asked, q)
	}
	for _, thing := range []struct{ name, code string }{{"totp", p.code()}, {"recovery", codes[round%len(codes)]}} {
		winner, err := f.compete(round, asked, "/.mfa/challenge", "/.mfa/challenge/"+thing.name, "code", thing.code)
		if err != nil {
			return err
		}
		for _, n := range f.nodes {
			if ok, a := winner.entered(n.address); !ok {
				return fmt.Errorf("let in by %s, but not on %s: %d to %q", thing.name, n.name, a.Status, a.Location)
			}
		}
		var still []*person
		for _, q := range asked {
			if ok, _ := q.entered(f.nodes[home].address); ok {
				return fmt.Errorf("entered without an answer to %s", thing.name)
			}
			if a, err := q.ask(f.nodes[home].address, http.MethodGet, "/.mfa/challenge", nil); err == nil && a.Status == http.StatusOK {
				still = append(still, q) // all but the winner, whose session has another name now
			}
		}
		asked = still
	}
	entry, err := f.try(home, "POST", "users/"+email+"/breakglass", `{"account": "once", "for": "1h"}`)
	if err != nil {
		return err
	}
	_, err = f.compete(round, []*person{f.person()}, "/.mfa/breakglass", "/.mfa/breakglass", "ticket", entry["code"].(string))
	return err
}

// compete has many browsers like these send the same form at the same moment, to
// all nodes and from different networks, and returns the one that got a session
// by it.
func (f *fleet) compete(round int, like []*person, page, action, field, value string) (*person, error) {
	tokens := make([]string, len(like))
	for n, p := range like {
		a, err := p.ask(f.nodes[n%3].address, http.MethodGet, page, nil)
		if tokens[n] = a.CSRF(); err != nil || tokens[n] == "" {
			return nil, fmt.Errorf("%s shows no form: %d to %q, %v", page, a.Status, a.Location, err)
		}
	}
	if len(like) == 0 {
		return nil, errors.New("nobody is left to compete")
	}
	var (
		mu    sync.Mutex
		in    []*person
		fault error
		group sync.WaitGroup
		begin = make(chan struct{})
	)
	for n := range atOnce {
		p, token := like[n%len(like)].again(), tokens[n%len(like)]
		p.Network = fmt.Sprintf("10.%d.%d.%d", round>>8, round&255, n)
		before := p.Cookies["mfa"]
		group.Go(func() {
			<-begin
			a, err := p.send(f.nodes[n%3].address, action, token, field, value)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				fault = err
			case a.Status >= 500:
				fault = fmt.Errorf("%s was answered with %d: %s", action, a.Status, f.nodes[n%3].trouble())
			case a.Status == http.StatusSeeOther && p.Cookies["mfa"] != "" && p.Cookies["mfa"] != before:
				in = append(in, p)
			}
		})
	}
	close(begin)
	group.Wait()
	if fault != nil {
		return nil, fault
	}
	if len(in) != 1 {
		return nil, fmt.Errorf("%s let in %d of %d at once", action, len(in), atOnce)
	}
	return in[0], nil
}
