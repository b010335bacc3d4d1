package ratelimit

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

var errUntrue = errors.New("gateways have not renewed theirs yet")

// doubts are the leases that were given without Redis, as what to ask it for. The
// zero value is ready.
type doubts struct {
	mu     sync.Mutex // guards the following
	asks   map[leaseName]Ask
	untrue time.Time // Redis may have leases until then that are over, or lack some that are held
}

// add keeps an ask in mind, if it has a lease: whether there is a place for it.
// What else it costs has been paid, and what it took over has been told.
func (d *doubts) add(ask Ask) {
	if ask.Lease == nil {
		return
	}
	ask.TakeOver = false
	ask.Charges = slices.DeleteFunc(slices.Clone(ask.Charges), func(c Charge) bool { return !c.Policy.Concurrent() })
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.asks == nil {
		d.asks = map[leaseName]Ask{}
	}
	d.asks[nameOf(*ask.Lease)] = ask
}

// settled returns those of some leases that are not in doubt, in the same array.
func (d *doubts) settled(leases []Lease) []Lease {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(leases, func(l Lease) bool { _, ok := d.asks[nameOf(l)]; return ok })
}

// remove forgets a lease, and reports whether it was in doubt.
func (d *doubts) remove(l Lease) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.asks[nameOf(l)]
	delete(d.asks, nameOf(l))
	return ok
}

// mistrust notes that Redis, any node of it, did not hear of leases that are over
// or held. Once all gateways have renewed theirs, and what nobody renews is over, it
// knows.
func (d *doubts) mistrust() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.untrue = time.Now().Add(LeaseLife)
}

// due returns what is to be asked, oldest lease first. It fails while Redis does
// not know.
func (d *doubts) due() ([]Ask, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.asks) > 0 && time.Now().Before(d.untrue) {
		return nil, errUntrue
	}
	asks := slices.Collect(maps.Values(d.asks))
	slices.SortFunc(asks, func(a, b Ask) int { return compareLeases(*a.Lease, *b.Lease) })
	return asks, nil
}

// Unconfirmed returns how many leases there are that Redis has not been asked for
// yet.
func (r *RedisLimiter) Unconfirmed() int {
	r.doubts.mu.Lock()
	defer r.doubts.mu.Unlock()
	return len(r.doubts.asks)
}

// Confirm implements [Leases]. It takes [LeaseLife] after Redis was away: then it
// knows again who is there.
func (r *RedisLimiter) Confirm(ctx context.Context) (refused []Lease, err error) {
	asks, err := r.doubts.due()
	if err != nil {
		return nil, unavailable("confirm leases", err)
	}
	calls := make([]*call, len(asks))
	for i, ask := range asks {
		calls[i] = takeCall(ask)
	}
	err = r.runAll(ctx, calls)
	for i, ask := range asks {
		v, failed := readVerdict(ask, calls[i].cmd)
		if failed != nil {
			if err == nil {
				err = failed
			}
			continue
		}
		switch inDoubt := r.doubts.remove(*ask.Lease); {
		case v.Allowed && !inDoubt: // it has been given back meanwhile
			r.Release(ctx, *ask.Lease)
		case !v.Allowed && inDoubt:
			r.local.Release(ctx, *ask.Lease)
			refused = append(refused, *ask.Lease)
		}
	}
	if err != nil {
		return refused, unavailable("confirm leases", err)
	}
	return refused, nil
}
