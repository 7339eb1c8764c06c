package mail

import (
	"slices"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Whoever administers an account hears of its domains, and nobody else.
func TestAdministratorsAreToldOfTheirDomains(t *testing.T) {
	p := newPost(t)
	for _, id := range []string{"acme", "other"} {
		if err := p.store.CreateAccount(t.Context(), storage.Account{ID: id, Policy: mfa.Optional, Created: p.at}); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []storage.Membership{
		{Account: "acme", User: "ana", Role: mfa.RoleAdmin, State: mfa.Joined},
		{Account: "acme", User: "ben", Role: mfa.RoleAdmin, State: mfa.Joined},
		{Account: "acme", User: "mia", Role: mfa.RoleMember, State: mfa.Joined},
		{Account: "acme", User: "ivo", Role: mfa.RoleAdmin, State: mfa.Invited},
		{Account: "other", User: "oto", Role: mfa.RoleAdmin, State: mfa.Joined},
	} {
		if err := p.store.CreateUser(t.Context(), storage.User{ID: m.User, Email: m.User + "@acme.example", Created: p.at}); err != nil {
			t.Fatal(err)
		}
		m.Created = p.at
		if err := p.store.PutMembership(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	for _, reason := range []string{"proof_found", "proof_missing_long", AboutProofMissing, AboutUnverified} {
		e := storage.Event{At: p.at, Action: "recheck_domain", Outcome: "failed", Reason: reason, Account: "acme", Actor: "housekeeping", Detail: "acme.example: no_record"}
		p.Tell(t.Context(), e)
		p.Tell(t.Context(), e) // once is enough
	}
	p.deliver(t)
	var got []string
	for _, m := range p.sent {
		got = append(got, m.To+": "+m.Subject+", "+m.Text)
	}
	slices.Sort(got)
	want := []string{
		"ana@acme.example: About domain_unverified, acme.example for ana", "ana@acme.example: About proof_missing, acme.example for ana",
		"ben@acme.example: About domain_unverified, acme.example for ben", "ben@acme.example: About proof_missing, acme.example for ben",
	}
	if !slices.Equal(got, want) || len(p.faults) != 0 {
		t.Errorf("sent %q, want %q; faults %q", got, want, p.faults)
	}
}
