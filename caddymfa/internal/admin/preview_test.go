package admin_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/factor"
	"github.com/caddymfa/gateway/caddymfa/internal/admin"
	"github.com/caddymfa/gateway/caddymfa/internal/settings"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// noKeys stands for a service on which keys can be added.
type noKeys struct{ factor.Keys }

// crowd fills acme with people of every kind, and domains of every kind.
func (w *world) crowd(people int) {
	w.t.Helper()
	ctx := w.t.Context()
	for _, p := range []storage.IdentityProvider{
		{ID: "entra", Trust: mfa.Precedence}, {ID: "verify", Trust: mfa.Verify}, {ID: "stack", Trust: mfa.Stack}, {ID: "off", Trust: mfa.Precedence, Disabled: true},
	} {
		p.Account, p.Kind, p.Name, p.Created = "acme", "oidc", p.ID, w.now
		w.must(w.Store.PutProvider(ctx, p))
	}
	domains := []string{"nowhere.example"}
	for _, d := range []storage.Domain{
		{Name: "sso.example", Verified: true, Enforce: true, Provider: "entra"},
		{Name: "verify.example", Verified: true, Provider: "verify"},
		{Name: "stack.example", Verified: true, Enforce: true, Provider: "stack"},
		{Name: "off.example", Verified: true, Enforce: true, Provider: "off"},
		{Name: "pending.example", Provider: "entra"},
		{Name: "plain.example", Verified: true},
	} {
		d.Account, d.Created = "acme", w.now
		w.must(w.Store.PutDomain(ctx, d))
		domains = append(domains, d.Name)
	}
	chance := rand.New(rand.NewPCG(3, 4))
	for i := range people {
		id := fmt.Sprintf("p%04d", i)
		role := mfa.RoleMember
		if chance.IntN(5) == 0 {
			role = mfa.RoleAdmin
		}
		w.person(id, domains[chance.IntN(len(domains))], role)
		if chance.IntN(3) == 0 {
			w.enrol(id, mfa.TOTP)
		}
		if chance.IntN(4) == 0 {
			w.enrol(id, mfa.WebAuthn)
		}
		if chance.IntN(3) == 0 {
			w.must(w.Store.ReplaceRecoveryCodes(ctx, id, []storage.RecoveryCode{{ID: id, User: id}}))
		}
		if chance.IntN(4) == 0 {
			w.must(w.Store.Snooze(ctx, "acme", id, w.now.Add(time.Duration(chance.IntN(3)-1)*time.Hour)))
		}
		if chance.IntN(8) == 0 {
			w.must(w.Store.PutMembership(ctx, storage.Membership{Account: "acme", User: id, Role: role, State: mfa.Invited, Created: w.now}))
		}
		_, err := w.Store.UpdateUser(ctx, id, func(u *storage.User) error {
			u.Disabled = chance.IntN(9) == 0
			if chance.IntN(4) == 0 {
				u.PasswordHash = ""
			}
			return nil
		})
		w.must(err)
	}
}

// signsIn makes the session that a member has who has just signed in as they
// usually do, or none, from the rows of the store.
func (w *world) signsIn(m storage.Membership) *storage.Session {
	w.t.Helper()
	ctx := w.t.Context()
	u, err := w.Store.User(ctx, m.User)
	w.must(err)
	sess := &storage.Session{User: u.ID, Proof: mfa.Proof{User: u.ID, First: w.now}}
	domains, err := w.Store.DomainsOf(ctx, "acme")
	w.must(err)
	for _, d := range domains {
		if d.Name != storage.DomainOf(u.Email) || !d.Verified || d.Provider == "" {
			continue
		}
		p, err := w.Store.Provider(ctx, d.Provider)
		w.must(err)
		if !p.Disabled {
			sess.Proof.FirstBy, sess.Proof.Provider = mfa.BySSO, p.ID
			return sess
		}
	}
	if u.PasswordHash != "" {
		sess.Proof.FirstBy = mfa.ByPassword
		return sess
	}
	factors, err := w.Store.FactorsOf(ctx, u.ID)
	w.must(err)
	if slices.ContainsFunc(factors, func(f storage.Factor) bool { return f.Kind == mfa.WebAuthn }) {
		sess.Proof.FirstBy, sess.Proof.Second, sess.Proof.SecondBy = mfa.ByPasskey, w.now, mfa.WebAuthn
		return sess
	}
	return nil
}

// The preview asks the rule once for each group of people, and says the same as
// asking it about each person with the facts that the gate would gather.
func TestPreviewSaysWhatTheRuleSaysOfEachPerson(t *testing.T) {
	w := newWorld(t)
	w.crowd(120)
	boss := admin.Actor{Account: "acme"}
	members, err := w.Store.Members(t.Context(), "acme", "", 1000)
	w.must(err)
	for _, rules := range []settings.Rules{
		{}, {Accept: mfa.KindsOf(mfa.WebAuthn)}, {SecondFactorAge: time.Hour, Remember: time.Hour},
	} {
		previews, err := w.Preview(t.Context(), boss, rules)
		w.must(err)
		away := 0
		for mode := mfa.Optional; mode <= mfa.Required; mode++ {
			away = 0
			var want admin.Preview
			want.Mode = mode
			who := make(map[mfa.Outcome][]string)
			for _, m := range members {
				u, err := w.Store.User(t.Context(), m.User)
				w.must(err)
				sess := w.signsIn(m)
				if sess == nil || u.Disabled || m.State != mfa.Joined {
					away++
					continue
				}
				g, err := w.Login.Gather(t.Context(), sess, "acme")
				w.must(err)
				o := mfa.Decide(rules.In(g.Facts).Under(mode)).Outcome()
				want.People[o]++
				who[o] = append(who[o], u.Email)
				if m.Role == mfa.RoleAdmin && o.Enters() {
					want.Admins++
				}
			}
			if got := previews.Of(mode); got != want {
				t.Errorf("%+v: expected %+v, got %+v", rules, want, got)
			}
			for o := range mfa.Outcome(mfa.Outcomes) {
				if named := w.named(boss, rules, mode, o); !slices.Equal(named, who[o]) {
					t.Errorf("%+v, %s, %s: expected %q, got %q", rules, mode, o, who[o], named)
				}
			}
		}
		if previews.Away != away || away == 0 {
			t.Errorf("expected %d who are not counted, got %d", away, previews.Away)
		}
	}
}

// named lists everybody for whom a mode would have an outcome, page by page.
func (w *world) named(a admin.Actor, rules settings.Rules, mode mfa.Policy, o mfa.Outcome) []string {
	w.t.Helper()
	var emails []string
	for after := ""; ; {
		people, next, err := w.PeopleWith(w.t.Context(), a, rules, mode, o, after)
		w.must(err)
		if len(people) > admin.PeoplePage || (next != "" && len(people) != admin.PeoplePage) {
			w.t.Errorf("a page of %d people", len(people))
		}
		for _, p := range people {
			emails = append(emails, p.Email)
		}
		if next == "" {
			slices.Sort(emails)
			return emails
		}
		after = next
	}
}

// BenchmarkPreview previews the settings of an account of 100,000 members. The
// project promises less than 300 ms on SQLite.
func BenchmarkPreview(b *testing.B) {
	w := newWorld(b)
	boss := admin.Actor{Account: "acme"}
	w.fill(100_000)
	for b.Loop() {
		p, err := w.Preview(b.Context(), boss, settings.Rules{})
		if err != nil || p.Of(mfa.Required).People[mfa.MustEnroll] == 0 {
			b.Fatalf("%+v, %v", p, err)
		}
	}
}

// fill adds many members in a few statements.
func (w *world) fill(people int) {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+w.path)
	w.must(err)
	defer db.Close()
	for _, statement := range []string{
		`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ` + strconv.Itoa(people) + `)
			INSERT INTO users SELECT lower(hex(randomblob(16))), 'person' || i || '@partner' || (i % 7) || '.example', 'Person ' || i,
				'hash', 1, 0, 'store', 1, 1 FROM n`,
		`INSERT INTO memberships (account_id, user_id, role, state, snoozed_until, origin, created_at, has_password, enrolled, domain, email, sought)
			SELECT 'acme', id, CASE WHEN rowid % 100 = 0 THEN 'admin' ELSE 'member' END, 'joined', 0, 'store', 1, 1,
				CASE WHEN rowid % 3 = 0 THEN 'totp,recovery' WHEN rowid % 5 = 0 THEN 'webauthn' ELSE '' END,
				'partner' || (rowid % 7) || '.example', email, lower(email || ' ' || name) FROM users`,
	} {
		if _, err := db.ExecContext(w.t.Context(), statement); err != nil {
			w.t.Fatal(err)
		}
	}
}
