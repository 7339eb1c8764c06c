package ldap

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/identity/ldap/sambatest"
)

// Where the tests of this package run their controllers.
const first, second, nobody = "127.0.77.1", "127.0.77.2", "127.0.77.3"

const right = "Correct-horse-7"

// ana is somebody who may enter. Her entry's name needs escaping in every place
// where it can stand.
var ana = sambatest.Person{Account: "ana", Principal: "ana@acme.example", Mail: "Ana.Martins@acme.example", Name: `Ana (Vendas), 1+1 \ * é #`, Password: right}

// open opens a directory of the test's domain.
func open(t *testing.T, dc *sambatest.Controller, change ...func(*Settings)) *provider {
	t.Helper()
	s := Settings{Controllers: []string{"ldaps://" + dc.Address}, BaseDN: sambatest.Base, NetBIOS: "CORP", CA: dc.CA}
	for _, f := range change {
		f(&s)
	}
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	p, err := (&Module{logger: slog.New(slog.DiscardHandler)}).Open(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p.(*provider)
}

// enters checks a password that is right.
func enters(t *testing.T, p *provider, name, password string) identity.Identity {
	t.Helper()
	who, err := p.CheckPassword(t.Context(), name, password)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return who
}

// refused checks that somebody does not enter, and what the audit is told.
func refused(t *testing.T, p *provider, name, password, reason string) {
	t.Helper()
	who, err := p.CheckPassword(t.Context(), name, password)
	var refusal *identity.Refusal
	if !errors.Is(err, identity.ErrIncorrect) || !errors.As(err, &refusal) || refusal.Reason != reason {
		t.Errorf("%q: got %v, want a refusal because of %s", name, err, reason)
	}
	if who.Subject != "" {
		t.Errorf("%q is refused and is %+v", name, who)
	}
}

// unavailable checks that the directory could not be asked.
func unavailable(t *testing.T, p *provider) error {
	t.Helper()
	who, err := p.CheckPassword(t.Context(), ana.Principal, right)
	if !errors.Is(err, identity.ErrUnavailable) || errors.Is(err, identity.ErrIncorrect) || who.Subject != "" {
		t.Errorf("got %+v and %v, want identity.ErrUnavailable", who, err)
	}
	return err
}

// TestActiveDirectory asks a real domain controller.
func TestActiveDirectory(t *testing.T) {
	dc := sambatest.Start(t, first)
	bea := sambatest.Person{Account: "bea", Principal: "bea@acme.example", Password: right}
	reader := sambatest.Person{Account: "reader", Password: "Reads-only-9"}
	dc.Add(t, ana, bea, reader)
	dc.AddGroup(t, "Portal Users", ana.DN())
	dc.AddGroup(t, "Portal Admins", sambatest.DN("Portal Users"))
	served := func(s *Settings) { s.ServiceAccount, s.ServicePassword = `CORP\reader`, reader.Password }

	t.Run("enters", func(t *testing.T) {
		for _, address := range []string{"ldaps://" + first, "ldap://" + first, "ldaps://" + first + ":3269"} {
			p := open(t, dc, func(s *Settings) { s.Controllers = []string{address} })
			var subject string
			for _, name := range []string{"ana@acme.example", "Ana@ACME.example", "ana@corp.example", `CORP\ana`, `corp\ANA`} {
				who := enters(t, p, name, right)
				if who.Email != ana.Mail || !who.EmailVerified || who.Name != ana.Name || who.Issuer != "" || who.MFA {
					t.Errorf("%s is %+v", name, who)
				}
				if len(who.Subject) != 36 || subject != "" && who.Subject != subject {
					t.Errorf("%s is %s, was %s", name, who.Subject, subject)
				}
				subject = who.Subject
			}
		}
		if who := enters(t, open(t, dc), "bea@acme.example", right); who.Email != "bea@acme.example" || len(who.Groups) != 0 {
			t.Errorf("somebody without an address is %+v", who)
		}
		p := open(t, dc, func(s *Settings) { s.Email = "userPrincipalName" })
		if who := enters(t, p, ana.Principal, right); who.Email != ana.Principal {
			t.Errorf("by principal name, the address is %s", who.Email)
		}
		p = open(t, dc, func(s *Settings) { s.Email = "mail" })
		if who := enters(t, p, bea.Principal, right); who.Email != "" || who.EmailVerified {
			t.Errorf("by mail address, somebody without one has %q", who.Email)
		}
	})

	t.Run("looks up", func(t *testing.T) {
		refused(t, open(t, dc), ana.Mail, right, "wrong_password") // is no principal name
		p := open(t, dc, served)
		for _, name := range []string{ana.Mail, ana.Principal, `CORP\ana`} {
			enters(t, p, name, right)
			refused(t, p, name, "wrong", "wrong_password")
		}
		refused(t, p, "nobody@acme.example", right, "wrong_password")
		wrong := open(t, dc, served, func(s *Settings) { s.ServicePassword = "wrong" })
		if err := unavailable(t, wrong); !strings.Contains(err.Error(), "service account") {
			t.Errorf("a wrong service password is %v", err)
		}
	})

	t.Run("groups", func(t *testing.T) {
		users, admins := sambatest.DN("Portal Users"), sambatest.DN("Portal Admins")
		for _, how := range []func(*Settings){func(*Settings) {}, served} {
			if got := enters(t, open(t, dc, how), ana.Principal, right).Groups; !slices.Equal(got, []string{users}) {
				t.Errorf("direct groups are %q", got)
			}
			nested := enters(t, open(t, dc, how, func(s *Settings) { s.NestedGroups = true }), ana.Principal, right).Groups
			slices.Sort(nested)
			if !slices.Equal(nested, []string{admins, users}) {
				t.Errorf("nested groups are %q", nested)
			}
			p := open(t, dc, how, func(s *Settings) { s.Filter = "(memberOf:" + inChain + ":=" + admins + ")" })
			enters(t, p, ana.Principal, right)
			refused(t, p, bea.Principal, right, "not_selected")
			refused(t, p, bea.Principal, "wrong", "wrong_password")
		}
	})

	t.Run("names are data", func(t *testing.T) {
		p := open(t, dc, served)
		for _, name := range []string{"*@acme.example", "ana*@acme.example", "ana@acme.example)(mail=*", `CORP\*`, "ana\x00@acme.example", "ana@acme.example\n",
			"ana@evil@acme.example", ana.DN(), ana.Name, "corp.example/Users/ana", "host/ana@acme.example", "ana", ""} {
			refused(t, p, name, right, "malformed_name")
		}
		refused(t, p, `OTHER\ana`, right, "other_domain")
		refused(t, p, ana.Principal, "", "empty_password")
		refused(t, p, ana.Principal, strings.Repeat("x", 4096), "wrong_password")
	})

	t.Run("refused", func(t *testing.T) {
		dc.Set(t, sambatest.Base, "lockoutThreshold", "3")
		p := open(t, dc)
		for _, c := range []struct {
			reason, attribute, value string
		}{
			{"account_disabled", "userAccountControl", "514"},
			{"account_expired", "accountExpires", "132000000000000000"},
			{"password_must_change", "pwdLastSet", "0"},
			{"outside_logon_hours", "logonHours", string(make([]byte, 21))},
			{"other_workstation", "userWorkstations", "ELSEWHERE"},
		} {
			who := sambatest.Person{Account: c.reason[:14], Password: right}
			dc.Add(t, who)
			name := who.Account + "@corp.example"
			enters(t, p, name, right)
			dc.Set(t, who.DN(), c.attribute, c.value)
			refused(t, p, name, right, c.reason)
			refused(t, open(t, dc, served), name, right, c.reason)
		}
		old := sambatest.Person{Account: "old", Password: right}
		locked := sambatest.Person{Account: "locked", Password: right}
		dc.Add(t, old, locked)
		dc.AgePassword(t, old.DN())
		refused(t, p, "old@corp.example", right, "password_expired")
		for range 3 {
			refused(t, p, "locked@corp.example", "wrong", "wrong_password")
		}
		refused(t, p, "locked@corp.example", right, "account_locked")
		dc.Set(t, locked.DN(), "lockoutTime", "0")
		enters(t, p, "locked@corp.example", right)
	})

	t.Run("certificates", func(t *testing.T) {
		other, _ := sambatest.Certificate(t, first)
		for _, address := range []string{"ldaps://" + first, "ldap://" + first} {
			at := func(s *Settings) { s.Controllers = []string{address} }
			unavailable(t, open(t, dc, at, func(s *Settings) { s.CA = other }))
			unavailable(t, open(t, dc, at, func(s *Settings) { s.CA = "" }))
			enters(t, open(t, dc, at, func(s *Settings) { s.CA, s.InsecureSkipVerify = other, true }), ana.Principal, right)
		}
	})

	t.Run("many at once", func(t *testing.T) {
		p := open(t, dc, served)
		var all sync.WaitGroup
		for i := range 24 {
			all.Go(func() {
				if i%3 == 0 {
					refused(t, p, "nobody@acme.example", right, "wrong_password")
				} else if who, err := p.CheckPassword(t.Context(), ana.Principal, right); err != nil || who.Email != ana.Mail {
					t.Errorf("%v: %+v", err, who)
				}
			})
		}
		all.Wait()
		if open := len(p.pool.idle); open == 0 || open > cap(p.pool.slots) {
			t.Errorf("%d connections are kept", open)
		}
	})

	t.Run("stays who they are", func(t *testing.T) {
		p := open(t, dc)
		before := enters(t, p, bea.Principal, right)
		dc.Rename(t, bea.DN(), "Beatriz")
		dc.Set(t, sambatest.DN("Beatriz"), "userPrincipalName", "beatriz@acme.example")
		if after := enters(t, p, "beatriz@acme.example", right); after.Subject != before.Subject {
			t.Errorf("a new name makes %s of %s", after.Subject, before.Subject)
		}
	})

	t.Run("controllers fail", func(t *testing.T) {
		other := dc.Again(t, second)
		p := open(t, dc, func(s *Settings) {
			s.CA += other.CA
			s.Controllers = []string{"ldaps://" + nobody, "ldap://" + second, "ldaps://" + first}
		})
		before := enters(t, p, ana.Principal, right)
		other.Stop()
		if after := enters(t, p, ana.Principal, right); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("the second controller says %+v, the first said %+v", after, before)
		}
		dc.Stop()
		unavailable(t, p)
	})
}
