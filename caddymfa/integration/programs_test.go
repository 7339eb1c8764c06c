package integration_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddymfa/gateway/caddymfa/notify/smtp/smtptest"
)

// program is a program of an account's, with a token and no browser.
type program struct {
	t     *testing.T
	g     *gate
	token string
}

// ask sends a request, which must be answered with a status, and reads the
// answer into out.
func (p program) ask(status int, method, path, body string, out any, headers ...string) http.Header {
	p.t.Helper()
	r, err := http.NewRequest(method, p.g.address+"/.mfa/api/v1"+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+p.token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	client := &http.Client{Timeout: time.Minute, Transport: transport()}
	res, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if res.StatusCode != status {
		p.t.Fatalf("%s %s answers %d, want %d: %s", method, path, res.StatusCode, status, text)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			p.t.Fatalf("%s %s: %v: %s", method, path, err, text)
		}
	}
	return res.Header
}

// shownToken is the program with the token that the page shows.
func (b *tab) shownToken(path string) program {
	b.t.Helper()
	b.at(path, "Your new token", "shown this once")
	token := b.text("#token-secret")
	b.g.secret(token)
	return program{b.t, b.g, token}
}

// programs makes a token on the page, and replaces it.
func (b *tab) programs() program {
	b.t.Helper()
	b.open("/.mfa/admin/tokens")
	b.at("/.mfa/admin/tokens", "There are none yet.")
	b.fill("#name", "Nightly job")
	b.submit("/.mfa/admin/tokens")
	b.at("/.mfa/admin/tokens", "Choose what it may do.")
	b.shot("tokens-problem")
	for _, scope := range []string{"read", "policy", "people"} {
		b.do(chromedp.Click(chromedp.CSS("#scope-"+scope), chromedp.NodeVisible))
	}
	b.fill("#networks", "127.0.0.1 ::1")
	b.submit("/.mfa/admin/tokens") // the name is still there
	first := b.shownToken("/.mfa/admin/tokens")
	b.shot("tokens-made")
	b.open("/.mfa/admin/tokens")
	b.at("/.mfa/admin/tokens", "Nightly job", "Only from 127.0.0.1, ::1", "Never used")
	if strings.Contains(b.text("body"), first.token) {
		b.t.Error("the token is shown again")
	}
	var list struct{ People []struct{ Email string } }
	first.ask(http.StatusOK, "GET", "/people?search=lee@", "", &list)
	if len(list.People) != 1 || list.People[0].Email != "lee@citadel.example" {
		b.t.Errorf("the program is told of %v", list.People)
	}
	first.ask(http.StatusForbidden, "GET", "/audit", "", nil)
	b.submit("/.mfa/admin/tokens/rotate")
	second := b.shownToken("/.mfa/admin/tokens/rotate")
	first.ask(http.StatusUnauthorized, "GET", "/people", "", nil)
	second.ask(http.StatusOK, "GET", "/account", "", nil)
	b.open("/.mfa/admin/tokens")
	b.at("/.mfa/admin/tokens", "Revoked", "Last used")
	b.shot("tokens")
	return second
}

// revokes revokes the program's token on the page.
func (b *tab) revokes(p program) {
	b.t.Helper()
	b.open("/.mfa/admin/tokens")
	b.submit("/.mfa/admin/tokens/revoke")
	b.at("/.mfa/admin/tokens", "It works no more.")
	p.ask(http.StatusUnauthorized, "GET", "/account", "", nil)
}

// audits looks for something in the audit, and saves it.
func (b *tab) audits() {
	b.t.Helper()
	b.open("/.mfa/admin/audit")
	b.at("/.mfa/admin/audit", "What happened", "Nightly job")
	b.shot("audit")
	b.fill("#person", "eve@elsewhere.example")
	b.press(`form[action="/.mfa/admin/audit"] button`)
	b.at("/.mfa/admin/audit", "Nobody in this account has that e-mail address.")
	b.shot("audit-nobody")
	b.fill("#person", "admin@citadel.example")
	b.run(`document.getElementById("action").value = "create_token"`)
	b.press(`form[action="/.mfa/admin/audit"] button`)
	b.at("/.mfa/admin/audit", "Nightly job: read, policy, people", "by Citadel Administrator")
	if rows := get(b, chromedp.Evaluate[int](`document.querySelectorAll("main .rows li").length`)); rows != 1 {
		b.t.Errorf("%d rows are shown", rows)
	}
	b.shot("audit-found")
	dir := b.t.TempDir()
	b.downloads(dir)
	for format, begins := range map[string]string{"csv": "id,at,action,", "jsonl": `{"id":`} {
		b.do(chromedp.Click(chromedp.CSS(`a[href*="format=`+format+`"]`), chromedp.NodeVisible))
		var saved []byte
		b.g.until("the audit is saved as "+format, func() bool {
			var err error
			saved, err = os.ReadFile(filepath.Join(dir, "audit-citadel."+format))
			return err == nil && len(saved) > 0
		})
		if text := string(saved); !strings.HasPrefix(text, begins) || strings.Count(text, "create_token") != 1 {
			b.t.Errorf("saved %s", text)
		}
	}
}

const policyChange = `{"mode":%q,"accept":[],"second_factor_age":0,"remember":0%s}`

// mails has a gate that knew no mail send some: a program changes the policy and
// invites somebody, and people get in by the links that arrive.
func (p program) mails() {
	p.t.Helper()
	change := func(status int, mode, more, tag string) {
		p.t.Helper()
		p.ask(status, "PUT", "/policy", fmt.Sprintf(policyChange, mode, more), nil, "If-Match: "+tag)
	}
	read := func() string { return p.ask(http.StatusOK, "GET", "/policy", "", nil).Get("ETag") }
	p.ask(http.StatusPreconditionRequired, "PUT", "/policy", fmt.Sprintf(policyChange, "optional", ""), nil)
	old := read()
	change(http.StatusOK, "optional", "", old)
	change(http.StatusPreconditionFailed, "suggested", "", old)
	change(http.StatusOK, "required", `,"from":"`+time.Now().Add(5*24*time.Hour).UTC().Format(time.RFC3339)+`"`, read())
	const invitation = `{"email":"mailed@citadel.example","role":"member"}`
	p.ask(http.StatusConflict, "POST", "/people", invitation, nil) // there is no mail yet

	// The gate looks for people to be reminded when it starts.
	server := smtptest.Start(p.t, smtptest.StartTLS)
	config, err := os.ReadFile(p.g.config())
	if err != nil {
		p.t.Fatal(err)
	}
	const name = "\t\tname \"Partner portal\"\n"
	with := strings.Replace(string(config), name, name+fmt.Sprintf("\t\torigin %s\n\t\tmail smtp %s {\n\t\t\tfrom portal@example.com\n\t\t\ttrusted_ca_file %s\n\t\t}\n",
		p.g.address, server.Address, server.Authority), 1)
	if out, err := p.g.reload(with); err != nil {
		p.t.Fatalf("%v\n%s", err, out)
	}
	arrived := func(to, subject string) (link string) {
		p.t.Helper()
		p.g.until("a mail to "+to, func() bool { return len(server.To(to)) > 0 })
		got := server.To(to)
		if subjects := got[0].Message.Header.Get("Subject"); len(got) != 1 || !got[0].Encrypted || !strings.Contains(subjects, subject) {
			p.t.Errorf("%d mails arrived, the first about %q:\n%s", len(got), subjects, got[0].Text)
		}
		link = regexp.MustCompile(regexp.QuoteMeta(p.g.address) + `\S+`).FindString(got[0].Text)
		return strings.TrimPrefix(link, p.g.address)
	}
	link := arrived("member@citadel.example", "Citadel Health")
	member := p.g.person(p.t)
	member.signIn("member@citadel.example", link).is(p.t, http.StatusOK, "Citadel Health will ask for a second step from")
	if link != "/.mfa/profile/security" {
		p.t.Errorf("the reminder leads to %q", link)
	}

	p.ask(http.StatusCreated, "POST", "/people", invitation, nil, "Idempotency-Key: one")
	p.ask(http.StatusCreated, "POST", "/people", invitation, nil, "Idempotency-Key: one")
	page, code, ok := strings.Cut(arrived("mailed@citadel.example", "Citadel Health"), "#")
	if !ok || page != "/.mfa/invitation" {
		p.t.Fatalf("the invitation leads to %q", page)
	}
	p.g.secret(code)
	guest := p.g.person(p.t)
	pg := guest.send(guest.open(page), page, "ticket", code).is(p.t, http.StatusOK, "Join Citadel Health", "mailed@citadel.example")
	const chosen = "eleven grey geese over the fen"
	guest.send(pg, page, "new", chosen, "again", chosen).to(p.t, "/.mfa/login?notice=invitation-accepted")
	change(http.StatusOK, "required", "", read())
}
