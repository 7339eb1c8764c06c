package web

import (
	"errors"
	"net/http"

	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// cards lists the accounts that the person may enter.
func (c *call) cards() ([]AccountCard, error) {
	places, err := c.s.Login.Places(c.r.Context(), c.sess.User)
	if err != nil {
		return nil, err
	}
	cards := make([]AccountCard, len(places))
	for i, p := range places {
		g, err := c.s.Login.Gather(c.r.Context(), c.sess, p.Account)
		if err != nil {
			return nil, err
		}
		d := mfa.Decide(g.Facts)
		cards[i] = AccountCard{
			ID: p.Account, Name: p.Name, Role: p.Role, Policy: p.Policy,
			Current:     p.Account == c.account(),
			NeedsFactor: d.Verdict == mfa.Enroll,
		}
		switch {
		case d.Verdict == mfa.SSO:
			cards[i].Provider = c.companyName(d.Provider)
		case d.Reason == mfa.ProviderPrecedence, d.Reason == mfa.ProviderVerified:
			cards[i].Provider = c.companyName(g.Facts.Proof.Provider)
		}
	}
	return cards, nil
}

// showAccounts asks which account to enter.
func (c *call) showAccounts() error {
	return c.accountsPage(http.StatusOK, false)
}

func (c *call) accountsPage(status int, forbidden bool) error {
	cards, err := c.cards()
	if err != nil {
		return err
	}
	g, err := c.gather()
	if err != nil {
		return err
	}
	v := Accounts{Chrome: c.chrome(), Return: c.returnTo(), Accounts: cards, Forbidden: forbidden}
	v.Asked = c.asked(g, v.Chrome, mfa.ChooseAccount)
	return c.show(status, v)
}

// postSwitch enters another account.
func (c *call) postSwitch() error {
	sess, err := c.s.Login.Switch(c.r.Context(), c.client(), c.sess, c.form.Get("account"))
	if errors.Is(err, login.ErrNotMember) {
		return c.accountsPage(http.StatusForbidden, true)
	}
	if err != nil {
		return err
	}
	if err := c.enter(sess); err != nil {
		return err
	}
	return c.proceed()
}

func (c *call) showProfileAccounts() error {
	if done, err := c.notViewable("/profile/accounts"); done || err != nil {
		return err
	}
	cards, err := c.cards()
	if err != nil {
		return err
	}
	return c.show(http.StatusOK, ProfileAccounts{Chrome: c.chrome(), Accounts: cards})
}
