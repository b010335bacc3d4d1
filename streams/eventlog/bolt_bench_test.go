package eventlog

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkBoltAppend measures concurrent publishers on one file. Each event is
// on the disk before the answer.
func BenchmarkBoltAppend(b *testing.B) {
	for _, bench := range []struct{ callers, batch, logs int }{
		{1, 1, 1}, {64, 1, 1}, {64, 1, 64}, {1, 100, 1}, {8, 100, 1}, {64, 100, 1}, {64, 100, 64},
	} {
		b.Run(fmt.Sprintf("callers=%d/batch=%d/logs=%d", bench.callers, bench.batch, bench.logs), func(b *testing.B) {
			l := openBolt(b, newBoltPath(b), BoltOptions{})
			logs := make([]string, bench.logs)
			for i := range logs {
				logs[i] = newName()
				mustAppend(b, l, logs[i], newEvent("warm"))
			}
			var next atomic.Int64
			var callers sync.WaitGroup
			took := make([][]time.Duration, bench.callers)
			b.ReportAllocs()
			b.ResetTimer()
			for c := range bench.callers {
				callers.Go(func() {
					for {
						n := next.Add(int64(bench.batch)) - int64(bench.batch)
						if n >= int64(b.N) {
							return
						}
						events := make([]Event, bench.batch)
						for i := range events {
							events[i] = newEvent(fmt.Sprint(int(n) + i))
							events[i].Data = benchData
						}
						start := time.Now()
						receipts, err := l.Append(context.Background(), logs[int(n)/bench.batch%len(logs)], events)
						took[c] = append(took[c], time.Since(start))
						if err != nil || receipts[0].Err != nil {
							b.Errorf("%v %+v", err, receipts)
							return
						}
					}
				})
			}
			callers.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			report(b, slices.Concat(took...))
		})
	}
}

// BenchmarkBoltReplay measures one reader of a long log.
func BenchmarkBoltReplay(b *testing.B) {
	l := openBolt(b, newBoltPath(b), BoltOptions{})
	log := newName()
	origin := mustBounds(b, l, log).Origin
	const length = 20_000
	events := make([]Event, length)
	for i := range events {
		events[i] = newEvent(fmt.Sprint(i))
		events[i].Data = benchData
	}
	mustAppend(b, l, log, events...)
	b.ReportAllocs()
	b.ResetTimer()
	from := origin
	for n := 0; n < b.N; {
		page := mustRead(b, l, log, from, 200)
		if from = origin; len(page) == 200 {
			from = page[199].ID
		}
		n += max(len(page), 1)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
