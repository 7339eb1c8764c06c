package login

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// invite invites somebody to acme whom nobody knew, or who is known already.
func (w *world) invite(email string) storage.User {
	w.t.Helper()
	u, err := w.store.UserByEmail(w.t.Context(), email)
	if errors.Is(err, storage.ErrNotFound) {
		u = storage.User{ID: session.NewID(), Email: email, Created: w.now()}
		err = w.store.CreateUser(w.t.Context(), u)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.CreateMembership(w.t.Context(), storage.Membership{Account: "acme", User: u.ID, Role: mfa.RoleMember, State: mfa.Invited, Created: w.now()}); err != nil {
		w.t.Fatal(err)
	}
	return u
}

// handed makes the code that an administrator hands over.
func (w *world) handed(u storage.User) string {
	w.t.Helper()
	code, _, err := w.CreateInvitation(w.t.Context(), u.ID, "acme")
	if err != nil {
		w.t.Fatal(err)
	}
	return code
}

// mailed has an invitation sent, and returns the code in the mail.
func (w *world) mailed(p *postbox, u storage.User) string {
	w.t.Helper()
	p.got = nil
	if err := w.MailInvitation(w.t.Context(), u, "acme", "Ana"); err != nil {
		w.t.Fatal(err)
	}
	if err := w.Mail.Deliver(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if len(p.got) != 1 || !strings.HasPrefix(p.got[0], u.Email+" invitation https://portal.example/.mfa/invitation#") {
		w.t.Fatalf("sent %q", p.got)
	}
	return p.got[0][strings.IndexByte(p.got[0], '#')+1:]
}

func (w *world) state(u storage.User) mfa.MemberState {
	w.t.Helper()
	m, err := w.store.Membership(w.t.Context(), "acme", u.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return m.State
}

func TestAnInvitationIsAcceptedOnceWithAFirstPassword(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Required)
	bo := w.invite("bo@acme.example")
	code, second := w.handed(bo), w.handed(bo)
	if in, err := w.Invitation(t.Context(), client, strings.ToLower(code)); err != nil || !in.Chooses || in.Title != "The acme" || in.User.ID != bo.ID {
		t.Fatalf("%+v, %v", in, err)
	}
	if err := w.AcceptNew(t.Context(), client, code, "short"); !errors.Is(err, ErrPassword) {
		t.Errorf("a short password: %v", err)
	}
	if err := w.AcceptNew(t.Context(), client, code, password); err != nil {
		t.Fatal(err)
	}
	if w.state(bo) != mfa.Joined || !w.said("accept_invitation", "ok", "") {
		t.Error("not joined, or not recorded")
	}
	// Nobody is signed in by it, and the account's policy holds.
	if d := w.decide(w.signIn(bo.Email), "acme"); d.Verdict != mfa.Enroll {
		t.Errorf("%+v", d)
	}
	for name, again := range map[string]string{"used": code, "void since": second, "made up": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		if err := w.AcceptNew(t.Context(), client, again, "another battery staple"); !errors.Is(err, ErrStartAgain) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInvitationsEnd(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	bo := w.invite("bo@acme.example")
	old := w.handed(bo)
	w.pass(InvitationTime)
	taken := w.handed(bo)
	if err := w.store.RemoveMembership(t.Context(), "acme", bo.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Invitation(t.Context(), client, taken); !errors.Is(err, ErrStartAgain) {
		t.Errorf("taken back: %v", err)
	}
	w.pass(time.Second)
	w.invite(bo.Email)
	for name, code := range map[string]string{"over": old, "of the former invitation": taken} {
		if _, err := w.Invitation(t.Context(), client, code); !errors.Is(err, ErrStartAgain) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Who has a second factor must show it: a password and a code do not join.
func TestAnInvitationDoesNotSkipTheSecondFactor(t *testing.T) {
	w := newWorld(t)
	w.account("acme", mfa.Optional)
	w.account("other", mfa.Optional)
	ana := w.person("ana@acme.example", "other")
	full, secret := w.enroll(w.signIn(ana.Email))
	w.invite(ana.Email)
	code := w.handed(ana)
	if in, err := w.Invitation(t.Context(), client, code); err != nil || in.Chooses {
		t.Fatalf("%+v, %v", in, err)
	}
	if err := w.AcceptNew(t.Context(), client, code, "another battery staple"); !errors.Is(err, ErrStartAgain) {
		t.Errorf("a code replaced a password: %v", err)
	}
	first := w.signIn(ana.Email)
	var undecided *Undecided
	if _, err := w.Accept(t.Context(), client, &first, code); !errors.As(err, &undecided) || undecided.Decision.Verdict != mfa.Challenge {
		t.Fatalf("with a password alone: %v", err)
	}
	if w.state(ana) != mfa.Invited {
		t.Fatal("joined with a password alone")
	}
	stranger := w.signIn(w.person("eve@evil.example", "other").Email)
	if _, err := w.Accept(t.Context(), client, &stranger, code); !errors.Is(err, ErrSomebodyElse) {
		t.Errorf("somebody else: %v", err)
	}
	second, err := w.Answer(t.Context(), client, &first, mfa.TOTP, w.code(secret))
	if err != nil {
		t.Fatal(err)
	}
	if in, err := w.Accept(t.Context(), client, &second, code); err != nil || in.Account != "acme" || w.state(ana) != mfa.Joined {
		t.Errorf("%+v, %v", in, err)
	}
	if w.over(full) || w.over(second) {
		t.Error("a session ended")
	}
}

// An account's administrator who is handed a code cannot use it to become
// somebody who belongs to other accounts. What was mailed shows whose address it is.
func TestAHandedCodeOpensNoOtherAccount(t *testing.T) {
	w := newWorld(t)
	p := w.mails()
	w.account("acme", mfa.Optional)
	w.account("other", mfa.Optional)
	bo := w.person("bo@acme.example", "other")
	if _, err := w.store.UpdateUser(t.Context(), bo.ID, func(u *storage.User) error { u.PasswordHash = ""; return nil }); err != nil {
		t.Fatal(err)
	}
	w.invite(bo.Email)
	if err := w.AcceptNew(t.Context(), client, w.handed(bo), password); !errors.Is(err, ErrStartAgain) {
		t.Errorf("a handed code: %v", err)
	}
	if err := w.AcceptNew(t.Context(), client, w.mailed(p, bo), password); err != nil {
		t.Errorf("a mailed code: %v", err)
	}
}

func TestNoInvitationIsMailedThatWasTakenBack(t *testing.T) {
	w := newWorld(t)
	p := w.mails()
	w.account("acme", mfa.Optional)
	bo := w.invite("bo@acme.example")
	if err := w.MailInvitation(t.Context(), bo, "acme", ""); err != nil {
		t.Fatal(err)
	}
	if err := w.store.RemoveMembership(t.Context(), "acme", bo.ID); err != nil {
		t.Fatal(err)
	}
	if err := w.Mail.Deliver(t.Context()); err != nil || len(p.got) != 0 {
		t.Errorf("sent %q, %v", p.got, err)
	}
}

func TestWhoLostTheirCompanysSignInIsOfferedAPassword(t *testing.T) {
	w := newWorld(t)
	p := w.mails()
	w.account("acme", mfa.Optional)
	bo := w.person("bo@acme.example", "acme")
	has := w.person("has@acme.example", "acme")
	if _, err := w.store.UpdateUser(t.Context(), bo.ID, func(u *storage.User) error { u.PasswordHash = ""; return nil }); err != nil {
		t.Fatal(err)
	}
	// However many people that is: nobody's requests are counted for it.
	for range 5 {
		for _, u := range []storage.User{bo, has} {
			if err := w.OfferPassword(t.Context(), "acme", u); err != nil {
				t.Fatal(err)
			}
		}
		w.pass(time.Second)
	}
	if err := w.Mail.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(p.got) != 5 || !strings.HasPrefix(p.got[0], "bo@acme.example offer https://portal.example/.mfa/setup#") {
		t.Fatalf("sent %q", p.got)
	}
	w.pass(OfferTime - time.Minute)
	if err := w.SetUp(t.Context(), client, p.got[0][strings.IndexByte(p.got[0], '#')+1:], "another battery staple"); err != nil {
		t.Error(err)
	}
}
