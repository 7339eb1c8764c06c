package caddymfa

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/caddymfa/gateway/caddymfa/storage"
)

// auditor writes what happened twice: as a row, and as a line of the logger
// mfa.audit, which operators route with Caddy's own log options.
type auditor struct {
	store storage.AuditLog
	log   *zap.Logger
	fault *zap.Logger
}

// auditTime is how long a row may take; the step that it tells of is done.
const auditTime = 5 * time.Second

func (a *auditor) record(ctx context.Context, e storage.Event) {
	write := a.log.Info
	if e.Outcome != "ok" {
		write = a.log.Warn
	}
	write(e.Action, zap.String("outcome", e.Outcome), zap.String("reason", e.Reason), zap.String("actor", e.Actor),
		zap.String("user", e.User), zap.String("account", e.Account), zap.String("session", e.Session),
		zap.String("network", e.Network), zap.String("detail", e.Detail))
	countEvent(e)
	// The person may be gone; what they did has happened all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTime)
	defer cancel()
	if err := a.store.AppendEvent(ctx, e); err != nil {
		a.fault.Error("an audit row could not be stored; the log line is all there is of it", zap.String("action", e.Action), zap.Error(err))
	}
}
