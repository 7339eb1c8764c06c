package operate_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/operate"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

const ana = "ana@acme.example"

// peopled returns an operator with the account acme and its member Ana.
func peopled(t *testing.T) *operate.Operator {
	t.Helper()
	op := newOperator(t)
	ctx := t.Context()
	must(t, op.AddAccount(ctx, "acme", "", mfa.Optional))
	_, err := op.AddUser(ctx, ana, "Ana")
	must(t, err)
	must(t, op.AddMember(ctx, "acme", ana, mfa.RoleMember))
	return op
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatMakesNoSenseIsRefused(t *testing.T) {
	op := peopled(t)
	ctx := t.Context()
	_, badMail := op.AddUser(ctx, "ana", "")
	_, badName := op.AddUser(ctx, "eve@acme.example", "\x1b]0;root\a")
	_, _, badPolicy := op.SetPolicy(ctx, "acme", operate.PolicyChange{})
	for name, err := range map[string]error{
		"an account id with a slash":        op.AddAccount(ctx, "a/b", "", mfa.Optional),
		"no policy":                         op.AddAccount(ctx, "beta", "", 0),
		"no policy to set":                  badPolicy,
		"a name that is too long":           op.AddAccount(ctx, "beta", strings.Repeat("x", 201), mfa.Optional),
		"a name that is not text":           op.AddAccount(ctx, "beta", "\xff", mfa.Optional),
		"a name that steers a terminal":     badName,
		"an address that is none":           badMail,
		"no role":                           op.AddMember(ctx, "acme", ana, 0),
		"a person whose address is not one": op.SetDisabled(ctx, "ana", true),
		"a member whose address is not one": op.RemoveMember(ctx, "acme", "ana"),
		"a password for what is no address": op.SetPassword(ctx, "ana", "hash"),
		"a member whose address cannot be":  op.AddMember(ctx, "acme", "ana", mfa.RoleAdmin),
	} {
		if !errors.Is(err, operate.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}

func TestAMissingOrPresentRowIsNamedOnce(t *testing.T) {
	op := peopled(t)
	ctx := t.Context()
	_, added := op.AddUser(ctx, strings.ToUpper(ana), "")
	_, _, set := op.SetPolicy(ctx, "beta", operate.PolicyChange{Policy: mfa.Required})
	_, reset := op.ResetAuthenticators(ctx, "eve@acme.example")
	_, ended := op.EndSessions(ctx, "eve@acme.example")
	_, _, setUp := op.CreateSetUp(ctx, "eve@acme.example")
	_, explained := op.Explain(ctx, ana, "beta", 0)
	_, _, listed := op.People(ctx, "beta", "", 1)
	_, audited := op.Audit(ctx, operate.AuditQuery{Account: "beta", Limit: 1})
	for want, errs := range map[string][]error{
		`account "acme": exists already`:                                {op.AddAccount(ctx, "acme", "", mfa.Optional)},
		`user "ana@acme.example": exists already`:                       {added},
		`account "beta": not found`:                                     {set, op.AddMember(ctx, "beta", ana, mfa.RoleAdmin), explained, listed, audited},
		`user "eve@acme.example": not found`:                            {reset, ended, setUp, op.SetPassword(ctx, "eve@acme.example", "hash")},
		`membership of "ana@acme.example" in account "beta": not found`: {op.RemoveMember(ctx, "beta", ana)},
	} {
		for _, err := range errs {
			if err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
			if !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrExists) {
				t.Errorf("%v is neither ErrNotFound nor ErrExists", err)
			}
		}
	}
}

func TestDeclaredRowsAreChangedInTheConfigurationOnly(t *testing.T) {
	op := newOperator(t)
	ctx := t.Context()
	must(t, op.Declare(ctx, operate.Declaration{
		Accounts: []operate.DeclaredAccount{{ID: "acme", Name: "Acme", Policy: mfa.Required}},
		Users:    []operate.DeclaredUser{{Email: ana, PasswordHash: "hash", Memberships: []operate.DeclaredMembership{{Account: "acme", Role: mfa.RoleMember}}}},
	}))
	_, _, policy := op.SetPolicy(ctx, "acme", operate.PolicyChange{Policy: mfa.Optional})
	_, _, setUp := op.CreateSetUp(ctx, ana)
	for name, err := range map[string]error{
		"policy":   policy,
		"set-up":   setUp,
		"password": op.SetPassword(ctx, ana, "other"),
		"disable":  op.SetDisabled(ctx, ana, true),
		"join":     op.AddMember(ctx, "acme", ana, mfa.RoleAdmin),
		"leave":    op.RemoveMember(ctx, "acme", ana),
	} {
		if !errors.Is(err, login.ErrReadOnly) || !strings.HasSuffix(err.Error(), "declared in the configuration: change it there") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	row, err := op.Account(ctx, "acme")
	must(t, err)
	if row.Policy != mfa.Required {
		t.Errorf("the declared policy became %s", row.Policy)
	}
	enrol(t, op, ana)
	if n, err := op.ResetAuthenticators(ctx, ana); n != 1 || err != nil {
		t.Errorf("authenticators are never declared: removed %d, %v", n, err)
	}
}

func TestSessionsEndWithWhatTheyWereMadeFrom(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *operate.Operator) error{
		"sign-out": func(t *testing.T, op *operate.Operator) error {
			n, err := op.EndSessions(t.Context(), ana)
			if n != 2 {
				t.Errorf("ended %d sessions, want 2", n)
			}
			return err
		},
		"password": func(t *testing.T, op *operate.Operator) error { return op.SetPassword(t.Context(), ana, "hash") },
		"disable":  func(t *testing.T, op *operate.Operator) error { return op.SetDisabled(t.Context(), ana, true) },
		"reset": func(t *testing.T, op *operate.Operator) error {
			_, err := op.ResetAuthenticators(t.Context(), ana)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			op := peopled(t)
			ids := []string{signIn(t, op, ana), signIn(t, op, ana)}
			must(t, end(t, op))
			for _, id := range ids {
				row, err := op.Store.Session(t.Context(), id)
				must(t, err)
				if row.Revoked.IsZero() {
					t.Error("a session lives on")
				}
			}
		})
	}
}

func TestListsComeInPartsWithoutGapsOrRepeats(t *testing.T) {
	op := peopled(t)
	ctx := t.Context()
	var accounts, people []string
	for i := range 5 {
		id := fmt.Sprintf("part%d", i)
		email := id + "@acme.example"
		must(t, op.AddAccount(ctx, id, "", mfa.Optional))
		_, err := op.AddUser(ctx, email, "")
		must(t, err)
		must(t, op.AddMember(ctx, "acme", email, mfa.RoleMember))
		accounts, people = append(accounts, id), append(people, email)
	}
	accounts, people = append([]string{"acme"}, accounts...), append([]string{ana}, people...)

	var got []string
	for after, parts := "", 1; ; parts++ {
		rows, next, err := op.Accounts(ctx, after, 2)
		must(t, err)
		for _, row := range rows {
			got = append(got, row.ID)
		}
		if after = next; after == "" {
			if parts != 3 {
				t.Errorf("6 accounts in %d parts of 2", parts)
			}
			break
		}
	}
	if !slices.Equal(got, accounts) {
		t.Errorf("accounts %v, want %v", got, accounts)
	}
	for _, account := range []string{"", "acme"} {
		got = nil
		for after := ""; ; {
			rows, next, err := op.People(ctx, account, after, 4)
			must(t, err)
			for _, row := range rows {
				got = append(got, row.Email)
			}
			if after = next; after == "" {
				break
			}
		}
		slices.Sort(got) // members come by id
		if !slices.Equal(got, people) {
			t.Errorf("people of %q: %v, want %v", account, got, people)
		}
	}
}

func TestTheAuditNamesPeopleByAddress(t *testing.T) {
	op := peopled(t)
	ctx := t.Context()
	u, err := op.User(ctx, ana)
	must(t, err)
	op.Record(ctx, storage.Event{At: clock, Action: "sign_in", Outcome: "ok", Actor: u.ID, User: u.ID, Account: "acme"})
	op.Record(ctx, storage.Event{At: clock, Action: "enter", Outcome: "refused", Actor: "gone", User: "gone", Account: "acme"})

	rows, err := op.Audit(ctx, operate.AuditQuery{Account: "acme", Limit: 2})
	must(t, err)
	if len(rows) != 2 || rows[0].User != "gone" || rows[0].UserEmail != "" || rows[1].UserEmail != ana || rows[1].ActorEmail != ana {
		t.Errorf("got %+v", rows)
	}
	rows, err = op.Audit(ctx, operate.AuditQuery{Email: ana, Limit: 50, Before: rows[1].ID})
	must(t, err)
	var actions []string
	for _, row := range rows {
		actions = append(actions, row.Action+" by "+row.Actor)
	}
	if want := []string{"add_member by operator", "add_user by operator"}; !slices.Equal(actions, want) {
		t.Errorf("before the sign-in: %v, want %v", actions, want)
	}
}

func TestExplainAnswersAsTheGateWould(t *testing.T) {
	op := peopled(t)
	ctx := t.Context()
	ask := func(second mfa.Kind) mfa.Decision {
		x, err := op.Explain(ctx, ana, "acme", second)
		must(t, err)
		return x.Decision
	}
	if d := ask(0); d.Verdict != mfa.Allow || d.Reason != mfa.PolicyOptional {
		t.Errorf("optional: %+v", d)
	}
	if former, _, err := op.SetPolicy(ctx, "acme", operate.PolicyChange{Policy: mfa.Required}); former.Policy != mfa.Optional || err != nil {
		t.Errorf("the former policy was %s, %v", former.Policy, err)
	}
	if d := ask(0); d.Verdict != mfa.Enroll || d.Reason != mfa.PolicyRequired {
		t.Errorf("required: %+v", d)
	}
	enrol(t, op, ana)
	if d := ask(0); d.Verdict != mfa.Challenge || !d.Offer.Has(mfa.TOTP) {
		t.Errorf("enrolled: %+v", d)
	}
	if d := ask(mfa.TOTP); d.Verdict != mfa.Allow || d.Reason != mfa.SecondFactor {
		t.Errorf("proven: %+v", d)
	}
	must(t, op.SetDisabled(ctx, ana, true))
	if d := ask(mfa.TOTP); d.Verdict != mfa.Deny || d.Reason != mfa.UserDisabled {
		t.Errorf("disabled: %+v", d)
	}
	must(t, op.SetDisabled(ctx, ana, false))
	must(t, op.RemoveMember(ctx, "acme", ana))
	if d := ask(mfa.TOTP); d.Verdict != mfa.Deny || d.Reason != mfa.NotMember {
		t.Errorf("left: %+v", d)
	}
}
