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
// is monotonic: what is done to the time of day does not matter to it.
type MemoryLimiter struct {
	gateway string

	mu       sync.Mutex // guards the following
	start    time.Time
	accounts map[string]*account // by key
	tidyAt   int                 // look for idle accounts when there are so many
}

// tidyMin is how many accounts are not worth a look.
const tidyMin = 1024

// NewMemoryLimiter returns a limiter that knows of nothing yet. The name of the
// gateway appears in the leases.
func NewMemoryLimiter(gateway string) *MemoryLimiter {
	return &MemoryLimiter{gateway: gateway, start: time.Now(), accounts: map[string]*account{}, tidyAt: tidyMin}
}

// Take implements [Limiter].
func (m *MemoryLimiter) Take(_ context.Context, ask Ask) Verdict {
	return m.take(ask.sign(m.gateway), 1)
}

// A spending is a bucket as it was before something was taken from it.
type spending struct {
	name string
	was  bucket
}

// take decides an ask with the share of each limit that one of so many gateways
// may let through by itself.
func (m *MemoryLimiter) take(ask Ask, gateways int) Verdict {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.tidy(now)
	v := Verdict{Allowed: true}
	var spent []spending
	a := m.account(ask.Key, now)
	found := a.seek(ask, ask.most(gateways))
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

// share is what one of several gateways may let through when they cannot count
// together.
func share(p policy.Policy, gateways int) policy.Policy {
	p.Quota = cmp.Or(p.Quota/max(1, gateways), min(1, p.Quota))
	return p
}

// within returns the cells that the charge is to a share of its policy. More
// than the share at once takes all of it, or a batch would wait in vain for the
// other gateways.
func (c Charge) within(share policy.Policy) int64 {
	if c.N > share.Quota && c.N <= c.Policy.Quota {
		return int64(share.Quota)
	}
	return int64(max(0, c.N))
}

// most returns how many leases an ask puts up with: without a policy that
// counts them, any number.
func (a Ask) most(gateways int) int {
	for _, c := range a.Charges {
		if c.Policy.Concurrent() && c.Policy.Name != policy.Filters {
			return share(c.Policy, gateways).Quota
		}
	}
	return math.MaxInt
}

// grant has the lease of an ask, if it has one, take the place that was found for
// it.
func (a *account) grant(ask Ask, found place, gateways int, now int64, v *Verdict) {
	for i, c := range ask.Charges {
		if c.Policy.Concurrent() {
			_, then := found.counts(c.Policy)
			v.Decisions[i].Remaining = max(0, share(c.Policy, gateways).Quota-then)
		}
	}
	if found.victim != nil {
		a.end(found.victim.ID, now+endedLife.Microseconds())
		v.Ended = []Lease{*found.victim}
	}
	if ask.Lease != nil {
		a.hold(*ask.Lease, now+LeaseLife.Microseconds())
	}
}

// explain makes a refusal say what is left, now that nothing was taken, and who
// is in the way.
func (a *account) explain(ask Ask, gateways int, now int64, v *Verdict) {
	busy := false
	for i, c := range ask.Charges {
		d := &v.Decisions[i]
		if c.Policy.Concurrent() {
			busy = busy || !d.Allowed
		} else if share := share(c.Policy, gateways); d.Allowed && c.N > 0 {
			_, p := a.arrive(share, now, 0)
			*d = decide(share, p)
			d.Policy = c.Policy
		}
	}
	if busy {
		v.InTheWay = a.oldest(mostInTheWay)
	}
}

// now returns the limiter's time in µs. The caller holds m.mu.
func (m *MemoryLimiter) now() int64 { return time.Since(m.start).Microseconds() }

// account returns the account of a key as of now. The caller holds m.mu.
func (m *MemoryLimiter) account(key string, now int64) *account {
	a := m.accounts[key]
	if a == nil {
		a = newAccount(key, m.gateway)
		m.accounts[key] = a
	}
	a.purge(now)
	return a
}

// tidy forgets idle accounts when there have come to be many. The caller holds
// m.mu, and no account.
func (m *MemoryLimiter) tidy(now int64) {
	if len(m.accounts) < m.tidyAt {
		return
	}
	for key, a := range m.accounts {
		if a.idle(now) {
			delete(m.accounts, key)
		}
	}
	m.tidyAt = max(tidyMin, 2*len(m.accounts))
}
