package caddymfa

import (
	"io"
	"math"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddymfa/gateway/caddymfa/internal/session"
)

// guardedWriter keeps the app from setting or clearing our cookies, and passes
// everything else untouched: streams, upgrades and trailers included.
type guardedWriter struct {
	caddyhttp.ResponseWriterWrapper
	own  []string // the cookies that we set before the app had its turn
	sent bool

	streams *streams // where what takes long is judged; nil: nowhere
	stream  stream
	watched bool
	written int       // bytes
	flushed time.Time // first
}

// watch has it judged from now on whether this may go on.
func (g *guardedWriter) watch() {
	if g.streams != nil && !g.watched {
		g.watched = true
		g.streams.add(&g.stream)
	}
}

// flushes tells a stream from an answer whose length was not known: it flushes
// again after a while. Nobody has judged it meanwhile.
func (g *guardedWriter) flushes() {
	if g.streams == nil || g.watched {
		return
	}
	at := g.streams.now()
	if g.flushed.IsZero() {
		g.flushed = at
	}
	if at.Sub(g.flushed) < streamsEvery {
		return
	}
	if !g.streams.judge(&g.stream) {
		g.stream.cut()
		return
	}
	g.watch()
}

// leave is the end of it.
func (g *guardedWriter) leave() {
	if g.watched {
		g.streams.remove(&g.stream)
	}
}

// filter removes what would touch our cookies, and keeps what we set.
func (g *guardedWriter) filter() {
	h := g.Header()
	session.FilterResponse(h)
	for _, line := range g.own {
		h.Add("Set-Cookie", line)
	}
}

// WriteHeader is called for every header that goes out, informational ones too.
func (g *guardedWriter) WriteHeader(status int) {
	if !g.sent {
		g.filter()
		g.sent = status >= 200 || status == http.StatusSwitchingProtocols
	}
	g.ResponseWriterWrapper.WriteHeader(status)
}

// Write, ReadFrom and FlushError send the header if nobody did.
func (g *guardedWriter) Write(p []byte) (int, error) {
	if !g.sent {
		g.WriteHeader(http.StatusOK)
	}
	if g.written += len(p); g.written > streamsFrom {
		g.watch()
	}
	if g.stream.over.Load() {
		return 0, errCutOff
	}
	return g.ResponseWriter.Write(p)
}

// ReadFrom implements io.ReaderFrom.
func (g *guardedWriter) ReadFrom(r io.Reader) (int64, error) {
	if !g.sent {
		g.WriteHeader(http.StatusOK)
	}
	l, bounded := r.(*io.LimitedReader)
	if !bounded {
		l = &io.LimitedReader{R: r, N: math.MaxInt64}
	}
	if l.N > streamsFrom {
		g.watch()
	}
	// In parts, so that it can be cut off between two of them; a file still goes
	// from the kernel to the kernel.
	for n := int64(0); ; {
		if g.stream.over.Load() {
			return n, errCutOff
		}
		part := &io.LimitedReader{R: l.R, N: min(l.N, streamsFrom)}
		wanted := part.N
		read, err := g.ResponseWriterWrapper.ReadFrom(part)
		n, l.N = n+read, l.N-read
		if err != nil || read < wanted || l.N <= 0 {
			return n, err
		}
	}
}

// FlushError is what http.ResponseController looks for before it unwraps.
func (g *guardedWriter) FlushError() error {
	if !g.sent {
		g.WriteHeader(http.StatusOK)
	}
	g.flushes()
	if g.stream.over.Load() {
		return errCutOff
	}
	return http.NewResponseController(g.ResponseWriter).Flush()
}

// Interface guards
var (
	_ http.ResponseWriter = (*guardedWriter)(nil)
	_ io.ReaderFrom       = (*guardedWriter)(nil)
)
