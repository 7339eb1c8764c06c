package web

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/settings"
	"github.com/caddymfa/gateway/caddymfa/mfa"
)

// showPolicy shows the account's MFA settings, and the form to change them.
func (c *call) showPolicy() error {
	actor, done, err := c.administer(false, "/admin/mfa")
	if done || err != nil {
		return err
	}
	return c.policyPage(http.StatusOK, actor, c.kept(), c.r.URL.Query().Get("manage") != "", Text{}, Action{})
}

// policyPage shows the settings. What was typed before stays in the form.
func (c *call) policyPage(status int, actor admin.Actor, typed url.Values, manage bool, problem Text, cure Action) error {
	set, err := c.s.Admin.Settings(c.r.Context(), actor)
	if err != nil {
		return err
	}
	v := AdminPolicy{
		Chrome: c.chrome(), Version: set.Account.Version, Mode: set.Mode, Floor: set.Floor, By: set.By, At: set.Account.PolicyAt,
		ReadOnly: set.ReadOnly, SSO: set.Overriding, Keys: set.Keys,
		Accept: set.Account.Accept, Age: set.Account.SecondFactorAge, Remember: set.Account.Remember,
		Trial: set.Account.Trial, TrialAt: set.Account.TrialAt,
		Manage: manage && !set.ReadOnly, Problem: problem, Cure: cure,
	}
	if now := c.s.Login.Now(); set.Account.Next.Valid() && now.Before(set.Account.NextAt) {
		v.Plan, v.PlanAt = set.Account.Next, set.Account.NextAt
	}
	if set.ReadOnly {
		return c.show(status, v)
	}
	v.Form = formOf(typed, PolicyForm{Mode: set.Mode, When: AtOnce, Accept: v.Accept, Age: v.Age, Remember: v.Remember})
	previews, err := c.s.Admin.Preview(c.r.Context(), actor, v.Form.rules())
	if err != nil {
		return err
	}
	v.Away = previews.Away
	for _, p := range previews.Modes {
		v.Choices = append(v.Choices, ModeChoice{
			Mode: p.Mode, Chosen: p.Mode == v.Form.Mode, InForce: p.Mode == set.Mode, Below: p.Mode < set.Floor, Would: counted(p.People),
		})
	}
	return c.show(status, v)
}

// counted lists what happens to anybody at all.
func counted(people [mfa.Outcomes]int) []OutcomeCount {
	var list []OutcomeCount
	for _, o := range []mfa.Outcome{mfa.Asked, mfa.MustEnroll, mfa.Prompted, mfa.Vouched, mfa.Free, mfa.Blocked} {
		if people[o] > 0 {
			list = append(list, OutcomeCount{o, people[o]})
		}
	}
	return list
}

// formOf reads the settings' form. What is not there, or makes no sense, is as
// in the given one.
func formOf(typed url.Values, f PolicyForm) PolicyForm {
	if mode, err := mfa.ParsePolicy(typed.Get("mode")); err == nil {
		f.Mode = mode
	}
	if when := typed.Get("when"); when == OnDate || when == AsTest {
		f.When = when
	}
	f.Date = typed.Get("date")
	if accept, err := mfa.ParseAccept(typed.Get("accept")); err == nil {
		f.Accept = accept
	}
	f.Age = seconds(typed.Get("age"), f.Age)
	f.Remember = seconds(typed.Get("remember"), f.Remember)
	return f
}

func seconds(typed string, otherwise time.Duration) time.Duration {
	n, err := strconv.ParseInt(typed, 10, 32)
	if err != nil || n < 0 {
		return otherwise
	}
	return time.Duration(n) * time.Second
}

// rules are the options that the form holds.
func (f PolicyForm) rules() settings.Rules {
	return settings.Rules{Accept: f.Accept, SecondFactorAge: f.Age, Remember: f.Remember}
}

// policyTyped are the fields of the settings' form.
var policyTyped = []string{"mode", "when", "date", "accept", "age", "remember"}

// postPolicy changes the settings.
func (c *call) postPolicy() error {
	if c.form.Get("preview") != "" {
		c.redirect(c.s.Base + c.fill("/admin/mfa?manage=yes", "", policyTyped))
		return nil
	}
	actor, done, err := c.administer(true, c.keep("/admin/mfa?manage=yes", policyTyped...))
	if done || err != nil {
		return err
	}
	set, err := c.s.Admin.Settings(c.r.Context(), actor)
	if err != nil {
		return err
	}
	form := formOf(c.form, PolicyForm{When: AtOnce, Accept: set.Account.Accept, Age: set.Account.SecondFactorAge, Remember: set.Account.Remember})
	version, err := strconv.ParseInt(c.form.Get("version"), 10, 64)
	if err != nil || !form.Mode.Valid() {
		return c.policyPage(http.StatusUnprocessableEntity, actor, c.form, true, say("policy.problem.mode"), Action{})
	}
	change := settings.Change{Mode: form.Mode, Rules: form.rules(), Trial: form.When == AsTest}
	if form.When == OnDate {
		if change.From, err = time.Parse(time.DateOnly, form.Date); err != nil {
			return c.policyPage(http.StatusUnprocessableEntity, actor, c.form, true, say("policy.problem.date"), Action{})
		}
	}
	if _, err := c.s.Admin.ChangePolicy(c.r.Context(), actor, version, change); err != nil {
		status, problem, cure, err := c.policyProblem(err)
		if err != nil {
			return err
		}
		return c.policyPage(status, actor, c.form, true, problem, cure)
	}
	return c.toNotice("/admin/mfa", map[string]string{AtOnce: "policy-set", OnDate: "policy-planned", AsTest: "policy-tried"}[form.When])
}

// policyProblem says why the settings stay as they are, and what helps. An error
// that is no reason comes back.
func (c *call) policyProblem(err error) (status int, problem Text, cure Action, fault error) {
	var changed *admin.Changed
	var out *admin.LockedOut
	switch {
	case errors.As(err, &changed):
		problem = say("policy.problem.changed", "mode", changed.To.String())
		if changed.By != "" && !changed.At.IsZero() {
			problem = say("policy.problem.changedby", "name", changed.By, "mode", changed.To.String(), "time", changed.At.UTC().Format("2006-01-02 15:04"))
		}
		return http.StatusConflict, problem, Action{}, nil
	case errors.As(err, &out) && out.Decision.Reason == mfa.KindNotAccepted:
		return http.StatusUnprocessableEntity, say("policy.problem.kind"), Action{say("security.addkey"), "/enroll/webauthn"}, nil
	case errors.As(err, &out) && out.Decision.Verdict == mfa.Enroll:
		return http.StatusUnprocessableEntity, say("policy.problem.self"), Action{say("security.add"), "/enroll/totp"}, nil
	case errors.As(err, &out):
		return http.StatusUnprocessableEntity, say("policy.problem.sso"), Action{}, nil
	case errors.Is(err, admin.ErrNoAdministrator):
		return http.StatusUnprocessableEntity, say("policy.problem.noadmin"), Action{say("security.add"), "/enroll/totp"}, nil
	case errors.Is(err, settings.ErrFloor):
		return http.StatusUnprocessableEntity, say("policy.problem.floor"), Action{}, nil
	case errors.Is(err, settings.ErrNotStricter):
		return http.StatusUnprocessableEntity, say("policy.problem.notstricter"), Action{}, nil
	case errors.Is(err, settings.ErrSpan):
		return http.StatusUnprocessableEntity, say("policy.problem.span"), Action{}, nil
	case errors.Is(err, settings.ErrDate):
		return http.StatusUnprocessableEntity, say("policy.problem.date"), Action{}, nil
	case errors.Is(err, settings.ErrNoKeys):
		return http.StatusUnprocessableEntity, say("policy.accept.nokeys"), Action{}, nil
	case errors.Is(err, login.ErrReadOnly):
		return http.StatusForbidden, say("admin.policy.readonly"), Action{}, nil
	}
	return 0, Text{}, Action{}, err
}

// postPlan takes back a planned mode.
func (c *call) postPlan() error {
	actor, done, err := c.administer(true, "/admin/mfa")
	if done || err != nil {
		return err
	}
	version, _ := strconv.ParseInt(c.form.Get("version"), 10, 64) // none is nobody's
	if err := c.s.Admin.CancelPlan(c.r.Context(), actor, version); err != nil {
		status, problem, cure, err := c.policyProblem(err)
		if err != nil {
			return err
		}
		return c.policyPage(status, actor, nil, true, problem, cure)
	}
	return c.toNotice("/admin/mfa", "policy-unplanned")
}

// showPolicyPeople names for whom a mode would have an outcome.
func (c *call) showPolicyPeople() error {
	actor, done, err := c.administer(false, "/admin/mfa")
	if done || err != nil {
		return err
	}
	q := c.r.URL.Query()
	mode, err := mfa.ParsePolicy(q.Get("mode"))
	outcome, err2 := mfa.ParseOutcome(q.Get("outcome"))
	if err != nil || err2 != nil {
		c.message(MessageNotFound)
		return nil
	}
	set, err := c.s.Admin.Settings(c.r.Context(), actor)
	if err != nil {
		return err
	}
	rules := formOf(q, PolicyForm{Accept: set.Account.Accept, Age: set.Account.SecondFactorAge, Remember: set.Account.Remember}).rules()
	people, next, err := c.s.Admin.PeopleWith(c.r.Context(), actor, rules, mode, outcome, q.Get("after"))
	if err != nil {
		return err
	}
	v := AdminPolicyPeople{
		Chrome: c.chrome(), Mode: mode, Outcome: outcome, Accept: rules.Accept.AcceptString(), Next: next, First: q.Get("after") == "",
	}
	for _, p := range people {
		v.People = append(v.People, NamedPerson{p.Name, p.Email})
	}
	return c.show(http.StatusOK, v)
}

// showTrial reports what the mode that is only tried would have meant.
func (c *call) showTrial() error {
	actor, done, err := c.administer(false, "/admin/mfa/trial")
	if done || err != nil {
		return err
	}
	return c.trialPage(http.StatusOK, actor, Text{}, Action{})
}

func (c *call) trialPage(status int, actor admin.Actor, problem Text, cure Action) error {
	after := c.r.URL.Query().Get("after")
	report, err := c.s.Admin.Trial(c.r.Context(), actor, after)
	if err != nil {
		return err
	}
	v := AdminTrial{
		Chrome: c.chrome(), Version: report.Account.Version, ReadOnly: report.ReadOnly, Mode: report.Account.Trial, Since: report.Account.TrialAt,
		Would: counted(report.Counts), Next: report.Next, First: after == "", Problem: problem, Cure: cure,
	}
	for _, p := range report.People {
		person := TrialPerson{NamedPerson: NamedPerson{p.Name, p.Email}}
		for o := range mfa.Outcome(mfa.Outcomes) {
			if first, met := p.Outcomes[o]; met {
				person.Met = append(person.Met, TrialMet{OutcomeCount{Outcome: o}, first})
			}
		}
		v.People = append(v.People, person)
	}
	return c.show(status, v)
}

// postTrial ends a trial, or makes it real.
func (c *call) postTrial() error {
	actor, done, err := c.administer(true, "/admin/mfa/trial")
	if done || err != nil {
		return err
	}
	version, _ := strconv.ParseInt(c.form.Get("version"), 10, 64) // none is nobody's
	notice := "policy-trialended"
	if c.form.Get("do") == "enforce" {
		notice = "policy-set"
		err = c.s.Admin.EnforceTrial(c.r.Context(), actor, version)
	} else {
		err = c.s.Admin.EndTrial(c.r.Context(), actor, version)
	}
	if err != nil {
		status, problem, cure, err := c.policyProblem(err)
		if err != nil {
			return err
		}
		return c.trialPage(status, actor, problem, cure)
	}
	return c.toNotice("/admin/mfa", notice)
}
