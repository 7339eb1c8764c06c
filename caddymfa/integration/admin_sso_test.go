package integration_test

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/miekg/dns"
)

// zone is a DNS server that knows TXT records.
type zone struct {
	address string
	mu      sync.Mutex
	records map[string]string // by name, with the dot
}

func newZone(t *testing.T) *zone {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	z := &zone{address: packets.LocalAddr().String(), records: make(map[string]string)}
	up := make(chan struct{})
	server := &dns.Server{PacketConn: packets, Handler: z, NotifyStartedFunc: func() { close(up) }}
	go server.ActivateAndServe()
	<-up
	t.Cleanup(func() { server.Shutdown() })
	return z
}

// ServeDNS implements [dns.Handler].
func (z *zone) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	answer := new(dns.Msg).SetReply(r)
	if text, ok := z.records[strings.ToLower(r.Question[0].Name)]; ok {
		answer.Answer = append(answer.Answer, &dns.TXT{
			Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{text},
		})
	} else {
		answer.Rcode = dns.RcodeNameError
	}
	w.WriteMsg(answer)
}

func (z *zone) publish(name, value string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records[name+"."] = value
}

// TestJourneyAdministratorSSO: an administrator proves a domain, connects the
// company's provider, tests it and enforces it, with nobody's help. Then people
// of the domain are sent there and need no second factor of ours, though the
// account requires one; guests do. When the provider is switched off, the page
// says who has no way in, and gives them one; another account's administrator
// sees nothing of it.
func TestJourneyAdministratorSSO(t *testing.T) {
	t.Parallel()
	z := newZone(t)
	aurora := newCompany(t, "Aurora", "member@aurora.example", "nova@aurora.example")
	g := newGate(t, trusting("resolver "+z.address))
	aurora.open(g)
	g.start()
	t.Cleanup(g.end)
	g.secret(companySecret)
	g.mfa("policy", "aurora", "required")
	g.mfa("user", "join", "member@borealis.example", "aurora")

	b := g.browse(t, "desk")
	b.signIn("consultant@partner.example", "/orders")
	b.at("/.mfa/accounts")
	b.enter("aurora")
	b.open("/.mfa/enroll/totp")
	b.enroll()
	b.open("/.mfa/admin/sso")
	b.at("/.mfa/admin/sso", "Prove that your company's e-mail domain is yours")

	b.open("/.mfa/admin/sso/claim")
	b.fill("#domain", "Aurora.example")
	b.submit("/.mfa/admin/sso/claim")
	const domain = "/.mfa/admin/sso/domain?name=aurora.example"
	b.at(domain, "_caddymfa-challenge.aurora.example")
	b.submit("/.mfa/admin/sso/domain/verify")
	b.at(domain, "There is no such record yet")
	b.shot("domain-pending")
	z.publish(b.text("#record-name"), b.text("#record-value"))
	b.submit("/.mfa/admin/sso/domain/verify")
	b.at("/.mfa/admin/sso/domain", "It is proven that aurora.example is yours", "Missing")

	b.open("/.mfa/admin/sso/provider")
	b.at("/.mfa/admin/sso/provider", g.address+"/.mfa/sso/callback")
	b.fill("#name", "Aurora sign-in")
	b.fill("#issuer", aurora.address)
	b.fill("#client-id", "gate")
	b.fill("#client-secret", companySecret)
	b.do(chromedp.Click(chromedp.CSS("#join"), chromedp.NodeVisible))
	b.shot("provider-new")
	b.submit("/.mfa/admin/sso/provider")
	b.at("/.mfa/admin/sso/provider", "Saved. Please test it now.", "never shown")
	page, err := url.Parse(b.path())
	if err != nil {
		t.Fatal(err)
	}
	id := page.Query().Get("id")
	b.toCompany(aurora, `form[action="/.mfa/admin/sso/provider/test"] button`)
	b.atWork("member@aurora.example", "pwd", "")
	b.arrives("/.mfa/sso/callback", "The test worked", "member@aurora.example")
	b.shot("tested")
	b.open("/orders")
	b.at("/orders", "consultant@partner.example")

	b.open(domain)
	b.run(fmt.Sprintf("document.querySelector('#provider').value = %q", id))
	b.submit("/.mfa/admin/sso/domain/link")
	b.at("/.mfa/admin/sso/domain", "Enforce it")
	b.press(`main a.primary`)
	b.at("/.mfa/admin/sso/domain/enforce", "consultant@partner.example can still get in")
	b.press(`form[action="/.mfa/admin/sso/domain/enforce"] button`)
	b.at("/.mfa/admin/sso/domain", "Everybody of aurora.example signs in through Aurora sign-in")
	b.shot("domain-enforced")

	// The account requires a second factor, and the company decides how its own
	// people sign in: no page of ours asks them for one.
	nova := g.browse(t, "phone")
	nova.throughCompany(aurora, "nova@aurora.example", "/orders", "pwd mfa", "")
	nova.arrives("/orders", "nova@aurora.example", "in account aurora")
	guest := g.person(t)
	guest.signIn("member@borealis.example", "/")
	pg := guest.follow(guest.send(guest.open("/.mfa/accounts"), "/.mfa/accounts/switch", "account", "aurora"))
	if !strings.HasPrefix(pg.path, "GET /.mfa/enroll/totp") {
		t.Errorf("a guest of the account gets to %s", pg.path)
	}
	b.open("/.mfa/admin/sso")
	b.at("/.mfa/admin/sso", "in 100 % of 1 sign-in")
	b.shot("overview")
	b.open("/.mfa/admin/sso/provider?id=" + id)
	b.shot("provider")

	rival := g.person(t)
	rival.enroll(rival.follow(rival.signIn("admin@citadel.example", "/orders")))
	rival.get("/.mfa/admin/sso").is(t, http.StatusOK, "No domain yet")
	for _, path := range []string{domain, "/.mfa/admin/sso/domain/remove?name=aurora.example", "/.mfa/admin/sso/provider?id=" + id, "/.mfa/admin/sso/provider/remove?id=" + id} {
		rival.get(path).is(t, http.StatusNotFound)
	}

	// Switched off, the provider vouches for nobody, and nothing opens instead.
	b.open("/.mfa/admin/sso/provider/switch?id=" + id)
	b.at("/.mfa/admin/sso/provider/switch", "1 person has no password", "nova@aurora.example")
	b.shot("switch-off")
	b.submit("/.mfa/admin/sso/provider/switch")
	b.at("/.mfa/admin/sso/provider/switch", "nova@aurora.example", g.address+"/.mfa/setup")
	code := b.text("td code")
	g.secret(code)
	b.shot("set-ups")
	nova.open("/orders")
	nova.at("/.mfa/enroll/totp")
	later := g.person(t)
	if pg := later.follow(later.signIn("nova@aurora.example", "/orders")); pg.status == http.StatusOK {
		t.Errorf("somebody without a password gets to %s with another's", pg.path)
	}
	const chosen = "a passphrase that nova chose"
	g.secret(chosen)
	later.follow(later.send(later.open("/.mfa/setup"), "/.mfa/setup", "ticket", code, "new", chosen, "again", chosen)).is(t, http.StatusOK)
	pg = later.follow(later.send(later.open("/orders"), "/.mfa/login", "email", "nova@aurora.example"))
	if pg = later.follow(later.send(pg, "/.mfa/login/password", "password", chosen)); !strings.HasPrefix(pg.path, "GET /.mfa/enroll/totp") {
		t.Errorf("with the new password nova gets to %s", pg.path)
	}

	var steps []string
	for _, row := range g.audit() {
		if row.Account == "aurora" && row.Outcome == "ok" && (strings.Contains(row.Action, "domain") || strings.Contains(row.Action, "provider")) {
			steps = append([]string{row.Action}, steps...)
		}
	}
	if got, want := strings.Join(steps, " "), "claim_domain verify_domain add_provider test_provider link_domain enforce_domain disable_provider"; got != want {
		t.Errorf("the audit has %q, want %q", got, want)
	}
}
