package operate

import (
	"context"

	"github.com/caddymfa/gateway/caddymfa/internal/audit"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

func (o *Operator) chained() audit.Log { return audit.Log{Store: o.Store, Box: o.Login.Box} }

// Chains lists the chains of the audit by account, after the one that next of
// the former list named; that of no account comes first. An empty next ends the
// list. The extent is from before the list was read.
func (o *Operator) Chains(ctx context.Context, after string, limit int) (chains []storage.Chain, next string, extent storage.Extent, err error) {
	if extent, err = o.Store.Extent(ctx); err != nil {
		return nil, "", extent, err
	}
	if after == "" {
		none, err := o.Store.Chain(ctx, "")
		if err != nil {
			return nil, "", extent, err
		}
		chains = append(chains, none)
	}
	rows, err := o.Store.Chains(ctx, after, limit+1)
	if err != nil {
		return nil, "", extent, err
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = rows[limit-1].Account
	}
	return append(chains, rows...), next, extent, nil
}

// VerifyAudit looks at one part of an account's chain, or of that of no account
// (""), as [audit.Log.Verify] does. Nothing is said of an account that never was.
func (o *Operator) VerifyAudit(ctx context.Context, account string, from int64, limit int, noted audit.Noted) (audit.Part, error) {
	part, err := o.chained().Verify(ctx, account, from, limit, noted)
	if err == nil && account != "" && part.End.Line == 0 && part.Older == 0 && part.Finding == nil {
		_, err = o.Account(ctx, account)
	}
	return part, err
}
