package login

import (
	"context"
	"errors"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// personOf finds out who somebody is here. Issuer and subject say so, once they
// were joined; an e-mail address joins them only if the provider vouches for it
// and its domain is one that this very account has verified: no account's
// provider speaks for another's people.
func (s *Service) personOf(ctx context.Context, row storage.IdentityProvider, l Linking, issuer string, who identity.Identity) (storage.User, error) {
	known, err := s.Store.Identity(ctx, issuer, who.Subject)
	if errors.Is(err, storage.ErrNotFound) {
		return s.newcomer(ctx, row, l, issuer, who)
	}
	if err != nil {
		return storage.User{}, err
	}
	user, err := s.Store.User(ctx, known.User)
	if err != nil {
		return user, err
	}
	if user.Disabled {
		return user, refuse(string(mfa.UserDisabled))
	}
	// An account that lost a domain must not go on speaking for its people.
	if ours, err := s.speaksFor(ctx, row, user.Email); err != nil || !ours {
		return user, errors.Join(err, refuseUnless(ours, "domain_not_verified"))
	}
	return user, s.join(ctx, row, l, user, who)
}

func refuseUnless(right bool, reason string) error {
	if right {
		return nil
	}
	return refuse(reason)
}

// newcomer joins a name at an issuer, seen for the first time, to a person.
func (s *Service) newcomer(ctx context.Context, row storage.IdentityProvider, l Linking, issuer string, who identity.Identity) (storage.User, error) {
	email, err := addressOf(who)
	if err != nil {
		return storage.User{}, err
	}
	if ours, err := s.leadsHere(ctx, row, email); err != nil || !ours {
		return storage.User{}, errors.Join(err, refuseUnless(ours, "email_of_another_domain"))
	}
	user, err := s.Store.UserByEmail(ctx, email)
	if errors.Is(err, storage.ErrNotFound) {
		user, err = s.newPerson(ctx, row, l, email, who.Name)
	}
	if err != nil {
		return user, err
	}
	if user.Disabled {
		return user, refuse(string(mfa.UserDisabled))
	}
	others, err := s.Store.IdentitiesOf(ctx, user.ID)
	if err != nil {
		return user, err
	}
	for _, other := range others {
		if other.Issuer == issuer && other.Subject != who.Subject {
			return user, refuse("subject_changed") // an address that was given to somebody new
		}
	}
	err = s.Store.CreateIdentity(ctx, storage.Identity{Issuer: issuer, Subject: who.Subject, User: user.ID, Created: s.Now()})
	if errors.Is(err, storage.ErrExists) { // the same person in another tab, or else refused there
		return s.personOf(ctx, row, l, issuer, who)
	}
	if err != nil {
		return user, err
	}
	return user, s.join(ctx, row, l, user, who)
}

// addressOf is the address that a provider vouches for.
func addressOf(who identity.Identity) (string, error) {
	email, err := storage.NormaliseEmail(who.Email)
	switch {
	case who.Email == "":
		return "", refuse("email_missing")
	case err != nil: // also "a@evil.example@good.example", which readers cut differently
		return "", refuse("email_malformed")
	case !who.EmailVerified:
		return "", refuse("email_unverified")
	}
	return email, nil
}

// newPerson adds somebody whom we did not know, if the account lets people in
// by signing in.
func (s *Service) newPerson(ctx context.Context, row storage.IdentityProvider, l Linking, email, name string) (storage.User, error) {
	if !l.Join {
		return storage.User{}, refuse("unknown_user")
	}
	user := storage.User{ID: session.NewID(), Email: email, Name: shorten(name, 200), Created: s.Now()}
	err := s.Store.CreateUser(ctx, user)
	if errors.Is(err, storage.ErrExists) {
		return s.Store.UserByEmail(ctx, email)
	}
	if err != nil {
		return storage.User{}, err
	}
	s.Record(ctx, storage.Event{At: s.Now(), Action: "add_user", Outcome: "ok", Reason: mfa.BySSO, User: user.ID, Account: row.Account})
	return user, nil
}

// leadsHere reports whether a provider's own account has verified an address's
// domain and sends its people there.
func (s *Service) leadsHere(ctx context.Context, row storage.IdentityProvider, email string) (bool, error) {
	domains, err := s.Store.DomainsOf(ctx, row.Account)
	if err != nil {
		return false, err
	}
	for _, d := range domains {
		if d.Name == storage.DomainOf(email) {
			return d.Verified && d.Provider == row.ID, nil
		}
	}
	return false, nil
}

// speaksFor reports whether any account that has verified an address's domain
// sends its people to the same issuer: what it says of them is true in every
// account that linked it.
func (s *Service) speaksFor(ctx context.Context, row storage.IdentityProvider, email string) (bool, error) {
	claims, err := s.Store.DomainsNamed(ctx, storage.DomainOf(email))
	if err != nil {
		return false, err
	}
	for _, d := range claims {
		if !d.Verified || d.Provider == "" {
			continue
		}
		if d.Provider == row.ID {
			return true, nil
		}
		other, err := s.Store.Provider(ctx, d.Provider)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		if row.Issuer != "" && other.Issuer == row.Issuer && !other.Disabled {
			return true, nil
		}
	}
	return false, nil
}

// join makes somebody a member of the account whose provider vouches for them:
// if they were invited, or if the account lets its domains' people in. Who is no
// member may still have other accounts; the decision says so, on the next
// request.
func (s *Service) join(ctx context.Context, row storage.IdentityProvider, l Linking, user storage.User, who identity.Identity) error {
	m, err := s.Store.Membership(ctx, row.Account, user.ID)
	missing := errors.Is(err, storage.ErrNotFound)
	if err != nil && !missing {
		return err
	}
	next := m
	if missing {
		next = storage.Membership{Account: row.Account, User: user.ID, Role: mfa.RoleMember, Created: s.Now()}
	}
	if next.State != mfa.Joined {
		ours, err := s.leadsHere(ctx, row, user.Email)
		if err != nil || !ours || missing && !l.Join {
			return err
		}
		next.State = mfa.Joined
	}
	if len(l.Admins) > 0 && m.Origin != storage.FromConfig {
		next.Role = mfa.RoleMember
		if l.administers(who.Groups) {
			next.Role = mfa.RoleAdmin
		}
	}
	if next == m {
		return nil
	}
	e := storage.Event{At: s.Now(), Action: "add_member", Outcome: "ok", Reason: mfa.BySSO, User: user.ID, Account: row.Account,
		Detail: next.Role.String() + " " + through(row)}
	err = s.Store.PutMembershipKeepingAdmin(ctx, next)
	if errors.Is(err, storage.ErrLastAdmin) { // the company's groups may lock nobody out of the account: they stay, and come in
		e.Outcome, e.Reason, err = "refused", "last_admin", nil
	}
	if err != nil {
		return err
	}
	s.Record(ctx, e)
	return nil
}
