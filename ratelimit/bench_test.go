package ratelimit

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/paylogic/pushserver/ratelimit/policy"
)

func BenchmarkArrive(b *testing.B) {
	r := cellRate{60, 60e6}
	var state bucket
	now := int64(1e15)
	for b.Loop() {
		now += 1e6
		state = arrive(state, r, now, 1).after
	}
}

// BenchmarkMemoryTake is one limit, and all that a connect takes.
func BenchmarkMemoryTake(b *testing.B) {
	b.Run("charges=1", func(b *testing.B) {
		l := NewMemoryLimiter("bench")
		ask := charge("key", policy.Policy{Name: policy.Publishes, Quota: 10_000_000, Window: time.Second}, 1)
		b.ReportAllocs()
		for b.Loop() {
			l.Take(context.Background(), ask)
		}
	})
	b.Run("connect", func(b *testing.B) {
		l := NewMemoryLimiter("bench")
		ask := connectOf("key", "con_1", generous)
		b.ReportAllocs()
		for b.Loop() {
			l.Take(context.Background(), ask)
		}
	})
}

// generous limits refuse nothing that a benchmark does.
var generous = policy.Defaults().With(
	policy.Policy{Name: policy.Requests, Quota: 10_000_000, Window: time.Second}, policy.Policy{Name: policy.Connects, Quota: 10_000_000, Window: time.Second},
	policy.Policy{Name: policy.Publishes, Quota: 10_000_000, Window: time.Second}, policy.Policy{Name: policy.Streams, Quota: 10_000})

func BenchmarkHeader(b *testing.B) {
	v := NewMemoryLimiter("bench").Take(context.Background(), connectOf("key", "con_1", policy.Defaults()))
	b.ReportAllocs()
	for b.Loop() {
		Header(v.Decisions)
	}
}

func BenchmarkAddresses(b *testing.B) {
	a := NewAddresses(AddressOptions{Connections: 10})
	client := netip.MustParseAddr("2001:db8::7")
	b.Run("fail", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			a.Fail(client)
		}
	})
	b.Run("open and close", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			a.Open(client)
			a.Close(client)
		}
	})
	b.Run("client", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ClientAddr("10.0.0.1:80", []string{"198.51.100.1, 203.0.113.7, 10.0.0.2"}, proxies)
		}
	})
}
