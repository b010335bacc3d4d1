package ratelimit

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylogic/pushserver/internal/redistest"
	"github.com/paylogic/pushserver/ratelimit/policy"
)

// BenchmarkRedisTake is what limits cost a publish and a connect, one round trip
// each, beside the cheapest command there is.
func BenchmarkRedisTake(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			l := openLimiter(b, RedisOptions{}, redistest.Shared(b).Addrs()...)
			keys := make([]string, 64)
			for i := range keys {
				keys[i] = newKey()
				take(b, l, connectOf(keys[i], "con_0", generous))
			}
			for _, bench := range []struct {
				name string
				do   func(ctx context.Context, i int) bool
			}{
				{"nothing", func(ctx context.Context, i int) bool {
					return l.client.Do(ctx, "EXISTS", ratesKey(keys[i%64])).Err() == nil
				}},
				{"publish", func(ctx context.Context, i int) bool {
					return l.Take(ctx, Ask{Key: keys[i%64], Charges: []Charge{{generous.Of(policy.Requests), 1}, {generous.Of(policy.Publishes), 1}}}).Allowed
				}},
				{"connect", func(ctx context.Context, i int) bool {
					ask := connectOf(keys[i%64], "con_"+strconv.Itoa(i/64%50), generous)
					return l.Take(ctx, ask).Allowed
				}},
			} {
				b.Run(bench.name, func(b *testing.B) {
					before := scriptTime(b)
					each(b, callers, bench.do)
					b.ReportMetric((scriptTime(b)-before)/float64(b.N), "redis-µs/op")
				})
			}
		})
	}
}

// each calls do b.N times from so many callers.
func each(b *testing.B, callers int, do func(ctx context.Context, i int) bool) {
	var next atomic.Int64
	var group sync.WaitGroup
	took := make([][]time.Duration, callers)
	b.ReportAllocs()
	b.ResetTimer()
	for c := range callers {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= b.N {
					return
				}
				start := time.Now()
				if !do(context.Background(), i) {
					b.Errorf("call %d failed", i)
					return
				}
				took[c] = append(took[c], time.Since(start))
			}
		})
	}
	group.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	all := slices.Concat(took...)
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
}

// scriptTime returns how long all nodes have run scripts and EXISTS, in µs.
func scriptTime(b *testing.B) (us float64) {
	for _, n := range redistest.Shared(b).Nodes() {
		text, _ := n.Do("INFO", "commandstats").(string)
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "cmdstat_eval") && !strings.HasPrefix(line, "cmdstat_exists") {
				continue
			}
			_, after, _ := strings.Cut(line, "usec=")
			number, _, _ := strings.Cut(after, ",")
			spent, err := strconv.ParseFloat(number, 64)
			if err != nil {
				b.Fatal(err)
			}
			us += spent
		}
	}
	return us
}

// BenchmarkRedisRefusal is what a client costs that does not wait.
func BenchmarkRedisRefusal(b *testing.B) {
	l := openLimiter(b, RedisOptions{}, redistest.Shared(b).Addrs()...)
	ask := charge(newKey(), slow, 5)
	take(b, l, ask)
	take(b, l, ask)
	b.ReportAllocs()
	for b.Loop() {
		if l.Take(context.Background(), ask).Allowed {
			b.Fatal("allowed")
		}
	}
}

// BenchmarkRedisRenew is a gateway's round of 10,000 leases of 1,000 keys.
func BenchmarkRedisRenew(b *testing.B) {
	l := openLimiter(b, RedisOptions{}, redistest.Shared(b).Addrs()...)
	var held []Lease
	for range 1000 {
		key := newKey()
		for i := range 10 {
			held = append(held, Lease{Key: key, ID: "con_" + strconv.Itoa(i), Since: time.Now(), Filter: "a", Info: make([]byte, 200)})
		}
	}
	before := scriptTime(b)
	b.ResetTimer()
	for range b.N {
		if _, err := l.Renew(context.Background(), held); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric((scriptTime(b)-before)/float64(b.N)/float64(len(held)), "redis-µs/lease")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(held)), "µs/lease")
}
