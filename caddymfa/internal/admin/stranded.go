package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Stranded are members of an account who could not sign in any more if their
// company's identity provider did not sign them in: they have no password.
// Nothing opens for them because of that.
type Stranded struct {
	People int
	Some   []storage.User // the first of them, by domain and e-mail
}

// strandedShown is how many of the stranded are named.
const strandedShown = 20

// Stranded counts the members with an address of one of the domains and no
// password.
func (s *Service) Stranded(ctx context.Context, account string, domains []string) (Stranded, error) {
	var all Stranded
	err := s.eachStranded(ctx, account, domains, "", func(u storage.User) (bool, error) {
		all.People++
		if len(all.Some) < strandedShown {
			all.Some = append(all.Some, u)
		}
		return true, nil
	})
	return all, err
}

// strandedBatch is how many people are read at once.
const strandedBatch = 1000

// eachStranded calls do for each of them after the one with the given address,
// until it says no.
func (s *Service) eachStranded(ctx context.Context, account string, domains []string, after string, do func(storage.User) (bool, error)) error {
	for _, domain := range domains {
		if after != "" && storage.DomainOf(after) != domain {
			continue
		}
		for {
			people, err := s.Store.WithoutPassword(ctx, account, domain, after, strandedBatch)
			if err != nil {
				return err
			}
			for _, u := range people {
				if more, err := do(u); err != nil || !more {
					return err
				}
				after = u.Email
			}
			if len(people) < strandedBatch {
				break
			}
		}
		after = ""
	}
	return nil
}

// SetUp is how a person without a password gets to choose one.
type SetUp struct {
	Email  string
	Mailed bool   // a link went to their address
	Code   string // where no mail can be sent: what the administrator hands on
	// Elsewhere says that the person also belongs to other accounts: whoever
	// could choose their password would enter those, too. They get no code, and
	// the operator helps.
	Elsewhere bool
	Expires   time.Time // of the code
}

// MaxSetUps is how many people get a set-up in one go.
const MaxSetUps = 500

// OfferPasswords lets the stranded of the domains choose a password: by a link
// that is mailed to them or, where there is no mail, by a one-time code. It goes
// on after the person with the given address; next is where to go on after this,
// or empty.
func (s *Service) OfferPasswords(ctx context.Context, by Actor, domains []string, after string) (list []SetUp, next string, err error) {
	err = s.eachStranded(ctx, by.Account, domains, after, func(u storage.User) (bool, error) {
		if len(list) == MaxSetUps {
			next = list[MaxSetUps-1].Email
			return false, nil
		}
		one, err := s.offerPassword(ctx, by, u)
		if errors.Is(err, login.ErrReadOnly) { // the configuration gives them a password, or none
			return true, nil
		}
		list = append(list, one)
		return true, err
	})
	return list, next, err
}

func (s *Service) offerPassword(ctx context.Context, by Actor, u storage.User) (SetUp, error) {
	one := SetUp{Email: u.Email}
	if u.Origin == storage.FromConfig {
		return one, login.ErrReadOnly
	}
	e := storage.Event{Action: "create_set_up", Outcome: "ok", User: u.ID}
	switch {
	case s.Mails():
		if err := s.Login.OfferPassword(ctx, by.Account, u); err != nil {
			return one, fmt.Errorf("mailing a set-up link: %w", err)
		}
		one.Mailed, e.Reason = true, "mailed"
	default:
		places, err := s.Store.MembershipsOf(ctx, u.ID)
		if err != nil {
			return one, err
		}
		for _, m := range places {
			one.Elsewhere = one.Elsewhere || m.Account != by.Account
		}
		if one.Elsewhere {
			e.Outcome, e.Reason = "refused", "other_accounts"
			break
		}
		if one.Code, one.Expires, err = s.Login.CreateSetUp(ctx, u.ID); err != nil {
			return one, err
		}
	}
	s.record(ctx, by, e)
	return one, nil
}

// Mails reports whether links can be mailed.
func (s *Service) Mails() bool { return s.Login.Mail != nil }
