package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/caddymfa/gateway/caddymfa/internal/mail"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/notify"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// enforced proves a domain and enforces it, as its row would be.
func (c *claims) enforced(t *testing.T, name string) storage.Domain {
	t.Helper()
	c.verified(t, ana, name)
	must(t, c.Store.PutProvider(t.Context(), storage.IdentityProvider{ID: "p", Account: "acme", Kind: "oidc", Trust: mfa.Precedence, Created: c.at}))
	d, err := c.Store.UpdateDomain(t.Context(), "acme", name, func(d *storage.Domain) error { d.Provider, d.Enforce = "p", true; return nil })
	must(t, err)
	return d
}

// days passes some time, with a look a day, and returns what was recorded.
func (c *claims) days(t *testing.T, n int) []string {
	t.Helper()
	for range n {
		c.at = c.at.Add(24*time.Hour + time.Minute)
		must(t, c.RecheckDomains(t.Context()))
	}
	return c.recorded()
}

func TestAProofThatGoesMissingLocksNobodyOutAtOnce(t *testing.T) {
	c := newClaims(t)
	d := c.enforced(t, "acme.example")
	c.recorded()
	if got := c.days(t, 3); len(got) != 0 {
		t.Errorf("while it is there: %q", got)
	}
	c.zone.put(t, RecordOf(d).Name+".")
	if got, want := c.days(t, 1), []string{"recheck_domain failed proof_missing"}; !slices.Equal(got, want) {
		t.Errorf("the first look: %q, want %q", got, want)
	}
	if got := c.days(t, 6); len(got) != 0 {
		t.Errorf("within %s: %q", AlertAfter, got)
	}
	if got, want := c.days(t, 2), []string{"recheck_domain failed proof_missing_long", "recheck_domain failed proof_missing_long"}; !slices.Equal(got, want) {
		t.Errorf("after %s: %q, want %q", AlertAfter, got, want)
	}
	if got, err := c.Domain(t.Context(), "acme", d.Name); err != nil || !got.Verified || !got.Enforce {
		t.Errorf("locked out already: %+v, %v", got, err)
	}
	c.publish(t, d)
	if got, want := c.days(t, 1), []string{"recheck_domain ok proof_found"}; !slices.Equal(got, want) {
		t.Errorf("when it is back: %q, want %q", got, want)
	}
	if got, err := c.Domain(t.Context(), "acme", d.Name); err != nil || !got.Missing.IsZero() || !got.Enforce {
		t.Errorf("when it is back: %+v, %v", got, err)
	}
}

func TestAProofThatStaysMissingEndsTheClaim(t *testing.T) {
	c := newClaims(t)
	d := c.enforced(t, "acme.example")
	c.zone.put(t, RecordOf(d).Name+".", `TXT "somebody else's"`)
	c.days(t, 30)
	if got, err := c.Domain(t.Context(), "acme", d.Name); err != nil || !got.Verified {
		t.Fatalf("a day early: %+v, %v", got, err)
	}
	// DNS that does not answer ends nothing.
	c.zone.fail(RecordOf(d).Name+".", dns.RcodeServerFailure)
	c.days(t, 5)
	if got, err := c.Domain(t.Context(), "acme", d.Name); err != nil || !got.Verified || got.Missing.IsZero() {
		t.Fatalf("by a failing server: %+v, %v", got, err)
	}
	c.zone.put(t, RecordOf(d).Name+".")
	if got, want := c.days(t, 1), []string{"recheck_domain failed domain_unverified"}; !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
	got, err := c.Domain(t.Context(), "acme", d.Name)
	if err != nil || got.Verified || got.Enforce || got.Provider != "p" || got.Token != d.Token {
		t.Errorf("%+v, %v", got, err)
	}
	if words := c.days(t, 3); len(words) != 0 {
		t.Errorf("and then: %q", words)
	}
	c.publish(t, d)
	if got, err = c.VerifyDomain(t.Context(), ana, d.Name); err != nil || !got.Verified || got.Enforce {
		t.Errorf("proven again: %+v, %v", got, err)
	}
}

func TestSilenceOfDNSProvesNothing(t *testing.T) {
	c := newClaims(t)
	d := c.enforced(t, "acme.example")
	c.recorded()
	for _, code := range []int{dns.RcodeServerFailure, dns.RcodeRefused} {
		c.zone.fail(RecordOf(d).Name+".", code)
		if got := c.days(t, 40); len(got) != 0 {
			t.Errorf("recorded %q", got)
		}
	}
	if got, err := c.Domain(t.Context(), "acme", d.Name); err != nil || !got.Verified || !got.Enforce || got.Finding != FoundFailure {
		t.Errorf("%+v, %v", got, err)
	}
}

// mute is a resolver that is down.
type mute struct{ asked int }

func (m *mute) LookupTXT(context.Context, string) ([]string, error) {
	m.asked++
	return nil, &net.DNSError{Err: "i/o timeout", IsTimeout: true}
}

func TestAResolverThatIsDownIsLeftAlone(t *testing.T) {
	c := newClaims(t)
	for i := range 20 {
		must(t, c.Store.PutDomain(t.Context(), storage.Domain{Account: "acme", Name: fmt.Sprintf("d%d.example", i), Verified: true, Token: "token", Created: c.at, Checked: c.at}))
	}
	down := new(mute)
	c.DNS = down
	c.at = c.at.Add(RecheckAfter + time.Minute)
	if err := c.RecheckDomains(t.Context()); err == nil || down.asked != silenceLimit {
		t.Errorf("asked %d times: %v", down.asked, err)
	}
}

func TestOfManyNodesOneLooks(t *testing.T) {
	c := newClaims(t)
	d := c.verified(t, ana, "acme.example")
	c.zone.put(t, RecordOf(d).Name+".")
	c.recorded()
	c.at = c.at.Add(RecheckAfter + time.Minute)
	_, first := c.recheck(t.Context(), d)
	_, second := c.recheck(t.Context(), d)
	if first != nil || !errors.Is(second, errTaken) {
		t.Errorf("first %v, second %v", first, second)
	}
	if got, want := c.recorded(), []string{"recheck_domain failed proof_missing"}; !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
}

// carrier keeps what is mailed.
type carrier struct{ sent []notify.Message }

func (c *carrier) Send(_ context.Context, m notify.Message) error {
	c.sent = append(c.sent, m)
	return nil
}

// Administrators have a mail when the proof goes, and one when its time is over:
// none in between, and none once there is nothing to tell.
func TestAdministratorsAreMailedWhenAProofGoes(t *testing.T) {
	c := newClaims(t)
	var post carrier
	c.Login.Pages = "https://portal.example/.mfa"
	outbox := mail.New(mail.Outbox{
		Store: c.Store, Notifier: &post, Now: c.Now,
		Write: func(ctx context.Context, l mail.Letter) (string, string, error) {
			err := c.Login.Address(ctx, &l)
			return l.About, l.Link, err
		},
		Record: c.Record, Fault: func(doing string, err error) { t.Errorf("%s: %v", doing, err) },
	})
	record := c.Record
	c.Record = func(ctx context.Context, e storage.Event) { record(ctx, e); outbox.Tell(ctx, e) }
	for id, role := range map[string]mfa.Role{"ana": mfa.RoleAdmin, "mia": mfa.RoleMember} {
		must(t, c.Store.CreateUser(t.Context(), storage.User{ID: id, Email: id + "@acme.example", Created: c.at}))
		must(t, c.Store.PutMembership(t.Context(), storage.Membership{Account: "acme", User: id, Role: role, State: mfa.Joined, Created: c.at}))
	}
	d := c.enforced(t, "acme.example")
	mailed := func(days int, want ...string) {
		t.Helper()
		post.sent = nil
		c.days(t, days)
		must(t, outbox.Deliver(t.Context()))
		var got []string
		for _, m := range post.sent {
			if m.To != "ana@acme.example" || m.Text != "https://portal.example/.mfa/admin/sso/domain?name=acme.example" {
				t.Errorf("mailed %+v", m)
			}
			got = append(got, m.Subject)
		}
		if !slices.Equal(got, want) {
			t.Errorf("mailed %q, want %q", got, want)
		}
	}
	mailed(2)
	c.zone.put(t, RecordOf(d).Name+".")
	mailed(1, mail.AboutProofMissing)
	mailed(29)
	mailed(2, mail.AboutUnverified)
	mailed(5)
	// A letter that is no longer true when it is its turn is not sent.
	c.publish(t, d)
	_, err := c.VerifyDomain(t.Context(), ana, d.Name)
	must(t, err)
	c.zone.put(t, RecordOf(d).Name+".")
	c.days(t, 1)
	c.publish(t, d)
	mailed(1)
}
