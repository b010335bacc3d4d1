package ratelimit

import (
	"context"
	"fmt"
	"testing"

	"github.com/paylogic/pushserver/internal/redistest"
	"github.com/paylogic/pushserver/ratelimit/policy"
)

// BenchmarkRedisDeadline reports how many of a hundred verdicts were given without
// Redis. It says something on a starved machine, such as beside eight busy loops on
// two processors.
func BenchmarkRedisDeadline(b *testing.B) {
	for _, callers := range []int{1, 16} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			l, _ := openHasty(b, "starved", redistest.Shared(b).Addrs()...)
			keys := make([]string, 64)
			for i := range keys {
				keys[i] = newKey()
				awaitShared(b, l, keys[i])
			}
			before := l.Fallbacks()
			each(b, callers, func(ctx context.Context, i int) bool {
				return l.Take(ctx, charge(keys[i%len(keys)], generous.Of(policy.Publishes), 1)).Allowed
			})
			b.ReportMetric(100*float64(l.Fallbacks()-before)/float64(b.N), "%fallback")
		})
	}
}
