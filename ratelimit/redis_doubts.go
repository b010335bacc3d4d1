package ratelimit

import (
	"context"
	"slices"
	"sync"
)

// doubts are the leases that were given without Redis, as what to ask it for. The
// zero value is ready.
type doubts struct {
	mu   sync.Mutex // guards the following
	asks map[leaseName]Ask
}

// add keeps an ask in mind, if it has a lease. What else it costs has been paid.
func (d *doubts) add(ask Ask) {
	if ask.Lease == nil {
		return
	}
	ask.Charges = slices.DeleteFunc(slices.Clone(ask.Charges), func(c Charge) bool { return !c.Policy.Concurrent() })
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.asks == nil {
		d.asks = map[leaseName]Ask{}
	}
	d.asks[nameOf(*ask.Lease)] = ask
}

func (d *doubts) has(l Lease) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.asks[nameOf(l)]
	return ok
}

func (d *doubts) remove(l Lease) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.asks, nameOf(l))
}

func (d *doubts) all() []Ask {
	d.mu.Lock()
	defer d.mu.Unlock()
	asks := make([]Ask, 0, len(d.asks))
	for _, ask := range d.asks {
		asks = append(asks, ask)
	}
	return asks
}

// Confirm implements [Leases].
func (r *RedisLimiter) Confirm(ctx context.Context) (refused []Lease, err error) {
	var asks []Ask
	var calls []*call
	for _, ask := range r.doubts.all() {
		if !r.local.holds(*ask.Lease) {
			r.doubts.remove(*ask.Lease) // it has been given back
			continue
		}
		asks, calls = append(asks, ask), append(calls, takeCall(ask))
	}
	err = r.runAll(ctx, calls)
	for i, ask := range asks {
		v, failed := readVerdict(ask, calls[i].cmd)
		switch {
		case failed != nil:
			continue
		case v.Allowed:
			r.disown(ctx, *ask.Lease)
		default:
			_, _ = r.local.End(ctx, ask.Key, ask.Lease.ID) // a renewal says so, too, if its caller has not begun to hold it
			refused = append(refused, *ask.Lease)
		}
		r.doubts.remove(*ask.Lease)
	}
	if err != nil {
		return refused, unavailable("confirm leases", err)
	}
	return refused, nil
}

// disown gives back a lease that Redis holds and this gateway does not, or not any
// more.
func (r *RedisLimiter) disown(ctx context.Context, l Lease) {
	if !r.local.holds(l) {
		r.Release(ctx, l)
	}
}
