package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/testkit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// claims is a service over a real store and a real DNS server, with a clock that
// the test moves, and the accounts acme and other.
type claims struct {
	*Service
	zone   *zone
	at     time.Time
	events []storage.Event
}

// ana administers acme.
var ana = Actor{Account: "acme", User: "ana", Network: "192.0.2.1"}

func newClaims(t *testing.T) *claims {
	t.Helper()
	k := testkit.New(t)
	c := &claims{at: k.Now()}
	now := func() time.Time { return c.at }
	record := func(_ context.Context, e storage.Event) { c.events = append(c.events, e) }
	zone, resolver := newZone(t)
	c.zone = zone
	c.Service = &Service{
		Store: k.Store, Now: now, Record: record, DNS: resolver,
		Login: &login.Service{Store: k.Store, Facts: k.Facts, Box: k.Box, Now: now, Record: record},
	}
	for _, id := range []string{"acme", "other"} {
		must(t, k.Store.CreateAccount(t.Context(), storage.Account{ID: id, Name: id, Policy: mfa.Required, Created: c.at}))
	}
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// claim claims a domain and publishes its proof.
func (c *claims) claim(t *testing.T, by Actor, name string) storage.Domain {
	t.Helper()
	d, err := c.ClaimDomain(t.Context(), by, name)
	must(t, err)
	c.publish(t, d)
	return d
}

func (c *claims) publish(t *testing.T, claims ...storage.Domain) {
	t.Helper()
	var records []string
	for _, d := range claims {
		records = append(records, fmt.Sprintf("TXT %q", RecordOf(d).Value))
	}
	c.zone.put(t, RecordOf(claims[0]).Name+".", records...)
}

// verified claims a domain and proves it.
func (c *claims) verified(t *testing.T, by Actor, name string) storage.Domain {
	t.Helper()
	c.claim(t, by, name)
	d, err := c.VerifyDomain(t.Context(), by, name)
	must(t, err)
	if !d.Verified {
		t.Fatalf("not verified: %+v", d)
	}
	return d
}

// told returns what was recorded since it was last asked, as words.
func (c *claims) recorded() []string {
	var words []string
	for _, e := range c.events {
		words = append(words, strings.TrimSpace(strings.Join([]string{e.Action, e.Outcome, e.Reason}, " ")))
	}
	c.events = nil
	return words
}

func TestADomainHasOneSpelling(t *testing.T) {
	c := newClaims(t)
	var tokens []string
	for _, typed := range []string{"bücher.example", " BÜCHER.Example ", "xn--bcher-kva.example"} {
		d, err := c.ClaimDomain(t.Context(), ana, typed)
		must(t, err)
		if d.Name != "xn--bcher-kva.example" || d.Verified || d.Enforce || d.Provider != "" {
			t.Errorf("%q: claimed %+v", typed, d)
		}
		tokens = append(tokens, d.Token)
	}
	if len(slices.Compact(tokens)) != 1 || len(tokens[0]) < 26 {
		t.Errorf("tokens %q: a claim keeps its one, which nobody guesses", tokens)
	}
	if got := c.recorded(); !slices.Equal(got, []string{"claim_domain ok"}) {
		t.Errorf("recorded %q", got)
	}
}

func TestWhatIsNoCompanysDomainIsRefused(t *testing.T) {
	c := newClaims(t)
	for typed, want := range map[string]error{
		"":                         ErrDomainName,
		"acme..example":            ErrDomainName,
		"-acme.example":            ErrDomainName,
		"ana@acme.example":         ErrDomainName,
		"https://acme.example":     ErrDomainName,
		"acme.example/":            ErrDomainName,
		"acme example":             ErrDomainName,
		"*.acme.example":           ErrDomainName,
		"192.0.2.1":                ErrDomainName,
		"acme.example.":            ErrDomainName,
		strings.Repeat("a.", 200):  ErrDomainName,
		"com":                      ErrDomainSuffix,
		"co.uk":                    ErrDomainSuffix,
		"github.io":                ErrDomainSuffix,
		"localhost":                ErrDomainSuffix,
		"GMAIL.com":                ErrDomainMail,
		"gmail.com":                ErrDomainMail,
		"ｇｍａｉｌ.com":                ErrDomainMail,
		"outlook.de":               ErrDomainMail,
		"mail.gmail.com":           ErrDomainMail,
		"privaterelay.appleid.com": ErrDomainMail,
	} {
		if _, err := c.ClaimDomain(t.Context(), ana, typed); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", typed, err, want)
		}
	}
	for _, typed := range []string{"notgmail.com", "acme.co.uk", "acme.example", "mail.acme.example"} {
		if _, err := c.ClaimDomain(t.Context(), ana, typed); err != nil {
			t.Errorf("%q: %v", typed, err)
		}
	}
	for i := range MaxDomains - 4 {
		_, err := c.ClaimDomain(t.Context(), ana, fmt.Sprintf("d%d.example", i))
		must(t, err)
	}
	if _, err := c.ClaimDomain(t.Context(), ana, "more.example"); !errors.Is(err, ErrDomainMany) {
		t.Errorf("one more than %d: %v", MaxDomains, err)
	}
}

func TestTheListOfMailProvidersIsDomainsInTheirOneSpelling(t *testing.T) {
	if len(publicMail) < 100 {
		t.Fatalf("%d domains", len(publicMail))
	}
	for name := range publicMail {
		if spelt, err := storage.NormaliseDomain(name); err != nil || spelt != name {
			t.Errorf("%q: %q, %v", name, spelt, err)
		}
	}
}

func TestAClaimIsProvenByItsRecordAlone(t *testing.T) {
	c := newClaims(t)
	theirs := c.claim(t, Actor{Account: "other", User: "eve"}, "acme.example")
	ours, err := c.ClaimDomain(t.Context(), ana, "acme.example")
	must(t, err)
	if ours.Token == theirs.Token {
		t.Fatal("two accounts have one token")
	}
	d, err := c.VerifyDomain(t.Context(), ana, "acme.example")
	must(t, err)
	if d.Verified || d.Finding != FoundOther || !d.Checked.Equal(c.at) || !d.Missing.IsZero() {
		t.Errorf("with another account's record: %+v", d)
	}
	// Side by side, each proves its own.
	c.publish(t, theirs, ours)
	for _, by := range []Actor{ana, {Account: "other", User: "eve"}} {
		d, err := c.VerifyDomain(t.Context(), by, "acme.example")
		must(t, err)
		if !d.Verified || d.Finding != FoundProof || d.ChangedBy != by.User || d.Account != by.Account {
			t.Errorf("%s: %+v", by.Account, d)
		}
	}
	if got, want := c.recorded(), []string{"claim_domain ok", "claim_domain ok", "verify_domain refused other_records", "verify_domain ok", "verify_domain ok"}; !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
}

func TestTheProofOfOneClaimProvesNoOther(t *testing.T) {
	c := newClaims(t)
	d := c.verified(t, ana, "acme.example")
	if _, err := c.VerifyDomain(t.Context(), ana, "sub.acme.example"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("a domain below: %v", err)
	}
	must(t, c.RemoveDomain(t.Context(), ana, d.Name, d.Version))
	if _, err := c.Domain(t.Context(), "acme", d.Name); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("removed, and yet %v", err)
	}
	again, err := c.ClaimDomain(t.Context(), ana, d.Name)
	must(t, err)
	if again, err = c.VerifyDomain(t.Context(), ana, d.Name); err != nil || again.Verified || again.Finding != FoundOther {
		t.Errorf("claimed again with the former record: %+v, %v", again, err)
	}
}

func TestAnotherAccountsDomainIsNone(t *testing.T) {
	c := newClaims(t)
	d := c.verified(t, ana, "acme.example")
	eve := Actor{Account: "other", User: "eve"}
	_, seen := c.Domain(t.Context(), "other", d.Name)
	_, looked := c.VerifyDomain(t.Context(), eve, d.Name)
	for name, err := range map[string]error{"seen": seen, "looked": looked, "removed": c.RemoveDomain(t.Context(), eve, d.Name, d.Version)} {
		if !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhoComesSecondIsTold(t *testing.T) {
	c := newClaims(t)
	d := c.claim(t, ana, "acme.example")
	c.at = c.at.Add(time.Minute)
	bea := ana
	bea.User = "bea"
	_, err := c.VerifyDomain(t.Context(), bea, d.Name)
	must(t, err)
	err = c.RemoveDomain(t.Context(), ana, d.Name, d.Version)
	var conflict *Conflict
	if !errors.As(err, &conflict) || conflict.By != "bea" || !conflict.At.Equal(c.at) || !errors.Is(err, storage.ErrConflict) {
		t.Errorf("got %v, %+v", err, conflict)
	}
	if got, err := c.Domain(t.Context(), "acme", d.Name); err != nil || !got.Verified || !got.Changed.Equal(c.at) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestADeclaredDomainIsTheConfigurations(t *testing.T) {
	c := newClaims(t)
	d := storage.Domain{Account: "acme", Name: "acme.example", Verified: true, Token: "former", Origin: storage.FromConfig, Created: c.at}
	must(t, c.Store.PutDomain(t.Context(), d))
	_, looked := c.VerifyDomain(t.Context(), ana, d.Name)
	for name, err := range map[string]error{"looked": looked, "removed": c.RemoveDomain(t.Context(), ana, d.Name, 1)} {
		if !errors.Is(err, login.ErrReadOnly) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.at = c.at.Add(UnverifyAfter * 2)
	must(t, c.RecheckDomains(t.Context()))
	if got, err := c.Domain(t.Context(), "acme", d.Name); err != nil || !got.Verified || !got.Checked.IsZero() {
		t.Errorf("housekeeping looked: %+v, %v", got, err)
	}
}
