package sambatest

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/go-ldap/ldap/v3"
)

// Person is somebody in the directory.
type Person struct {
	Account   string // sAMAccountName
	Principal string // userPrincipalName; empty: none is written
	Password  string
	Mail      string
	Name      string // what their entry is called; empty: as the account
}

// DN returns the distinguished name of a person.
func (p Person) DN() string { return DN(cmp.Or(p.Name, p.Account)) }

// DN returns the distinguished name of a person or group.
func DN(name string) string { return "CN=" + ldap.EscapeDN(name) + ",CN=Users," + Base }

// administer connects as the administrator.
func (c *Controller) administer(t testing.TB) *ldap.Conn {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(c.CA))
	conn, err := ldap.DialURL("ldaps://"+c.Address, ldap.DialWithTLSConfig(&tls.Config{RootCAs: roots}))
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Bind(administrator, password); err != nil {
		conn.Close()
		t.Fatal(err)
	}
	return conn
}

// Add adds people who may sign in.
func (c *Controller) Add(t testing.TB, people ...Person) {
	t.Helper()
	conn := c.administer(t)
	defer conn.Close()
	for _, p := range people {
		add := ldap.NewAddRequest(p.DN(), nil)
		add.Attribute("objectClass", []string{"user"})
		add.Attribute("sAMAccountName", []string{p.Account})
		add.Attribute("userAccountControl", []string{"512"}) // an ordinary account, switched on
		add.Attribute("unicodePwd", []string{quoted(p.Password)})
		add.Attribute("displayName", []string{cmp.Or(p.Name, p.Account)})
		if p.Principal != "" {
			add.Attribute("userPrincipalName", []string{p.Principal})
		}
		if p.Mail != "" {
			add.Attribute("mail", []string{p.Mail})
		}
		if err := conn.Add(add); err != nil {
			t.Fatalf("adding %s: %v", p.Account, err)
		}
	}
}

// AddGroup adds a group of people and groups, by their distinguished names.
func (c *Controller) AddGroup(t testing.TB, name string, members ...string) {
	t.Helper()
	conn := c.administer(t)
	defer conn.Close()
	add := ldap.NewAddRequest(DN(name), nil)
	add.Attribute("objectClass", []string{"group"})
	add.Attribute("sAMAccountName", []string{name})
	add.Attribute("member", members)
	if err := conn.Add(add); err != nil {
		t.Fatalf("adding group %s: %v", name, err)
	}
}

// Set changes an attribute of the entry with this distinguished name; without
// values it is removed.
func (c *Controller) Set(t testing.TB, dn, attribute string, values ...string) {
	t.Helper()
	conn := c.administer(t)
	defer conn.Close()
	change := ldap.NewModifyRequest(dn, nil)
	change.Replace(attribute, values)
	if err := conn.Modify(change); err != nil {
		t.Fatalf("setting %s of %s: %v", attribute, dn, err)
	}
}

// Rename gives an entry another name.
func (c *Controller) Rename(t testing.TB, dn, name string) {
	t.Helper()
	conn := c.administer(t)
	defer conn.Close()
	if err := conn.ModifyDN(ldap.NewModifyDNRequest(dn, "CN="+ldap.EscapeDN(name), true, "")); err != nil {
		t.Fatalf("renaming %s: %v", dn, err)
	}
}

// backdate writes when a password was set, which no controller does for anybody
// who asks over the network: it goes to the database itself, with a control that
// only its owner may use.
const backdate = `
import sys, ldb
from samba.param import LoadParm
from samba.samdb import SamDB
from samba.auth import system_session
lp = LoadParm()
lp.load(sys.argv[1])
db = SamDB(url=lp.private_path("sam.ldb"), lp=lp, session_info=system_session())
m = ldb.Message(ldb.Dn(db, sys.argv[2]))
m["pwdLastSet"] = ldb.MessageElement("132000000000000000", ldb.FLAG_MOD_REPLACE, "pwdLastSet")
db.modify(m, controls=["local_oid:1.3.6.1.4.1.7165.4.3.20:0"])
`

// AgePassword makes a password years old.
func (c *Controller) AgePassword(t testing.TB, dn string) {
	t.Helper()
	// The Python that Samba's own tools run in.
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", backdate, c.configuration(), dn).CombinedOutput()
	if err != nil {
		t.Fatalf("backdating the password of %s: %v\n%s", dn, err, out)
	}
}

// quoted is how a password is written (MS-ADTS, section 3.1.1.3.1.5.1).
func quoted(password string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(`"` + password + `"`)) {
		b.WriteByte(byte(unit))
		b.WriteByte(byte(unit >> 8))
	}
	return b.String()
}
