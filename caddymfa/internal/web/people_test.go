package web

import (
	"context"
	"encoding/csv"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/mail"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/notify"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// staff adds somebody who has joined the accounts, with an authenticator.
func (w *world) staff(id, name string, role mfa.Role, accounts ...string) {
	w.t.Helper()
	err := errors.Join(
		w.store.CreateUser(w.t.Context(), storage.User{ID: id, Email: id + "@partner.example", Name: name, PasswordHash: "hash of " + password, Created: w.now()}),
		w.store.CreateFactor(w.t.Context(), storage.Factor{ID: "f-" + id, User: id, Kind: mfa.TOTP, State: []byte("sealed"), Created: w.now()}, 9),
	)
	for _, account := range accounts {
		err = errors.Join(err, w.store.PutMembership(w.t.Context(), storage.Membership{Account: account, User: id, Role: role, State: mfa.Joined, Created: w.now()}))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// acts sends a form about one of the account's people.
func (b *browser) acts(action, id, role string) *http.Response {
	b.w.t.Helper()
	b.get("/.mfa/accounts") // any page that holds a form of this session's
	return b.post("/.mfa/admin/people/"+action, url.Values{"id": {id}, "role": {role}})
}

// password signs in with it.
func (b *browser) password(email, word, returnTo string) *http.Response {
	b.w.t.Helper()
	b.typed(email, returnTo)
	b.get("/.mfa/login/password")
	return b.post("/.mfa/login/password", url.Values{"password": {word}, "return": {returnTo}})
}

// sink receives mails as somebody's mailbox does.
type sink struct{ got []notify.Message }

func (s *sink) Send(_ context.Context, m notify.Message) error {
	s.got = append(s.got, m)
	return nil
}

// mailed sends what is queued, and returns it.
func (s *sink) mailed(w *world) []notify.Message {
	w.t.Helper()
	s.got = nil
	if err := w.Login.Mail.Deliver(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return s.got
}

// mails has the world's mails arrive in a sink.
func (w *world) mails() *sink {
	s := new(sink)
	w.Login.Pages = portal + "/.mfa"
	w.Login.Mail = mail.New(mail.Outbox{
		Store: w.store, Notifier: s, Now: w.now, Record: w.Login.Record,
		Write: func(ctx context.Context, l mail.Letter) (subject, text string, err error) {
			if err := w.Login.Address(ctx, &l); err != nil {
				return "", "", err
			}
			return w.Pages.Letter(l)
		},
		Fault: func(doing string, err error) { w.t.Errorf("%s: %v", doing, err) },
	})
	return s
}

var codeShown = regexp.MustCompile(`id="invitation-code"[^>]*>([A-Z2-7]{32})<`)

// invites invites somebody where no mail can be sent, and returns the code.
func (b *browser) invites(email, role string) string {
	b.w.t.Helper()
	b.shows(b.get("/.mfa/admin/people/invite"), http.StatusOK, "You get a code")
	b.shows(b.post("/.mfa/admin/people/invite", url.Values{"email": {email}, "role": {role}}), http.StatusOK, strings.ToLower(email)+" is invited", portal+"/.mfa/invitation")
	found := codeShown.FindStringSubmatch(b.page)
	if found == nil {
		b.w.t.Fatalf("no code on the page:\n%s", b.page)
	}
	return found[1]
}

const newPassword = "another battery staple"

func TestWhoIsInvitedChoosesAPasswordAndJoins(t *testing.T) {
	w, _ := administered(t)
	code := w.as("u-kim", "beta", true).invites("Lee@Beta.example", "admin")
	kim := w.as("u-kim", "beta", true)
	kim.shows(kim.get("/.mfa/admin/people?only=invited"), http.StatusOK, "lee@beta.example", "Invited", "Administrator")
	if strings.Contains(kim.page, code) {
		t.Error("a page that is opened again shows the code")
	}
	b := w.browser()
	b.shows(b.get("/.mfa/invitation"), http.StatusOK, "Invitation code")
	b.shows(b.post("/.mfa/invitation", url.Values{"ticket": {strings.ToLower(code)}}), http.StatusOK, "Join Beta", "lee@beta.example", "Choose the password")
	b.shows(b.post("/.mfa/invitation", url.Values{"ticket": {code}, "new": {"short"}, "again": {"short"}}), http.StatusUnprocessableEntity, "Join Beta")
	b.sent(b.post("/.mfa/invitation", url.Values{"ticket": {code}, "new": {newPassword}, "again": {newPassword}}), "/.mfa/login?notice=invitation-accepted")
	if _, ok := b.signedIn(); ok {
		t.Error("an invitation signed somebody in")
	}
	b.sent(b.password("lee@beta.example", newPassword, "/"), "/.mfa/enroll/totp?return=%2F")
	again := w.browser()
	again.get("/.mfa/invitation")
	again.shows(again.post("/.mfa/invitation", url.Values{"ticket": {code}}), http.StatusGone)
}

// The answer is the same for somebody whom another account knows. They sign in
// as always, with their second factor, and then join.
func TestWhoIsKnownElsewhereSignsInToJoin(t *testing.T) {
	w, _ := administered(t)
	w.staff("u-mo", "Mo", mfa.RoleMember, "acme")
	kim := w.as("u-kim", "beta", true)
	code := kim.invites("u-mo@partner.example", "member")
	kim.shows(kim.get("/.mfa/admin/people/person?id=u-mo"), http.StatusOK, "u-mo@partner.example")
	for _, secret := range []string{">Mo<", "Authenticator app", "acme"} {
		if strings.Contains(kim.page, secret) {
			t.Errorf("of somebody who has not joined the page says %q:\n%s", secret, kim.page)
		}
	}
	b := w.browser()
	b.get("/.mfa/invitation")
	b.sent(b.post("/.mfa/invitation", url.Values{"ticket": {code}}), "/.mfa/login?return=%2F.mfa%2Finvitation")
	b.shows(b.get("/.mfa/login?return=%2F.mfa%2Finvitation"), http.StatusOK, "u-mo@partner.example")
	b.sent(b.password("u-mo@partner.example", password, "/.mfa/invitation"), "/.mfa/invitation")
	b.shows(b.get("/.mfa/invitation"), http.StatusOK, "Join Beta", "You join as u-mo@partner.example")
	b.sent(b.post("/.mfa/invitation", url.Values{"ticket": {code}, "join": {"yes"}}), "/.mfa/challenge?return=%2F.mfa%2Finvitation")

	eve := w.as("u-bea", "", true)
	eve.get("/.mfa/invitation")
	eve.shows(eve.post("/.mfa/invitation", url.Values{"ticket": {code}, "join": {"yes"}}), http.StatusForbidden, "somebody else")

	full := w.as("u-mo", "acme", true)
	full.get("/.mfa/invitation")
	full.shows(full.post("/.mfa/invitation", url.Values{"ticket": {code}}), http.StatusOK, "Join Beta")
	full.sent(full.post("/.mfa/invitation", url.Values{"ticket": {code}, "join": {"yes"}}), "/")
	if s, ok := full.signedIn(); !ok || s.Account != "beta" || s.Proof.Second.IsZero() {
		t.Errorf("%+v", s)
	}
}

// A company's sign-in vouches for the address: whoever is invited joins by it.
func TestACompanysSignInJoinsWhoIsInvited(t *testing.T) {
	w, _ := administered(t)
	if err := errors.Join(
		w.store.CreateUser(t.Context(), storage.User{ID: "u-ana", Email: "ana@acme.example", Created: w.now()}),
		w.store.CreateMembership(t.Context(), storage.Membership{Account: "acme", User: "u-ana", Role: mfa.RoleMember, State: mfa.Invited, Created: w.now()}),
	); err != nil {
		t.Fatal(err)
	}
	code, _, err := w.Login.CreateInvitation(t.Context(), "u-ana", "acme")
	if err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	b.get("/.mfa/invitation")
	b.sent(b.post("/.mfa/invitation", url.Values{"ticket": {code}}), "/.mfa/login?return=%2F.mfa%2Finvitation")
	b.typed("ana@acme.example", "/.mfa/invitation")
	state := b.left(b.get("/.mfa/sso/start?return=%2F.mfa%2Finvitation"))
	b.sent(b.get("/.mfa/sso/callback?code=c&state="+state), "/.mfa/invitation")
	b.sent(b.get("/.mfa/invitation"), "/")
	if m, err := w.store.Membership(t.Context(), "acme", "u-ana"); err != nil || m.State != mfa.Joined {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestInvitationsAreMailed(t *testing.T) {
	w, _ := administered(t)
	inbox := w.mails()
	kim := w.as("u-kim", "beta", true)
	kim.get("/.mfa/admin/people/invite")
	for _, email := range []string{"lee@beta.example", "bea@acme.example"} { // acme knows one of them
		kim.shows(kim.post("/.mfa/admin/people/invite", url.Values{"email": {email}, "role": {"member"}}), http.StatusOK, "on its way to "+email)
		if strings.Contains(kim.page, "invitation-code") {
			t.Error("the page shows a code that is mailed")
		}
	}
	got := inbox.mailed(w)
	if len(got) != 2 || got[0].To != "lee@beta.example" || !strings.Contains(got[0].Text, "kim@partner.example invites you to join Beta") {
		t.Fatalf("%+v", got)
	}
	code := got[0].Text[strings.IndexByte(got[0].Text, '#')+1:][:32]
	b := w.browser()
	b.get("/.mfa/invitation")
	b.shows(b.post("/.mfa/invitation", url.Values{"ticket": {code}}), http.StatusOK, "Join Beta", "Choose the password")

	lee, err := w.store.UserByEmail(t.Context(), "lee@beta.example")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.pass(time.Second)
		kim.shows(kim.acts("resend", lee.ID, ""), http.StatusOK, "on its way to lee@beta.example")
	}
	kim.sent(kim.acts("resend", lee.ID, ""), "/.mfa/admin/people/person?id="+lee.ID+"&notice=person-wait")
	if got := inbox.mailed(w); len(got) != 3 {
		t.Errorf("%d mails were sent", len(got))
	}
	kim.sent(kim.acts("remove", lee.ID, ""), "/.mfa/admin/people?notice=person-removed")
	b.shows(b.post("/.mfa/invitation", url.Values{"ticket": {code}, "new": {newPassword}, "again": {newPassword}}), http.StatusGone)
}

func TestAdministratorsLookAfterPeople(t *testing.T) {
	w, _ := administered(t)
	w.staff("u-lee", "Lee", mfa.RoleMember, "beta")
	w.staff("u-mo", "Mo", mfa.RoleMember, "beta", "acme")
	kim, lee, mo := w.as("u-kim", "beta", true), w.as("u-lee", "beta", true), w.as("u-mo", "beta", true)
	person := func(id string) string { return "/.mfa/admin/people/person?id=" + id }
	kim.shows(kim.get("/.mfa/admin/people"), http.StatusOK, "Lee", "u-mo@partner.example", "Everybody", "100 % of the people")
	kim.shows(kim.get("/.mfa/admin/people?search=LEE"), http.StatusOK, "u-lee@partner.example")
	if strings.Contains(kim.page, "u-mo@") {
		t.Error("the search found everybody")
	}
	kim.shows(kim.get(person("u-lee")), http.StatusOK, "Authenticator app", "Reset second step", "Make administrator")

	// An administrator who looks may be asked to show a second factor to change.
	stale := w.as("u-kim", "beta", true)
	w.pass(11 * time.Minute)
	stale.sent(stale.acts("reset", "u-lee", ""), "/.mfa/challenge?return="+url.QueryEscape(person("u-lee")))
	kim = w.as("u-kim", "beta", true)

	kim.sent(kim.acts("reset", "u-lee", ""), person("u-lee")+"&notice=person-reset")
	if _, ok := lee.signedIn(); ok {
		t.Error("a session goes on after its authenticator was reset")
	}
	kim.shows(kim.get(person("u-lee")), http.StatusOK, "No second step", "Until they set one up")
	kim.shows(kim.get("/.mfa/admin/people?only=overdue"), http.StatusOK, "u-lee@partner.example")

	kim.shows(kim.get(person("u-mo")), http.StatusOK, "also belongs to other accounts")
	kim.sent(kim.acts("reset", "u-mo", ""), person("u-mo")+"&notice=person-elsewhere")
	if rows, err := w.store.FactorsOf(t.Context(), "u-mo"); err != nil || len(rows) != 1 {
		t.Errorf("%d authenticators, %v", len(rows), err)
	}
	kim.sent(kim.acts("sessions", "u-mo", ""), person("u-mo")+"&notice=person-signedout")
	if _, ok := mo.signedIn(); ok {
		t.Error("a session goes on that was ended")
	}

	kim.sent(kim.acts("role", "u-kim", "member"), person("u-kim")+"&notice=person-self")
	kim.sent(kim.acts("remove", "u-kim", ""), person("u-kim")+"&notice=person-self")
	kim.sent(kim.acts("role", "u-mo", "admin"), person("u-mo")+"&notice=person-role")
	mo = w.as("u-mo", "beta", true)
	mo.sent(mo.acts("remove", "u-kim", ""), "/.mfa/admin/people?notice=person-removed")
	mo.sent(mo.acts("role", "u-lee", "admin"), person("u-lee")+"&notice=person-role")
	kim.sent(kim.get("/.mfa/admin/people"), "/.mfa/login?return=%2F.mfa%2Fadmin%2Fpeople")
}

// Whoever administers one account finds nobody of another one, whatever they ask.
func TestPeopleOfOtherAccountsAreNotThere(t *testing.T) {
	w, _ := administered(t)
	w.staff("u-mo", "Mo", mfa.RoleMember, "acme")
	kim := w.as("u-kim", "beta", true)
	kim.sent(kim.get("/.mfa/admin/people/person?id=u-mo"), "/.mfa/admin/people?notice=person-gone")
	kim.shows(kim.get("/.mfa/admin/people?search=mo"), http.StatusOK, "Nobody that fits")
	mo := w.as("u-mo", "acme", true)
	for _, path := range []string{"resend", "role", "reset", "sessions", "remove"} {
		kim.sent(kim.acts(path, "u-mo", "admin"), "/.mfa/admin/people?notice=person-gone")
	}
	if _, ok := mo.signedIn(); !ok {
		t.Error("a session ended")
	}
	if m, err := w.store.Membership(t.Context(), "acme", "u-mo"); err != nil || m.Role != mfa.RoleMember {
		t.Errorf("%+v, %v", m, err)
	}
	for _, path := range []string{"", "/export", "/invite", "/person?id=u-mo"} { // Mo is no administrator
		mo.shows(mo.get("/.mfa/admin/people"+path), http.StatusForbidden)
	}
}

func TestPeopleAreExportedWithoutFormulas(t *testing.T) {
	w, _ := administered(t)
	w.staff("u-lee", "=HYPERLINK(\"https://evil.example\")", mfa.RoleMember, "beta")
	kim := w.as("u-kim", "beta", true)
	resp := kim.get("/.mfa/admin/people/export")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/csv; charset=utf-8" ||
		resp.Header.Get("Content-Disposition") != `attachment; filename="people-beta.csv"` {
		t.Fatalf("%d, %v", resp.StatusCode, resp.Header)
	}
	rows, err := csv.NewReader(strings.NewReader(kim.page)).ReadAll()
	if err != nil || len(rows) != 3 || !slices.Equal(rows[0], peopleColumns) {
		t.Fatalf("%q, %v", rows, err)
	}
	lee := rows[2]
	if lee[0] != "u-lee@partner.example" || !strings.HasPrefix(lee[1], "'=") || lee[4] != "enrolled" || lee[6] != "totp" {
		t.Errorf("%q", lee)
	}
}

// People whose company's sign-in is taken away are mailed a way in.
func TestWhoIsLeftWithoutAWayInIsMailedOne(t *testing.T) {
	w, known := administered(t)
	inbox := w.mails()
	b := w.as("u-kim", "beta", true)
	id := w.toEnforce(b, known)
	w.link(b, id)
	if err := errors.Join(
		w.store.CreateUser(t.Context(), storage.User{ID: "u-lee", Email: "lee@beta.example", Created: w.now()}),
		w.store.PutMembership(t.Context(), storage.Membership{Account: "beta", User: "u-lee", Role: mfa.RoleMember, State: mfa.Joined, Created: w.now()}),
	); err != nil {
		t.Fatal(err)
	}
	b.shows(b.get("/.mfa/admin/sso/domain/remove?name=beta.example"), http.StatusOK, "lee@beta.example")
	b.shows(b.post("/.mfa/admin/sso/domain/remove", url.Values{"name": {"beta.example"}, "version": {b.version()}, "setups": {"yes"}}), http.StatusOK, "on its way to 1 person")
	got := inbox.mailed(w)
	if len(got) != 1 || got[0].To != "lee@beta.example" || !strings.Contains(got[0].Text, "Until now you signed in to Beta through your company") {
		t.Fatalf("%+v", got)
	}
	w.pass(login.OfferTime - time.Minute)
	lee := w.browser()
	lee.get("/.mfa/setup")
	code := got[0].Text[strings.Index(got[0].Text, "/setup#")+7:][:32]
	lee.sent(lee.post("/.mfa/setup", url.Values{"ticket": {code}, "new": {newPassword}, "again": {newPassword}}), "/.mfa/login?notice=password-set")
	lee.sent(lee.password("lee@beta.example", newPassword, "/"), "/.mfa/enroll/totp?return=%2F")
}

// The areas of the chart lie on one another and fill its width.
func TestChart(t *testing.T) {
	day := func(n, enrolled, missing int) storage.Adoption {
		return storage.Adoption{Day: time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC), Counts: map[storage.Coverage]int{
			storage.CoverageEnrolled: enrolled, storage.CoverageMissing: missing, storage.CoverageInvited: 99}}
	}
	c := Chart{[]storage.Adoption{day(1, 1, 3), day(4, 4, 0)}}
	for name, got := range map[string][2]string{
		"enrolled": {c.Enrolled(), "M0 160V120H480V0H640V160H480V160H0z"},
		"provider": {c.Provider(), "M0 120V120H480V0H640V0H480V120H0z"},
		"missing":  {c.Missing(), "M0 120V0H480V0H640V0H480V120H0z"},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: got %s, want %s", name, got[0], got[1])
		}
	}
	decade := Chart{[]storage.Adoption{day(-1826, 1, 0), day(1827, 1, 0)}}
	if got := decade.Enrolled(); got != "M0 160V0H639V0H640V160H639V160H0z" {
		t.Errorf("ten years: %s", got)
	}
	if c.First().Percent() != 25 || c.Last().Percent() != 100 || (ChartDay{}).Percent() != 0 {
		t.Errorf("%+v, %+v", c.First(), c.Last())
	}
	if rows := c.Rows(); len(rows) != 2 || rows[0].Day != "2026-03-04" {
		t.Errorf("%+v", rows)
	}
	if (Chart{}).Missing() != "" || (Chart{[]storage.Adoption{day(1, 0, 0)}}).Missing() != "M0 160V160H640V160H0z" {
		t.Error("an empty account is drawn wrong")
	}
}
