package ratelimit

import (
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawRate draws what a policy may be, the largest and the oddest included.
func drawRate(t *rapid.T) cellRate {
	unit := rapid.SampledFrom([]struct {
		most   int64
		window time.Duration
	}{{10_000_000, time.Second}, {10_000_000, time.Minute}, {1_000_000, time.Hour}, {50_000, 24 * time.Hour}}).Draw(t, "unit")
	quota := rapid.OneOf(rapid.Int64Range(1, 100), rapid.Int64Range(1, unit.most), rapid.Just(unit.most)).Draw(t, "quota")
	return cellRate{quota, unit.window.Microseconds()}
}

// drawBucket draws a state that may be found at a time: empty, in use, of a clock
// that was ahead, of another quota.
func drawBucket(t *rapid.T, r cellRate, now int64) bucket {
	ahead := rapid.OneOf(
		rapid.Int64Range(-r.window, 2*r.window),
		rapid.SampledFrom([]int64{-now, -1, 0, 1, r.window - 1, r.window, r.window + 1, 3_600_000_000}),
	).Draw(t, "ahead")
	return bucket{now + ahead, rapid.Int64Range(0, 2*r.quota).Draw(t, "part")}
}

func drawCells(t *rapid.T, r cellRate) int64 {
	return rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64Range(0, r.quota+1)).Draw(t, "cells")
}

// tat is the theoretical arrival time of a bucket, exactly.
func tat(b bucket, r cellRate) *big.Rat {
	return new(big.Rat).Add(new(big.Rat).SetInt64(b.at), big.NewRat(min(b.part, r.quota-1), r.quota))
}

// Virtual scheduling as the standard writes it, in fractions: a cell conforms if
// it comes no earlier than its theoretical arrival time less the tolerance.
func TestArriveIsVirtualScheduling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRate(t)
		now := rapid.Int64Range(0, 2_000_000_000_000_000).Draw(t, "now")
		b, n := drawBucket(t, r, now), drawCells(t, r)

		at, limit := tat(b, r), new(big.Rat).SetInt64(now+r.window)
		if at.Cmp(new(big.Rat).SetInt64(now)) < 0 {
			at.SetInt64(now)
		}
		if at.Cmp(limit) > 0 {
			at.Set(limit) // of a clock that went back
		}
		interval := big.NewRat(r.window, r.quota)
		then := new(big.Rat).Add(at, new(big.Rat).Mul(interval, new(big.Rat).SetInt64(n)))
		want := then.Cmp(limit) <= 0

		p := arrive(b, r, now, n)
		if p.ok != want {
			t.Fatalf("%d cells at %d with %+v of %+v: allowed %t, want %t", n, now, b, r, p.ok, want)
		}
		if got := tat(p.after, r); p.ok && got.Cmp(then) != 0 {
			t.Fatalf("%d cells at %d with %+v of %+v: the next is due at %s, want %s", n, now, b, r, got, then)
		}
		if p.never != (n > r.quota) {
			t.Fatalf("%d cells of %+v: never is %t", n, r, p.never)
		}
	})
}

// What arrive says of the future is what it does then, and not a µs before.
func TestArriveKeepsItsWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRate(t)
		now := rapid.Int64Range(0, 2_000_000_000_000_000).Draw(t, "now")
		b, n := drawBucket(t, r, now), drawCells(t, r)
		b, _ = repair(b, r, now)
		p := arrive(b, r, now, n)
		if p.ok {
			b = p.after
		}
		if !arrive(b, r, now, p.left).ok || arrive(b, r, now, p.left+1).ok {
			t.Fatalf("%+v of %+v at %d: %d are said to be left, and are not", b, r, now, p.left)
		}
		if p.more > 0 && (!arrive(b, r, now+p.more, p.left+1).ok || arrive(b, r, now+p.more-1, p.left+1).ok) {
			t.Fatalf("%+v of %+v at %d: more than %d are said to be left in %d µs, and are not", b, r, now, p.left, p.more)
		}
		if p.more == 0 && p.left != r.quota {
			t.Fatalf("%+v of %+v at %d: %d are left, and no more will be", b, r, now, p.left)
		}
		if p.future > 0 && (!arrive(b, r, now+p.future, n).ok || arrive(b, r, now+p.future-1, n).ok) {
			t.Fatalf("%+v of %+v at %d: %d are said to pass in %d µs, and do not", b, r, now, n, p.future)
		}
	})
}

func TestArriveDoesNotDrift(t *testing.T) {
	for _, r := range []cellRate{{7, 1e6}, {60, 60e6}, {999_983, 60e6}, {700_001, 1e6}, {10_000_000, 60e6}, {1_000_000, 3600e6}, {49_999, 86400e6}} {
		var b bucket
		var passed, now int64
		const windows = 50
		for now < windows*r.window { // a caller that always asks for what is left
			p := arrive(b, r, now, 0)
			if p.left > 0 {
				b = arrive(b, r, now, p.left).after
				passed += p.left
			}
			now += max(1, r.window/997)
		}
		if want := r.quota + r.quota*now/r.window; passed > want || passed < want-r.quota/997-1 {
			t.Errorf("%+v: %d passed in %d µs, want %d", r, passed, now, want)
		}
	}
}

func TestAttack87ClockSetBackNeitherRefillsNorLocksOut(t *testing.T) {
	r := cellRate{60, 60e6}
	const now = 1e15
	empty := arrive(bucket{}, r, now, 60).after
	for _, back := range []int64{1, 1e6, 59e6, 60e6, 3600e6, 1e15} {
		if arrive(empty, r, now-back, 1).ok {
			t.Errorf("the clock went back %d µs, and an empty bucket let one pass", back)
		}
		b, _ := repair(empty, r, now-back)
		if arrive(b, r, now-back, 1).ok {
			t.Errorf("the clock went back %d µs, and a repaired empty bucket let one pass", back)
		}
		if p := arrive(b, r, now-back+r.window+1e6, 1); !p.ok {
			t.Errorf("the clock went back %d µs, and no call passes a window later: %+v", back, p)
		}
	}
}

func TestAQuotaOfNothingLetsNothingPass(t *testing.T) {
	if p := arrive(bucket{}, cellRate{0, 1e6}, 0, 1); p.ok || !p.never {
		t.Errorf("one cell of a quota of none: %+v", p)
	}
	if p := arrive(bucket{}, cellRate{0, 1e6}, 0, 0); !p.ok || p.left != 0 {
		t.Errorf("no cell of a quota of none: %+v", p)
	}
}
