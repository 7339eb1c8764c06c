package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"time"
)

// round is everything that is measured on one store.
type round struct {
	rows     []measured
	started  time.Duration // from the start of Caddy until it serves
	memory   int64
	stored   status
	sweeping series        // sign-ins while expired sessions are removed
	unswept  int           // how many of those were left when the sign-ins were over
	swept    time.Duration // how long removing all of them took
}

type measured struct {
	what string
	took series
}

// bench is one engine with the people who really sign in.
type bench struct {
	*gate
	size
	progress io.Writer
	people   [3][]*person // one group for each measurement of sign-ins
	boss     *person      // administrator of the large account
}

// measure fills a store and compares.
func measure(ctx context.Context, e *engine, s size, out, progress io.Writer) (err error) {
	g, err := newGate(e)
	if err != nil {
		return err
	}
	defer func() {
		g.stop()
		if err != nil {
			err = fmt.Errorf("%w\nThe last faults that Caddy told of:\n%s", err, g.lastSaid())
		}
	}()
	b := &bench{gate: g, size: s, progress: progress}
	if err := g.start(ctx); err != nil {
		return err
	}
	fmt.Fprintf(progress, "%s: enrolling %d people\n", e.name, 3*s.probes+1)
	if err := b.populate(ctx); err != nil {
		return err
	}
	empty := &round{started: g.started}
	if err := b.measure(ctx, empty, 0); err != nil {
		return err
	}
	g.stop()
	if err := e.fill(ctx, s, progress); err != nil {
		return err
	}
	full := new(round)
	if err := b.sweep(ctx, full); err != nil {
		return err
	}
	if err := b.measure(ctx, full, 1); err != nil {
		return err
	}
	report(out, e, s, empty, full)
	return nil
}

// concurrent is how many do the same at once, where it matters.
const concurrent = 8

// populate makes the few people and accounts that do something.
func (b *bench) populate(ctx context.Context) error {
	for _, id := range append([]string{"large"}, policyAccounts()...) {
		if err := b.operate(ctx, "POST", "accounts", fmt.Sprintf(`{"id": %q, "policy": "optional"}`, id)); err != nil {
			return err
		}
	}
	join := func(email, account, role string) (*person, error) {
		if err := b.operate(ctx, "POST", "users", fmt.Sprintf(`{"email": %q, "account": %q, "role": %q}`, email, account, role)); err != nil {
			return nil, err
		}
		if err := b.operate(ctx, "PUT", "users/"+email+"/password", fmt.Sprintf(`{"hash": %q}`, hash)); err != nil {
			return nil, err
		}
		p := newPerson(b.site, email)
		return p, p.enroll(ctx)
	}
	var err error
	if b.boss, err = join("boss@load.example", "large", "admin"); err != nil {
		return err
	}
	for group := range b.people {
		b.people[group] = make([]*person, b.probes)
		if _, err := repeat(b.probes, concurrent, func(i int) error {
			p, err := join(fmt.Sprintf("p%d-%d@load.example", group, i), "probes", "member")
			b.people[group][i] = p
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

func policyAccounts() []string {
	ids := make([]string, concurrent)
	for i := range ids {
		ids[i] = fmt.Sprintf("policy%d", i)
	}
	return ids
}

// measure goes through everything, with one group of people. The first row are
// the sign-ins.
func (b *bench) measure(ctx context.Context, r *round, group int) error {
	people := b.people[group]
	mode := func(i int) string { return []string{"suggested", "optional"}[i&1] }
	steps := []struct {
		what       string
		n, workers int
		do         func(i int) error
	}{
		{"sign-in with password and code (6 requests)", b.probes, concurrent, func(i int) error { return people[i].signIn(ctx) }},
		{"signed-in request, remembered session", b.requests, concurrent, func(i int) error { return people[i%len(people)].enter(ctx) }},
		{"settings page of the large account", 50, 1, func(int) error { return b.boss.get(ctx, "/.mfa/admin/mfa") }},
		{"list of 100 people, for the operator", 50, 1, func(int) error { return b.operate(ctx, "GET", "users?limit=100", "") }},
		{"change of a policy", b.changes, 1, func(i int) error {
			return b.operate(ctx, "PUT", "accounts/policy0/policy", fmt.Sprintf(`{"policy": %q}`, mode(i)))
		}},
		{fmt.Sprintf("change of a policy, in %d accounts at once", concurrent), b.changes, concurrent, func(i int) error {
			return b.operate(ctx, "PUT", fmt.Sprintf("accounts/policy%d/policy", i%concurrent), fmt.Sprintf(`{"policy": %q}`, mode(i/concurrent)))
		}},
	}
	for _, s := range steps {
		if err := b.add(r, s.what, s.n, s.workers, s.do); err != nil {
			return err
		}
	}
	var err error
	if r.memory, err = b.memory(); err != nil {
		return err
	}
	// A node that has just started remembers nobody.
	b.stop()
	if err := b.start(ctx); err != nil {
		return err
	}
	if err := b.add(r, "first request of a session on a node", len(people), 1, func(i int) error { return people[i].enter(ctx) }); err != nil {
		return err
	}
	r.started = b.started
	if err := b.add(r, "ending all sessions of a person", len(people), 1, func(i int) error {
		return b.operate(ctx, "DELETE", "users/"+people[i].email+"/sessions", "")
	}); err != nil {
		return err
	}
	r.stored, err = b.status(ctx)
	return err
}

func (b *bench) add(r *round, what string, n, workers int, do func(i int) error) error {
	took, err := repeat(n, workers, do)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	r.rows = append(r.rows, measured{what, took})
	fmt.Fprintf(b.progress, "%s: %s | %s\n", b.e.name, what, took)
	return nil
}

// sweep starts Caddy, which begins to remove expired sessions, and has people
// sign in meanwhile.
func (b *bench) sweep(ctx context.Context, r *round) error {
	db, err := sql.Open(b.e.driver, b.e.dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	expired := fmt.Sprintf(`SELECT COUNT(*) FROM sessions WHERE expires_at < %d`, time.Now().Add(-31*24*time.Hour).UnixMicro())
	begun := time.Now()
	if err := b.start(ctx); err != nil {
		return err
	}
	// Others go first, as they do before the sign-ins that these are compared with:
	// a node that has just started has yet to connect.
	if _, err := repeat(b.probes, concurrent, func(i int) error { return b.people[0][i].signIn(ctx) }); err != nil {
		return err
	}
	people := b.people[2]
	if r.sweeping, err = repeat(len(people), concurrent, func(i int) error { return people[i].signIn(ctx) }); err != nil {
		return err
	}
	if err := db.QueryRowContext(ctx, expired).Scan(&r.unswept); err != nil {
		return err
	}
	fmt.Fprintf(b.progress, "%s: sign-ins while sweeping | %s; %d expired sessions were left\n", b.e.name, r.sweeping, r.unswept)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for left := r.unswept; left > 0; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if time.Since(begun) > patience {
			return fmt.Errorf("%d expired sessions are not swept yet", left)
		}
		if err := db.QueryRowContext(ctx, expired).Scan(&left); err != nil {
			return err
		}
	}
	r.swept = time.Since(begun)
	return nil
}
