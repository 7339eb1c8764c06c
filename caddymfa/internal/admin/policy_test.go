package admin_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/settings"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func TestChangeHoldsAtOnceAndIsRecorded(t *testing.T) {
	w := newWorld(t)
	boss := w.administrator("boss")
	w.person("ana", "acme.example", mfa.RoleMember)
	ana := w.session("ana", nil)
	if d := w.decides(ana); d.Verdict != mfa.Allow {
		t.Fatalf("ana is met with %+v", d)
	}
	row, err := w.ChangePolicy(t.Context(), boss, w.account().Version, settings.Change{Mode: mfa.Required, Rules: settings.Rules{Remember: 7 * 24 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	if row.Policy != mfa.Required || row.PolicyBy != "boss" || !row.PolicyAt.Equal(w.now) || row.Remember != 7*24*time.Hour {
		t.Errorf("the row is %+v", row)
	}
	if d := w.decides(ana); d.Verdict != mfa.Enroll || d.Reason != mfa.PolicyRequired {
		t.Errorf("ana is met with %+v", d)
	}
	events, err := w.Store.Events(t.Context(), storage.EventQuery{Account: "acme", Action: "set_policy", Limit: 9})
	w.must(err)
	if len(events) != 1 || events[0].Actor != "boss" || events[0].Session != boss.Session || events[0].Reason != "required" ||
		!strings.Contains(events[0].Detail, "mode: required, was optional") || !strings.Contains(events[0].Detail, "remembers a browser: 168h0m0s, was never") {
		t.Errorf("the audit says %+v", events)
	}
}

func TestTwoAdministratorsAtOnce(t *testing.T) {
	w := newWorld(t)
	boss, other := w.administrator("boss"), w.administrator("other")
	read := w.account().Version
	if _, err := w.ChangePolicy(t.Context(), boss, read, settings.Change{Mode: mfa.Required}); err != nil {
		t.Fatal(err)
	}
	var changed *admin.Changed
	_, err := w.ChangePolicy(t.Context(), other, read, settings.Change{Mode: mfa.Suggested})
	if !errors.As(err, &changed) || changed.By != "boss@acme.example" || !changed.At.Equal(w.now) || changed.To != mfa.Required {
		t.Errorf("the second is told %+v, %v", changed, err)
	}
	if got := w.account().Policy; got != mfa.Required {
		t.Errorf("the mode is %s", got)
	}

	read = w.account().Version
	var won atomic.Int32
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			_, err := w.ChangePolicy(t.Context(), boss, read, settings.Change{Mode: mfa.Policy(i%3 + 1)})
			var changed *admin.Changed
			if err == nil {
				won.Add(1)
			} else if !errors.As(err, &changed) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 20 changes to the same settings were made", won.Load())
	}
}

func TestNobodyLocksThemselvesOut(t *testing.T) {
	recovery := func(p *mfa.Proof) { p.Second, p.SecondBy = p.First, mfa.Recovery }
	keys := settings.Rules{Accept: mfa.KindsOf(mfa.WebAuthn)}
	for name, test := range map[string]struct {
		actor  func(w *world) admin.Actor
		change settings.Change
		reason mfa.Reason // of the decision that locks out; empty: no administrator is left
	}{
		"a code from an app that will not count": {
			func(w *world) admin.Actor { return w.administrator("boss") },
			settings.Change{Mode: mfa.Required, Rules: keys}, mfa.KindNotAccepted},
		"the same, planned": {
			func(w *world) admin.Actor { return w.administrator("boss") },
			settings.Change{Mode: mfa.Required, Rules: keys, From: time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC)}, mfa.KindNotAccepted},
		"no second factor": {
			func(w *world) admin.Actor {
				w.person("boss", "acme.example", mfa.RoleAdmin)
				return w.session("boss", nil)
			},
			settings.Change{Mode: mfa.Required}, mfa.PolicyRequired},
		"a used up recovery code as the only second factor": {
			func(w *world) admin.Actor {
				w.person("boss", "acme.example", mfa.RoleAdmin)
				return w.session("boss", recovery)
			},
			settings.Change{Mode: mfa.Required}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			boss := test.actor(w)
			w.Login.Keys = noKeys{}
			before := w.account()
			_, err := w.ChangePolicy(t.Context(), boss, before.Version, test.change)
			var out *admin.LockedOut
			switch {
			case test.reason == "" && !errors.Is(err, admin.ErrNoAdministrator):
				t.Errorf("expected a refusal for want of an administrator, got %v", err)
			case test.reason != "" && (!errors.As(err, &out) || out.Decision.Reason != test.reason):
				t.Errorf("expected a refusal for %s, got %v", test.reason, err)
			}
			if w.account() != before {
				t.Error("a refused change changed the account")
			}
		})
	}
}

func TestWhatCannotBeSet(t *testing.T) {
	w := newWorld(t)
	boss := w.administrator("boss")
	w.Login.Facts.SetFloor(mfa.Suggested)
	for name, test := range map[string]struct {
		change settings.Change
		want   error
	}{
		"no mode":               {settings.Change{}, settings.ErrMode},
		"less than the floor":   {settings.Change{Mode: mfa.Optional}, settings.ErrFloor},
		"a trial of the same":   {settings.Change{Mode: mfa.Suggested, Trial: true}, settings.ErrNotStricter},
		"a plan for the same":   {settings.Change{Mode: mfa.Suggested, From: w.now.Add(time.Hour)}, settings.ErrNotStricter},
		"a plan for the past":   {settings.Change{Mode: mfa.Required, From: w.now.Add(-time.Hour)}, settings.ErrDate},
		"a plan for far ahead":  {settings.Change{Mode: mfa.Required, From: w.now.AddDate(2, 0, 0)}, settings.ErrDate},
		"keys that nobody adds": {settings.Change{Mode: mfa.Required, Rules: settings.Rules{Accept: mfa.KindsOf(mfa.WebAuthn)}}, settings.ErrNoKeys},
		"a second of a factor":  {settings.Change{Mode: mfa.Required, Rules: settings.Rules{SecondFactorAge: time.Second}}, settings.ErrSpan},
		"ten years of memory":   {settings.Change{Mode: mfa.Required, Rules: settings.Rules{Remember: 87600 * time.Hour}}, settings.ErrSpan},
	} {
		if _, err := w.ChangePolicy(t.Context(), boss, w.account().Version, test.change); !errors.Is(err, test.want) {
			t.Errorf("%s: expected %v, got %v", name, test.want, err)
		}
	}
	_, err := w.Store.UpdateAccount(t.Context(), "acme", func(a *storage.Account) error { a.Origin = storage.FromConfig; return nil })
	w.must(err)
	version := w.account().Version
	_, changed := w.ChangePolicy(t.Context(), boss, version, settings.Change{Mode: mfa.Required})
	for name, err := range map[string]error{
		"change": changed, "end a trial": w.EndTrial(t.Context(), boss, version), "take back a plan": w.CancelPlan(t.Context(), boss, version),
	} {
		if !errors.Is(err, login.ErrReadOnly) {
			t.Errorf("%s of a declared account: %v", name, err)
		}
	}
}

// A planned mode begins by itself, for everybody at once; no one's time is
// renewed by losing a factor.
func TestPlan(t *testing.T) {
	w := newWorld(t)
	boss := w.administrator("boss")
	w.person("ana", "acme.example", mfa.RoleMember)
	w.enrol("ana", mfa.TOTP)
	ana := w.session("ana", func(p *mfa.Proof) { p.Second, p.SecondBy = w.now, mfa.TOTP })
	from := w.now.Add(10 * 24 * time.Hour)
	plan := settings.Change{Mode: mfa.Required, From: from}
	row, err := w.ChangePolicy(t.Context(), boss, w.account().Version, plan)
	w.must(err)
	if row.Policy != mfa.Optional || row.Next != mfa.Required || !row.NextAt.Equal(from) || row.NextBy != "boss" {
		t.Errorf("the row is %+v", row)
	}
	if d := w.decides(ana); d.Verdict != mfa.Allow {
		t.Errorf("before the day, ana is met with %+v", d)
	}
	w.must(w.CancelPlan(t.Context(), boss, row.Version))
	if w.account().Next != 0 {
		t.Error("a plan that was taken back is still there")
	}
	_, err = w.ChangePolicy(t.Context(), boss, w.account().Version, plan)
	w.must(err)

	w.now = from.Add(-time.Second)
	_, err = w.Store.RemoveFactorsOf(t.Context(), "ana")
	w.must(err)
	ana = w.session("ana", nil)
	if d := w.decides(ana); d.Verdict != mfa.Allow {
		t.Errorf("a second before, ana is met with %+v", d)
	}
	w.now = from
	if d := w.decides(ana); d.Verdict != mfa.Enroll || d.Reason != mfa.PolicyRequired {
		t.Errorf("on the day, ana, who lost her factor, is met with %+v", d)
	}
	if set, err := w.Settings(t.Context(), boss); err != nil || set.Mode != mfa.Required {
		t.Errorf("the settings say %s, %v", set.Mode, err)
	}
	w.must(w.BeginPlans(t.Context()))
	w.must(w.BeginPlans(t.Context()))
	row = w.account()
	if row.Policy != mfa.Required || row.PolicyBy != "boss" || !row.PolicyAt.Equal(from) || row.Next != 0 {
		t.Errorf("the row is %+v", row)
	}
	events, err := w.Store.Events(t.Context(), storage.EventQuery{Account: "acme", Action: "begin_policy", Limit: 9})
	w.must(err)
	if len(events) != 1 {
		t.Errorf("the audit says %+v", events)
	}
}

// Whom a planned mode would keep out is told a week and a day before: once for
// each person, date and stage, however often it is asked for.
func TestReminders(t *testing.T) {
	w := newWorld(t)
	boss := w.administrator("boss")
	w.person("ana", "acme.example", mfa.RoleMember)
	w.person("bo", "acme.example", mfa.RoleMember)
	w.enrol("bo", mfa.TOTP)
	from := w.now.Add(10 * 24 * time.Hour)
	_, err := w.ChangePolicy(t.Context(), boss, w.account().Version, settings.Change{Mode: mfa.Required, From: from})
	w.must(err)
	told := make(map[string]admin.Reminder)
	remind := func(at time.Time) (fresh int) {
		w.now = at
		w.must(w.Remind(t.Context(), func(_ context.Context, r admin.Reminder) error {
			if _, again := told[r.Key]; !again {
				fresh++
			}
			told[r.Key] = r
			if r.To != "ana@acme.example" && r.To != "bo@acme.example" || r.Account != "acme" || r.Mode != mfa.Required || !r.At.Equal(from) || !at.Before(r.Until) || r.Until.After(from) {
				t.Errorf("told %+v", r)
			}
			return nil
		}))
		return fresh
	}
	for _, step := range []struct {
		at    time.Time
		fresh int
	}{
		{from.Add(-8 * 24 * time.Hour), 0},
		{from.Add(-7 * 24 * time.Hour), 1},
		{from.Add(-7*24*time.Hour + time.Minute), 0},
		{from.Add(-2 * 24 * time.Hour), 0},
		{from.Add(-24 * time.Hour), 1},
		{from.Add(-time.Minute), 0},
		{from, 0},
		{from.Add(time.Hour), 0},
	} {
		if got := remind(step.at); got != step.fresh {
			t.Errorf("at %s, %d were told anew, want %d", step.at, got, step.fresh)
		}
	}
	w.now = from.Add(-time.Minute)
	concerns := func(user string, at time.Time) bool {
		t.Helper()
		is, err := w.Concerns(t.Context(), "acme", user, at)
		w.must(err)
		return is
	}
	if !concerns("ana", from) || concerns("bo", from) || concerns("ana", from.Add(time.Hour)) || concerns(boss.User, from) {
		t.Error("a mail that waited would go to somebody who is fine, or about another date, or not to whom it concerns")
	}
	_, err = w.Store.RemoveFactorsOf(t.Context(), "bo")
	w.must(err)
	if got := remind(from.Add(-time.Minute)); got != 1 || told["plan/acme/bo/"+strconv.FormatInt(from.Unix(), 10)+"/day"].User != "bo" {
		t.Errorf("after bo lost the factor, %d were told anew: %v", got, told)
	}
}
