package caddymfa

import (
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// unmarshalAccount reads one account and adds it to the list.
func unmarshalAccount(d *caddyfile.Dispenser, list *[]AccountConfig) error {
	var c AccountConfig
	if err := readAccountID(d, &c.ID); err != nil {
		return err
	}
	if slices.ContainsFunc(*list, func(other AccountConfig) bool { return other.ID == c.ID }) {
		return d.Errf("account %q is declared twice", c.ID)
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := make(given)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		done, err := c.unmarshalCompany(d)
		if err != nil {
			return err
		}
		if done {
			continue
		}
		if err := seen.once(d, option); err != nil {
			return err
		}
		switch option {
		case "name":
			if err := readText(d, &c.Name); err != nil {
				return err
			}
		case "policy":
			if err := readText(d, &c.Policy); err != nil {
				return err
			}
			if _, err := mfa.ParsePolicy(c.Policy); err != nil {
				return d.WrapErr(err)
			}
		case "accept":
			if err := readText(d, &c.Accept); err != nil {
				return err
			}
			if _, err := mfa.ParseAccept(c.Accept); err != nil {
				return d.WrapErr(err)
			}
		case "second_factor_age":
			if err := readDuration(d, &c.SecondFactorAge); err != nil {
				return err
			}
		case "remember":
			if err := readDuration(d, &c.Remember); err != nil {
				return err
			}
		default:
			return d.Errf("unrecognized account option '%s'", option)
		}
	}
	if c.Policy == "" {
		return d.Errf("account %q needs a policy: choose optional, suggested or required", c.ID)
	}
	*list = append(*list, c)
	return nil
}

// unmarshalUser reads one person and adds them to the list. People of a
// demonstration have no password of their own.
func unmarshalUser(d *caddyfile.Dispenser, list *[]UserConfig, demonstration bool) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	email, err := storage.NormaliseEmail(d.Val())
	if err != nil {
		return d.Errf("user %q: %w", d.Val(), err)
	}
	if slices.ContainsFunc(*list, func(other UserConfig) bool { return other.Email == email }) {
		return d.Errf("user %q is declared twice", email)
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	c := UserConfig{Email: email}
	seen := make(given)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if option == "account" {
			if err := unmarshalMembership(d, &c.Memberships); err != nil {
				return err
			}
			continue
		}
		if err := seen.once(d, option); err != nil {
			return err
		}
		switch {
		case option == "name":
			if err := readText(d, &c.Name); err != nil {
				return err
			}
		case option == "password" && demonstration:
			return d.Errf("user %q: everybody in a demonstration has its password: leave this one out", email)
		case option == "password":
			if err := readHash(d, email, &c.PasswordHash); err != nil {
				return err
			}
		default:
			return d.Errf("unrecognized user option '%s'", option)
		}
	}
	*list = append(*list, c)
	return nil
}

// unmarshalMembership reads a person's place in one account.
func unmarshalMembership(d *caddyfile.Dispenser, list *[]MembershipConfig) error {
	var c MembershipConfig
	if err := readAccountID(d, &c.Account); err != nil {
		return err
	}
	if slices.ContainsFunc(*list, func(other MembershipConfig) bool { return other.Account == c.Account }) {
		return d.Errf("account %q is given twice", c.Account)
	}
	if d.NextArg() {
		c.Role = d.Val()
		if _, err := mfa.ParseRole(c.Role); err != nil {
			return d.WrapErr(err)
		}
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	*list = append(*list, c)
	return nil
}

// unmarshal reads the demonstration's block.
func (c *Demonstration) unmarshal(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := make(given)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch option := d.Val(); option {
		case "password":
			if err = seen.once(d, option); err == nil {
				err = readText(d, &c.Password)
			}
		case "account":
			err = unmarshalAccount(d, &c.Accounts)
			if n := len(c.Accounts); err == nil && len(c.Accounts[n-1].Domains)+len(c.Accounts[n-1].Providers) > 0 {
				err = d.WrapErr(errDemonstrated)
			}
		case "user":
			err = unmarshalUser(d, &c.Users, true)
		default:
			err = d.Errf("unrecognized demonstration option '%s'", option)
		}
		if err != nil {
			return err
		}
	}
	if c.Password == "" {
		return d.Err("a demonstration needs a password, which everybody in it has")
	}
	return nil
}

// readAccountID takes the next argument, which has to be an account's id.
func readAccountID(d *caddyfile.Dispenser, to *string) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	*to = d.Val()
	if !accountID.MatchString(*to) {
		return d.Errf("account %q: expected an id of lower-case letters, digits and '-', at most 63", *to)
	}
	return nil
}

// readHash takes a password's hash or a placeholder for one. It looks at the
// first word before it counts them, and never repeats any: what is no hash may
// well be a password.
func readHash(d *caddyfile.Dispenser, email string, to *string) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	*to = d.Val()
	if !isPlaceholder(*to) {
		if err := checkHash(*to); err != nil {
			return d.Errf("password of %q: %w: run \"caddy hash-password\" and put here what it prints", email, err)
		}
	}
	if d.NextArg() {
		return d.Errf("password of %q: expected one hash or placeholder, got more words", email)
	}
	return nil
}
