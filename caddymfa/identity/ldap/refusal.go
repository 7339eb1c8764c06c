package ldap

import (
	"errors"
	"regexp"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/caddymfa/gateway/caddymfa/identity"
)

// subCode is where Active Directory says why it refused: result 49 (invalid
// credentials) comes with a text such as "80090308: LdapErr: DSID-0C090446,
// comment: AcceptSecurityContext error, data 52e, v2580", and the number is a
// Windows error in hexadecimal.
var subCode = regexp.MustCompile(`(?i)\bdata ([0-9a-f]{1,8})\b`)

// reasons are what the numbers mean. Only the audit has them: to the person, all
// are a wrong name or password.
var reasons = map[string]string{
	"525": "unknown_user",
	"52e": "wrong_password",
	"52f": "account_restricted",
	"530": "outside_logon_hours",
	"531": "other_workstation",
	"532": "password_expired",
	"533": "account_disabled",
	"534": "logon_type_not_granted",
	"701": "account_expired",
	"773": "password_must_change",
	"775": "account_locked",
}

// refuse is a wrong name or password, with the reason for the audit.
func refuse(reason string, cause error) error {
	return errors.Join(identity.ErrIncorrect, &identity.Refusal{Reason: reason, Err: cause})
}

// reasonOf returns why a bind was refused, and whether it was: anything but
// result 49 says nothing about the person.
func reasonOf(err error) (string, bool) {
	var answer *ldap.Error
	if !errors.As(err, &answer) || answer.ResultCode != ldap.LDAPResultInvalidCredentials {
		return "", false
	}
	if found := subCode.FindStringSubmatch(answer.Error()); found != nil {
		if reason, ok := reasons[strings.ToLower(strings.TrimLeft(found[1], "0"))]; ok {
			return reason, true
		}
	}
	return "invalid_credentials", true
}

// lost reports whether an error means that this controller could not do it and
// another one may: no answer, or the answer that it is busy or going away. Any
// other answer would be the same everywhere, and so would what was judged
// already.
func lost(err error) bool {
	if err == nil || errors.Is(err, identity.ErrIncorrect) || errors.Is(err, identity.ErrUnavailable) {
		return false
	}
	var answer *ldap.Error
	if errors.As(err, &answer) && answer.ResultCode < ldap.ErrorNetwork {
		return answer.ResultCode == ldap.LDAPResultBusy || answer.ResultCode == ldap.LDAPResultUnavailable
	}
	return true
}
