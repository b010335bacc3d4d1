package ratelimit

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// mostRefusals bounds how many are remembered.
const mostRefusals = 4096

// refusals remembers which asks a rate refused, until any of their rates gains a
// cell. Until then the same ask is refused again whatever others do, so a client
// that does not wait costs Redis next to nothing. The zero value is ready.
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

// find returns the verdict on an ask that is still refused, as of now.
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

// note remembers the verdict on an ask that was sent at a time. A verdict that
// allows the ask makes an earlier refusal of the key obsolete.
func (r *refusals) note(ask Ask, v Verdict, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := validFor(v)
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

// validFor returns for how long nothing can change a verdict: 0 if no rate refused
// the ask.
func validFor(v Verdict) (wait time.Duration) {
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
