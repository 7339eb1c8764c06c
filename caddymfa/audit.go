package caddymfa

import (
	"context"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddymfa/gateway/caddymfa/internal/audit"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// auditor writes what happened twice: as a row, and as a line of the logger
// mfa.audit, which operators route with Caddy's own log options. The line has the
// row's hash, so that a log kept elsewhere vouches for the rows.
type auditor struct {
	rows  audit.Log
	log   *zap.Logger
	fault *zap.Logger
}

// auditTime is how long a row may take; the step that it tells of is done.
const auditTime = 5 * time.Second

func (a *auditor) record(ctx context.Context, e storage.Event) {
	countEvent(e)
	// The person may be gone; what they did has happened all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTime)
	defer cancel()
	stored, err := a.rows.Append(ctx, e)
	if err != nil {
		a.fault.Error("an audit row could not be stored; the log line is all there is of it", zap.String("action", e.Action), zap.Error(err))
		stored = e
	}
	level := zapcore.InfoLevel
	if e.Outcome != "ok" || e.Action == "break_glass" { // a way around a company's sign-in is news, also when it works
		level = zapcore.WarnLevel
	}
	a.log.Log(level, e.Action, zap.String("outcome", e.Outcome), zap.String("reason", e.Reason), zap.String("actor", e.Actor),
		zap.String("user", e.User), zap.String("account", e.Account), zap.String("session", e.Session),
		zap.String("network", e.Network), zap.String("detail", e.Detail), chained(stored))
}

// chained names the row's line, where it has one, as `caddy mfa audit verify`
// takes it.
func chained(e storage.Event) zap.Field {
	if e.Line == 0 {
		return zap.Skip()
	}
	return zap.String("chain", audit.Noted{Line: e.Line, Hash: e.Hash}.String())
}
