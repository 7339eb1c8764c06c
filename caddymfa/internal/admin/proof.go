package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Resolver asks DNS. A *net.Resolver is one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// ResolverAt returns a resolver that asks one DNS server, given as address and
// port; "" is whichever the system asks.
func ResolverAt(address string) *net.Resolver {
	r := &net.Resolver{PreferGo: true} // the one whose errors look can tell apart
	if address != "" {
		r.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		}
	}
	return r
}

// What a look at DNS finds, as it is stored and recorded.
const (
	FoundProof    = "proof"          // the record is there
	FoundOther    = "other_records"  // there are TXT records, and none is the proof
	FoundNothing  = "no_record"      // DNS says that there is none
	FoundSilence  = "no_answer"      // DNS did not answer in time
	FoundFailure  = "server_failure" // DNS answered that it cannot say
	foundNotAsked = ""
)

// lookupTime is how long DNS may take.
const lookupTime = 5 * time.Second

// look asks DNS for the proof of a claim. A resolver follows CNAME records by
// itself, and joins the strings that a long TXT record is split into.
func (s *Service) look(ctx context.Context, d storage.Domain) (string, error) {
	want := RecordOf(d)
	asking, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	// The dot at the end keeps the resolver's search list out: it would have the
	// operator's own network answer for somebody's domain.
	values, err := s.DNS.LookupTXT(asking, want.Name+".")
	if ctx.Err() != nil {
		return foundNotAsked, ctx.Err()
	}
	var dns *net.DNSError
	switch {
	case err == nil && d.Token != "" && slices.Contains(values, want.Value):
		return FoundProof, nil
	case err == nil && len(values) > 0:
		return FoundOther, nil
	case err == nil, errors.As(err, &dns) && dns.IsNotFound:
		return FoundNothing, nil
	case asking.Err() != nil, errors.As(err, &dns) && dns.IsTimeout:
		return FoundSilence, nil
	}
	return FoundFailure, nil
}

// denies reports whether a finding says that the proof is not there, and not only
// that nobody could say.
func denies(finding string) bool { return finding == FoundOther || finding == FoundNothing }

// What happens to a verified domain whose proof has gone (an edit of the zone by
// mistake, or a domain that was sold). Nobody is locked out by a single look.
const (
	// RecheckAfter is how often the proof of a verified domain is looked for.
	RecheckAfter = 24 * time.Hour
	// AlertAfter is from when on each look that finds it missing is an alert.
	AlertAfter = 7 * 24 * time.Hour
	// UnverifyAfter is when the claim is taken for unproven, as it was at first:
	// a domain that has a new owner must not stay in the hands of the former one.
	UnverifyAfter = 30 * 24 * time.Hour
)

// note writes into a claim what was found.
func note(d *storage.Domain, finding string, now time.Time) {
	d.Checked, d.Finding = now, finding
	switch {
	case finding == FoundProof:
		d.Missing = time.Time{}
	case d.Verified && denies(finding) && d.Missing.IsZero():
		d.Missing = now
	}
}

// VerifyDomain looks for the proof of a claim now. A proof that is found verifies
// it; one that is not found takes nothing away yet.
func (s *Service) VerifyDomain(ctx context.Context, by Actor, name string) (storage.Domain, error) {
	d, err := s.Domain(ctx, by.Account, name)
	if err != nil {
		return d, err
	}
	if d.Origin == storage.FromConfig {
		return d, errDeclared
	}
	finding, err := s.look(ctx, d)
	if err != nil {
		return d, err
	}
	verified := false
	next, err := s.Store.UpdateDomain(ctx, by.Account, name, func(row *storage.Domain) error {
		if row.Token != d.Token { // removed and claimed again meanwhile: the proof is of another claim
			return &Conflict{By: row.ChangedBy, At: row.Changed}
		}
		note(row, finding, s.Now())
		if verified = finding == FoundProof && !row.Verified; verified {
			row.Verified, row.Changed, row.ChangedBy = true, s.Now(), by.User
		}
		return nil
	})
	if err != nil {
		return next, err
	}
	e := storage.Event{Action: "verify_domain", Outcome: "ok", Detail: name}
	switch {
	case finding != FoundProof:
		e.Outcome, e.Reason = "refused", finding
	case !verified:
		e.Reason = "still_there"
	}
	s.record(ctx, by, e)
	return next, nil
}

// bySelf is who the audit names for what nobody asked for.
const bySelf = "housekeeping"

// recheckBatch is how many domains are listed at once.
const recheckBatch = 100

// silenceLimit is how many domains in a row may get no answer before the resolver
// itself is taken to be down, and the rest left for later.
const silenceLimit = 5

// errTaken says that another node looks at a domain.
var errTaken = errors.New("looked at by another node")

// RecheckDomains looks for the proofs of verified domains that nobody looked for
// lately.
func (s *Service) RecheckDomains(ctx context.Context) error {
	for silent := 0; ; {
		due, err := s.Store.DomainsDue(ctx, s.Now().Add(-RecheckAfter), recheckBatch)
		if err != nil {
			return err
		}
		for _, d := range due {
			finding, err := s.recheck(ctx, d)
			switch {
			case errors.Is(err, errTaken), errors.Is(err, storage.ErrNotFound):
				continue
			case err != nil:
				return err
			case finding != FoundSilence:
				silent = 0
				continue
			}
			if silent++; silent == silenceLimit {
				return fmt.Errorf("looking for the proofs of domains: DNS did not answer %d times in a row", silent)
			}
		}
		if len(due) < recheckBatch {
			return nil
		}
	}
}

// recheck looks for the proof of one domain and says what it means.
func (s *Service) recheck(ctx context.Context, d storage.Domain) (string, error) {
	// Of many nodes, the one that writes first looks.
	taken, err := s.Store.UpdateDomain(ctx, d.Account, d.Name, func(row *storage.Domain) error {
		if row.Version != d.Version {
			return errTaken
		}
		row.Checked = s.Now()
		return nil
	})
	if err != nil {
		return foundNotAsked, err
	}
	finding, err := s.look(ctx, d)
	if err != nil {
		return finding, err
	}
	next, err := s.Store.UpdateDomain(ctx, d.Account, d.Name, func(row *storage.Domain) error {
		if row.Token != d.Token || !row.Verified {
			return errTaken // somebody acted on it meanwhile, and knows better
		}
		note(row, finding, s.Now())
		if denies(finding) && s.Now().Sub(row.Missing) >= UnverifyAfter {
			row.Verified, row.Enforce, row.Missing = false, false, time.Time{}
			row.Changed, row.ChangedBy = s.Now(), bySelf
		}
		return nil
	})
	if err != nil {
		return finding, err
	}
	if reason := told(taken, next, s.Now()); reason != "" {
		e := storage.Event{Action: "recheck_domain", Outcome: "failed", Reason: reason, Detail: d.Name + ": " + finding}
		if reason == "proof_found" {
			e.Outcome = "ok"
		}
		s.record(ctx, Actor{Account: d.Account, User: bySelf}, e)
	}
	return finding, nil
}

// told says what a look has to tell, from the claim before and after it; empty:
// nothing.
func told(before, after storage.Domain, now time.Time) string {
	switch {
	case !after.Verified:
		return "domain_unverified"
	case after.Missing.IsZero() && before.Missing.IsZero():
		return ""
	case after.Missing.IsZero():
		return "proof_found"
	case before.Missing.IsZero():
		return "proof_missing"
	case now.Sub(after.Missing) >= AlertAfter:
		return "proof_missing_long"
	}
	return ""
}
