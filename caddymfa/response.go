package caddymfa

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddymfa/gateway/caddymfa/internal/session"
)

// guardedWriter keeps the app from setting or clearing our cookies, and passes
// everything else untouched: streams, upgrades and trailers included.
type guardedWriter struct {
	caddyhttp.ResponseWriterWrapper
	own  []string // the cookies that we set before the app had its turn
	sent bool
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
	return g.ResponseWriter.Write(p)
}

// ReadFrom implements io.ReaderFrom.
func (g *guardedWriter) ReadFrom(r io.Reader) (int64, error) {
	if !g.sent {
		g.WriteHeader(http.StatusOK)
	}
	return g.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError is what http.ResponseController looks for before it unwraps.
func (g *guardedWriter) FlushError() error {
	if !g.sent {
		g.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(g.ResponseWriter).Flush()
}

// Interface guards
var (
	_ http.ResponseWriter = (*guardedWriter)(nil)
	_ io.ReaderFrom       = (*guardedWriter)(nil)
)
