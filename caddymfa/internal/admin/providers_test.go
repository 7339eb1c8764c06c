package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/identity"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/mail"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// company is a kind of identity provider that says what the test wants.
type company struct {
	who identity.Identity
	err error
}

func (*company) Kind() string { return KindOIDC }

func (*company) Check(settings []byte) (string, error) {
	var s struct{ Issuer string }
	if err := json.Unmarshal(settings, &s); err != nil {
		return "", err
	}
	if !strings.HasPrefix(s.Issuer, "https://") {
		return "", errors.New("issuer: expected https://")
	}
	return s.Issuer, nil
}

func (c *company) Open(context.Context, []byte) (identity.Provider, error) { return c, nil }

func (*company) Close() error { return nil }

func (c *company) Begin(context.Context, identity.Request) (identity.Begun, error) {
	return identity.Begun{URL: "https://login.acme.example/", State: session.NewID(), Secret: []byte("secret")}, nil
}

func (c *company) Finish(context.Context, []byte, url.Values) (identity.Identity, error) {
	return c.who, c.err
}

// newCompanies is newClaims with a company's identity provider.
func newCompanies(t *testing.T) (*claims, *company) {
	t.Helper()
	c := newClaims(t)
	theirs := new(company)
	l := c.Login
	l.Limiter = &limit.Limiter{Store: c.Store, Now: l.Now, MAC: l.Box.MAC}
	l.Companies = &login.Companies{Store: c.Store, Box: l.Box, Sources: map[string]identity.Source{KindOIDC: theirs}}
	t.Cleanup(func() { l.Companies.Close() })
	return c, theirs
}

func form() ProviderForm {
	return ProviderForm{Name: "Acme sign-in", OIDC: OIDC{Issuer: "https://login.acme.example", ClientID: "portal", ClientSecret: "s3cret"}}
}

func (c *claims) connect(t *testing.T) Provider {
	t.Helper()
	p, err := c.SaveProvider(t.Context(), ana, form())
	must(t, err)
	return p
}

// try has an administrator test a provider.
func (c *claims) try(t *testing.T, by Actor, p Provider) (Trial, error) {
	t.Helper()
	_, asked, err := c.Login.AskCompany(t.Context(), login.Ask{Provider: p.ID, Test: p.Version})
	must(t, err)
	return c.TestProvider(t.Context(), by, asked, url.Values{"state": {asked.State}})
}

// person adds somebody to an account.
func (c *claims) person(t *testing.T, account, email, hash string, role mfa.Role) storage.User {
	t.Helper()
	u := storage.User{ID: email, Email: email, PasswordHash: hash, Created: c.at}
	if err := c.Store.CreateUser(t.Context(), u); !errors.Is(err, storage.ErrExists) {
		must(t, err)
	}
	must(t, c.Store.PutMembership(t.Context(), storage.Membership{Account: account, User: u.ID, Role: role, State: mfa.Joined, Created: c.at}))
	return u
}

// keeper adds an administrator who gets in by themselves.
func (c *claims) keeper(t *testing.T, email string) {
	t.Helper()
	u := c.person(t, "acme", email, "hash", mfa.RoleAdmin)
	must(t, c.Store.CreateFactor(t.Context(), storage.Factor{ID: session.NewID(), User: u.ID, Kind: mfa.TOTP, State: []byte("sealed"), Created: c.at}, 9))
}

func TestTheSecretIsKeptSealedAndNeverShown(t *testing.T) {
	c, _ := newCompanies(t)
	p := c.connect(t)
	if !p.Secret || p.OIDC.ClientSecret != "" || p.Settings != nil || p.Issuer != "https://login.acme.example" || p.OIDC.ClientID != "portal" || Tested(p.IdentityProvider) {
		t.Errorf("shows %+v", p)
	}
	row, err := c.Store.Provider(t.Context(), p.ID)
	must(t, err)
	if strings.Contains(string(row.Settings), "s3cret") {
		t.Error("the secret is stored in the clear")
	}
	for _, e := range c.events {
		if strings.Contains(e.Detail, "s3cret") {
			t.Errorf("recorded %+v", e)
		}
	}
	secret := func() string {
		row, err := c.Store.Provider(t.Context(), p.ID)
		must(t, err)
		_, secret, err := c.seen(row)
		must(t, err)
		return secret
	}
	f := form()
	f.ID, f.Version, f.OIDC.ClientSecret, f.OIDC.ClientID = p.ID, p.Version, "", "other"
	p, err = c.SaveProvider(t.Context(), ana, f)
	must(t, err)
	if secret() != "s3cret" || p.OIDC.ClientID != "other" {
		t.Errorf("an empty field made it %q", secret())
	}
	// Whoever could change the address would have the secret sent to themselves.
	f.Version, f.OIDC.Issuer = p.Version, "https://evil.example"
	if _, err := c.SaveProvider(t.Context(), ana, f); !errors.Is(err, ErrSecretAgain) {
		t.Errorf("a new issuer with the former secret: %v", err)
	}
	f.OIDC.ClientSecret = "n3w"
	p, err = c.SaveProvider(t.Context(), ana, f)
	must(t, err)
	if secret() != "n3w" {
		t.Errorf("the secret is %q", secret())
	}
	f.Version, f.OIDC.ClientSecret, f.Public = p.Version, "", true
	p, err = c.SaveProvider(t.Context(), ana, f)
	must(t, err)
	if secret() != "" || p.Secret {
		t.Errorf("a public client has the secret %q", secret())
	}
}

func TestSettingsThatMakeNoSenseChangeNothing(t *testing.T) {
	c, _ := newCompanies(t)
	p := c.connect(t)
	for name, change := range map[string]func(*ProviderForm){
		"settings":                       func(f *ProviderForm) { f.OIDC.Issuer, f.OIDC.ClientSecret = "http://login.acme.example", "x" },
		"no name":                        func(f *ProviderForm) { f.Name = "" },
		"a name too long":                func(f *ProviderForm) { f.Name = strings.Repeat("x", 201) },
		"a name that cannot be shown":    func(f *ProviderForm) { f.Name = "a\x1bb" },
		"another version":                func(f *ProviderForm) { f.Version++ },
		"another account's":              func(f *ProviderForm) { f.ID = "elsewhere" },
		"a new one with no sense either": func(f *ProviderForm) { f.ID, f.Version, f.OIDC.Issuer = "", 0, "ftp://x" },
	} {
		f := form()
		f.ID, f.Version, f.OIDC.ClientSecret = p.ID, p.Version, ""
		change(&f)
		_, err := c.SaveProvider(t.Context(), ana, f)
		want := map[string]error{"another version": storage.ErrConflict, "another account's": storage.ErrNotFound, "settings": ErrSettings, "a new one with no sense either": ErrSettings}[name]
		if want == nil {
			want = ErrProviderName
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	list, err := c.Providers(t.Context(), "acme")
	if err != nil || len(list) != 1 || list[0].Version != p.Version {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestATestCountsIfASignInWouldBeTaken(t *testing.T) {
	c, theirs := newCompanies(t)
	p := c.connect(t)
	good := identity.Identity{Issuer: "https://login.acme.example", Subject: "s", Email: "Ana@Acme.example", EmailVerified: true}
	c.verified(t, ana, "acme.example")
	c.claim(t, ana, "claimed.example")
	c.verified(t, Actor{Account: "other", User: "eve"}, "other.example")
	refused := &identity.Refusal{Reason: "nonce_mismatch"}
	for name, test := range map[string]struct {
		change func(*identity.Identity)
		err    error
		reason string
	}{
		"no subject":               {func(i *identity.Identity) { i.Subject = "" }, nil, "subject_missing"},
		"another issuer":           {func(i *identity.Identity) { i.Issuer = "https://evil.example" }, nil, "issuer_mismatch"},
		"no address":               {func(i *identity.Identity) { i.Email = "" }, nil, "email_missing"},
		"two at signs":             {func(i *identity.Identity) { i.Email = "a@evil.example@acme.example" }, nil, "email_malformed"},
		"an unverified address":    {func(i *identity.Identity) { i.EmailVerified = false }, nil, "email_unverified"},
		"a domain not proven":      {func(i *identity.Identity) { i.Email = "a@claimed.example" }, nil, "email_of_another_domain"},
		"another account's domain": {func(i *identity.Identity) { i.Email = "a@other.example" }, nil, "email_of_another_domain"},
		"refused":                  {func(*identity.Identity) {}, refused, "nonce_mismatch"},
		"unavailable":              {func(*identity.Identity) {}, identity.ErrUnavailable, ""},
	} {
		theirs.who, theirs.err = good, test.err
		test.change(&theirs.who)
		trial, err := c.try(t, ana, p)
		if err != nil || trial.Passed || trial.Reason != test.reason {
			t.Errorf("%s: %+v, %v", name, trial, err)
		}
		if now, err := c.Provider(t.Context(), "acme", p.ID); err != nil || Tested(now.IdentityProvider) {
			t.Errorf("%s: counts as tested: %v", name, err)
		}
	}
	theirs.who, theirs.err = good, nil
	trial, err := c.try(t, ana, p)
	if err != nil || !trial.Passed || trial.Who.Email != good.Email {
		t.Fatalf("%+v, %v", trial, err)
	}
	p, err = c.Provider(t.Context(), "acme", p.ID)
	if err != nil || !p.Tested.Equal(c.at) || p.TestedBy != "ana" {
		t.Errorf("%+v, %v", p, err)
	}
	if sessions, err := c.Store.SessionsOf(t.Context(), "ana", c.at); err != nil || len(sessions) != 0 {
		t.Errorf("a test made sessions %v, %v", sessions, err)
	}
	// A name changes nothing about it; the settings do.
	f := form()
	f.ID, f.Version, f.Name, f.OIDC.ClientSecret = p.ID, p.Version, "Another name", ""
	p, err = c.SaveProvider(t.Context(), ana, f)
	if err != nil || !Tested(p.IdentityProvider) {
		t.Errorf("a new name voids the test: %+v, %v", p, err)
	}
	f.Version, f.OIDC.Scopes = p.Version, []string{"email"}
	p, err = c.SaveProvider(t.Context(), ana, f)
	if err != nil || Tested(p.IdentityProvider) || p.TestedBy != "" {
		t.Errorf("new settings keep the test: %+v, %v", p, err)
	}
}

func TestATestIsForTheSettingsItBeganWith(t *testing.T) {
	c, theirs := newCompanies(t)
	p := c.connect(t)
	c.verified(t, ana, "acme.example")
	theirs.who = identity.Identity{Issuer: "https://login.acme.example", Subject: "s", Email: "ana@acme.example", EmailVerified: true}
	_, asked, err := c.Login.AskCompany(t.Context(), login.Ask{Provider: p.ID, Test: p.Version})
	must(t, err)
	f := form()
	f.ID, f.Version, f.OIDC.ClientID = p.ID, p.Version, "other"
	_, err = c.SaveProvider(t.Context(), ana, f)
	must(t, err)
	back := url.Values{"state": {asked.State}}
	// Nor can a test be turned into a sign-in, or be of another account.
	if _, err := c.Login.AnswerCompany(t.Context(), login.Client{}, asked, back, nil); !errors.Is(err, login.ErrStartAgain) {
		t.Errorf("a test signed in: %v", err)
	}
	if _, err := c.TestProvider(t.Context(), Actor{Account: "other", User: "eve"}, asked, back); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("another account's test: %v", err)
	}
	trial, err := c.TestProvider(t.Context(), ana, asked, back)
	if err != nil || trial.Passed || trial.Reason != "changed_meanwhile" {
		t.Errorf("%+v, %v", trial, err)
	}
	if _, err := c.TestProvider(t.Context(), ana, asked, back); !errors.Is(err, login.ErrStartAgain) {
		t.Errorf("the same answer again: %v", err)
	}
}

func TestAnotherAccountsProviderIsNone(t *testing.T) {
	c, _ := newCompanies(t)
	p := c.connect(t)
	eve := Actor{Account: "other", User: "eve"}
	_, seen := c.Provider(t.Context(), "other", p.ID)
	f := form()
	f.ID, f.Version = p.ID, p.Version
	_, saved := c.SaveProvider(t.Context(), eve, f)
	c.verified(t, eve, "other.example")
	d, err := c.Domain(t.Context(), "other", "other.example")
	must(t, err)
	_, linked := c.LinkDomain(t.Context(), eve, d.Name, d.Version, p.ID)
	for name, err := range map[string]error{
		"seen": seen, "saved": saved, "linked": linked,
		"switched": c.SwitchProvider(t.Context(), eve, p.ID, p.Version, true),
		"removed":  c.RemoveProvider(t.Context(), eve, p.ID, p.Version),
	} {
		if !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// ready is acme with everything that enforcing acme.example needs.
func ready(t *testing.T) (*claims, Provider, storage.Domain) {
	t.Helper()
	c, theirs := newCompanies(t)
	p := c.connect(t)
	d := c.verified(t, ana, "acme.example")
	theirs.who = identity.Identity{Issuer: "https://login.acme.example", Subject: "s", Email: "ana@acme.example", EmailVerified: true}
	trial, err := c.try(t, ana, p)
	if err != nil || !trial.Passed {
		t.Fatalf("%+v, %v", trial, err)
	}
	d, err = c.LinkDomain(t.Context(), ana, d.Name, d.Version, p.ID)
	must(t, err)
	c.keeper(t, "keeper@partner.example")
	p, err = c.Provider(t.Context(), "acme", p.ID)
	must(t, err)
	return c, p, d
}

func TestEnforcingNeedsEverything(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*testing.T, *claims, Provider)
		left  Readiness
	}{
		"nothing missing": {func(*testing.T, *claims, Provider) {}, Readiness{Verified: true, Linked: true, Tested: true, Keepers: []storage.User{{}}}},
		"not proven": {func(t *testing.T, c *claims, _ Provider) {
			_, err := c.Store.UpdateDomain(t.Context(), "acme", "acme.example", func(d *storage.Domain) error { d.Verified = false; return nil })
			must(t, err)
		}, Readiness{Linked: true, Tested: true, Keepers: []storage.User{{}}}},
		"a provider switched off": {func(t *testing.T, c *claims, p Provider) {
			must(t, c.SwitchProvider(t.Context(), ana, p.ID, p.Version, true))
		}, Readiness{Verified: true, Keepers: []storage.User{{}}}},
		"settings not tested": {func(t *testing.T, c *claims, p Provider) {
			f := form()
			f.ID, f.Version, f.OIDC.ClientSecret = p.ID, p.Version, "new"
			_, err := c.SaveProvider(t.Context(), ana, f)
			must(t, err)
		}, Readiness{Verified: true, Linked: true, Keepers: []storage.User{{}}}},
		"a keeper without a password": {func(t *testing.T, c *claims, _ Provider) {
			_, err := c.Store.UpdateUser(t.Context(), "keeper@partner.example", func(u *storage.User) error { u.PasswordHash = ""; return nil })
			must(t, err)
		}, Readiness{Verified: true, Linked: true, Tested: true}},
		"a keeper without a second factor": {func(t *testing.T, c *claims, _ Provider) {
			_, err := c.Store.RemoveFactorsOf(t.Context(), "keeper@partner.example")
			must(t, err)
		}, Readiness{Verified: true, Linked: true, Tested: true}},
		"a keeper whose factor does not count": {func(t *testing.T, c *claims, _ Provider) {
			_, err := c.Store.UpdateAccount(t.Context(), "acme", func(a *storage.Account) error { a.Accept = mfa.Kinds(mfa.WebAuthn); return nil })
			must(t, err)
		}, Readiness{Verified: true, Linked: true, Tested: true}},
		"a keeper of the very domain": {func(t *testing.T, c *claims, _ Provider) {
			_, err := c.Store.UpdateUser(t.Context(), "keeper@partner.example", func(u *storage.User) error { u.Email = "keeper@acme.example"; return nil })
			must(t, err)
		}, Readiness{Verified: true, Linked: true, Tested: true}},
		"a keeper whose password another account refuses": {func(t *testing.T, c *claims, _ Provider) {
			must(t, c.Store.PutProvider(t.Context(), storage.IdentityProvider{ID: "theirs", Account: "other", Kind: KindOIDC, Trust: mfa.Precedence, Created: c.at}))
			must(t, c.Store.PutDomain(t.Context(), storage.Domain{Account: "other", Name: "partner.example", Verified: true, Enforce: true, Provider: "theirs", Created: c.at}))
		}, Readiness{Verified: true, Linked: true, Tested: true}},
		"a keeper who is no administrator": {func(t *testing.T, c *claims, _ Provider) {
			c.person(t, "acme", "keeper@partner.example", "", mfa.RoleMember)
		}, Readiness{Verified: true, Linked: true, Tested: true}},
	} {
		t.Run(name, func(t *testing.T) {
			c, p, _ := ready(t)
			test.spoil(t, c, p)
			d, err := c.Domain(t.Context(), "acme", "acme.example")
			must(t, err)
			got, err := c.Ready(t.Context(), d)
			must(t, err)
			if got.Verified != test.left.Verified || got.Linked != test.left.Linked || got.Tested != test.left.Tested || len(got.Keepers) != len(test.left.Keepers) {
				t.Errorf("ready: %+v, want %+v", got, test.left)
			}
			d, err = c.EnforceDomain(t.Context(), ana, d.Name, d.Version, true)
			if test.left.OK() != (err == nil) || err != nil && !errors.Is(err, ErrNotReady) {
				t.Errorf("enforced %v, %v", d.Enforce, err)
			}
		})
	}
}

func TestWhatIsEnforcedStaysUntilItIsTurnedOff(t *testing.T) {
	c, p, d := ready(t)
	d, err := c.EnforceDomain(t.Context(), ana, d.Name, d.Version, true)
	must(t, err)
	if _, err := c.LinkDomain(t.Context(), ana, d.Name, d.Version, ""); !errors.Is(err, ErrNotReady) {
		t.Errorf("led elsewhere while enforced: %v", err)
	}
	if _, err := c.EnforceDomain(t.Context(), ana, d.Name, d.Version-1, false); !errors.Is(err, storage.ErrConflict) {
		t.Errorf("freed by a former version: %v", err)
	}
	must(t, c.SwitchProvider(t.Context(), ana, p.ID, p.Version, true))
	if d, err = c.Domain(t.Context(), "acme", d.Name); err != nil || d.Enforce {
		t.Errorf("enforced with a provider that is off: %+v, %v", d, err)
	}
	p, err = c.Provider(t.Context(), "acme", p.ID)
	must(t, err)
	must(t, c.SwitchProvider(t.Context(), ana, p.ID, p.Version, false))
	must(t, c.RemoveProvider(t.Context(), ana, p.ID, p.Version+1))
	if d, err = c.Domain(t.Context(), "acme", d.Name); err != nil || d.Provider != "" || !d.Verified {
		t.Errorf("after the provider went: %+v, %v", d, err)
	}
}

func TestTheStrandedAreCountedAndGetAWayIn(t *testing.T) {
	c, _, d := ready(t)
	c.person(t, "acme", "a@acme.example", "", mfa.RoleMember)
	c.person(t, "acme", "b@acme.example", "", mfa.RoleMember)
	c.person(t, "other", "b@acme.example", "", mfa.RoleMember)
	c.person(t, "acme", "has@acme.example", "hash", mfa.RoleMember)
	c.person(t, "acme", "guest@partner.example", "", mfa.RoleMember)
	c.person(t, "other", "elsewhere@acme.example", "", mfa.RoleMember)
	left, err := c.Stranded(t.Context(), "acme", []string{d.Name})
	if err != nil || left.People != 2 || left.Some[0].Email != "a@acme.example" || left.Some[1].Email != "b@acme.example" {
		t.Fatalf("%+v, %v", left, err)
	}
	c.recorded()
	list, next, err := c.OfferPasswords(t.Context(), ana, []string{d.Name}, "")
	if err != nil || next != "" || len(list) != 2 || list[0].Code == "" || list[0].Elsewhere || list[1].Code != "" || !list[1].Elsewhere {
		t.Fatalf("%+v, %q, %v", list, next, err)
	}
	if got, want := c.recorded(), []string{"create_set_up ok", "create_set_up refused other_accounts"}; !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
	c.Login.Mail = mail.New(mail.Outbox{Store: c.Store, Now: c.Now})
	list, _, err = c.OfferPasswords(t.Context(), ana, []string{d.Name, "none.example"}, "a@acme.example")
	if err != nil || len(list) != 1 || !list[0].Mailed || list[0].Code != "" {
		t.Errorf("%+v, %v", list, err)
	}
	queued, err := c.Store.ClaimMail(t.Context(), c.Now(), c.Now().Add(time.Minute), 9)
	if err != nil || len(queued) != 1 || queued[0].To != "b@acme.example" || queued[0].About != mail.AboutOffer || queued[0].Account != "acme" {
		t.Errorf("queued %+v, %v", queued, err)
	}
}

func TestAPeriodIsSpeltAsTheConfigurationDoes(t *testing.T) {
	raw, err := json.Marshal(OIDC{MaxAge: Period(15 * time.Minute)})
	must(t, err)
	if !strings.Contains(string(raw), `"max_age":"15m0s"`) {
		t.Errorf("%s", raw)
	}
	var back OIDC
	must(t, json.Unmarshal(raw, &back))
	if back.MaxAge != Period(15*time.Minute) {
		t.Errorf("%v", back)
	}
}
