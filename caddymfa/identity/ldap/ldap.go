// Package ldap is Active Directory as an identity provider: people sign in with
// the password that they have there. It is the guest mfa.identity.ldap.
//
// A password is right if the directory binds with it, by the distinguished name
// of the one entry that was found for the name typed. So whoever is let in is
// who the entry says, whatever else the directory takes for a name.
package ldap

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"github.com/go-ldap/ldap/v3"

	"github.com/caddymfa/gateway/caddymfa/identity"
)

const (
	// maxPassword is longer than any password of a directory can be.
	maxPassword = 1024
	// maxFound is how many entries of one name are looked at.
	maxFound = 10
	// maxGroups is how many groups within groups are counted, which is also what
	// a controller answers at most.
	maxGroups = 1000
	// inChain follows groups within groups (LDAP_MATCHING_RULE_IN_CHAIN).
	inChain = "1.2.840.113556.1.4.1941"
)

// provider is one account's directory.
type provider struct {
	settings *Settings
	pool     *pool
	logger   *slog.Logger
}

// Close implements [identity.Provider].
func (p *provider) Close() error {
	p.pool.close()
	return nil
}

// CheckPassword implements [identity.PasswordChecker]. Issuer stays empty: who
// somebody is in a directory is its account's own word.
func (p *provider) CheckPassword(ctx context.Context, typed, password string) (identity.Identity, error) {
	var who identity.Identity
	n, err := p.settings.parseName(typed)
	if errors.Is(err, errNameDomain) {
		return who, refuse("other_domain", err)
	}
	if err != nil {
		return who, refuse("malformed_name", err)
	}
	// A bind with a name and no password succeeds, as nobody (RFC 4513, section
	// 5.1.2): it must not even be asked.
	if password == "" {
		return who, refuse("empty_password", nil)
	}
	if len(password) > maxPassword {
		return who, refuse("wrong_password", nil)
	}
	err = p.pool.use(ctx, func(c *conn) error {
		who, err = p.ask(c, n, password)
		return err
	})
	if err != nil {
		return identity.Identity{}, err
	}
	return who, nil
}

// ask asks one controller who somebody is.
func (p *provider) ask(c *conn, n name, password string) (identity.Identity, error) {
	if p.settings.ServiceAccount == "" {
		if err := bind(c, n.bind, password); err != nil {
			return identity.Identity{}, err
		}
	} else if err := p.serve(c); err != nil {
		return identity.Identity{}, err
	}
	entry, ambiguous, err := p.find(c, n)
	if err != nil {
		return identity.Identity{}, err
	}
	if entry == nil {
		return identity.Identity{}, p.missing(c, n, password, ambiguous)
	}
	if err := bind(c, entry.DN, password); err != nil {
		return identity.Identity{}, err
	}
	who, err := p.identify(entry)
	if err != nil || !p.settings.NestedGroups {
		return who, err
	}
	if p.settings.ServiceAccount != "" {
		if err := p.serve(c); err != nil {
			return identity.Identity{}, err
		}
	}
	who.Groups, err = p.nested(c, entry.DN)
	return who, err
}

// bind proves a password.
func bind(c *conn, name, password string) error {
	if name == "" || password == "" { // binds as nobody, and succeeds
		return errors.Join(identity.ErrUnavailable, errors.New("the directory gave an entry without a name"))
	}
	err := c.Bind(name, password)
	if reason, refused := reasonOf(err); refused {
		return refuse(reason, err)
	}
	return judge(err)
}

// judge makes what a controller answers a fault that no other controller would
// cure, and leaves what it could not do.
func judge(err error) error {
	if err == nil || lost(err) || errors.Is(err, identity.ErrIncorrect) {
		return err
	}
	return errors.Join(identity.ErrUnavailable, err)
}

// serve binds as the service account. If the directory refuses it, that is our
// fault and not the person's.
func (p *provider) serve(c *conn) error {
	err := judge(c.Bind(p.settings.ServiceAccount, p.settings.ServicePassword))
	if reason, refused := reasonOf(err); refused {
		p.logger.Error("the directory refuses the service account", "reason", reason, "controller", c.at.address.String())
		return fmt.Errorf("binding as the service account: %w", err)
	}
	return err
}

// find returns the entry of a name; nil: there is none, or not one alone.
func (p *provider) find(c *conn, n name) (entry *ldap.Entry, ambiguous bool, err error) {
	// Referrals lead to other controllers, with what was asked: none is followed.
	request := ldap.NewSearchRequest(p.settings.BaseDN, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, maxFound, 0, false,
		"(&(objectCategory=person)(objectClass=user)"+n.filter+p.settings.Filter+")",
		[]string{"objectGUID", "userPrincipalName", "sAMAccountName", "mail", "displayName", "memberOf"}, nil)
	request.EnforceSizeLimit = true
	found, err := c.Search(request)
	if tooMany(err) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, judge(fmt.Errorf("looking for the person: %w", err))
	}
	entry, ambiguous = n.pick(found.Entries)
	return entry, ambiguous, nil
}

// missing refuses somebody who was not found. Where the service account looked
// for them, the directory is asked about the password all the same: what takes
// less time for unknown people says who is known.
func (p *provider) missing(c *conn, n name, password string, ambiguous bool) error {
	if p.settings.ServiceAccount != "" {
		if err := bind(c, n.bind, password); err != nil {
			return err
		}
	}
	if ambiguous {
		return refuse("ambiguous_name", nil)
	}
	return refuse("not_selected", errors.New("the password is right, but base_dn or filter leave this person out"))
}

// identify reads an entry.
func (p *provider) identify(entry *ldap.Entry) (identity.Identity, error) {
	subject, err := formatGUID(entry.GetRawAttributeValue("objectGUID"))
	if err != nil {
		return identity.Identity{}, errors.Join(identity.ErrUnavailable, fmt.Errorf("reading the entry %q: %w", entry.DN, err))
	}
	mail, upn := entry.GetAttributeValue("mail"), entry.GetAttributeValue("userPrincipalName")
	email := mail
	if p.settings.Email == "userPrincipalName" || p.settings.Email == "" && mail == "" {
		email = upn
	}
	return identity.Identity{
		Subject: subject, Email: email,
		// The directory is where addresses of its company are given. Which domains
		// are the company's, the account has proven elsewhere.
		EmailVerified: email != "",
		Name:          entry.GetAttributeValue("displayName"),
		Groups:        entry.GetAttributeValues("memberOf"),
		AMR:           []string{"pwd"},
	}, nil
}

// nested lists the groups that an entry is in, through other groups as well.
func (p *provider) nested(c *conn, dn string) ([]string, error) {
	request := ldap.NewSearchRequest(p.settings.BaseDN, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, maxGroups, 0, true,
		"(&(objectCategory=group)(member:"+inChain+":="+ldap.EscapeFilter(dn)+"))", []string{"1.1"}, nil)
	request.EnforceSizeLimit = true
	found, err := c.Search(request)
	if err != nil && !tooMany(err) {
		return nil, judge(fmt.Errorf("looking for groups: %w", err))
	}
	var groups []string
	for _, e := range found.Entries {
		groups = append(groups, e.DN)
	}
	return groups, nil
}

// tooMany reports whether an answer had more entries than were asked for.
func tooMany(err error) bool {
	return errors.Is(err, ldap.ErrSizeLimitExceeded) || ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded)
}

// formatGUID writes an object's id as Windows does. It stays the same when
// somebody is renamed or moved, and is never given to anybody else.
func formatGUID(b []byte) (string, error) {
	if len(b) != 16 {
		return "", fmt.Errorf("objectGUID has %d bytes", len(b))
	}
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x",
		binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint16(b[6:]), b[8:10], b[10:]), nil
}

// Interface guards
var (
	_ identity.Provider        = (*provider)(nil)
	_ identity.PasswordChecker = (*provider)(nil)
)
