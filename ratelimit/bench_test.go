package ratelimit

import (
	"context"
	"net/netip"
	"testing"
	"time"
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
		ask := charge("key", Policy{Publishes, 10_000_000, time.Second}, 1)
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
var generous = Defaults().With(
	Policy{Requests, 10_000_000, time.Second}, Policy{Connects, 10_000_000, time.Second},
	Policy{Publishes, 10_000_000, time.Second}, Policy{Streams, 10_000, 0})

func BenchmarkHeader(b *testing.B) {
	v := NewMemoryLimiter("bench").Take(context.Background(), connectOf("key", "con_1", Defaults()))
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
