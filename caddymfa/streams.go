package caddymfa

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

const (
	// streamsEvery is how often open streams are judged again.
	streamsEvery = time.Second
	// streamsFrom is how much of an answer makes it a stream, in bytes: one that
	// goes on for long has sent more.
	streamsFrom = 256 << 10
)

// stream is a request that was let in and may go on for long: a WebSocket or
// another upgrade, events, a download.
type stream struct {
	session string // its id
	account string
	cancel  context.CancelFunc // nil: the request is none to wait for
	over    atomic.Bool        // nothing of it goes out any more
}

// errCutOff is what the app's answer meets.
var errCutOff = errors.New("cut off, since a request would be refused now")

// cut ends it: what is still written fails, and who waits for the app waits no
// more.
func (s *stream) cut() {
	s.over.Store(true)
	if s.cancel != nil {
		s.cancel()
	}
}

// streams are those that are open. They are judged again every second, as a
// request of theirs would be, since no request comes that would tell who may no
// longer be there.
type streams struct {
	now   func() time.Time
	judge func(*stream) bool // reports whether it may go on

	mu      sync.Mutex
	open    map[*stream]struct{}
	running bool
}

// add has a stream judged from now on, until remove.
func (s *streams) add(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = make(map[*stream]struct{})
	}
	s.open[st] = struct{}{}
	if !s.running {
		s.running = true
		go s.run()
	}
}

// remove is called before the handler of a stream returns: its connection may
// have another request then, which must not be cut.
func (s *streams) remove(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, st)
}

// run judges while there are streams. It outlives the configuration that they
// came by, as they do.
func (s *streams) run() {
	tick := time.NewTicker(streamsEvery)
	defer tick.Stop()
	for range tick.C {
		if !s.review() {
			return
		}
	}
}

// review cuts the streams that may not go on. It reports false, once, if there
// are none left to judge.
func (s *streams) review() bool {
	s.mu.Lock()
	if len(s.open) == 0 {
		s.running = false
		s.mu.Unlock()
		return false
	}
	list := make([]*stream, 0, len(s.open))
	for st := range s.open {
		list = append(list, st)
	}
	s.mu.Unlock()
	for _, st := range list {
		if s.judge(st) {
			continue
		}
		s.mu.Lock()
		if _, open := s.open[st]; open {
			delete(s.open, st)
			st.cut()
		}
		s.mu.Unlock()
	}
	return true
}

// goesOn judges a stream as a request of the same session would be, but for how
// fresh its path wants a second factor: it was, when the person came in.
func (g *gate) goesOn(st *stream) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 10*streamsEvery)
	defer cancel()
	d, err := g.judgeAgain(ctx, st)
	if err == nil && d.Verdict == mfa.Allow {
		return true
	}
	g.log.Info("cut off what had been let in before", zap.String("account", st.account), zap.String("reason", string(d.Reason)), zap.Error(err))
	return false
}

func (g *gate) judgeAgain(ctx context.Context, st *stream) (mfa.Decision, error) {
	unknown := mfa.Decision{Verdict: mfa.Deny, Reason: mfa.Unavailable}
	sess, err := g.login.Facts.Session(ctx, st.session)
	if err == nil && sess.Ended == storage.EndedByNext {
		// Whoever proves more goes on in a session with another id.
		if sess, err = g.next(ctx, sess); err == nil && sess != nil {
			st.session = sess.ID
		}
	}
	if errors.Is(err, storage.ErrNotFound) || err == nil && (sess == nil || !g.login.Sessions.Live(sess, now())) {
		return mfa.Decide(mfa.Facts{Now: now()}), nil
	}
	if err != nil {
		return unknown, err
	}
	found, err := g.login.Facts.Gather(ctx, sess, st.account, mfa.Route{}, now())
	if err != nil {
		return unknown, err
	}
	return mfa.Decide(found.Facts), nil
}

// next returns the session that goes on where one was replaced; nil: none does.
func (g *gate) next(ctx context.Context, replaced *storage.Session) (*storage.Session, error) {
	live, err := g.login.Store.SessionsOf(ctx, replaced.User, now())
	if err != nil {
		return nil, fmt.Errorf("looking for the session that goes on: %w", err)
	}
	for _, s := range live {
		if s.Created.Equal(replaced.Created) {
			return &s, nil
		}
	}
	return nil, nil
}

// waits reports whether a request is made to wait for what the app will send.
func waits(r *http.Request) bool {
	return r.Header["Upgrade"] != nil || r.Method == http.MethodConnect || strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}
