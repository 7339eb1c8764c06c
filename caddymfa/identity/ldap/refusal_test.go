package ldap

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/caddymfa/gateway/caddymfa/identity"
)

func TestReasons(t *testing.T) {
	bind := func(data string) error {
		return ldap.NewError(ldap.LDAPResultInvalidCredentials, errors.New("80090308: LdapErr: DSID-0C090446, comment: AcceptSecurityContext error, "+data))
	}
	for data, want := range map[string]string{
		"data 525, v2580": "unknown_user", "data 52e, v2580": "wrong_password", "data 52E, v1": "wrong_password", "data 530, v1": "outside_logon_hours",
		"data 531, v1": "other_workstation", "data 532, v1": "password_expired", "data 533, v1": "account_disabled", "data 701, v1": "account_expired",
		"data 773, v1": "password_must_change", "data 775, v1": "account_locked", "data 00000775, v1": "account_locked",
		"data 0, v1": "invalid_credentials", "data 5330, v1": "invalid_credentials", "metadata 533": "invalid_credentials", "": "invalid_credentials",
		"data 533999999999": "invalid_credentials",
	} {
		if got, refused := reasonOf(fmt.Errorf("binding: %w", bind(data))); got != want || !refused {
			t.Errorf("%q is %q, refused: %v; want %q", data, got, refused, want)
		}
	}
	// What is not about the person refuses nobody, whatever it says.
	for _, err := range []error{nil, io.EOF, ldap.NewError(ldap.LDAPResultBusy, errors.New("data 533")), ldap.NewError(ldap.ErrorNetwork, bind("data 533"))} {
		if got, refused := reasonOf(err); refused {
			t.Errorf("%v is a refusal: %s", err, got)
		}
	}
}

func TestLost(t *testing.T) {
	for _, err := range []error{io.EOF, ldap.NewError(ldap.ErrorNetwork, io.EOF), ldap.NewError(ldap.LDAPResultBusy, io.EOF), ldap.NewError(ldap.LDAPResultUnavailable, io.EOF)} {
		if !lost(err) || !lost(fmt.Errorf("asking: %w", err)) {
			t.Errorf("%v: another controller is not asked", err)
		}
	}
	for _, err := range []error{nil, refuse("wrong_password", io.EOF), errors.Join(identity.ErrUnavailable, io.EOF), ldap.NewError(ldap.LDAPResultNoSuchObject, io.EOF)} {
		if lost(err) {
			t.Errorf("%v: another controller is asked", err)
		}
	}
}

func FuzzReason(f *testing.F) {
	f.Add(uint16(49), "80090308: LdapErr: DSID-0C090446, comment: AcceptSecurityContext error, data 52e, v2580")
	f.Add(uint16(53), "data 533")
	known := map[string]bool{"invalid_credentials": true}
	for _, reason := range reasons {
		known[reason] = true
	}
	f.Fuzz(func(t *testing.T, code uint16, text string) {
		reason, refused := reasonOf(ldap.NewError(code, errors.New(text)))
		if refused != (code == ldap.LDAPResultInvalidCredentials) || refused != known[reason] {
			t.Errorf("%d %q is %q, refused: %v", code, text, reason, refused)
		}
	})
}

// FuzzGUID: an object's id is sixteen bytes, or none.
func FuzzGUID(f *testing.F) {
	f.Add([]byte(someone.attributes["objectGUID"][0]))
	f.Add([]byte{})
	seen := make(map[string]string)
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := formatGUID(b)
		if (err == nil) != (len(b) == 16) {
			t.Fatalf("%x: %q and %v", b, got, err)
		}
		if err == nil && len(got) != 36 {
			t.Fatalf("%x is %q", b, got)
		}
		if other, ok := seen[got]; err == nil && ok && other != string(b) {
			t.Fatalf("%x and %x are both %q", b, other, got)
		}
		if err == nil {
			seen[got] = string(b)
		}
	})
}

func TestGUID(t *testing.T) {
	// As Windows writes the id of someone.
	if got, err := formatGUID([]byte(someone.attributes["objectGUID"][0])); err != nil || got != "00112233-4455-6677-8899-aabbccddeeff" {
		t.Errorf("got %q and %v", got, err)
	}
}
