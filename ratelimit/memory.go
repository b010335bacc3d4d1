package ratelimit

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/paylogic/pushserver/ratelimit/policy"
)

// A MemoryLimiter is a [Limiter] and its [Leases] within one process. Its clock
// is monotonic, so a change of the time of day has no effect.
type MemoryLimiter struct {
	gateway string

	mu     sync.Mutex // guards the following
	start  time.Time
	keys   map[string]*keyState
	tidyAt int // look for idle keys when there are so many
}

// tidyMin is how many keys are too few to be worth a look.
const tidyMin = 1024

// NewMemoryLimiter returns an empty limiter. The leases name the gateway.
func NewMemoryLimiter(gateway string) *MemoryLimiter {
	return &MemoryLimiter{gateway: gateway, start: time.Now(), keys: map[string]*keyState{}, tidyAt: tidyMin}
}

// Take implements [Limiter].
func (m *MemoryLimiter) Take(_ context.Context, ask Ask) Verdict {
	return m.take(ask.sign(m.gateway), 1)
}

// A spending is a bucket before something was taken from it.
type spending struct {
	name string
	was  bucket
}

// take decides an ask with the share of each limit that one of so many gateways may
// use alone.
func (m *MemoryLimiter) take(ask Ask, gateways int) Verdict {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.tidy(now)
	v := Verdict{Allowed: true}
	var spent []spending
	a := m.keyState(ask.Key, now)
	found := a.admit(ask, ask.most(gateways))
	for _, c := range ask.Charges {
		share := share(c.Policy, gateways)
		d := found.decide(share)
		if !share.Concurrent() {
			was, p := a.arrive(share, now, c.within(share))
			d = decide(share, p)
			if p.ok && c.N > 0 {
				a.buckets[share.Name] = p.after
				spent = append(spent, spending{share.Name, was})
			}
		}
		d.Policy = c.Policy
		v.Allowed = v.Allowed && d.Allowed
		v.Decisions = append(v.Decisions, d)
	}
	if v.Allowed {
		a.grant(ask, found, gateways, now, &v)
		return v
	}
	for _, s := range slices.Backward(spent) {
		a.buckets[s.name] = s.was
	}
	a.explain(ask, gateways, now, &v)
	return v
}

// share is what one of several gateways may allow when they cannot count together.
func share(p policy.Policy, gateways int) policy.Policy {
	p.Quota = cmp.Or(p.Quota/max(1, gateways), min(1, p.Quota))
	return p
}

// within returns how many cells the charge takes from a share of its policy. A
// charge larger than the share takes all of it, or a batch would wait for the other
// gateways in vain.
func (c Charge) within(share policy.Policy) int64 {
	if c.N > share.Quota && c.N <= c.Policy.Quota {
		return int64(share.Quota)
	}
	return int64(max(0, c.N))
}

// most returns how many leases an ask tolerates: any number if no policy counts
// them.
func (a Ask) most(gateways int) int {
	for _, c := range a.Charges {
		if c.Policy.Concurrent() && c.Policy.Name != policy.Filters {
			return share(c.Policy, gateways).Quota
		}
	}
	return math.MaxInt
}

// grant holds the lease of an ask, if it has one.
func (k *keyState) grant(ask Ask, found occupancy, gateways int, now int64, v *Verdict) {
	for i, c := range ask.Charges {
		if c.Policy.Concurrent() {
			_, then := found.counts(c.Policy)
			v.Decisions[i].Remaining = max(0, share(c.Policy, gateways).Quota-then)
		}
	}
	if found.victim != nil {
		k.end(found.victim.ID, now+endedLife.Microseconds())
		v.Ended = []Lease{*found.victim}
	}
	if ask.Lease != nil {
		k.hold(*ask.Lease, now+LeaseLife.Microseconds())
	}
}

// explain completes a refusal: what is left, given that nothing was taken, and which
// leases are in the way.
func (k *keyState) explain(ask Ask, gateways int, now int64, v *Verdict) {
	busy := false
	for i, c := range ask.Charges {
		d := &v.Decisions[i]
		if c.Policy.Concurrent() {
			busy = busy || !d.Allowed
		} else if share := share(c.Policy, gateways); d.Allowed && c.N > 0 {
			_, p := k.arrive(share, now, 0)
			*d = decide(share, p)
			d.Policy = c.Policy
		}
	}
	if busy {
		v.InTheWay = k.oldest(mostInTheWay)
	}
}

// now returns the limiter's time in µs. The caller holds m.mu.
func (m *MemoryLimiter) now() int64 { return time.Since(m.start).Microseconds() }

// keyState returns the state of a key as of now. The caller holds m.mu.
func (m *MemoryLimiter) keyState(key string, now int64) *keyState {
	a := m.keys[key]
	if a == nil {
		a = newKeyState(key, m.gateway)
		m.keys[key] = a
	}
	a.purge(now)
	return a
}

// tidy forgets idle keys once there are many. The caller holds m.mu, and no
// keyState.
func (m *MemoryLimiter) tidy(now int64) {
	if len(m.keys) < m.tidyAt {
		return
	}
	for key, a := range m.keys {
		if a.idle(now) {
			delete(m.keys, key)
		}
	}
	m.tidyAt = max(tidyMin, 2*len(m.keys))
}
