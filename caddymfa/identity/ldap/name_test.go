package ldap

import (
	"strings"
	"testing"
	"unicode"

	"github.com/go-ldap/ldap/v3"
)

var corp = &Settings{BaseDN: "OU=People,DC=corp,DC=example", NetBIOS: "CORP"}

func TestNames(t *testing.T) {
	for typed, want := range map[string]name{
		"ana@acme.example": {bind: "ana@acme.example", upn: "ana@acme.example",
			filter: "(|(userPrincipalName=ana@acme.example)(mail=ana@acme.example))"},
		"ana@Corp.Example": {bind: "ana@Corp.Example", upn: "ana@Corp.Example", sam: "ana",
			filter: "(|(userPrincipalName=ana@Corp.Example)(mail=ana@Corp.Example)(sAMAccountName=ana))"},
		`corp\ana`: {bind: `CORP\ana`, sam: "ana", filter: "(sAMAccountName=ana)"},
		"o'neill+x@acme.example": {bind: "o'neill+x@acme.example", upn: "o'neill+x@acme.example",
			filter: "(|(userPrincipalName=o'neill+x@acme.example)(mail=o'neill+x@acme.example))"},
		"joão@acme.example": {bind: "joão@acme.example", upn: "joão@acme.example",
			filter: `(|(userPrincipalName=jo\c3\a3o@acme.example)(mail=jo\c3\a3o@acme.example))`},
	} {
		if got, err := corp.parseName(typed); err != nil || got != want {
			t.Errorf("%q is %+v and %v, want %+v", typed, got, err, want)
		}
	}
	for typed, want := range map[string]error{
		"": errNameShape, "ana": errNameShape, "@": errNameShape, "ana@": errNameShape, "@acme.example": errNameShape, `\ana`: errNameShape,
		`CORP\`: errNameShape, `CORP\ana@acme.example`: errNameShape, `CORP\DC1\ana`: errNameShape, " ana@acme.example": errNameShape,
		"ana @acme.example": errNameShape, "a@evil@good.com": errNameShape, "an*@acme.example": errNameShape, "ana@acme.example)(mail=*": errNameShape,
		"CN=ana@acme.example": errNameShape, "ana\x00@acme.example": errNameShape, "ana@acme.example\r\n": errNameShape, "ana\u0085@acme.example": errNameShape,
		"ana\xff@acme.example": errNameShape, "corp.example/ana@x": errNameShape, "{00112233}@x": errNameShape,
		strings.Repeat("a", maxName) + "@acme.example": errNameShape, `OTHER\ana`: errNameDomain,
	} {
		if got, err := corp.parseName(typed); err != want {
			t.Errorf("%q is %+v and %v, want %v", typed, got, err, want)
		}
	}
	if _, err := new(Settings).parseName(`CORP\ana`); err != errNameDomain {
		t.Errorf("without a NetBIOS name: %v", err)
	}
}

func FuzzName(f *testing.F) {
	for _, seed := range []string{"ana@acme.example", `CORP\ana`, "ana@corp.example", "*@*", "a)(b=@c", "é@\\", "a@b@c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		n, err := corp.parseName(typed)
		if err != nil {
			return
		}
		if n.bind == "" || len(n.bind) > maxName || strings.ContainsFunc(n.bind, unicode.IsControl) || strings.ContainsAny(n.bind, `=/,;"*()`) {
			t.Errorf("%q binds as %q", typed, n.bind)
		}
		packet, err := ldap.CompileFilter("(&" + n.filter + ")")
		if err != nil {
			t.Fatalf("%q makes the filter %s: %v", typed, n.filter, err)
		}
		// However it was written, it is a list of equalities of our own choice.
		terms := packet.Children
		if n.upn != "" {
			terms = packet.Children[0].Children
		}
		for _, term := range terms {
			if term.Tag != ldap.FilterEqualityMatch {
				t.Errorf("%q makes the filter %s", typed, n.filter)
			}
		}
		if want := strings.Count(n.filter, "="); len(terms) != want {
			t.Errorf("%q makes %d terms of %s", typed, len(terms), n.filter)
		}
	})
}

func TestPick(t *testing.T) {
	person := func(dn, upn, sam, mail string) *ldap.Entry {
		return ldap.NewEntry(dn, map[string][]string{"userPrincipalName": {upn}, "sAMAccountName": {sam}, "mail": {mail}})
	}
	ana := person("CN=Ana", "ana@corp.example", "ana", "ana@acme.example")
	administrator := person("CN=Ana (admin)", "adm-ana@corp.example", "adm-ana", "ana@acme.example")
	taken := person("CN=Mallory", "mallory@corp.example", "mallory", "ana@corp.example")
	loose := person("CN=José", "josé@corp.example", "josé", "")
	for _, c := range []struct {
		name, typed string
		found       []*ldap.Entry
		want        *ldap.Entry
		ambiguous   bool
	}{
		{"nobody", "ana@corp.example", nil, nil, false},
		{"principal name", "ANA@corp.example", []*ldap.Entry{taken, ana}, ana, false},
		{"account name", `CORP\Ana`, []*ldap.Entry{ana}, ana, false},
		{"address", "ana@acme.example", []*ldap.Entry{ana}, ana, false},
		{"one address of two", "ana@acme.example", []*ldap.Entry{ana, administrator}, nil, true},
		{"not quite the same", "jose@corp.example", []*ldap.Entry{loose}, nil, false},
	} {
		n, err := corp.parseName(c.typed)
		if err != nil {
			t.Fatal(err)
		}
		if got, ambiguous := n.pick(c.found); got != c.want || ambiguous != c.ambiguous {
			t.Errorf("%s: picked %v, ambiguous: %v", c.name, got, ambiguous)
		}
	}
}
