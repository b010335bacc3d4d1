package ratelimit

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// mostRefusals bounds what is remembered of them.
const mostRefusals = 4096

// refusals remembers which asks a rate has refused, for as long as nothing comes
// back to any of their rates: until then the same is refused again, whatever
// others do, so Redis need not be asked, and a client that does not wait costs it
// next to nothing. The zero value is ready.
type refusals struct {
	mu  sync.Mutex // guards the following
	all map[string]refusal
}

// A refusal is the verdict on an ask.
type refusal struct {
	charges []Charge
	verdict Verdict
	at      time.Time
	until   time.Time
}

// find returns the verdict on an ask that is refused still, as it is now.
func (r *refusals) find(ask Ask, now time.Time) (Verdict, bool) {
	r.mu.Lock()
	f, ok := r.all[ask.Key]
	r.mu.Unlock()
	if !ok || !now.Before(f.until) || !slices.Equal(f.charges, ask.Charges) {
		return Verdict{}, false
	}
	v := f.verdict
	v.Decisions = slices.Clone(v.Decisions)
	age := now.Sub(f.at).Truncate(time.Microsecond)
	for i := range v.Decisions {
		d := &v.Decisions[i]
		d.Reset = max(0, d.Reset-age)
		if !d.Policy.Concurrent() {
			d.Retry = max(0, d.Retry-age)
		}
	}
	return v, true
}

// note remembers the verdict on an ask that was sent at a time, or that what the
// key was refused before is out of date.
func (r *refusals) note(ask Ask, v Verdict, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := stands(v)
	if wait == 0 {
		delete(r.all, ask.Key)
		return
	}
	if r.all == nil {
		r.all = map[string]refusal{}
	}
	if len(r.all) >= mostRefusals {
		maps.DeleteFunc(r.all, func(_ string, f refusal) bool { return !at.Before(f.until) })
	}
	if len(r.all) >= mostRefusals {
		clear(r.all)
	}
	r.all[ask.Key] = refusal{slices.Clone(ask.Charges), v, at, at.Add(wait)}
}

// stands returns for how long a verdict is that of a rate which nobody can
// change: not at all if it is none.
func stands(v Verdict) (wait time.Duration) {
	byRate := false
	for _, d := range v.Decisions {
		if d.Never {
			return 0
		}
		byRate = byRate || !d.Allowed && !d.Policy.Concurrent()
		if d.Reset > 0 && (wait == 0 || d.Reset < wait) {
			wait = d.Reset
		}
	}
	if !byRate {
		return 0
	}
	return wait
}
