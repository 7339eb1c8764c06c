package caddymfa

import (
	"errors"
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddymfa/gateway/caddymfa/mfa"
	"github.com/caddymfa/gateway/caddymfa/storage"
)

// Everything that is counted. The collectors are the package's, so that they
// keep counting over reloads of the configuration. Labels are words of ours,
// never a person or an account.
var (
	decisions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "mfa", Name: "decisions_total",
		Help: "Decisions about requests, by verdict and reason.",
	}, []string{"verdict", "reason"})
	events = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "mfa", Name: "events_total",
		Help: "What was written to the audit, by action and outcome.",
	}, []string{"action", "outcome"})
	faults = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "mfa", Name: "faults_total",
		Help: "Requests that were refused because something failed.",
	})
)

// registerMetrics registers the collectors with a configuration's registry.
func registerMetrics(r *prometheus.Registry) error {
	for _, c := range []prometheus.Collector{decisions, events, faults} {
		var again prometheus.AlreadyRegisteredError
		if err := r.Register(c); err != nil && !errors.As(err, &again) {
			return fmt.Errorf("registering metrics: %w", err)
		}
	}
	return nil
}

// decided holds the counters of the decisions seen so far. The vector has a
// lock that all requests would share; this is only read once it is warm.
var decided sync.Map // decidedKey -> prometheus.Counter

type decidedKey struct {
	verdict mfa.Verdict
	reason  mfa.Reason
}

func countDecision(d mfa.Decision) {
	key := decidedKey{d.Verdict, d.Reason}
	c, ok := decided.Load(key)
	if !ok {
		c, _ = decided.LoadOrStore(key, decisions.WithLabelValues(d.Verdict.String(), string(d.Reason)))
	}
	c.(prometheus.Counter).Inc()
}

func countEvent(e storage.Event) { events.WithLabelValues(e.Action, e.Outcome).Inc() }

func countFault() { faults.Inc() }
