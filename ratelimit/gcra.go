package ratelimit

import "github.com/paylogic/pushserver/ratelimit/policy"

// A cellRate is a policy in the units of the algorithm.
type cellRate struct {
	quota  int64
	window int64 // µs
}

func cells(p policy.Policy) cellRate { return cellRate{int64(p.Quota), p.Window.Microseconds()} }

// A bucket is the state of a rate: the theoretical arrival time, when it is full
// again, in µs of any clock. A quota seldom divides a window, so there is also a
// part of a µs, in units of 1/quota.
type bucket struct{ at, part int64 }

// A passage is the result of n cells that arrive at a bucket.
type passage struct {
	ok     bool
	never  bool   // more arrived than the bucket can ever hold
	after  bucket // with them, if they may pass
	left   int64  // how many more may pass now: after these, if they may
	more   int64  // µs until left grows; 0 if the bucket is full
	future int64  // µs until these may pass; 0 if they may, or never will
}

// arrive is the Generic Cell Rate Algorithm in its virtual scheduling form
// (ITU-T Recommendation I.371, Annex A; ATM Forum, Traffic Management
// Specification 4.1, af-tm-0121), for n cells at once and with a tolerance that
// lets a full quota pass in a burst.
//
// It is exact: time is counted in 1/quota of a µs, in which both the window and
// the interval between two cells are whole numbers. redis_gcra.lua does the same
// with numbers that are exact up to 2^53; package policy bounds quota times window.
//
// A clock that went back does not refill the bucket; see repair for the rest.
func arrive(b bucket, r cellRate, now, n int64) passage {
	if r.quota < 1 { // nothing passes, ever
		return passage{ok: n == 0, never: n > 0, after: b}
	}
	var p passage
	room := r.quota * r.window
	var backlog int64
	switch ahead := b.at - now; {
	case ahead >= r.window:
		backlog = room
	case ahead >= 0:
		backlog = ahead*r.quota + min(b.part, r.quota-1) // the quota may be another now
	}

	switch {
	case n > r.quota:
		p.never = true
	case backlog+n*r.window > room:
		p.future = ceil(backlog+n*r.window-room, r.quota)
	default:
		p.ok = true
		backlog += n * r.window
		p.after = bucket{now + backlog/r.quota, backlog % r.quota}
	}
	p.left = (room - backlog) / r.window
	if p.left < r.quota {
		p.more = ceil(backlog-(r.quota-p.left-1)*r.window, r.quota)
	}
	return p
}

// repair returns a possible bucket. A bucket that is full again later than in a
// window comes from a clock that was set back since, and would let no cell pass
// until that clock caught up. It becomes empty now, and the caller must store it.
func repair(b bucket, r cellRate, now int64) (repaired bucket, changed bool) {
	if b.at-now > r.window || b.at-now == r.window && b.part > 0 {
		return bucket{at: now + r.window}, true
	}
	return b, false
}

// ceil returns a/b rounded up, for a that is not negative.
func ceil(a, b int64) int64 { return (a + b - 1) / b }
