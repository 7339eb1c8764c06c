package ldap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
)

// How long a controller that failed is asked only after the others: doubling
// from the first to the last.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// pool holds connections to an account's controllers.
type pool struct {
	settings    *Settings
	networks    []netip.Prefix
	dialTimeout time.Duration
	timeout     time.Duration
	logger      *slog.Logger
	now         func() time.Time
	slots       chan struct{} // one in it for each connection in use

	mu          sync.Mutex
	controllers []*controller
	idle        []*conn // the last one was used last
	closed      bool
}

// controller is one of them, and how it has been.
type controller struct {
	address address
	pause   time.Duration // zero: it works
	until   time.Time
}

func newPool(m *Module, s *Settings, now func() time.Time) *pool {
	p := &pool{
		settings: s, networks: m.networks, logger: m.logger, now: now,
		dialTimeout: cmp.Or(time.Duration(m.DialTimeout), 3*time.Second),
		timeout:     cmp.Or(time.Duration(m.Timeout), 10*time.Second),
		slots:       make(chan struct{}, cmp.Or(m.Connections, 8)),
	}
	for _, text := range s.Controllers {
		a, _ := parseController(text) // checked with the settings
		p.controllers = append(p.controllers, &controller{address: a})
	}
	return p
}

// use calls f with a connection to the first controller that can do it, and
// returns what f does. Where f lost a controller it is called again with the
// next one; if no controller is left, or no connection becomes free, that is
// identity.ErrUnavailable.
func (p *pool) use(ctx context.Context, f func(*conn) error) error {
	waiting, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-waiting.Done():
		return errors.Join(identity.ErrUnavailable, errors.New("waiting for a connection to the directory"), context.Cause(waiting))
	}
	// What is asked is heard to the end, whoever leaves: the directory counts a
	// wrong password, and whoever could keep us from counting it as well by
	// hanging up would lock people out there, unhindered by any delay of ours.
	ctx = context.WithoutCancel(ctx)
	var failed []error
	for _, at := range p.order() {
		err := p.try(ctx, at, f)
		p.note(at, err)
		if !lost(err) {
			return err
		}
		failed = append(failed, fmt.Errorf("asking controller %s: %w", at.address, err))
	}
	return errors.Join(append([]error{identity.ErrUnavailable}, failed...)...)
}

// try calls f with a connection to one controller. What lay idle may have been
// cut by a firewall or a restart: a new connection gets its chance.
func (p *pool) try(ctx context.Context, at *controller, f func(*conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	if c := p.take(at); c != nil {
		if err := p.run(ctx, c, f); !lost(err) || ctx.Err() != nil {
			return err
		}
	}
	p.makeRoom()
	c, err := p.connect(ctx, at)
	if err != nil {
		return err
	}
	return p.run(ctx, c, f)
}

// makeRoom closes what lay idle longest, so that the connections in use, the
// caller's among them, and those that lie idle are never more than the slots.
func (p *pool) makeRoom() {
	p.mu.Lock()
	surplus := min(max(len(p.idle)+len(p.slots)-cap(p.slots), 0), len(p.idle))
	old := slices.Clone(p.idle[:surplus])
	p.idle = slices.Delete(p.idle, 0, surplus)
	p.mu.Unlock()
	for _, c := range old {
		c.end()
	}
}

// run calls f with a connection, for as long as the context lasts, and keeps the
// connection if it still works.
func (p *pool) run(ctx context.Context, c *conn, f func(*conn) error) error {
	stop := context.AfterFunc(ctx, func() { c.raw.Conn.Close() })
	c.raw.left.Store(maxRead)
	err := f(c)
	if !stop() || lost(err) || !p.put(c) {
		c.end()
	}
	return err
}

// take returns an idle connection to a controller; nil: there is none that
// works.
func (p *pool) take(at *controller) *conn {
	for {
		p.mu.Lock()
		i := len(p.idle) - 1
		for i >= 0 && p.idle[i].at != at {
			i--
		}
		var c *conn
		if i >= 0 {
			c = p.idle[i]
			p.idle = slices.Delete(p.idle, i, i+1)
		}
		p.mu.Unlock()
		if c == nil || c.works(p.now()) {
			return c
		}
		c.end()
	}
}

// put keeps a connection for the next one, or reports false: it must be closed.
func (p *pool) put(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	c.idle = p.now()
	p.idle = append(p.idle, c)
	return true
}

// order returns the controllers as they are to be asked: those that work, as the
// settings say, then those that failed, which waited longest first.
func (p *pool) order() []*controller {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	rank := func(c *controller) time.Time {
		if now.Before(c.until) {
			return c.until
		}
		return time.Time{}
	}
	list := slices.Clone(p.controllers)
	slices.SortStableFunc(list, func(a, b *controller) int { return rank(a).Compare(rank(b)) })
	return list
}

// note remembers whether a controller works.
func (p *pool) note(at *controller, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !lost(err) {
		at.pause, at.until = 0, time.Time{}
		return
	}
	now := p.now()
	if now.Before(at.until) {
		return // another sign-in has just said so
	}
	at.pause = min(max(2*at.pause, firstPause), lastPause)
	at.until = now.Add(at.pause)
	p.logger.Warn("a domain controller failed", "controller", at.address.String(), "asked_last_for", at.pause, "error", err)
}

// close closes what is idle, and what is in use once it no longer is.
func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, c := range idle {
		c.end()
	}
}
