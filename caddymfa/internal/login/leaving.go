package login

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// ticketSignedIn keeps what a provider wants back at sign-out.
const ticketSignedIn = "signed_in"

// signIn names one sign-in at a provider, whatever id its session has by now.
func (s *Service) signIn(p mfa.Proof) string {
	return s.ticketID(ticketSignedIn, strings.Join([]string{p.User, p.Provider, p.Issuer, p.Subject, p.ProviderSession, strconv.FormatInt(p.First.UnixMicro(), 10)}, "\x00"))
}

// keepToken remembers what the provider wants back at sign-out.
func (s *Service) keepToken(ctx context.Context, sess *storage.Session, token string) error {
	if token == "" {
		return nil
	}
	id := s.signIn(sess.Proof)
	return s.Store.PutTicket(ctx, storage.Ticket{
		ID: id, Purpose: ticketSignedIn, User: sess.User, Data: s.Box.Seal([]byte(token), "tickets", id, "data"), Expires: sess.Expires,
	})
}

// Left is a sign-out that may go on at a provider.
type Left struct {
	Provider string `json:"p"`
	SignIn   string `json:"s"`
}

// LeftAt says where the sign-out of a session may go on; the zero value:
// nowhere.
func (s *Service) LeftAt(sess *storage.Session) Left {
	if s.Companies == nil || sess.Proof.Provider == "" {
		return Left{}
	}
	return Left{sess.Proof.Provider, s.signIn(sess.Proof)}
}

// LeaveCompany returns where the browser of somebody who has signed out here can
// sign out at their company's provider too (OpenID Connect RP-Initiated Logout
// 1.0). An empty address: it offers no such page, or does not answer.
func (s *Service) LeaveCompany(ctx context.Context, l Left, returnTo string) (address string, company Company, err error) {
	if s.Companies == nil || l.Provider == "" {
		return "", company, nil
	}
	company, err = s.CompanyNamed(ctx, l.Provider)
	if errors.Is(err, errNoProvider) {
		return "", company, nil
	}
	if err != nil {
		return "", company, err
	}
	_, o, err := s.Companies.provider(ctx, l.Provider)
	if err != nil {
		return "", company, err
	}
	to, ok := o.provider.(identity.LogoutRedirector)
	if !ok {
		return "", company, nil
	}
	token := ""
	t, err := s.Store.TakeTicket(ctx, ticketSignedIn, l.SignIn, s.Now())
	if err == nil {
		raw, err := s.Box.Open(t.Data, "tickets", t.ID, "data")
		if err != nil {
			return "", company, fmt.Errorf("opening what a provider wants back: %w", err)
		}
		token = string(raw)
	} else if !errors.Is(err, storage.ErrSpent) {
		return "", company, err
	}
	address, err = to.LogoutURL(ctx, token, returnTo)
	if errors.Is(err, identity.ErrUnavailable) {
		return "", company, nil // they are signed out here, and that was the point
	}
	return address, company, err
}

// EndedElsewhere takes a provider's word that a sign-in there has ended (OpenID
// Connect Back-Channel Logout 1.0, section 2.5), and ends the sessions that came
// of it. ErrRefused: the token is not one that we trust.
func (s *Service) EndedElsewhere(ctx context.Context, c Client, token string) (ended int, err error) {
	network := limit.NetworkOf(c.Network)
	if err := s.Limiter.Try(ctx, limit.BackChannel, network); err != nil {
		return 0, err
	}
	row, out, err := s.verifyLogout(ctx, token)
	if err == nil {
		err = s.Limiter.Once(ctx, "logout_token", row.Issuer, out.ID)
		if errors.Is(err, limit.ErrCapped) {
			err = refuse("replayed")
		}
	}
	var refusal *identity.Refusal
	if errors.As(err, &refusal) {
		s.Record(ctx, storage.Event{At: s.Now(), Action: "revoke_sessions", Outcome: "refused", Reason: refusal.Reason, Account: row.Account,
			Network: c.Network, Detail: "back-channel logout"})
		return 0, errors.Join(ErrRefused, err)
	}
	if err != nil {
		return 0, errors.Join(err, s.Limiter.TakeBack(ctx, limit.BackChannel, network))
	}
	if ended, err = s.Store.RevokeSessionsThrough(ctx, row.Issuer, out.Subject, out.Session, s.Now()); err != nil {
		return 0, errors.Join(err, s.Limiter.NotYet(ctx, "logout_token", row.Issuer, out.ID), s.Limiter.TakeBack(ctx, limit.BackChannel, network))
	}
	s.Record(ctx, storage.Event{At: s.Now(), Action: "revoke_sessions", Outcome: "ok", Reason: "back_channel_logout", Account: row.Account,
		Network: c.Network, Detail: fmt.Sprintf("%d %s", ended, through(row))})
	return ended, s.Limiter.TakeBack(ctx, limit.BackChannel, network)
}

// verifyLogout finds the provider that a logout token is from. The issuer that
// it names only says whose keys to check it with.
func (s *Service) verifyLogout(ctx context.Context, token string) (row storage.IdentityProvider, out identity.Logout, err error) {
	issuer := issuerOf(token)
	if s.Companies == nil || issuer == "" {
		return row, out, refuse("malformed")
	}
	rows, err := s.Store.ProvidersIssuing(ctx, issuer)
	if err != nil {
		return row, out, err
	}
	err = refuse("unknown_issuer")
	for _, row = range rows {
		_, o, opening := s.Companies.provider(ctx, row.ID)
		if errors.Is(opening, errNoProvider) {
			continue
		}
		if opening != nil {
			return row, out, opening
		}
		receiver, ok := o.provider.(identity.LogoutReceiver)
		if !ok {
			continue
		}
		if out, err = receiver.VerifyLogout(ctx, token); err != nil {
			continue // another client of the same issuer may be meant
		}
		switch {
		case out.Issuer != row.Issuer:
			err = refuse("issuer_mismatch")
		case out.ID == "" || out.Subject == "" && out.Session == "":
			err = refuse("malformed")
		}
		return row, out, err
	}
	return row, out, err
}

// maxLogoutToken is the longest logout token that is looked at, in bytes.
const maxLogoutToken = 16 << 10

// issuerOf reads what a token says its issuer is. Nothing is checked yet.
func issuerOf(token string) string {
	parts := strings.Split(token, ".")
	if len(token) > maxLogoutToken || len(parts) != 3 {
		return ""
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(raw, &claims) != nil {
		return ""
	}
	return claims.Issuer
}
