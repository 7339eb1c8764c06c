package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// peoplePage is how many people a page lists.
const peoplePage = 50

// peopleQuery reads what a list is asked for.
func peopleQuery(ask url.Values) admin.PeopleQuery {
	q := admin.PeopleQuery{Only: ask.Get("only"), Search: ask.Get("search"), After: ask.Get("after"), Limit: peoplePage}
	if len(q.Search) > 200 {
		q.Search = ""
	}
	for _, f := range (AdminPeople{}).Filters() {
		if f.Only == q.Only {
			return q
		}
	}
	q.Only = ""
	return q
}

func (c *call) showPeople() error {
	who, done, err := c.administer(false, "/admin/people")
	if done || err != nil {
		return err
	}
	q := peopleQuery(c.r.URL.Query())
	v := AdminPeople{Chrome: c.chrome(), Only: q.Only, Search: q.Search, Later: q.After != ""}
	if v.Standing, err = c.s.Admin.Standing(c.r.Context(), who); err != nil {
		return err
	}
	list, next, err := c.s.Admin.People(c.r.Context(), who, q)
	if err != nil {
		return err
	}
	v.Next = next
	for _, m := range list {
		v.People = append(v.People, PersonRow{m, m.User == who.User})
	}
	if v.Chart.Days, err = c.s.Admin.Adoption(c.r.Context(), who, v.Standing); err != nil {
		return err
	}
	return c.show(http.StatusOK, v)
}

// personAt is the page of one person.
func personAt(id string) string { return at("/admin/people/person", "id", id) }

// person returns who a form or an address is about; done reports that the call
// was answered.
func (c *call) person(who admin.Actor, id string) (m admin.Member, done bool, err error) {
	m, err = c.s.Admin.Person(c.r.Context(), who, id)
	if errors.Is(err, storage.ErrNotFound) {
		return m, true, c.toNotice("/admin/people", "person-gone")
	}
	return m, false, err
}

func (c *call) showPerson() error {
	id := c.r.URL.Query().Get("id")
	who, done, err := c.administer(false, personAt(id))
	if done || err != nil {
		return err
	}
	m, done, err := c.person(who, id)
	if done || err != nil {
		return err
	}
	return c.show(http.StatusOK, AdminPerson{Chrome: c.chrome(), Person: PersonRow{m, m.User == who.User}})
}

func (c *call) showInvite() error {
	_, done, err := c.administer(true, "/admin/people/invite")
	if done || err != nil {
		return err
	}
	return c.show(http.StatusOK, AdminInvite{Chrome: c.chrome(), Mail: c.s.Admin.Mails()})
}

func (c *call) postInvite() error {
	who, done, err := c.administer(true, "/admin/people/invite")
	if done || err != nil {
		return err
	}
	v := AdminInvite{Chrome: c.chrome(), Email: c.form.Get("email"), Admin: c.form.Get("role") == mfa.RoleAdmin.String(), Mail: c.s.Admin.Mails()}
	role := mfa.RoleMember
	if v.Admin {
		role = mfa.RoleAdmin
	}
	in, err := c.s.Admin.Invite(c.r.Context(), who, v.Email, role)
	var wait *limit.Wait
	switch {
	case errors.Is(err, admin.ErrAddress):
		v.Problem = ProblemEmail
	case errors.Is(err, admin.ErrMember):
		v.Problem, v.Known = say("invite.problem.member"), in.User
	case errors.Is(err, admin.ErrInvited):
		v.Problem, v.Known = say("invite.problem.invited"), in.User
	case errors.As(err, &wait):
		v.Problem = ProblemWait(wait.Until.Sub(c.s.Admin.Now()))
		return c.show(c.later(wait), v)
	case err != nil:
		return err
	default:
		return c.invited(in)
	}
	return c.show(http.StatusUnprocessableEntity, v)
}

// invited tells how the invitation gets to the person. A code stands in no
// address, and a page that is opened again cannot show it.
func (c *call) invited(in admin.Invited) error {
	v := AdminInvited{Chrome: c.chrome(), Invited: in, Page: c.s.Base + "/invitation"}
	if origin, ok := c.origin(); ok {
		v.Page = origin + v.Page
	}
	return c.show(http.StatusOK, v)
}

func (c *call) postResend() error {
	id := c.form.Get("id")
	who, done, err := c.administer(true, personAt(id))
	if done || err != nil {
		return err
	}
	in, err := c.s.Admin.Resend(c.r.Context(), who, id)
	if err != nil {
		return c.notDone(id, err)
	}
	return c.invited(in)
}

// notDone tells why something was not done to a person.
func (c *call) notDone(id string, err error) error {
	var wait *limit.Wait
	notice := ""
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return c.toNotice("/admin/people", "person-gone")
	case errors.Is(err, storage.ErrLastAdmin):
		notice = "person-lastadmin"
	case errors.Is(err, admin.ErrSelf):
		notice = "person-self"
	case errors.Is(err, admin.ErrElsewhere):
		notice = "person-elsewhere"
	case errors.Is(err, admin.ErrMember):
		notice = "person-joined"
	case errors.Is(err, login.ErrReadOnly):
		notice = "person-declared"
	case errors.As(err, &wait):
		notice = "person-wait"
	default:
		return err
	}
	c.redirect(c.s.Base + personAt(id) + "&notice=" + notice)
	return nil
}

// amend does something to the person that a form is about.
func (c *call) amend(do func(who admin.Actor, id string) error, notice string) error {
	id := c.form.Get("id")
	who, done, err := c.administer(true, personAt(id))
	if done || err != nil {
		return err
	}
	if err := do(who, id); err != nil {
		return c.notDone(id, err)
	}
	c.redirect(c.s.Base + personAt(id) + "&notice=" + notice)
	return nil
}

func (c *call) postRole() error {
	return c.amend(func(who admin.Actor, id string) error {
		role, err := mfa.ParseRole(c.form.Get("role"))
		if err != nil {
			role = mfa.RoleMember
		}
		return c.s.Admin.SetRole(c.r.Context(), who, id, role)
	}, "person-role")
}

func (c *call) postResetFactors() error {
	return c.amend(func(who admin.Actor, id string) error {
		_, err := c.s.Admin.ResetFactors(c.r.Context(), who, id)
		return err
	}, "person-reset")
}

func (c *call) postEndSessions() error {
	return c.amend(func(who admin.Actor, id string) error {
		_, err := c.s.Admin.EndSessions(c.r.Context(), who, id)
		return err
	}, "person-signedout")
}

func (c *call) postRemoveMember() error {
	id := c.form.Get("id")
	who, done, err := c.administer(true, personAt(id))
	if done || err != nil {
		return err
	}
	if err := c.s.Admin.RemoveMember(c.r.Context(), who, id); err != nil {
		return c.notDone(id, err)
	}
	return c.toNotice("/admin/people", "person-removed")
}

var peopleColumns = []string{"email", "name", "role", "state", "second_factor", "overdue", "authenticators", "since", "last_used",
	"last_sign_in", "company_sign_in", "amr", "acr"}

// exportPeople answers with everybody who was asked for, as they are read.
func (c *call) exportPeople() error {
	who, done, err := c.administer(false, "/admin/people")
	if done || err != nil {
		return err
	}
	q := peopleQuery(c.r.URL.Query())
	q.After = ""
	return send(c, "people-"+who.Account+".csv", csvOf(peopleColumns, personRecord), func(write func(admin.Member) error) error {
		return c.s.Admin.ExportPeople(c.r.Context(), who, q, write)
	})
}

func personRecord(m admin.Member) []string {
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Format(time.RFC3339)
	}
	overdue := "no"
	if m.Overdue {
		overdue = "yes"
	}
	return []string{m.Email, m.Name, m.Role.String(), m.State.String(), string(m.Coverage), overdue,
		strings.ReplaceAll(m.Enrolled.String(), ",", " "), at(m.Since), at(m.Used), at(m.SignedIn), m.ProviderName, m.ProviderAMR, m.ProviderACR}
}
