package web

import (
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
)

func choosing() AdminPolicy {
	return AdminPolicy{
		Chrome: chromeOf(), Version: 7, Mode: mfa.Suggested, By: "ana@acme.example", At: moment, Keys: true,
		Form: PolicyForm{Mode: mfa.Suggested, When: AtOnce},
		Choices: []ModeChoice{
			{Mode: mfa.Optional, Would: []OutcomeCount{{mfa.Asked, 412}, {mfa.Vouched, 1}, {mfa.Free, 88}}},
			{Mode: mfa.Suggested, Chosen: true, InForce: true, Would: []OutcomeCount{{mfa.Asked, 412}, {mfa.Prompted, 88}, {mfa.Vouched, 1}}},
			{Mode: mfa.Required, Would: []OutcomeCount{{mfa.Asked, 412}, {mfa.MustEnroll, 88}, {mfa.Vouched, 1}, {mfa.Blocked, 2}}},
		},
	}
}

// policySamples are the administrators' settings, in every state that their
// templates tell apart.
func policySamples() []sample {
	people := []NamedPerson{{"Ana Almeida", "ana@acme.example"}, {"", "someone.with.a.long.name@subsidiary.acme.example"}}
	trial := AdminTrial{
		Chrome: chromeOf(), Version: 7, Mode: mfa.Required, Since: moment, First: true,
		Would: []OutcomeCount{{mfa.Asked, 1}, {mfa.MustEnroll, 2}},
		People: []TrialPerson{
			{people[0], []TrialMet{{OutcomeCount{Outcome: mfa.MustEnroll}, moment}, {OutcomeCount{Outcome: mfa.Asked}, moment.Add(time.Hour)}}},
			{people[1], []TrialMet{{OutcomeCount{Outcome: mfa.Vouched}, moment}, {OutcomeCount{Outcome: mfa.Blocked}, moment}}},
		},
	}
	return []sample{
		{"admin-policy", choosing()},
		{"admin-policy-manage", with(choosing(), func(v *AdminPolicy) {
			v.Manage, v.SSO, v.Away, v.Form.Mode = true, []string{"Acme Entra ID"}, 3, mfa.Required
		})},
		{"admin-policy-conflict", with(choosing(), func(v *AdminPolicy) {
			v.Manage = true
			v.Problem = say("policy.problem.changedby", "name", "bo@acme.example", "mode", "required", "time", "2026-03-02 14:03")
			v.Form = PolicyForm{Mode: mfa.Optional, When: OnDate, Date: "2026-04-01", Accept: mfa.KindsOf(mfa.WebAuthn), Age: 90 * time.Minute, Remember: 14 * 24 * time.Hour}
		})},
		{"admin-policy-locked-out", with(choosing(), func(v *AdminPolicy) {
			v.Manage, v.Problem, v.Cure, v.Form.When = true, say("policy.problem.kind"), Action{say("security.addkey"), "/enroll/webauthn"}, AsTest
		})},
		{"admin-policy-planned", with(choosing(), func(v *AdminPolicy) {
			v.Plan, v.PlanAt, v.Trial, v.TrialAt = mfa.Required, moment.AddDate(0, 1, 0), mfa.Required, moment
			v.Accept, v.Age, v.Remember = mfa.KindsOf(mfa.WebAuthn), 15*time.Minute, time.Hour
		})},
		{"admin-policy-declared", with(choosing(), func(v *AdminPolicy) { v.ReadOnly, v.Choices, v.By, v.Mode = true, nil, "configuration", mfa.Required })},
		{"admin-policy-floor", with(choosing(), func(v *AdminPolicy) {
			v.Manage, v.Floor, v.By, v.Keys, v.Choices[0].Below, v.Choices[0].Would = true, mfa.Suggested, "operator", false, true, nil
		})},
		{"admin-policy-nobody", with(choosing(), func(v *AdminPolicy) {
			v.Manage, v.By, v.At, v.Mode = true, "", time.Time{}, mfa.Optional
			v.Choices = []ModeChoice{{Mode: mfa.Optional, Chosen: true}}
		})},
		{"admin-people", AdminPolicyPeople{Chrome: chromeOf(), Mode: mfa.Required, Outcome: mfa.MustEnroll, Accept: "any", People: people, Next: "x|y", First: true}},
		{"admin-people-none", AdminPolicyPeople{Chrome: chromeOf(), Mode: mfa.Suggested, Outcome: mfa.Prompted, Accept: "webauthn"}},
		{"admin-people-free", AdminPolicyPeople{Chrome: chromeOf(), Mode: mfa.Optional, Outcome: mfa.Free, Accept: "any", People: people, First: true}},
		{"admin-trial", trial},
		{"admin-trial-more", with(trial, func(v *AdminTrial) { v.Next, v.First, v.Problem = "u9", false, say("policy.problem.noadmin") })},
		{"admin-trial-quiet", with(trial, func(v *AdminTrial) { v.Would, v.People, v.ReadOnly = nil, nil, true })},
		{"admin-trial-none", AdminTrial{Chrome: chromeOf(), First: true}},
		{"challenge-remember", with(challenging(), func(v *Challenge) { v.Remember = 7 * 24 * time.Hour })},
		{"challenge-remember-hours", Challenge{Chrome: chromeOf(), Offer: mfa.KindsOf(mfa.WebAuthn), Key: `{"challenge":"x"}`, Remember: time.Hour}},
		{"suggest-due", with(Suggest{Chrome: chromeOf(), Days: 7}, func(v *Suggest) { v.Due = Due{"Acme Distribution", moment.AddDate(0, 0, 9)} })},
	}
}
