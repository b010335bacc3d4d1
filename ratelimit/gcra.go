package ratelimit

import "github.com/paylogic/pushserver/ratelimit/policy"

// A cellRate is a policy in the units in which it is counted.
type cellRate struct {
	quota  int64
	window int64 // µs
}

// cells returns the rate of a policy that is not concurrent.
func cells(p policy.Policy) cellRate { return cellRate{int64(p.Quota), p.Window.Microseconds()} }

// A bucket is what is remembered of a rate: the theoretical arrival time, at
// which it is full again, in µs of whatever clock and, because a quota seldom
// divides a window, a part of a µs in units of 1/quota.
type bucket struct{ at, part int64 }

// A passage is what became of n cells that arrived at a bucket.
type passage struct {
	ok     bool
	never  bool   // more arrived than the bucket can ever hold
	after  bucket // as it is with them, if they may pass
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
// the interval between two cells are whole numbers. The same is redis_gcra.lua,
// where numbers are exact to 2^53; quota times window may not exceed that.
//
// A clock that went back does not refill the bucket; see mend for the rest.
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

// mend returns a bucket that can be true. One that is full again later than in a
// window is of a clock that went back since, and would let nobody pass until that
// clock has caught up: it is empty now, and must be kept so.
func mend(b bucket, r cellRate, now int64) (mended bucket, changed bool) {
	if b.at-now > r.window || b.at-now == r.window && b.part > 0 {
		return bucket{at: now + r.window}, true
	}
	return b, false
}

// ceil returns a/b rounded up, for a that is not negative.
func ceil(a, b int64) int64 { return (a + b - 1) / b }
