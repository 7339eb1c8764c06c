package operate

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// byOperator is who the audit names for what is done here.
const byOperator = "operator"

// ErrInvalid means that what was asked for makes no sense; its text says why.
var ErrInvalid = errors.New("invalid")

// errReadOnly says where to make a change that cannot be made here.
var errReadOnly = fmt.Errorf("%w: change it there", login.ErrReadOnly)

var accountID = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// about says what an error is about, in the words that an operator typed. What
// a store must refuse needs no more than that; a fault keeps its whole story.
func about(what string, err error) error {
	for _, no := range []error{storage.ErrNotFound, storage.ErrExists} {
		if errors.Is(err, no) {
			return fmt.Errorf("%s: %w", what, no)
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}

func aboutAccount(id string, err error) error { return about(fmt.Sprintf("account %q", id), err) }

func aboutUser(email string, err error) error { return about(fmt.Sprintf("user %q", email), err) }

func aboutMember(email, account string, err error) error {
	return about(fmt.Sprintf("membership of %q in account %q", email, account), err)
}

// maxName is how long the name of an account or a person may be, in characters.
const maxName = 200

// checkName keeps out what no page, table or header could show.
func checkName(name string) error {
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxName {
		return fmt.Errorf("%w: a name has at most %d characters", ErrInvalid, maxName)
	}
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("%w: name %q holds characters that cannot be shown", ErrInvalid, name)
	}
	return nil
}

// record writes an audit row of the operator's.
func (o *Operator) record(ctx context.Context, e storage.Event) {
	e.At, e.Actor, e.Outcome = o.Now(), byOperator, "ok"
	o.Record(ctx, e)
}

// AddAccount adds an account to the store.
func (o *Operator) AddAccount(ctx context.Context, id, name string, policy mfa.Policy) error {
	if !accountID.MatchString(id) {
		return fmt.Errorf("%w: account id %q: use lower-case letters, digits and '-', at most 63", ErrInvalid, id)
	}
	if !policy.Valid() {
		return fmt.Errorf("%w: a policy is needed: optional, suggested or required", ErrInvalid)
	}
	if name == "" {
		name = id
	}
	if err := checkName(name); err != nil {
		return err
	}
	err := o.Store.CreateAccount(ctx, storage.Account{
		ID: id, Name: name, Policy: policy, PolicyBy: byOperator, PolicyAt: o.Now(), Created: o.Now(),
	})
	if err != nil {
		return aboutAccount(id, err)
	}
	o.record(ctx, storage.Event{Action: "add_account", Reason: policy.String(), Account: id})
	return nil
}

// AddUser adds a person without a password; CreateSetUp or SetPassword gives
// them one.
func (o *Operator) AddUser(ctx context.Context, typed, name string) (storage.User, error) {
	email, err := storage.NormaliseEmail(typed)
	if err != nil {
		return storage.User{}, fmt.Errorf("%w: %q: %w", ErrInvalid, typed, err)
	}
	if err := checkName(name); err != nil {
		return storage.User{}, err
	}
	u := storage.User{ID: session.NewID(), Email: email, Name: name, Created: o.Now(), Version: 1}
	if err := o.Store.CreateUser(ctx, u); err != nil {
		return storage.User{}, aboutUser(email, err)
	}
	o.record(ctx, storage.Event{Action: "add_user", User: u.ID})
	return u, nil
}

// AddMember makes a person a member of an account, or changes their role.
func (o *Operator) AddMember(ctx context.Context, account, email string, role mfa.Role) error {
	u, err := o.User(ctx, email)
	if err != nil {
		return err
	}
	if role != mfa.RoleMember && role != mfa.RoleAdmin {
		return fmt.Errorf("%w: a role is needed: member or admin", ErrInvalid)
	}
	m, err := o.Store.Membership(ctx, account, u.ID)
	if err == nil && m.Origin == storage.FromConfig {
		return aboutMember(u.Email, account, errReadOnly)
	}
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if err := o.Store.PutMembership(ctx, storage.Membership{Account: account, User: u.ID, Role: role, State: mfa.Joined, Created: o.Now()}); err != nil {
		return aboutAccount(account, err) // the person was there a moment ago
	}
	o.record(ctx, storage.Event{Action: "add_member", Reason: role.String(), User: u.ID, Account: account})
	return nil
}

// RemoveMember ends a person's membership. They are out on their next request.
func (o *Operator) RemoveMember(ctx context.Context, account, email string) error {
	u, err := o.User(ctx, email)
	if err != nil {
		return err
	}
	m, err := o.Store.Membership(ctx, account, u.ID)
	if err != nil {
		return aboutMember(u.Email, account, err)
	}
	if m.Origin == storage.FromConfig {
		return aboutMember(u.Email, account, errReadOnly)
	}
	if err := o.Store.RemoveMembership(ctx, account, u.ID); err != nil {
		return aboutMember(u.Email, account, err)
	}
	o.record(ctx, storage.Event{Action: "remove_member", User: u.ID, Account: account})
	return nil
}

// User finds a person by e-mail.
func (o *Operator) User(ctx context.Context, typed string) (storage.User, error) {
	email, err := storage.NormaliseEmail(typed)
	if err != nil {
		return storage.User{}, fmt.Errorf("%w: %q: %w", ErrInvalid, typed, err)
	}
	u, err := o.Store.UserByEmail(ctx, email)
	if err != nil {
		return storage.User{}, aboutUser(email, err)
	}
	return u, nil
}

// Account finds an account by id.
func (o *Operator) Account(ctx context.Context, id string) (storage.Account, error) {
	a, err := o.Store.Account(ctx, id)
	if err != nil {
		return storage.Account{}, aboutAccount(id, err)
	}
	return a, nil
}

// SetPassword gives a person a password hash that the caller has checked, and
// ends their sessions. Their authenticators stay.
func (o *Operator) SetPassword(ctx context.Context, email, hash string) error {
	u, err := o.User(ctx, email)
	if err != nil {
		return err
	}
	_, err = o.Store.UpdateUser(ctx, u.ID, func(row *storage.User) error {
		if row.Origin == storage.FromConfig {
			return errReadOnly
		}
		row.PasswordHash, row.PasswordChanged = hash, o.Now()
		return nil
	})
	if err != nil {
		return aboutUser(u.Email, err)
	}
	if _, err := o.Store.RevokeSessionsOf(ctx, u.ID, "", o.Now()); err != nil {
		return err
	}
	o.record(ctx, storage.Event{Action: "set_password", User: u.ID})
	return nil
}

// SetDisabled switches a person off or on again. Switched off, they are out on
// their next request.
func (o *Operator) SetDisabled(ctx context.Context, email string, disabled bool) error {
	u, err := o.User(ctx, email)
	if err != nil {
		return err
	}
	_, err = o.Store.UpdateUser(ctx, u.ID, func(row *storage.User) error {
		if row.Origin == storage.FromConfig {
			return errReadOnly
		}
		row.Disabled = disabled
		return nil
	})
	if err != nil {
		return aboutUser(u.Email, err)
	}
	action := "enable_user"
	if disabled {
		action = "disable_user"
		if _, err := o.Store.RevokeSessionsOf(ctx, u.ID, "", o.Now()); err != nil {
			return err
		}
	}
	o.record(ctx, storage.Event{Action: action, User: u.ID})
	return nil
}

// ResetAuthenticators removes all of a person's authenticators and recovery
// codes and ends their sessions: they prove who they are by other means, and
// the caller has made sure of it.
func (o *Operator) ResetAuthenticators(ctx context.Context, email string) (int, error) {
	u, err := o.User(ctx, email)
	if err != nil {
		return 0, err
	}
	// Sessions end first: between the two writes nobody is left who had proven
	// a factor that is about to go.
	if _, err := o.Store.RevokeSessionsOf(ctx, u.ID, "", o.Now()); err != nil {
		return 0, err
	}
	n, err := o.Store.RemoveFactorsOf(ctx, u.ID)
	if err != nil {
		return 0, err
	}
	if _, err := o.Store.RevokeSessionsOf(ctx, u.ID, "", o.Now()); err != nil {
		return n, err
	}
	for _, kind := range []mfa.Kind{mfa.TOTP, mfa.Recovery} {
		if err := o.Login.Limiter.Forget(ctx, limit.SecondFactor, u.ID, kind.String()); err != nil {
			return n, err
		}
	}
	o.record(ctx, storage.Event{Action: "reset_factors", User: u.ID, Detail: fmt.Sprintf("%d authenticators", n)})
	return n, nil
}

// EndSessions signs a person out everywhere and says how many sessions ended.
func (o *Operator) EndSessions(ctx context.Context, email string) (int, error) {
	u, err := o.User(ctx, email)
	if err != nil {
		return 0, err
	}
	n, err := o.Store.RevokeSessionsOf(ctx, u.ID, "", o.Now())
	if err != nil {
		return 0, err
	}
	o.record(ctx, storage.Event{Action: "revoke_sessions", User: u.ID, Detail: fmt.Sprintf("%d sessions", n)})
	return n, nil
}

// CreateSetUp makes a one-time code with which a person chooses their password.
func (o *Operator) CreateSetUp(ctx context.Context, email string) (code string, expires time.Time, err error) {
	u, err := o.User(ctx, email)
	if err != nil {
		return "", time.Time{}, err
	}
	if u.Origin == storage.FromConfig {
		return "", time.Time{}, aboutUser(u.Email, errReadOnly)
	}
	code, expires, err = o.Login.CreateSetUp(ctx, u.ID)
	if err != nil {
		return "", time.Time{}, aboutUser(u.Email, err)
	}
	o.record(ctx, storage.Event{Action: "create_set_up", User: u.ID})
	return code, expires, nil
}

// Explanation is what the gate would do with a request, and why.
type Explanation struct {
	Decision mfa.Decision
	Facts    mfa.Facts
	Trial    mfa.Policy // that the account only tries; zero: none
}

// Explain decides for a person entering an account, as after showing the given
// evidence: nothing but a password by default.
func (o *Operator) Explain(ctx context.Context, email, account string, second mfa.Kind) (Explanation, error) {
	u, err := o.User(ctx, email)
	if err != nil {
		return Explanation{}, err
	}
	if _, err := o.Account(ctx, account); err != nil {
		return Explanation{}, err
	}
	now := o.Now()
	sess := storage.Session{User: u.ID, Proof: mfa.Proof{User: u.ID, First: now, FirstBy: "password"}}
	if second != 0 {
		sess.Proof.Second, sess.Proof.SecondBy = now, second
	}
	g, err := o.Login.Gather(ctx, &sess, account)
	if err != nil {
		return Explanation{}, err
	}
	x := Explanation{Decision: mfa.Decide(g.Facts), Facts: g.Facts}
	if g.Tenant != nil {
		x.Trial = g.Tenant.Trial
	}
	return x, nil
}
