//go:build linux

package main

import (
	"slices"
	"testing"
	"time"
)

func TestMarkersAreFoundWhereverReadsDivideThem(t *testing.T) {
	want := []marker{
		{step: 1, group: 999, lane: 7, seq: 1, sent: 0},
		{step: 0xffff, group: 0xffffff, lane: 0xff, seq: 0xffffffff, sent: 1<<62 + 5},
		{step: 3, seq: 12, sent: time.Hour},
	}
	var text []byte
	for _, m := range want {
		text = appendEvent(append(text, "data: "...), "acme", m, 100)
		text = append(text, "\n\n"...)
	}
	for size := 1; size <= len(text); size++ {
		var got []marker
		var rest []byte
		for part := range slices.Chunk(text, size) {
			rest = scan(append(slices.Clone(rest), part...), func(m marker) { got = append(got, m) })
		}
		if !slices.Equal(got, want) {
			t.Fatalf("in parts of %d bytes: got %v, want %v", size, got, want)
		}
	}
}

func TestQuantilesAreWithinAThirtySecond(t *testing.T) {
	var h histogram
	for d := time.Microsecond; d <= 1000*time.Microsecond; d += time.Microsecond {
		h.add(d)
	}
	for _, q := range []float64{0.01, 0.5, 0.99} {
		got, want := h.quantile(q), time.Duration(q*1000)*time.Microsecond
		if diff := (got - want).Abs(); diff > want/32+time.Microsecond {
			t.Errorf("quantile %v: got %s, want %s", q, got, want)
		}
	}
}
