package api

import (
	"log/slog"
	"testing"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit/policy"
)

// BenchmarkLimitsOfAKey is what every request pays whose key has limits of its
// own.
func BenchmarkLimitsOfAKey(b *testing.B) {
	s := &Server{limits: policy.Defaults()}
	key := &auth.Key{Limits: within(b, policy.Largest().String())}
	b.ReportAllocs()
	for b.Loop() {
		if s.limitsOf(key) != policy.Largest() {
			b.Fatal("other limits")
		}
	}
}

// A limit that no version of this program has made, such as one by the hour, does
// not take the others with it.
func TestLimitsThatCannotBeReadAreTheServers(t *testing.T) {
	s := &Server{limits: policy.Defaults(), logger: slog.New(slog.DiscardHandler)}
	key := &auth.Key{Limits: auth.Limits{"connects": {N: 600, Window: time.Hour}, "streams": {N: 5}}}
	if got := s.limitsOf(key); got != policy.Defaults() {
		t.Errorf("got %v", got)
	}
	delete(key.Limits, "connects")
	if got := s.limitsOf(key); got != policy.Defaults().With(policy.Policy{Name: "streams", Quota: 5}) {
		t.Errorf("got %v", got)
	}
}
