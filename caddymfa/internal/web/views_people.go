package web

import (
	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// PersonRow is one of the account's people.
type PersonRow struct {
	admin.Member
	Self bool // the administrator who looks
}

// Title is what the person is called.
func (p PersonRow) Title() string {
	if p.Rostered.Name == "" {
		return p.Email
	}
	return p.Rostered.Name
}

// Named reports whether the person has a name besides the address.
func (p PersonRow) Named() bool { return p.Rostered.Name != "" }

// Admin reports whether they are, or will be, an administrator.
func (p PersonRow) Admin() bool { return p.Role == mfa.RoleAdmin }

// Invited reports whether they have not joined yet.
func (p PersonRow) Invited() bool { return p.State != mfa.Joined }

// Off reports whether they were switched off.
func (p PersonRow) Off() bool { return p.Coverage == storage.CoverageOff }

// RoleText says their role.
func (p PersonRow) RoleText() Text { return AccountCard{Role: p.Role}.RoleText() }

// Kinds says what they have enrolled.
func (p PersonRow) Kinds() []Text {
	var list []Text
	if p.Enrolled.Has(mfa.TOTP) {
		list = append(list, say("kind.totp"))
	}
	if p.Enrolled.Has(mfa.WebAuthn) {
		list = append(list, say("kind.webauthn"))
	}
	return list
}

// Codes reports whether recovery codes are left.
func (p PersonRow) Codes() bool { return p.Enrolled.Has(mfa.Recovery) }

// Through says which company sign-in they last came through; nothing if none.
func (p PersonRow) Through() Text {
	switch {
	case p.Provider == "":
		return Text{}
	case p.ProviderName == "":
		return say("people.throughgone")
	}
	return say("people.through", "provider", p.ProviderName)
}

// Said is what that said about the sign-in.
func (p PersonRow) Said() string { return SessionRow{Proof: p.proof()}.Said() }

func (p PersonRow) proof() mfa.Proof {
	return mfa.Proof{Provider: p.Provider, ProviderAMR: p.ProviderAMR, ProviderACR: p.ProviderACR}
}

// Declared reports whether the configuration owns the membership.
func (p PersonRow) Declared() bool { return p.Origin == storage.FromConfig }

// Resettable reports whether there is something to reset, and it is this
// account's to do.
func (p PersonRow) Resettable() bool { return len(p.Kinds()) > 0 && p.Alone && !p.Self }

// PeopleFilter is a part of the people that can be shown.
type PeopleFilter struct {
	Only    string
	Text    Text
	People  int
	Counted bool
	Chosen  bool
}

// AdminPeople lists the account's people.
type AdminPeople struct {
	Chrome
	Standing admin.Standing
	Only     string
	Search   string
	People   []PersonRow
	Next     string // where the next page begins; empty: there is none
	Later    bool   // this is not the first page
	Chart    Chart
}

// Name is the view's template.
func (AdminPeople) Name() string { return "admin_people" }

// Tab marks the page in the administrators' navigation.
func (AdminPeople) Tab() string { return "people" }

// Filters lists the parts that can be shown.
func (a AdminPeople) Filters() []PeopleFilter {
	of := func(c storage.Coverage, text Text) PeopleFilter {
		return PeopleFilter{string(c), text, a.Standing.Of[c], true, false}
	}
	list := []PeopleFilter{
		{"", say("people.all"), a.Standing.People, true, false},
		of(storage.CoverageEnrolled, say("people.enrolled")),
		of(storage.CoverageProvider, say("people.provider")),
		of(storage.CoverageMissing, say("people.missing")),
		{admin.OnlyOverdue, say("people.overdue"), a.Standing.Overdue, true, false},
		of(storage.CoverageInvited, say("people.invited")),
		of(storage.CoverageOff, say("people.off")),
		{admin.OnlyAdmins, say("people.admins"), 0, false, false},
	}
	for i := range list {
		list[i].Chosen = list[i].Only == a.Only
	}
	return list
}

// AdminPerson shows one of the account's people, and what can be done.
type AdminPerson struct {
	Chrome
	Person PersonRow
}

// Name is the view's template.
func (AdminPerson) Name() string { return "admin_person" }

// Tab marks the page in the administrators' navigation.
func (AdminPerson) Tab() string { return "people" }

// OtherRole is the role that they could have instead.
func (a AdminPerson) OtherRole() string {
	if a.Person.Admin() {
		return mfa.RoleMember.String()
	}
	return mfa.RoleAdmin.String()
}

// AdminInvite invites somebody.
type AdminInvite struct {
	Chrome
	Email   string // as typed before
	Admin   bool   // the role chosen before
	Mail    bool   // a link can be mailed
	Known   string // id of the person who is here already; empty: none
	Problem Text
}

// Name is the view's template.
func (AdminInvite) Name() string { return "admin_invite" }

// Tab marks the page in the administrators' navigation.
func (AdminInvite) Tab() string { return "people" }

// AdminInvited says how somebody who was invited gets to know.
type AdminInvited struct {
	Chrome
	Invited admin.Invited
	Page    string // where a code is used
}

// Name is the view's template.
func (AdminInvited) Name() string { return "admin_invited" }

// Tab marks the page in the administrators' navigation.
func (AdminInvited) Tab() string { return "people" }

// Joining takes the code of an invitation. It stands in the link's fragment, as
// that of [SetUp] does.
type Joining struct {
	Chrome
	Ticket    string // as sent before
	Inviting  string // the account's name; empty: no code was shown yet
	Whom      string // the address that was invited
	Choosing  bool   // they have no way to sign in yet, and choose a password
	MinLength int
	Problem   Text
}

// Name is the view's template.
func (Joining) Name() string { return "joining" }
