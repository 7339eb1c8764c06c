package adminapi

import (
	"encoding/hex"
	"strconv"

	"github.com/caddymfa/gateway/caddymfa/internal/audit"
	"github.com/caddymfa/gateway/caddymfa/internal/operate"
)

// ChainEnd is the end of an account's part of the audit. Kept elsewhere, it
// vouches for every line up to it.
type ChainEnd struct {
	Account string `json:"account"` // empty: the rows of no account
	Line    int64  `json:"line"`
	Hash    string `json:"hash,omitempty"`
}

// ChainList is a part of the list of chains, and how much of an audit there was
// before it was read. An empty Next ends it.
type ChainList struct {
	Last      int64      `json:"last"`      // the id given last; they have no gaps
	Unchained int64      `json:"unchained"` // rows up to this id are older than the chains
	Chains    []ChainEnd `json:"chains"`
	Next      string     `json:"next,omitempty"`
}

func (c *call) listChains() (any, error) {
	limit, err := c.limit(defaultPage)
	if err != nil {
		return nil, err
	}
	rows, next, extent, err := c.Operator.Chains(c.ctx, c.ask.Get("after"), limit)
	if err != nil {
		return nil, err
	}
	list := ChainList{Last: extent.Last, Unchained: extent.Unchained, Chains: make([]ChainEnd, len(rows)), Next: next}
	for i, row := range rows {
		list.Chains[i] = ChainEnd{Account: row.Account, Line: row.Line, Hash: hex.EncodeToString(row.Hash)}
	}
	return list, nil
}

// VerifiedPart is what was found out about a part of a chain.
type VerifiedPart struct {
	Lines   int      `json:"lines"` // as they were written
	Older   int      `json:"older"` // older than the chain
	End     string   `json:"end"`   // the last good line so far, as <line>:<hash>
	Next    int64    `json:"next,omitempty"`
	Finding *Finding `json:"finding,omitempty"`
}

// Finding is the first thing that is wrong with a chain.
type Finding struct {
	Fault string `json:"fault"` // altered, missing, inserted, replaced, end or unknown_key
	Line  int64  `json:"line"`
	Upto  int64  `json:"upto,omitempty"` // the last of several missing lines
	ID    int64  `json:"id,omitempty"`   // of the row, if it is there
}

func (c *call) verifyAudit() (any, error) {
	limit, err := c.limit(operate.MaxPage)
	if err != nil {
		return nil, err
	}
	var from int64
	if text := c.ask.Get("from"); text != "" {
		if from, err = strconv.ParseInt(text, 10, 64); err != nil || from < 1 {
			return nil, invalid("from %q: expected the next of the former part", text)
		}
	}
	var noted audit.Noted
	if text := c.ask.Get("noted"); text != "" {
		if noted, err = audit.ParseNoted(text); err != nil {
			return nil, invalid("noted: %w", err)
		}
	}
	part, err := c.Operator.VerifyAudit(c.ctx, c.ask.Get("account"), from, limit, noted)
	if err != nil {
		return nil, err
	}
	answer := VerifiedPart{Lines: part.Lines, Older: part.Older, End: part.End.String(), Next: part.Next}
	if f := part.Finding; f != nil {
		answer.Finding = &Finding{Fault: string(f.Fault), Line: f.Line, Upto: f.Upto, ID: f.ID}
	}
	return answer, nil
}
