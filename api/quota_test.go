package api

import (
	"slices"
	"testing"
	"time"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit/policy"
)

// BenchmarkLimitsOfAKey is what every request pays whose key has limits of its
// own.
func BenchmarkLimitsOfAKey(b *testing.B) {
	s := &Server{Config: Config{Limits: policy.Defaults()}}
	key := &auth.Key{Limits: policy.Largest()}
	want := policy.Largest().Of(policy.Tokens)
	b.ReportAllocs()
	for b.Loop() {
		if s.limit(key, policy.Tokens) != want {
			b.Fatal("another limit")
		}
	}
}

func TestLimitsOfAKeyOverrideTheServersByName(t *testing.T) {
	s := &Server{Config: Config{Limits: policy.Defaults()}}
	hourly := policy.Policy{Name: policy.Connects, Quota: 600, Window: time.Hour}
	key := &auth.Key{Limits: policy.Limits{{Name: policy.Streams, Quota: 5}, hourly}}
	want := policy.Defaults().With(key.Limits...)
	if got := s.limitsOf(key); !slices.Equal(got, want) || got.Of(policy.Connects) != hourly {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, p := range want {
		if got := s.limit(key, p.Name); got != p {
			t.Errorf("got %v, want %v", got, p)
		}
	}
	s.Unlimited = true
	if got := s.limitsOf(key); !slices.Equal(got, policy.Largest()) || s.limit(key, policy.Streams) != got.Of(policy.Streams) {
		t.Errorf("without limits: got %v, want the largest", got)
	}
}
