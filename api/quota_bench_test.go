package api

import (
	"testing"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit"
)

// BenchmarkLimitsOfAKey is what every request pays whose key has limits of its
// own.
func BenchmarkLimitsOfAKey(b *testing.B) {
	s := &Server{limits: ratelimit.Defaults()}
	key := &auth.Key{Limits: within(b, ratelimit.Largest().String())}
	b.ReportAllocs()
	for b.Loop() {
		if s.limitsOf(key) != ratelimit.Largest() {
			b.Fatal("other limits")
		}
	}
}
