package web

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Refuse answers a guarded request that may not pass. People who navigate are
// sent to the page that helps; programs get JSON; a form is never redirected,
// since its contents would be lost without a word.
func (s *Server) Refuse(w http.ResponseWriter, r *http.Request, site Site, sess *storage.Session, d mfa.Decision) {
	closeUnlessRead(w, r)
	c := &call{s: s, w: w, r: r, site: site, cookies: session.CookiesFor(r), sess: sess}
	c.readFlow()
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead
	if !WantsPage(r) {
		after := ""
		if u, err := url.Parse(r.Referer()); err == nil && strings.EqualFold(u.Host, r.Host) {
			after = SafeReturn(u.RequestURI()) // the page that asked, not the program's own address
		}
		s.refuseProgram(w, d, s.asking(after, site.MaxAge))
		return
	}
	if !safe {
		m := MessagePostFactor
		if d.Verdict == mfa.SignIn {
			m = MessagePostSignIn
		}
		if u, err := url.Parse(r.Referer()); err == nil && strings.EqualFold(u.Host, r.Host) {
			m.Return = SafeReturn(u.RequestURI())
		}
		if d.Verdict == mfa.Deny {
			m = messageFor(d)
		}
		c.message(m)
		return
	}
	if d.Verdict == mfa.Deny {
		if err := c.refuse(d); err != nil {
			c.fault("refusing", err)
		}
		return
	}
	c.to(login.PageFor(d), SafeReturn(site.Target))
}

// Unavailable answers a guarded request when the facts cannot be known.
func (s *Server) Unavailable(w http.ResponseWriter, r *http.Request, site Site) {
	closeUnlessRead(w, r)
	if !WantsPage(r) {
		s.json(w, http.StatusServiceUnavailable, refusal{Error: "unavailable", Verdict: mfa.Deny.String(), Reason: mfa.Unavailable})
		return
	}
	c := &call{s: s, w: w, r: r, site: site, cookies: session.CookiesFor(r)}
	m := MessageUnavailable
	m.Return = SafeReturn(site.Target)
	c.message(m)
}

// refuse shows why somebody may not pass, and the way out.
func (c *call) refuse(d mfa.Decision) error {
	if d.Reason == mfa.NotMember && c.sess != nil {
		return c.accountsPage(http.StatusForbidden, true)
	}
	c.message(messageFor(d))
	return nil
}

func messageFor(d mfa.Decision) Message {
	switch d.Reason {
	case mfa.UserDisabled:
		return MessageUserDisabled
	case mfa.AccountDisabled:
		return MessageAccountDisabled
	case mfa.NotMember:
		return MessageForbidden
	case mfa.NotAdmin:
		return MessageNotAdmin
	case mfa.BreakGlassEntry:
		return MessageEntry
	}
	return MessageUndecidable
}

// WantsPage reports whether a browser will show the answer to a person.
func WantsPage(r *http.Request) bool {
	if r.Header.Get("Sec-Fetch-Mode") == "navigate" {
		return true
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// refusal is what a program is told.
type refusal struct {
	Error   string     `json:"error"`
	Verdict string     `json:"verdict"`
	Reason  mfa.Reason `json:"reason"`
	URL     string     `json:"url,omitempty"`
}

func (s *Server) refuseProgram(w http.ResponseWriter, d mfa.Decision, query string) {
	v := refusal{Error: "sign_in_required", Verdict: d.Verdict.String(), Reason: d.Reason, URL: s.Base + login.PageFor(d) + query}
	status := http.StatusUnauthorized
	if d.Verdict == mfa.Deny {
		v.Error, status = "forbidden", http.StatusForbidden
	}
	s.json(w, status, v)
}
