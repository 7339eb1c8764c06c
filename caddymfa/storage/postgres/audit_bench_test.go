package postgres

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddymfa/gateway/caddymfa/storage"
	"github.com/caddymfa/gateway/caddymfa/storage/postgres/postgrestest"
)

// BenchmarkAppendEvent appends to the audit, in as many accounts at once, where a
// commit waits for the disk.
func BenchmarkAppendEvent(b *testing.B) {
	cluster, err := postgrestest.Start()
	if err != nil {
		b.Fatal(err)
	}
	defer cluster.Close()
	for _, n := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("%d at once", n), func(b *testing.B) {
			name, err := cluster.Create()
			if err != nil {
				b.Fatal(err)
			}
			o := options(cluster.DSN(name))
			o.Connections = 10
			store, err := Open(b.Context(), o)
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			if err := store.Migrate(b.Context()); err != nil {
				b.Fatal(err)
			}
			var made atomic.Int64
			var workers sync.WaitGroup
			b.ResetTimer()
			for account := range n {
				workers.Go(func() {
					for made.Add(1) <= int64(b.N) {
						if _, err := store.AppendEvent(b.Context(), storage.Event{At: time.Now(), Action: "sign_in", Outcome: "ok", Account: strconv.Itoa(account)},
							func(storage.Event) []byte { return []byte{1} }); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			workers.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
