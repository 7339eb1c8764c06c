package web

import (
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// crew holds one of the account's people of each standing.
func crew() []PersonRow {
	row := func(id, name string, c storage.Coverage, change func(*PersonRow)) PersonRow {
		p := PersonRow{Member: admin.Member{Rostered: storage.Rostered{
			Membership: storage.Membership{Account: "acme", User: id, Role: mfa.RoleMember, State: mfa.Joined, Created: moment},
			Coverage:   c, Email: id + "@acme.example", Name: name, Alone: true, SignedIn: moment,
		}}}
		if change != nil {
			change(&p)
		}
		return p
	}
	return []PersonRow{
		row("ana", "Ana Almeida", storage.CoverageEnrolled, func(p *PersonRow) {
			p.Role, p.Self = mfa.RoleAdmin, true
			p.Enrolled, p.Since, p.Used = mfa.KindsOf(mfa.TOTP, mfa.WebAuthn, mfa.Recovery), moment.AddDate(0, -3, 0), moment
		}),
		row("bernhard.von.und.zu.hohenfels", "Bernhard Freiherr von und zu Hohenfels-Lilienstein", storage.CoverageEnrolled, func(p *PersonRow) {
			p.Role, p.Enrolled, p.Since, p.Alone = mfa.RoleAdmin, mfa.KindsOf(mfa.TOTP), moment, false
		}),
		row("carl", "", storage.CoverageMissing, func(p *PersonRow) { p.Overdue, p.SignedIn = true, time.Time{} }),
		row("dora", "Dora", storage.CoverageProvider, func(p *PersonRow) {
			p.Provider, p.ProviderName, p.ProviderAMR, p.ProviderACR = "p1", "Acme Entra ID", "pwd mfa", "urn:example:high"
		}),
		row("eve", "Eve", storage.CoverageProvider, func(p *PersonRow) { p.Provider, p.Origin = "p2", storage.FromConfig }),
		row("fay", "", storage.CoverageInvited, func(p *PersonRow) { p.State = mfa.Invited }),
		row("gus", "Gus", storage.CoverageOff, nil),
	}
}

// adoption is a year in which an account caught up.
func adoption() Chart {
	var days []storage.Adoption
	for month := range 12 {
		days = append(days, storage.Adoption{Day: moment.AddDate(0, month-12, 0).Truncate(24 * time.Hour), Counts: map[storage.Coverage]int{
			storage.CoverageEnrolled: 5 * month, storage.CoverageProvider: 20, storage.CoverageMissing: 60 - 4*month, storage.CoverageInvited: 3,
		}})
	}
	return Chart{append(days, storage.Adoption{Day: moment.Truncate(24 * time.Hour), Counts: days[11].Counts})}
}

// peopleSamples holds the pages about people.
func peopleSamples() []sample {
	list := AdminPeople{Chrome: chromeOf(), People: crew(), Next: "gus@acme.example", Chart: adoption(), Standing: admin.Standing{
		Mode: mfa.Required, People: 98, Overdue: 16, Of: map[storage.Coverage]int{
			storage.CoverageEnrolled: 55, storage.CoverageProvider: 20, storage.CoverageMissing: 16, storage.CoverageInvited: 5, storage.CoverageOff: 2,
		}}}
	invite := AdminInvite{Chrome: chromeOf(), Mail: true}
	invited := AdminInvited{Chrome: chromeOf(), Page: "https://portal.example.com/.mfa/invitation",
		Invited: admin.Invited{User: "u2", Email: "fay@acme.example", Mailed: true, Expires: moment}}
	all := []sample{
		{"people", list},
		{"people-overdue", with(list, func(v *AdminPeople) {
			v.Only, v.Search, v.Later, v.Next, v.People = "overdue", "carl", true, "", v.People[2:3]
		})},
		{"people-none", AdminPeople{Chrome: chromeOf(), Search: "nobody", Chart: Chart{adoption().Days[:1]}}},
		{"invite", invite},
		{"invite-known", with(invite, func(v *AdminInvite) {
			v.Email, v.Admin, v.Mail, v.Known, v.Problem = "ana@acme.example", true, false, "ana", say("invite.problem.member")
		})},
		{"invited", invited},
		{"invited-code", with(invited, func(v *AdminInvited) { v.Invited.Mailed, v.Invited.Code = false, "N6GYZQ3VYK4J2X7B5WPTCAMDHEN6GYZQ" })},
		{"joining", Joining{Chrome: visitor()}},
		{"joining-wait", Joining{Chrome: visitor(), Problem: ProblemWait(time.Minute)}},
		{"joining-new", Joining{Chrome: visitor(), Ticket: "N6GYZQ3VYK4J2X7B", Inviting: "Acme Distribution", Whom: "fay@acme.example", Choosing: true, MinLength: 12}},
		{"joining-member", Joining{Chrome: chromeOf(), Ticket: "N6GYZQ3VYK4J2X7B", Inviting: "Acme Distribution", Whom: "ana@acme.example"}},
	}
	for _, p := range crew() {
		all = append(all, sample{"person-" + p.User[:3], AdminPerson{Chrome: chromeOf(), Person: p}})
	}
	return all
}
