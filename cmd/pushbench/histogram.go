//go:build linux

package main

import (
	"math/bits"
	"time"
)

// A histogram counts durations in buckets that are 1/32 of their value wide.
type histogram struct {
	counts [64 * 32]uint32
	total  int
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(uint64(max(d, 0)))]++
	h.total++
}

// bucket is the value's place: its five highest bits after the first, behind
// those of all smaller powers of two.
func bucket(v uint64) int {
	if v < 32 {
		return int(v)
	}
	shift := bits.Len64(v) - 6
	return 32*(shift+1) + int(v>>shift) - 32
}

// quantile returns the duration that the part q of all do not pass.
func (h *histogram) quantile(q float64) time.Duration {
	left := int(q * float64(h.total))
	for i, n := range h.counts {
		if left -= int(n); left < 0 {
			if i < 32 {
				return time.Duration(i)
			}
			return time.Duration(uint64(i%32+32) << (i/32 - 1))
		}
	}
	return 0
}
