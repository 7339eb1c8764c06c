package web

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/facts"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// call is one request under the base path, and who makes it.
type call struct {
	s       *Server
	w       http.ResponseWriter
	r       *http.Request
	site    Site
	cookies *session.Cookies
	sess    *storage.Session // nil: signed out
	flow    flow
	form    url.Values
}

// flow is a sign-in under way, before there is a session. It is sealed in a
// cookie: nothing is stored for people who only look at the page, however many.
type flow struct {
	Nonce   string        `json:"n"` // binds forms to this browser
	Email   string        `json:"e"` // as typed
	Return  string        `json:"r"`
	Passkey []byte        `json:"p,omitempty"` // the ceremony of a sign-in by passkey
	Asked   []login.Asked `json:"a,omitempty"` // sign-ins at providers
	Left    login.Left    `json:"l,omitzero"`  // a sign-out that may go on at a provider
	Invite  string        `json:"i,omitempty"` // the code of an invitation that waits for a sign-in
	Expires int64         `json:"x"`
}

// flowTime is how long a person may take from the first page to the password.
const flowTime = time.Hour

// open finds out who is calling.
func (c *call) open() error {
	audience := session.Audience(c.r.Host)
	sess, renewed, err := c.s.Login.Open(c.r.Context(), session.Read(c.r, c.cookies.Session), audience)
	if err != nil {
		return err
	}
	c.sess = sess
	if renewed != "" {
		c.s.SetSession(c.w, c.r, renewed)
	}
	c.readFlow()
	return nil
}

// enter gives the browser the token of a new or changed session.
func (c *call) enter(sess storage.Session) error {
	token, err := c.s.Login.Sessions.Token(c.r.Context(), &sess, session.Audience(c.r.Host))
	if err != nil {
		return err
	}
	c.sess = &sess
	c.s.SetSession(c.w, c.r, token)
	return nil
}

func (c *call) readFlow() {
	raw, err := base64.RawURLEncoding.DecodeString(session.Read(c.r, c.cookies.Flow))
	if err != nil || len(raw) == 0 {
		return
	}
	plain, err := c.s.Login.Box.Open(raw, "cookie", "flow", session.Audience(c.r.Host))
	if err != nil {
		return
	}
	var f flow
	if json.Unmarshal(plain, &f) == nil && c.s.Login.Now().Unix() < f.Expires {
		c.flow = f
	}
}

// writeFlow remembers the sign-in under way in this browser.
func (c *call) writeFlow() error {
	if c.flow.Nonce == "" {
		c.flow.Nonce = session.NewID()
	}
	c.flow.Expires = c.s.Login.Now().Add(flowTime).Unix()
	for {
		raw, err := json.Marshal(c.flow)
		if err != nil {
			return err
		}
		sealed := base64.RawURLEncoding.EncodeToString(c.s.Login.Box.Seal(raw, "cookie", "flow", session.Audience(c.r.Host)))
		switch asked := c.flow.Asked; {
		case len(sealed) <= maxFlow || len(asked) == 0:
			c.cookies.Set(c.w.Header(), c.cookies.Flow, sealed, flowTime)
			return nil
		case len(asked) > 1:
			c.flow.Asked = asked[1:]
		case c.flow.Return != "": // the sign-in under way knows its own
			c.flow.Return = ""
		default:
			c.flow.Email, c.flow.Passkey, asked[0].After = "", nil, ""
			if len(sealed) > 2*maxFlow {
				return errors.New("a sign-in at a provider does not fit into a cookie")
			}
		}
	}
}

// maxFlow is the longest value that is certain to be kept: browsers drop a
// cookie of more than 4096 bytes without a word (RFC 6265, section 6.1).
const maxFlow = 3800

// csrf is the token that this browser's forms carry: bound to the session, or
// to the sign-in under way.
func (c *call) csrf() string {
	kind, id := "session", ""
	if c.sess != nil {
		id = c.sess.ID
	} else {
		kind, id = "flow", c.flow.Nonce
	}
	if id == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(c.s.Login.Box.MAC("csrf", kind, id)[:18])
}

func (c *call) csrfValid(token string) bool {
	want := c.csrf()
	return want != "" && subtle.ConstantTimeCompare([]byte(token), []byte(want)) == 1
}

// client is who is calling, for the steps.
func (c *call) client() login.Client {
	return login.Client{Network: c.site.Network, Browser: c.r.UserAgent(), Known: session.Read(c.r, c.cookies.Known), Device: session.Read(c.r, c.cookies.Device)}
}

// account is the account being entered.
func (c *call) account() string {
	if c.site.Account != "" || c.sess == nil {
		return c.site.Account
	}
	return c.sess.Account
}

// gather collects the facts about this session and the account being entered.
func (c *call) gather() (facts.Gathered, error) {
	return c.s.Login.Facts.Gather(c.r.Context(), c.sess, c.account(), mfa.Route{MaxAge: c.fresh()}, c.s.Login.Now())
}

// returnTo is where the person wanted to go.
func (c *call) returnTo() string {
	if p := SafeReturn(c.form.Get("return")); p != "" {
		return p
	}
	if p := SafeReturn(c.r.URL.Query().Get("return")); p != "" {
		return p
	}
	return SafeReturn(c.flow.Return)
}

// proceed is how every step ends: the rule says what is still missing, and the
// person goes there; with nothing missing, to where they wanted to go. Our own
// pages ask the rule themselves.
func (c *call) proceed() error {
	to := c.returnTo()
	if c.own(to) {
		c.redirect(to)
		return nil
	}
	g, err := c.gather()
	if err != nil {
		return err
	}
	page := login.PageFor(mfa.Decide(g.Facts))
	if page != "" {
		c.to(page, to)
		return nil
	}
	if to == "" {
		to = "/"
	}
	c.redirect(to)
	return nil
}

// first sends the person to prove what a change of credentials needs, and back
// to the given page.
func (c *call) first(d mfa.Decision, page string) error {
	switch d.Verdict {
	case mfa.Challenge:
		c.to("/challenge", c.s.Base+page)
	case mfa.SignIn:
		c.redirect(c.s.Base + "/login?again=1&return=" + url.QueryEscape(c.s.Base+page))
	case mfa.Deny:
		return c.refuse(d)
	default:
		c.to(login.PageFor(d), c.s.Base+page)
	}
	return nil
}

// own reports whether a path is one of our own pages.
func (c *call) own(path string) bool {
	return strings.HasPrefix(path, c.s.Base+"/")
}

// administers reports whether a path is one of the administration's.
func (c *call) administers(path string) bool {
	return strings.HasPrefix(path, c.s.Base+"/admin/")
}

// to sends the person to one of our pages, with where to go afterwards.
func (c *call) to(page, after string) {
	c.redirect(c.s.Base + page + c.s.asking(after, c.fresh()))
}

// asking is the query with which our pages are told where the person is going,
// and how recently they must have proven who they are there.
func (s *Server) asking(after string, fresh time.Duration) string {
	if after == "" {
		return ""
	}
	query := "?return=" + url.QueryEscape(after)
	if fresh > 0 && !strings.HasPrefix(after, s.Base+"/") {
		query += "&fresh=" + strconv.Itoa(int((fresh+time.Second-1)/time.Second))
	}
	return query
}

// toNotice sends the person to one of our pages, which will say what was done.
func (c *call) toNotice(page, notice string) error {
	c.redirect(c.s.Base + page + "?notice=" + notice)
	return nil
}

// toLogin asks somebody who is signed out to sign in. What they posted is lost,
// and the page that they come back to says nothing of it, so forms get a page.
func (c *call) toLogin(posted bool) {
	if posted {
		c.message(MessageStartAgain)
		return
	}
	c.to("/login", c.s.Base+strings.TrimPrefix(c.r.URL.RequestURI(), c.s.Base))
}

func (c *call) redirect(to string) {
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.Header().Set("Location", to)
	c.w.WriteHeader(http.StatusSeeOther)
}

// chrome fills what every page has around its own matter.
func (c *call) chrome() Chrome {
	ch := Chrome{CSRF: c.csrf(), PlainHTTP: c.r.TLS == nil, Notice: NoticeNamed(c.r.URL.Query().Get("notice"))}
	if c.sess == nil {
		return ch
	}
	ch.SignedIn = true
	ctx := c.r.Context()
	// A page is still useful without the names around it.
	if p, err := c.s.Login.Facts.Person(ctx, c.sess.User); err == nil {
		ch.Email, ch.UserName = p.Email, p.Name
	}
	if belongs, err := c.s.Login.Facts.Memberships(ctx, c.sess.User); err == nil {
		ch.Several = len(belongs) > 1
		if _, member := belongs[c.account()]; member {
			ch.Account = c.account()
		}
	}
	if g, err := c.gather(); err == nil && ch.Account != "" {
		ch.Due = dueOf(g)
	}
	if ch.Account != "" { // the name of somebody else's account is not theirs to read
		if t, err := c.s.Login.Facts.Tenant(ctx, ch.Account); err == nil {
			ch.AccountName = t.Name
		}
	}
	return ch
}

// show answers with a view.
func (c *call) show(status int, v View) error {
	return c.s.Pages.Page(c.w, status, v)
}

// message answers with one of the messages.
func (c *call) message(m Message) {
	m.Chrome = c.chrome()
	if m.Return == "" {
		m.Return = c.returnTo()
	}
	if err := c.show(m.Status, m); err != nil {
		c.s.Fault(c.r, "showing a message", err)
	}
}
