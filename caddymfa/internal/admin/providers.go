package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Why a provider cannot be saved.
var (
	// ErrSettings means that the settings make no sense; its text says which.
	ErrSettings = errors.New("settings that cannot be used")
	// ErrSecretAgain means that the secret was given to one issuer and is not
	// handed to another: whoever could change the address could have it sent to
	// themselves.
	ErrSecretAgain = errors.New("the secret must be given again with a new issuer")
	// ErrProviderName means that people could not read it.
	ErrProviderName = errors.New("expected a name of 1 to 200 characters that can be shown")
	// ErrProviderMany means that the account has MaxProviders already.
	ErrProviderMany = errors.New("too many identity providers")
)

// MaxProviders is how many identity providers one account may link.
const MaxProviders = 20

// KindOIDC is the kind of provider that administrators connect by themselves.
// What else there is (a directory in the operator's network) is connected by the
// operator.
const KindOIDC = "oidc"

// OIDC is what an account says about its OpenID Connect provider, under the names
// that the kind's settings have.
type OIDC struct {
	Issuer                      string   `json:"issuer"`
	ClientID                    string   `json:"client_id"`
	ClientSecret                string   `json:"client_secret,omitempty"`
	Tenants                     []string `json:"tenants,omitempty"`
	Scopes                      []string `json:"scopes,omitempty"`
	ACRValues                   []string `json:"acr_values,omitempty"`
	MaxAge                      Period   `json:"max_age,omitzero"`
	Prompt                      string   `json:"prompt,omitempty"`
	MFAACRValues                []string `json:"mfa_acr_values,omitempty"`
	EmailClaim                  string   `json:"email_claim,omitempty"`
	EmailVerifiedClaim          string   `json:"email_verified_claim,omitempty"`
	InsecureAssumeEmailVerified bool     `json:"insecure_assume_email_verified,omitempty"`
	NameClaim                   string   `json:"name_claim,omitempty"`
	GroupsClaim                 string   `json:"groups_claim,omitempty"`
}

// Period is a duration that JSON spells as Caddy's configuration does ("15m").
type Period time.Duration

// MarshalText spells it.
func (p Period) MarshalText() ([]byte, error) { return []byte(time.Duration(p).String()), nil }

// UnmarshalText reads it.
func (p *Period) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*p = Period(d)
	return err
}

// Provider is an identity provider as its account's administrators see it: with
// everything but the secret, of which only is said that there is one.
type Provider struct {
	storage.IdentityProvider
	OIDC   OIDC // of the kind KindOIDC; ClientSecret is empty
	Secret bool // there is a client secret
	Join   bool // people become members by signing in through it
}

// ProviderForm is what an administrator says about a provider.
type ProviderForm struct {
	ID      string // empty: a new one
	Version int64  // the one that the administrator saw; 0 with a new one
	Name    string
	Join    bool
	OIDC    OIDC // an empty ClientSecret keeps the one there is
	// Public says that there is no client secret, and forgets one that was.
	Public bool
}

// Providers lists an account's identity providers by name.
func (s *Service) Providers(ctx context.Context, account string) ([]Provider, error) {
	rows, err := s.Store.ProvidersOf(ctx, account)
	if err != nil {
		return nil, err
	}
	list := make([]Provider, len(rows))
	for i, row := range rows {
		if list[i], _, err = s.seen(row); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Provider returns one of an account's identity providers.
func (s *Service) Provider(ctx context.Context, account, id string) (Provider, error) {
	row, err := s.Store.Provider(ctx, id)
	if err == nil && row.Account != account { // another account's is none
		err = storage.ErrNotFound
	}
	if err != nil {
		return Provider{}, fmt.Errorf("identity provider %q: %w", id, err)
	}
	p, _, err := s.seen(row)
	return p, err
}

// seen takes the secret out of a row, and returns it beside.
func (s *Service) seen(row storage.IdentityProvider) (Provider, string, error) {
	linking, err := s.Login.Companies.Unseal(row)
	if err != nil {
		return Provider{}, "", err
	}
	p := Provider{IdentityProvider: row, Join: linking.Join}
	p.Settings = nil
	if row.Kind != KindOIDC {
		return p, "", nil
	}
	if err := json.Unmarshal(linking.Source, &p.OIDC); err != nil {
		return Provider{}, "", fmt.Errorf("reading the settings of identity provider %q: %w", row.ID, err)
	}
	secret := p.OIDC.ClientSecret
	p.Secret, p.OIDC.ClientSecret = secret != "", ""
	return p, secret, nil
}

// SaveProvider connects a provider, or changes one. Nothing is asked of it; that
// is what the test sign-in is for, and a change of settings voids the last one.
func (s *Service) SaveProvider(ctx context.Context, by Actor, f ProviderForm) (Provider, error) {
	if !readable(f.Name) {
		return Provider{}, ErrProviderName
	}
	if f.ID == "" {
		return s.addProvider(ctx, by, f)
	}
	changed := false
	row, err := s.changeProvider(ctx, by, f.ID, f.Version, func(row *storage.IdentityProvider) error {
		if row.Kind != KindOIDC {
			return errDeclared
		}
		was, secret, err := s.seen(*row)
		if err != nil {
			return err
		}
		if f.OIDC.ClientSecret == "" && !f.Public {
			if was.Secret && f.OIDC.Issuer != was.OIDC.Issuer {
				return ErrSecretAgain
			}
			f.OIDC.ClientSecret = secret
		}
		linking, issuer, err := s.linking(f)
		if err != nil {
			return err
		}
		former, err := s.Login.Companies.Unseal(*row)
		if err != nil {
			return err
		}
		linking.Admins = former.Admins // which the operator alone may name
		changed = former.Join != linking.Join || string(former.Source) != string(linking.Source)
		row.Name, row.Issuer = f.Name, issuer
		if !changed {
			return nil
		}
		row.Tested, row.TestedBy = time.Time{}, ""
		row.Settings, err = s.Login.Companies.Seal(row.ID, linking)
		return err
	})
	if err != nil {
		return Provider{}, err
	}
	e := storage.Event{Outcome: "ok", Action: "change_provider", Detail: f.Name + " (" + row.ID + ")"}
	if !changed {
		e.Reason = "name"
	}
	s.record(ctx, by, e)
	p, _, err := s.seen(row)
	return p, err
}

// readable reports whether people could read a name.
func readable(name string) bool {
	return name != "" && utf8.RuneCountInString(name) <= 200 && utf8.ValidString(name) &&
		!strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}

func (s *Service) addProvider(ctx context.Context, by Actor, f ProviderForm) (Provider, error) {
	linking, _, err := s.linking(f)
	if err != nil {
		return Provider{}, err
	}
	return s.ConnectProvider(ctx, by, Connection{Kind: KindOIDC, Name: f.Name, Trust: mfa.Precedence, Linking: linking})
}

// Connection is a provider of any kind that is built in, with its settings as
// they are. What of it an account's own administrators may say is a ProviderForm.
type Connection struct {
	Kind    string
	Name    string
	Trust   mfa.Trust
	Linking login.Linking
}

// ConnectProvider connects a provider. Nothing is asked of it.
func (s *Service) ConnectProvider(ctx context.Context, by Actor, c Connection) (Provider, error) {
	if !readable(c.Name) {
		return Provider{}, ErrProviderName
	}
	rows, err := s.Store.ProvidersOf(ctx, by.Account)
	if err != nil {
		return Provider{}, err
	}
	if len(rows) >= MaxProviders {
		return Provider{}, fmt.Errorf("%w: at most %d", ErrProviderMany, MaxProviders)
	}
	issuer, err := s.Login.Companies.Check(c.Kind, c.Linking)
	if err != nil {
		return Provider{}, &settingsError{err}
	}
	row := storage.IdentityProvider{
		ID: session.NewID(), Account: by.Account, Kind: c.Kind, Name: c.Name, Issuer: issuer, Trust: c.Trust,
		Created: s.Now(), Changed: s.Now(), ChangedBy: by.User,
	}
	if row.Settings, err = s.Login.Companies.Seal(row.ID, c.Linking); err != nil {
		return Provider{}, err
	}
	if err := s.Store.PutProvider(ctx, row); err != nil {
		return Provider{}, err
	}
	s.record(ctx, by, storage.Event{Outcome: "ok", Action: "add_provider", Detail: c.Name + " (" + row.ID + ")"})
	return s.Provider(ctx, by.Account, row.ID)
}

// linking makes the settings of a row from a form, if its kind can use them.
func (s *Service) linking(f ProviderForm) (login.Linking, string, error) {
	raw, err := json.Marshal(f.OIDC)
	if err != nil {
		return login.Linking{}, "", fmt.Errorf("encoding the settings: %w", err)
	}
	l := login.Linking{Join: f.Join, Source: raw}
	issuer, err := s.Login.Companies.Check(KindOIDC, l)
	if err != nil {
		return l, "", &settingsError{err}
	}
	return l, issuer, nil
}

// settingsError is what a kind of provider says about settings that make no
// sense; it is ErrSettings, too.
type settingsError struct{ err error }

func (e *settingsError) Error() string   { return e.err.Error() }
func (e *settingsError) Unwrap() []error { return []error{ErrSettings, e.err} }

// Connects reports whether administrators can connect a provider by themselves.
func (s *Service) Connects() bool {
	return s.Login.Companies != nil && s.Login.Companies.Sources[KindOIDC] != nil
}

// SwitchProvider disables a provider, or enables it again. Who came in through a
// disabled one is under the account's policy from the next request on, and its
// domains are no longer enforced.
func (s *Service) SwitchProvider(ctx context.Context, by Actor, id string, version int64, disabled bool) error {
	row, err := s.changeProvider(ctx, by, id, version, func(row *storage.IdentityProvider) error {
		row.Disabled = disabled
		return nil
	})
	if err != nil {
		return err
	}
	action := "enable_provider"
	if disabled {
		action = "disable_provider"
	}
	s.record(ctx, by, storage.Event{Outcome: "ok", Action: action, Detail: row.Name + " (" + id + ")"})
	return nil
}

// RemoveProvider ends a provider for good, its settings and its secret included.
func (s *Service) RemoveProvider(ctx context.Context, by Actor, id string, version int64) error {
	// Disabled first, so that of two administrators one is told.
	row, err := s.changeProvider(ctx, by, id, version, func(row *storage.IdentityProvider) error {
		row.Disabled = true
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.Store.RemoveProvider(ctx, by.Account, id); err != nil {
		return err
	}
	s.record(ctx, by, storage.Event{Outcome: "ok", Action: "remove_provider", Detail: row.Name + " (" + id + ")"})
	return nil
}

// changeProvider lets change edit the version of a provider that the caller saw.
func (s *Service) changeProvider(ctx context.Context, by Actor, id string, version int64, change func(*storage.IdentityProvider) error) (storage.IdentityProvider, error) {
	return s.Store.UpdateProvider(ctx, id, func(row *storage.IdentityProvider) error {
		switch {
		case row.Account != by.Account: // another account's is none
			return fmt.Errorf("identity provider %q: %w", id, storage.ErrNotFound)
		case row.Origin == storage.FromConfig:
			return errDeclared
		case row.Version != version:
			return &Conflict{By: row.ChangedBy, At: row.Changed}
		}
		if err := change(row); err != nil {
			return err
		}
		row.Changed, row.ChangedBy = s.Now(), by.User
		return nil
	})
}
