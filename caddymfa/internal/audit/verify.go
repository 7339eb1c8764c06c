package audit

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/caddymfa/gateway/caddymfa/internal/seal"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Fault is what is wrong with a line.
type Fault string

// The faults.
const (
	Altered  Fault = "altered"     // the line is not what was written, or was written by somebody else
	Missing  Fault = "missing"     // the line is not there
	Inserted Fault = "inserted"    // the row is no line of the chain
	Replaced Fault = "replaced"    // the line is not the one that was noted, or that the next one follows
	End      Fault = "end"         // the record of the end does not fit the last line
	NoKey    Fault = "unknown_key" // hashed under a master key that is not here
)

// Finding is the first thing wrong with a chain.
type Finding struct {
	Fault Fault
	Line  int64 // which line; of an inserted row, the one that it stands before
	Upto  int64 // the last of several missing lines
	ID    int64 // of the row; 0: it is not there
}

// Noted is the end of a chain as it once was, kept where nobody can alter it
// together with the database.
type Noted struct {
	Line int64
	Hash []byte
}

// String is how people keep it.
func (n Noted) String() string {
	return strconv.FormatInt(n.Line, 10) + ":" + hex.EncodeToString(n.Hash)
}

// ParseNoted reads what String wrote.
func ParseNoted(text string) (Noted, error) {
	line, hash, _ := strings.Cut(strings.TrimSpace(text), ":")
	n, err := strconv.ParseInt(line, 10, 64)
	sum, hexErr := hex.DecodeString(hash)
	if err != nil || hexErr != nil || n < 1 || len(sum) == 0 {
		return Noted{}, fmt.Errorf("expected the end of a chain as <line>:<hash>, got %.100q", text)
	}
	return Noted{Line: n, Hash: sum}, nil
}

// Part is what was found out about a part of a chain.
type Part struct {
	Lines   int      // how many lines are as they were written
	Older   int      // how many rows are older than the chain
	End     Noted    // the last good line so far
	Next    int64    // where the next part begins; 0: this was the last
	Finding *Finding // nil: all is well
}

// ErrResume means that a part cannot begin where it was asked to.
var ErrResume = errors.New("no line to go on from")

// Verify looks at one part of a chain, of at most limit lines, and ends at the
// first line that is wrong. From is the former part's Next, 0 for the first. A
// zero noted was not noted.
func (l Log) Verify(ctx context.Context, account string, from int64, limit int, noted Noted) (Part, error) {
	extent, err := l.Store.Extent(ctx)
	if err != nil {
		return Part{}, err
	}
	end, err := l.Store.Chain(ctx, account)
	if err != nil {
		return Part{}, err
	}
	rows, err := l.Store.Lines(ctx, account, from, limit+1) // one more: from is a line of the former part
	if err != nil {
		return Part{}, err
	}
	w := walk{log: l, account: account, unchained: extent.Unchained, noted: noted, end: end}
	last := len(rows) <= limit
	if from > 0 {
		if rows, err = w.resume(from, rows); err != nil {
			return Part{}, err
		}
	}
	if err := w.rows(ctx, rows); err != nil || w.part.Finding != nil {
		return w.part, err
	}
	if !last {
		w.part.Next = w.at
		return w.part, nil
	}
	return w.part, w.finish(ctx)
}

// walk is a verification under way.
type walk struct {
	log       Log
	account   string
	unchained int64
	noted     Noted
	end       storage.Chain // as it was before the rows were read
	at        int64         // the ID of the last row that was looked at
	part      Part
}

// resume takes up a chain at the row that the former part ended with, which must
// still be as it was.
func (w *walk) resume(from int64, rows []storage.Event) ([]storage.Event, error) {
	if len(rows) == 0 || rows[0].ID != from {
		return nil, fmt.Errorf("%w: row %d is not of this account", ErrResume, from)
	}
	if e := rows[0]; !w.old(e) {
		if w.log.check(e) != nil {
			w.part.Finding = &Finding{Fault: Altered, Line: e.Line, ID: e.ID}
			return nil, nil
		}
		w.part.End = Noted{Line: e.Line, Hash: e.Hash}
	}
	w.at = from
	return rows[1:], nil
}

// old says whether a row is one that may have no hash.
func (w *walk) old(e storage.Event) bool {
	return e.ID <= w.unchained && e.Line == 0 && len(e.Hash) == 0
}

// rows goes through rows until something is wrong.
func (w *walk) rows(ctx context.Context, rows []storage.Event) error {
	for i, e := range rows {
		if w.old(e) {
			w.part.Older++
			w.at = e.ID
			continue
		}
		if err := w.log.check(e); err != nil || !w.follows(e) {
			w.part.Finding, err = w.explain(ctx, e, err, rows[i+1:])
			return err
		}
		w.part.Lines++
		w.part.End, w.at = Noted{Line: e.Line, Hash: e.Hash}, e.ID
		if e.Line == w.noted.Line && !bytes.Equal(e.Hash, w.noted.Hash) {
			w.part.Finding = &Finding{Fault: Replaced, Line: e.Line, ID: e.ID}
			return nil
		}
	}
	return nil
}

// follows says whether a genuine line comes right after the last one.
func (w *walk) follows(e storage.Event) bool {
	return e.Line == w.part.End.Line+1 && bytes.Equal(e.Prev, w.part.End.Hash)
}

// explain says what is wrong with a row, given what its check said.
func (w *walk) explain(ctx context.Context, e storage.Event, checked error, rest []storage.Event) (*Finding, error) {
	want := w.part.End.Line + 1
	switch {
	case errors.Is(checked, seal.ErrKey):
		return &Finding{Fault: NoKey, Line: want, ID: e.ID}, nil
	case checked == nil && e.Line > want:
		return &Finding{Fault: Missing, Line: want, Upto: e.Line - 1}, nil
	case checked == nil && e.Line == want:
		return &Finding{Fault: Replaced, Line: want - 1}, nil
	case checked == nil:
		return &Finding{Fault: Inserted, Line: want, ID: e.ID}, nil
	}
	// Whether a row that is not genuine stands in a line's place or between two
	// is told by the next genuine one; at the end, by the number of lines.
	next, err := w.genuine(ctx, e.ID, rest)
	if err != nil {
		return nil, err
	}
	if next == nil && w.end.Line < want || next != nil && w.follows(*next) {
		return &Finding{Fault: Inserted, Line: want, ID: e.ID}, nil
	}
	return &Finding{Fault: Altered, Line: want, ID: e.ID}, nil
}

// genuine returns the first genuine line after a row, or nil. The rows at hand
// are looked at first.
func (w *walk) genuine(ctx context.Context, after int64, rows []storage.Event) (*storage.Event, error) {
	for {
		for _, e := range rows {
			if w.log.check(e) == nil {
				return &e, nil
			}
			after = e.ID
		}
		var err error
		if rows, err = w.log.Store.Lines(ctx, w.account, after+1, lookAhead); err != nil || len(rows) == 0 {
			return nil, err
		}
	}
}

// lookAhead is how many rows are read at a time in search of a genuine one.
const lookAhead = 100

// finish compares the last line with the record of the end: as it was before the
// rows were read, and as it is now, since lines may have been added.
func (w *walk) finish(ctx context.Context) error {
	now, err := w.log.Store.Chain(ctx, w.account)
	if err != nil {
		return err
	}
	last := w.part.End
	upto := max(w.end.Line, w.noted.Line)
	switch {
	case last.Line < upto:
		w.part.Finding = &Finding{Fault: Missing, Line: last.Line + 1, Upto: upto}
	case last.Line > now.Line, last.Line == w.end.Line && !bytes.Equal(last.Hash, w.end.Hash):
		w.part.Finding = &Finding{Fault: End, Line: last.Line}
	}
	return nil
}

// Complete says whether the lines counted in all chains are as many as the audit
// must have, given its extent before they were counted and after. Chains that
// vanished as a whole, or were cut off while others grew, are missed here.
func Complete(before, after storage.Extent, lines int64) bool {
	return lines >= before.Last-before.Unchained && lines <= after.Last-after.Unchained
}
