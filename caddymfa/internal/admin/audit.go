package admin

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// AuditQuery selects rows of the account's audit.
type AuditQuery struct {
	Email   string    // of a person of the account, who did it or whom it is about; empty: anybody
	Action  string    // empty: any
	Outcome string    // empty: any
	Since   time.Time // zero: of any time
	Until   time.Time // before this moment; zero: of any time
	Before  int64     // rows with a smaller id; 0: from the newest
	Limit   int
}

// PartyKind tells who is meant in a row of the audit.
type PartyKind string

// The kinds of party.
const (
	Nobody        PartyKind = ""              // nobody known
	Person        PartyKind = "person"        // somebody of the account
	Outsider      PartyKind = "outsider"      // somebody who does not belong to it, or not any more
	Operator      PartyKind = "operator"      // whoever runs the gate
	Housekeeping  PartyKind = "housekeeping"  // the gate, by itself
	Configuration PartyKind = "configuration" // what the gate was configured with
	Program       PartyKind = "token"         // a program with one of the account's tokens
)

// Party is who is meant in a row of the audit, as far as it is the account's to
// know: who does not belong to it has no name here.
type Party struct {
	Kind  PartyKind `json:"kind" jsonschema:"an outsider does not belong to the account, or not any more"`
	ID    string    `json:"id,omitempty" jsonschema:"of a person of the account, or of a token"`
	Name  string    `json:"name,omitempty"`
	Email string    `json:"email,omitempty"`
}

// Entry is a row of an account's audit, for pages, programs and exports. It has no session, which may have entered
// other accounts, too.
type Entry struct {
	ID      int64     `json:"id"`
	At      time.Time `json:"at"`
	Action  string    `json:"action"`
	Outcome string    `json:"outcome"`
	Reason  string    `json:"reason,omitempty" jsonschema:"a code that stays the same"`
	Actor   Party     `json:"actor,omitzero" jsonschema:"who did it; absent: nobody known"`
	User    Party     `json:"user,omitzero" jsonschema:"whom it is about; absent: nobody known"`
	Network string    `json:"network,omitempty" jsonschema:"the client's address"`
	Detail  string    `json:"detail,omitempty"`
}

// Audit lists what happened in the account, the newest first. Next is the Before
// of the following part; 0: there is none. ErrNotFound: nobody of the account has
// that address.
func (s *Service) Audit(ctx context.Context, a Actor, q AuditQuery) (entries []Entry, next int64, err error) {
	query, err := s.auditQuery(ctx, a, q)
	if err != nil {
		return nil, 0, err
	}
	query.Limit++ // to see whether there is more
	rows, err := s.Store.Events(ctx, query)
	if err != nil {
		return nil, 0, err
	}
	if len(rows) > q.Limit {
		rows = rows[:q.Limit]
		next = rows[q.Limit-1].ID
	}
	p := s.parties(a.Account)
	for _, row := range rows {
		e, err := p.entry(ctx, row)
		if err != nil {
			return nil, 0, err
		}
		entries = append(entries, e)
	}
	return entries, next, nil
}

// exportPart is how many rows are in memory while an audit is exported.
const exportPart = 500

// ExportAudit gives all selected rows to write, the newest first, however many
// they are. Export is what the audit says of it.
func (s *Service) ExportAudit(ctx context.Context, a Actor, q AuditQuery, write func(Entry) error) error {
	query, err := s.auditQuery(ctx, a, q)
	if err != nil {
		return err
	}
	s.record(ctx, a, storage.Event{Action: "export_audit", Outcome: "ok"})
	p := s.parties(a.Account)
	query.Limit = exportPart
	for {
		rows, err := s.Store.Events(ctx, query)
		if err != nil {
			return err
		}
		for _, row := range rows {
			e, err := p.entry(ctx, row)
			if err != nil {
				return err
			}
			if err := write(e); err != nil {
				return err
			}
			query.Before = row.ID
		}
		if len(rows) < exportPart {
			return nil
		}
	}
}

func (s *Service) auditQuery(ctx context.Context, a Actor, q AuditQuery) (storage.EventQuery, error) {
	query := storage.EventQuery{
		Account: a.Account, Action: q.Action, Outcome: q.Outcome, Since: q.Since, Until: q.Until, Before: q.Before, Limit: q.Limit,
	}
	if a.Account == "" {
		return query, errors.New("no account is entered") // an empty one would select everybody's rows
	}
	if strings.TrimSpace(q.Email) == "" {
		return query, nil
	}
	email, err := storage.NormaliseEmail(q.Email)
	if err != nil {
		return query, storage.ErrNotFound
	}
	u, err := s.Store.UserByEmail(ctx, email)
	if err != nil {
		return query, err
	}
	if _, err := s.Store.Membership(ctx, a.Account, u.ID); err != nil {
		return query, err // to this account, whoever does not belong to it does not exist
	}
	query.Person = u.ID
	return query, nil
}

// parties finds out who is meant, each once.
type parties struct {
	s       *Service
	account string
	known   map[string]Party
	tokens  map[string]string // names by id; nil: not read yet
}

func (s *Service) parties(account string) *parties {
	return &parties{s: s, account: account, known: make(map[string]Party)}
}

// wordy are the actions whose detail is what somebody typed or holds, which may be
// another account's.
var wordy = map[string]bool{"switch_account": true, "revoke_session": true}

func (p *parties) entry(ctx context.Context, row storage.Event) (e Entry, err error) {
	e = Entry{ID: row.ID, At: row.At, Action: row.Action, Outcome: row.Outcome, Reason: row.Reason, Network: row.Network}
	if !wordy[row.Action] {
		e.Detail = row.Detail
	}
	if e.Actor, err = p.party(ctx, row.Actor); err != nil {
		return e, err
	}
	e.User, err = p.party(ctx, row.User)
	return e, err
}

func (p *parties) party(ctx context.Context, id string) (Party, error) {
	if known, ok := p.known[id]; ok {
		return known, nil
	}
	party, err := p.find(ctx, id)
	if err == nil && len(p.known) < exportPart {
		p.known[id] = party
	}
	return party, err
}

func (p *parties) find(ctx context.Context, id string) (Party, error) {
	switch id {
	case "":
		return Party{}, nil
	case "operator":
		return Party{Kind: Operator}, nil
	case bySelf:
		return Party{Kind: Housekeeping}, nil
	case "configuration":
		return Party{Kind: Configuration}, nil
	}
	if token, ok := strings.CutPrefix(id, ByToken("")); ok {
		name, err := p.token(ctx, token)
		return Party{Kind: Program, ID: token, Name: name}, err
	}
	m, err := p.s.Store.Membership(ctx, p.account, id)
	if errors.Is(err, storage.ErrNotFound) {
		return Party{Kind: Outsider}, nil
	}
	if err != nil {
		return Party{}, err
	}
	u, err := p.s.Store.User(ctx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return Party{Kind: Outsider}, nil
	}
	party := Party{Kind: Person, ID: id, Email: u.Email}
	if m.State == mfa.Joined { // what others call somebody who has not come yet is not this account's to know
		party.Name = u.Name
	}
	return party, err
}

func (p *parties) token(ctx context.Context, id string) (string, error) {
	if p.tokens == nil {
		all, err := p.s.Store.TokensOf(ctx, p.account, "", maxListed)
		if err != nil {
			return "", err
		}
		p.tokens = make(map[string]string)
		for _, t := range all {
			p.tokens[t.ID] = t.Name
		}
	}
	return p.tokens[id], nil
}

// MemberEmail returns the address of somebody who belongs to the account; of
// everybody else nothing.
func (s *Service) MemberEmail(ctx context.Context, a Actor, user string) (string, error) {
	p, err := s.parties(a.Account).party(ctx, user)
	return p.Email, err
}
