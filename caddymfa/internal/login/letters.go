package login

import (
	"context"
	"errors"
	"net/url"

	"github.com/caddymfa/gateway/caddymfa/internal/mail"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Address completes a letter that is about to be sent: whose name it bears, and
// the link in it. mail.ErrNobody means that it is not to be sent.
func (s *Service) Address(ctx context.Context, l *mail.Letter) error {
	l.Name = s.Issuer
	if l.Account != "" {
		a, err := s.Store.Account(ctx, l.Account)
		if errors.Is(err, storage.ErrNotFound) {
			return mail.ErrNobody
		}
		if err != nil {
			return err
		}
		l.Name = a.Name
	}
	switch l.About {
	case mail.AboutForgot:
		return s.forgot(ctx, l)
	case mail.AboutInvitation:
		return s.invite(ctx, l)
	case mail.AboutOffer:
		return s.offer(ctx, l)
	case mail.AboutProofMissing, mail.AboutUnverified:
		return s.domainLetter(ctx, l)
	}
	l.Link = s.Pages + "/profile/security"
	if l.About == mail.AboutDeleted {
		l.Link = s.Pages + "/login" // they have no profile any more
	}
	return nil
}

// domainLetter completes a letter to an administrator about a domain, if both
// still are what it says.
func (s *Service) domainLetter(ctx context.Context, l *mail.Letter) error {
	m, err := s.Store.Membership(ctx, l.Account, l.User)
	if errors.Is(err, storage.ErrNotFound) || err == nil && (m.State != mfa.Joined || m.Role != mfa.RoleAdmin) {
		return mail.ErrNobody
	}
	if err != nil {
		return err
	}
	domains, err := s.Store.DomainsOf(ctx, l.Account)
	if err != nil {
		return err
	}
	for _, d := range domains {
		missing, ended := d.Verified && !d.Missing.IsZero(), !d.Verified
		if d.Name == l.What && (l.About == mail.AboutProofMissing && missing || l.About == mail.AboutUnverified && ended) {
			l.Link = s.Pages + "/admin/sso/domain?name=" + url.QueryEscape(d.Name)
			return nil
		}
	}
	return mail.ErrNobody
}
