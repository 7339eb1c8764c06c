package admin_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/settings"
	"github.com/caddymfa/gateway/caddymfa/internal/trial"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// The report of a trial says what making the mode real would have done: a period
// is recorded while the mode is tried, and played again once it is enforced.
func TestReplayGivesTheNumbersOfTheReport(t *testing.T) {
	for mode := mfa.Suggested; mode <= mfa.Required; mode++ {
		t.Run(mode.String(), func(t *testing.T) { replay(t, mode) })
	}
}

func replay(t *testing.T, mode mfa.Policy) {
	w := newWorld(t)
	boss := w.administrator("boss")
	w.crowd(60)
	row, err := w.ChangePolicy(t.Context(), boss, w.account().Version, settings.Change{Mode: mode, Trial: true})
	w.must(err)
	if row.Policy != mfa.Optional || row.Trial != mode || !row.TrialAt.Equal(w.now) {
		t.Fatalf("the row is %+v", row)
	}
	recorder, err := trial.New(w.Store, func(doing string, err error) { t.Errorf("%s: %v", doing, err) })
	w.must(err)

	chance := rand.New(rand.NewPCG(5, 6))
	members, err := w.Store.Members(t.Context(), "acme", "", 1000)
	w.must(err)
	sessions := make(map[string]*storage.Session)
	var tape []mfa.Facts
	for range 600 {
		w.now = w.now.Add(time.Duration(chance.IntN(90)) * time.Second)
		m := members[chance.IntN(len(members))]
		if sessions[m.User] == nil || chance.IntN(4) == 0 {
			sessions[m.User] = w.signsIn(m)
		}
		sess := sessions[m.User]
		if sess == nil {
			continue
		}
		switch chance.IntN(12) {
		case 0:
			sess.Proof.Second, sess.Proof.SecondBy = w.now, mfa.TOTP
		case 1:
			_, err := w.Store.RemoveFactorsOf(t.Context(), m.User)
			w.must(err)
		case 2:
			w.must(w.Store.Snooze(t.Context(), "acme", m.User, w.now.Add(time.Minute)))
		}
		g, err := w.Login.Gather(t.Context(), sess, "acme")
		w.must(err)
		tape = append(tape, g.Facts)
		recorder.Watch(g.Facts, g.Tenant.Trial, g.Tenant.TrialAt)
		if chance.IntN(50) == 0 {
			recorder.Flush(t.Context())
		}
	}
	recorder.Flush(t.Context())
	report, err := w.Trial(t.Context(), boss, "")
	w.must(err)
	people := report.People
	for next := report.Next; next != ""; {
		more, err := w.Trial(t.Context(), boss, next)
		w.must(err)
		people, next = append(people, more.People...), more.Next
	}

	w.must(w.EnforceTrial(t.Context(), boss, w.account().Version))
	if row := w.account(); row.Policy != mode || row.Trial != 0 {
		t.Fatalf("the row is %+v", row)
	}
	tenant, err := w.Login.Facts.Tenant(t.Context(), "acme")
	w.must(err)
	first := make(map[string]map[mfa.Outcome]time.Time)
	var counts [mfa.Outcomes]int
	for _, f := range tape {
		f.Account = tenant.Account
		o := mfa.Decide(f).Outcome()
		if f.Member.State != mfa.Joined {
			continue
		}
		if first[f.User.ID] == nil {
			first[f.User.ID] = make(map[mfa.Outcome]time.Time)
		}
		if first[f.User.ID][o].IsZero() {
			first[f.User.ID][o] = f.Now
			counts[o]++
		}
	}
	if counts != report.Counts {
		t.Errorf("the report counts %v, the replay %v", report.Counts, counts)
	}
	if len(people) != len(first) {
		t.Errorf("the report names %d people, the replay meets %d", len(people), len(first))
	}
	for _, p := range people {
		for o := range mfa.Outcome(mfa.Outcomes) {
			if !p.Outcomes[o].Equal(first[p.ID][o]) {
				t.Errorf("%s, %s: the report says %s, the replay %s", p.Email, o, p.Outcomes[o], first[p.ID][o])
			}
		}
	}
	if counts[mfa.Vouched] == 0 || counts[mfa.Asked] == 0 || mode == mfa.Required && counts[mfa.MustEnroll] == 0 || mode == mfa.Suggested && counts[mfa.Prompted] == 0 {
		t.Errorf("too little happened: %v", counts)
	}
}

func TestTrialsEnd(t *testing.T) {
	w := newWorld(t)
	boss := w.administrator("boss")
	if r, err := w.Trial(t.Context(), boss, ""); err != nil || r.Account.Trial != 0 || len(r.People) != 0 {
		t.Errorf("without a trial, the report is %+v, %v", r, err)
	}
	if err := w.EnforceTrial(t.Context(), boss, w.account().Version); err == nil {
		t.Error("a mode that nobody tries was enforced")
	}
	try := settings.Change{Mode: mfa.Required, Trial: true}
	_, err := w.ChangePolicy(t.Context(), boss, w.account().Version, try)
	w.must(err)
	w.must(w.EndTrial(t.Context(), boss, w.account().Version))
	if row := w.account(); row.Trial != 0 || row.Policy != mfa.Optional {
		t.Errorf("the row is %+v", row)
	}
	_, err = w.ChangePolicy(t.Context(), boss, w.account().Version, try)
	w.must(err)
	_, err = w.ChangePolicy(t.Context(), boss, w.account().Version, settings.Change{Mode: mfa.Suggested})
	w.must(err)
	if w.account().Trial != mfa.Required {
		t.Error("a laxer mode ended the trial of a stricter one")
	}
	var changed *admin.Changed
	if err := w.EndTrial(t.Context(), boss, 1); !asChanged(err, &changed) || changed.To != mfa.Suggested {
		t.Errorf("an old page ended the trial: %v", err)
	}
}
