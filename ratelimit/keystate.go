package ratelimit

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/paylogic/pushserver/ratelimit/policy"
)

// A keyState is what a [MemoryLimiter] knows about one key. Times are µs of the
// limiter's clock.
type keyState struct {
	key     string
	gateway string // that holds its leases
	buckets map[string]bucket
	leases  map[string]holding // by id
	filters map[string]int     // how many leases use a filter, by filter
	ended   map[string]int64   // when to forget that a lease was ended, by id
	due     int64              // no lease expires before this
	tidyDue int64              // when to look at ended next
}

// A holding is a lease without what it shares with the others of its key. There is
// one for each open stream.
type holding struct {
	since  int64 // Unix ms
	until  int64 // when it expires
	filter string
	info   string
}

func (k *keyState) lease(id string, h holding) Lease {
	l := Lease{Key: k.key, ID: id, Gateway: k.gateway, Since: time.UnixMilli(h.since), Filter: h.filter}
	if h.info != "" {
		l.Info = []byte(h.info)
	}
	return l
}

func newKeyState(key, gateway string) *keyState {
	return &keyState{
		key:     key,
		gateway: gateway,
		buckets: map[string]bucket{},
		leases:  map[string]holding{},
		filters: map[string]int{},
		ended:   map[string]int64{},
		due:     math.MaxInt64,
		tidyDue: math.MaxInt64,
	}
}

// tidyEvery is the time in µs between two looks at ended, which grows large where
// streams come and go.
const tidyEvery = 1_000_000

// purge forgets leases that expired, and those that were ended long ago.
func (k *keyState) purge(now int64) {
	k.purgeEnded(now)
	if now < k.due {
		return
	}
	k.due = math.MaxInt64
	for id, h := range k.leases {
		if h.until <= now {
			k.drop(id)
		} else {
			k.due = min(k.due, h.until)
		}
	}
}

func (k *keyState) purgeEnded(now int64) {
	if now < k.tidyDue {
		return
	}
	k.tidyDue = math.MaxInt64
	for id, until := range k.ended {
		if until <= now {
			delete(k.ended, id)
		} else {
			k.tidyDue = min(k.tidyDue, until)
		}
	}
	k.tidyDue = max(k.tidyDue, now+tidyEvery)
}

// idle reports whether the state says no more than a new one would.
func (k *keyState) idle(now int64) bool {
	k.purge(now)
	maps.DeleteFunc(k.buckets, func(_ string, b bucket) bool { return b.at < now })
	return len(k.buckets) == 0 && len(k.leases) == 0 && len(k.ended) == 0
}

// arrive returns the bucket of a rate, and what happens to cells that arrive at it.
func (k *keyState) arrive(p policy.Policy, now, n int64) (bucket, passage) {
	b, repaired := repair(k.buckets[p.Name], cells(p), now)
	if repaired {
		k.buckets[p.Name] = b
	}
	return b, arrive(b, cells(p), now, n)
}

func (k *keyState) hold(l Lease, until int64) {
	was, held := k.leases[l.ID]
	k.leases[l.ID] = holding{l.Since.UnixMilli(), until, l.Filter, string(l.Info)}
	k.due = min(k.due, until)
	if held && was.filter == l.Filter {
		return
	}
	if held {
		k.releaseFilter(was.filter)
	}
	if l.Filter != "" {
		k.filters[l.Filter]++
	}
}

// end drops a lease, if it is there, and remembers that until a time, so that a
// renewal under way does not bring it back.
func (k *keyState) end(id string, until int64) (l Lease, ok bool) {
	k.ended[id] = until
	k.tidyDue = min(k.tidyDue, until)
	return k.drop(id)
}

func (k *keyState) drop(id string) (l Lease, ok bool) {
	h, ok := k.leases[id]
	if !ok {
		return Lease{}, false
	}
	delete(k.leases, id)
	k.releaseFilter(h.filter)
	return k.lease(id, h), true
}

func (k *keyState) releaseFilter(filter string) {
	if k.filters[filter]--; k.filters[filter] <= 0 {
		delete(k.filters, filter)
	}
}

func (k *keyState) oldest(n int) []Lease {
	all := make([]Lease, 0, len(k.leases))
	for id, h := range k.leases {
		all = append(all, k.lease(id, h))
	}
	slices.SortFunc(all, compareLeases)
	return slices.Clip(all[:min(n, len(all))])
}

// An occupancy is how many leases and distinct filters a key has, and would have
// with the lease of an ask.
type occupancy struct {
	leases, leasesThen   int
	filters, filtersThen int
	victim               *Lease // that the ask takes over
}

// admit returns the occupancy with the lease of an ask, which may be held already.
// An ask that takes over replaces the oldest lease if there are most.
func (k *keyState) admit(ask Ask, most int) occupancy {
	p := occupancy{
		leases: len(k.leases), leasesThen: len(k.leases),
		filters: len(k.filters), filtersThen: len(k.filters),
	}
	if ask.Lease == nil {
		return p
	}
	uses := k.filters[ask.Lease.Filter]
	if _, held := k.leases[ask.Lease.ID]; !held {
		p.leasesThen++
	}
	if ask.TakeOver && p.leases > 0 && p.leasesThen > max(most, p.leases) {
		p.victim = &k.oldest(1)[0]
		p.leasesThen--
		if p.victim.Filter == ask.Lease.Filter {
			uses--
		}
		if k.filters[p.victim.Filter] == 1 {
			p.filtersThen--
		}
	}
	if ask.Lease.Filter != "" && uses == 0 {
		p.filtersThen++
	}
	return p
}

// decide applies a concurrent policy. An ask that adds nothing is allowed, because
// the limit may have been lowered.
func (o occupancy) decide(limit policy.Policy) Decision {
	now, then := o.counts(limit)
	d := Decision{Policy: limit, Allowed: then <= max(now, limit.Quota), Remaining: max(0, limit.Quota-now)}
	if !d.Allowed {
		d.Retry = busyRetry
	}
	return d
}

func (o occupancy) counts(limit policy.Policy) (now, then int) {
	if limit.Name == policy.Filters {
		return o.filters, o.filtersThen
	}
	return o.leases, o.leasesThen
}
