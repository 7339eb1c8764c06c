package caddymfa

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/caddymfa/gateway/caddymfa/internal/limit"
	"github.com/caddymfa/gateway/caddymfa/internal/login"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// houseTime is how often expired rows are swept, and keys and the proofs of
// domains looked after.
const houseTime = 10 * time.Minute

func (a *App) keepHouse(ctx context.Context, g *gate) {
	tick := time.NewTicker(houseTime)
	defer tick.Stop()
	for {
		if err := a.tidy(ctx, g); err != nil && ctx.Err() == nil {
			a.life.log.Error("housekeeping failed; it will be tried again", zap.Error(err), zap.Duration("in", houseTime))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sweepBatch is how many rows one write removes. After a full one nothing is
// removed for sweepRest times as long as it took, so that sign-ins get between.
const (
	sweepBatch = 50
	sweepRest  = 3
)

func (a *App) tidy(ctx context.Context, g *gate) error {
	at := now()
	if err := g.admin.BeginPlans(ctx); err != nil {
		return err
	}
	if err := g.remind(ctx); err != nil {
		return err
	}
	if err := a.sweep(ctx, at); err != nil {
		return err
	}
	// What a node sealed under the former master key before it had heard of the
	// next one.
	if _, err := g.operator.Reseal(ctx); err != nil {
		return err
	}
	if err := g.login.Sessions.Keys.Rotate(ctx, false); err != nil {
		return err
	}
	if err := a.noteAdoption(ctx, g, at); err != nil {
		return err
	}
	return g.admin.RecheckDomains(ctx)
}

// lease gives this node a task for a while; ErrConflict: another one has it.
func (a *App) lease(ctx context.Context, task string, until time.Time) error {
	return a.life.node.store.TakeLease(ctx, task, a.life.node.name, now(), until)
}

// noteAdoption counts, once a day and on one node, how far the people of each
// account have come.
func (a *App) noteAdoption(ctx context.Context, g *gate, at time.Time) error {
	today := at.UTC().Truncate(24 * time.Hour)
	if !g.noted.Before(today) {
		return nil
	}
	err := a.lease(ctx, "adoption", today.Add(24*time.Hour))
	if errors.Is(err, storage.ErrConflict) {
		return nil
	}
	if err == nil {
		err = g.admin.NoteAdoption(ctx)
	}
	if err != nil {
		return errors.Join(err, a.lease(ctx, "adoption", now())) // another node may fare better
	}
	g.noted = today
	return nil
}

// sweepLease is for how long one node sweeps before it has to say that it still
// does.
const sweepLease = time.Minute

// sweep removes expired rows, on one node at a time: the others would only wait
// for each other's rows.
func (a *App) sweep(ctx context.Context, at time.Time) error {
	store := a.life.node.store
	keep := func(d time.Duration) error { return a.lease(ctx, "housekeeping", now().Add(d)) }
	if err := keep(sweepLease); errors.Is(err, storage.ErrConflict) {
		return nil
	} else if err != nil {
		return err
	}
	sweeps := []func() (int, error){
		// What was mailed stays as long as it may be asked for.
		func() (int, error) { return store.SweepMail(ctx, at.Add(-30*24*time.Hour), sweepBatch) },
		// Sessions stay for a while after their end, as an answer to "what was that?".
		func() (int, error) { return store.SweepSessions(ctx, at.Add(-30*24*time.Hour), sweepBatch) },
		func() (int, error) { return store.SweepDevices(ctx, at, sweepBatch) },
		func() (int, error) { return store.SweepTrials(ctx, sweepBatch) },
		func() (int, error) { return store.SweepTickets(ctx, at.Add(-time.Hour), sweepBatch) },
		func() (int, error) { return store.SweepLeases(ctx, at.Add(-24*time.Hour), sweepBatch) },
		func() (int, error) { return store.SweepTokens(ctx, at.Add(-30*24*time.Hour), sweepBatch) },
		func() (int, error) { return store.SweepReplies(ctx, at.Add(-24*time.Hour), sweepBatch) },
		func() (int, error) {
			return store.SweepAttempts(ctx, at.Add(-limit.SecondFactor.Window-24*time.Hour), sweepBatch)
		},
		func() (int, error) {
			return store.SweepAssurances(ctx, at.Add(-login.AssuranceTime-24*time.Hour), sweepBatch)
		},
	}
	for _, sweep := range sweeps {
		for n := sweepBatch; n == sweepBatch; {
			var err error
			begun := time.Now()
			if n, err = sweep(); err != nil {
				return err
			}
			if n == sweepBatch {
				if err := keep(sweepLease); err != nil {
					return err
				}
				if err := pause(ctx, sweepRest*time.Since(begun)); err != nil {
					return err
				}
			}
		}
	}
	return keep(0)
}

// pause waits, unless the context ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
