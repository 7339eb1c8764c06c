package main

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// series is how long each of many equal things took, and all of them together.
type series struct {
	each []time.Duration // sorted
	all  time.Duration
}

// repeat does something n times, by so many at once, and stops at the first
// error.
func repeat(n, workers int, do func(i int) error) (series, error) {
	s := series{each: make([]time.Duration, n)}
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var done sync.WaitGroup
	begun := time.Now()
	for range min(workers, n) {
		done.Go(func() {
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				at := time.Now()
				if err := do(i); err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				s.each[i] = time.Since(at)
			}
		})
	}
	done.Wait()
	s.all = time.Since(begun)
	if err := failed.Load(); err != nil {
		return series{}, *err
	}
	slices.Sort(s.each)
	return s, nil
}

// percentile returns what p of a hundred were not slower than.
func (s series) percentile(p int) time.Duration { return s.each[(len(s.each)-1)*p/100] }

// rate is how many there were in a second.
func (s series) rate() float64 { return float64(len(s.each)) / s.all.Seconds() }

func (s series) String() string {
	return fmt.Sprintf("%s | %s | %s | %.0f", short(s.percentile(50)), short(s.percentile(90)), short(s.percentile(99)), s.rate())
}

func short(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }

// report prints tables for docs/scale.md.
func report(out io.Writer, e *engine, s size, empty, full *round) {
	fmt.Fprintf(out, "\n### %s: %d accounts, %d people, %d sessions\n\n", e.name, s.accounts, s.users, s.users)
	fmt.Fprintln(out, "| what | store | median | 90 of 100 | 99 of 100 | per second | full : empty, median | full : empty, rate |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|")
	for i, r := range empty.rows {
		f := full.rows[i]
		fmt.Fprintf(out, "| %s | empty | %s | | |\n", r.what, r.took)
		fmt.Fprintf(out, "| | full | %s | %.2f | %.2f |\n", f.took, ratio(f.took.percentile(50), r.took.percentile(50)), f.took.rate()/r.took.rate())
	}
	signIn := full.rows[0].took // see measure
	fmt.Fprintf(out, "| sign-in while %d expired sessions are swept | full | %s | %.2f to the full store without sweeping | %.2f |\n\n",
		s.expired-full.unswept, full.sweeping, ratio(full.sweeping.percentile(50), signIn.percentile(50)), full.sweeping.rate()/signIn.rate())
	fmt.Fprintln(out, "| what | empty | full |")
	fmt.Fprintln(out, "|---|---|---|")
	fmt.Fprintf(out, "| start until it serves | %s | %s |\n", short(empty.started), short(full.started))
	fmt.Fprintf(out, "| memory of Caddy | %d MiB | %d MiB |\n", empty.memory>>20, full.memory>>20)
	fmt.Fprintf(out, "| size of the database | %d MiB | %d MiB |\n", empty.stored.Bytes>>20, full.stored.Bytes>>20)
	fmt.Fprintf(out, "| sweeping %d expired sessions | | %s |\n", s.expired, full.swept.Round(time.Millisecond))
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }
