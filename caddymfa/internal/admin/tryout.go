package admin

import (
	"cmp"
	"context"
	"errors"
	"net/url"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Tested reports whether a provider was seen to work with the settings it has.
// What the configuration declares is the operator's word.
func Tested(p storage.IdentityProvider) bool {
	return !p.Tested.IsZero() || p.Origin == storage.FromConfig
}

// Trial is what came of a test sign-in.
type Trial struct {
	Passed bool
	Reason string // why not: a stable code; empty: the provider could not be asked
	Who    identity.Identity
}

// TestProvider takes what came back from a provider that an administrator was
// sent to as a test. It passes if the provider's word would be taken for a
// sign-in; nobody is signed in by it.
func (s *Service) TestProvider(ctx context.Context, by Actor, asked login.Asked, callback url.Values) (Trial, error) {
	p, err := s.Provider(ctx, by.Account, asked.Provider)
	if err != nil {
		return Trial{}, err
	}
	who, err := s.Login.TryCompany(ctx, asked, callback)
	return s.conclude(ctx, by, p, asked.Test, who, err)
}

// TestDirectory asks a provider that takes passwords about somebody's, and is a
// test as TestProvider is.
func (s *Service) TestDirectory(ctx context.Context, by Actor, id, name, password string) (Trial, error) {
	p, err := s.Provider(ctx, by.Account, id)
	if err != nil {
		return Trial{}, err
	}
	who, err := s.Login.TryDirectory(ctx, id, name, password)
	return s.conclude(ctx, by, p, p.Version, who, err)
}

// conclude notes and records what came of a test of one version of a provider.
func (s *Service) conclude(ctx context.Context, by Actor, p Provider, version int64, who identity.Identity, err error) (Trial, error) {
	trial := Trial{Who: who}
	var refusal *identity.Refusal
	switch {
	case errors.As(err, &refusal):
		trial.Reason = refusal.Reason
	case err == nil:
		trial.Passed, trial.Reason, err = s.tested(ctx, by, p.ID, version)
		if err != nil {
			return Trial{}, err
		}
	case !errors.Is(err, identity.ErrUnavailable):
		return Trial{}, err
	}
	e := storage.Event{Action: "test_provider", Outcome: "ok", Detail: p.Name + " (" + p.ID + ")"}
	if !trial.Passed {
		e.Outcome, e.Reason = "refused", cmp.Or(trial.Reason, "provider_unavailable")
	}
	s.record(ctx, by, e)
	return trial, nil
}

// tested notes that a test passed, unless the settings are others by now.
func (s *Service) tested(ctx context.Context, by Actor, id string, version int64) (passed bool, reason string, err error) {
	changed := errors.New("changed")
	_, err = s.Store.UpdateProvider(ctx, id, func(row *storage.IdentityProvider) error {
		if row.Version != version || row.Account != by.Account {
			return changed
		}
		row.Tested, row.TestedBy = s.Now(), by.User
		return nil
	})
	if errors.Is(err, changed) {
		return false, "changed_meanwhile", nil
	}
	return err == nil, "", err
}
