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

// BenchmarkRedisAppend measures concurrent publishers on one shard. A replica
// confirms each event.
func BenchmarkRedisAppend(b *testing.B) {
	for _, bench := range []struct{ callers, batch int }{{1, 1}, {64, 1}, {1, 100}, {8, 100}, {64, 100}} {
		b.Run(fmt.Sprintf("callers=%d/batch=%d", bench.callers, bench.batch), func(b *testing.B) {
			l := openCluster(b)
			logs := make([]string, 64)
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
							events[i] = newEvent(fmt.Sprintf("%d-%d", b.N, int(n)+i))
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

var benchData = []byte(fmt.Sprintf(`{"available":%0180d}`, 9))

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkRedisBell measures the time from a call of Append until another
// RedisLog, told by a bell, has read the event.
func BenchmarkRedisBell(b *testing.B) {
	publisher, reader := openCluster(b), openCluster(b)
	log := newName()
	after := mustAppend(b, publisher, log, newEvent("warm"))[0]
	ctx, cancel := context.WithCancel(context.Background())
	rang := make(chan struct{}, 1)
	var ended sync.WaitGroup
	ended.Go(func() {
		reader.Bells(ctx, func(name string) {
			if name == log {
				select {
				case rang <- struct{}{}:
				default:
				}
			}
		})
	})
	b.Cleanup(ended.Wait)
	b.Cleanup(cancel)
	for i := 0; len(rang) == 0; i++ {
		after = mustAppend(b, publisher, log, newEvent(fmt.Sprintf("tuning %d %d", b.N, i)))[0]
	}
	<-rang

	took := make([]time.Duration, 0, b.N)
	b.ResetTimer()
	for i := range b.N {
		start := time.Now()
		appended := make(chan struct{})
		go func() {
			mustAppend(b, publisher, log, newEvent(fmt.Sprintf("%d %d", b.N, i)))
			close(appended)
		}()
		for {
			<-rang
			if page := mustRead(b, reader, log, after, 10); len(page) > 0 {
				after = page[len(page)-1].ID
				break
			}
		}
		took = append(took, time.Since(start))
		<-appended
	}
	b.StopTimer()
	report(b, took)
}

// BenchmarkRedisReplay measures one reader of a long log.
func BenchmarkRedisReplay(b *testing.B) {
	l := openCluster(b)
	log := newName()
	after := mustBounds(b, l, log).Origin
	const length = 20_000
	for i := range length / 100 {
		events := make([]Event, 100)
		for k := range events {
			events[k] = newEvent(fmt.Sprint(i*100 + k))
			events[k].Data = benchData
		}
		mustAppend(b, l, log, events...)
	}
	b.ReportAllocs()
	b.ResetTimer()
	from := after
	for n := 0; n < b.N; {
		page := mustRead(b, l, log, from, 200)
		if from = after; len(page) == 200 {
			from = page[199].ID
		}
		n += max(len(page), 1)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
