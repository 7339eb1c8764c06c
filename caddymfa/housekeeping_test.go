package caddymfa

import (
	"errors"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/internal/session"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Expired rows are removed by one node at a time, and by the next one when that
// is done or dead.
func TestSweepingIsOneNodesAtATime(t *testing.T) {
	_, _, app := load(t)
	g, err := app.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	store := g.login.Store
	u, err := store.UserByEmail(t.Context(), "ana@acme.example")
	if err != nil {
		t.Fatal(err)
	}
	// The app's own first round may still be under way.
	for errors.Is(store.TakeLease(t.Context(), "housekeeping", "another node", now(), now().Add(time.Hour)), storage.ErrConflict) {
	}
	old := now().Add(-365 * 24 * time.Hour)
	for range sweepBatch + 1 {
		s := storage.Session{ID: session.NewID(), User: u.ID, Created: old, Seen: old, Expires: old}
		if err := store.CreateSession(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	sessions := func() int64 {
		list, err := store.Tables(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range list {
			if table.Name == "sessions" {
				return table.Rows
			}
		}
		t.Fatal("there is no table of sessions")
		return 0
	}
	before := sessions()
	if err := app.sweep(t.Context(), now()); err != nil {
		t.Fatal(err)
	}
	if got := sessions(); got != before {
		t.Errorf("%d of %d sessions are left, though another node is sweeping", got, before)
	}
	if err := store.TakeLease(t.Context(), "housekeeping", "another node", now(), now()); err != nil {
		t.Fatal(err)
	}
	if err := app.sweep(t.Context(), now()); err != nil {
		t.Fatal(err)
	}
	if got := sessions(); got != 0 {
		t.Errorf("%d expired sessions are left", got)
	}
	if err := store.TakeLease(t.Context(), "housekeeping", "another node", now(), now().Add(time.Hour)); err != nil {
		t.Errorf("the lease was not given back: %v", err)
	}
}
