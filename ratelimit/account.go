package ratelimit

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/paylogic/pushserver/ratelimit/policy"
)

// An account is what a [MemoryLimiter] remembers of one key. Times are µs of the
// limiter's clock.
type account struct {
	key     string // whose it is
	gateway string // that holds its leases
	buckets map[string]bucket
	leases  map[string]holding // by id
	filters map[string]int     // how many leases use a filter, by filter
	ended   map[string]int64   // until when it is remembered that a lease was ended, by id
	due     int64              // no lease is over before this
	tidyDue int64              // nothing of ended is looked at before this
}

// A holding is what tells a lease from others of its account. There is one for
// each open stream.
type holding struct {
	since  int64 // Unix ms
	until  int64 // when it is over
	filter string
	info   string
}

// lease returns a lease of the account that has this id.
func (a *account) lease(id string, h holding) Lease {
	l := Lease{Key: a.key, ID: id, Gateway: a.gateway, Since: time.UnixMilli(h.since), Filter: h.filter}
	if h.info != "" {
		l.Info = []byte(h.info)
	}
	return l
}

func newAccount(key, gateway string) *account {
	return &account{
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

// tidyEvery is the time, in µs, between two looks at what was ended, which may be
// much where streams come and go.
const tidyEvery = 1_000_000

// purge forgets the leases that nobody renewed, and which were ended long ago.
func (a *account) purge(now int64) {
	a.purgeEnded(now)
	if now < a.due {
		return
	}
	a.due = math.MaxInt64
	for id, h := range a.leases {
		if h.until <= now {
			a.drop(id)
		} else {
			a.due = min(a.due, h.until)
		}
	}
}

func (a *account) purgeEnded(now int64) {
	if now < a.tidyDue {
		return
	}
	a.tidyDue = math.MaxInt64
	for id, until := range a.ended {
		if until <= now {
			delete(a.ended, id)
		} else {
			a.tidyDue = min(a.tidyDue, until)
		}
	}
	a.tidyDue = max(a.tidyDue, now+tidyEvery)
}

// idle reports whether the account says no more than a new one would.
func (a *account) idle(now int64) bool {
	a.purge(now)
	maps.DeleteFunc(a.buckets, func(_ string, b bucket) bool { return b.at < now })
	return len(a.buckets) == 0 && len(a.leases) == 0 && len(a.ended) == 0
}

// arrive returns the bucket of a rate, and what becomes of cells that come to it.
func (a *account) arrive(p policy.Policy, now, n int64) (bucket, passage) {
	b, mended := mend(a.buckets[p.Name], cells(p), now)
	if mended {
		a.buckets[p.Name] = b
	}
	return b, arrive(b, cells(p), now, n)
}

// hold keeps a lease from now on, or longer.
func (a *account) hold(l Lease, until int64) {
	was, held := a.leases[l.ID]
	a.leases[l.ID] = holding{l.Since.UnixMilli(), until, l.Filter, string(l.Info)}
	a.due = min(a.due, until)
	if held && was.filter == l.Filter {
		return
	}
	if held {
		a.forgo(was.filter)
	}
	if l.Filter != "" {
		a.filters[l.Filter]++
	}
}

// end drops a lease, if it is there, and remembers that until a time, so that a
// renewal under way does not bring it back.
func (a *account) end(id string, until int64) (l Lease, ok bool) {
	a.ended[id] = until
	a.tidyDue = min(a.tidyDue, until)
	return a.drop(id)
}

// drop forgets a lease, if it is there.
func (a *account) drop(id string) (l Lease, ok bool) {
	h, ok := a.leases[id]
	if !ok {
		return Lease{}, false
	}
	delete(a.leases, id)
	a.forgo(h.filter)
	return a.lease(id, h), true
}

// forgo counts one lease less for a filter.
func (a *account) forgo(filter string) {
	if a.filters[filter]--; a.filters[filter] <= 0 {
		delete(a.filters, filter)
	}
}

// oldest returns at most n leases, oldest first.
func (a *account) oldest(n int) []Lease {
	all := make([]Lease, 0, len(a.leases))
	for id, h := range a.leases {
		all = append(all, a.lease(id, h))
	}
	slices.SortFunc(all, compareLeases)
	return slices.Clip(all[:min(n, len(all))])
}

// A place is how many leases and distinct filters an account has, and would have
// with a lease that is asked for.
type place struct {
	leases, leasesThen   int
	filters, filtersThen int
	victim               *Lease // goes for it
}

// seek looks for a place for the lease of an ask, which may be held already. If
// there are most and the ask takes over, that is the oldest one's.
func (a *account) seek(ask Ask, most int) place {
	p := place{
		leases: len(a.leases), leasesThen: len(a.leases),
		filters: len(a.filters), filtersThen: len(a.filters),
	}
	if ask.Lease == nil {
		return p
	}
	uses := a.filters[ask.Lease.Filter]
	if _, held := a.leases[ask.Lease.ID]; !held {
		p.leasesThen++
	}
	if ask.TakeOver && p.leases > 0 && p.leasesThen > max(most, p.leases) {
		p.victim = &a.oldest(1)[0]
		p.leasesThen--
		if p.victim.Filter == ask.Lease.Filter {
			uses--
		}
		if a.filters[p.victim.Filter] == 1 {
			p.filtersThen--
		}
	}
	if ask.Lease.Filter != "" && uses == 0 {
		p.filtersThen++
	}
	return p
}

// decide returns what a concurrent policy says of the place. What asks for no
// more than there is already is allowed, for a limit may have been lowered.
func (p place) decide(limit policy.Policy) Decision {
	now, then := p.counts(limit)
	d := Decision{Policy: limit, Allowed: then <= max(now, limit.Quota), Remaining: max(0, limit.Quota-now)}
	if !d.Allowed {
		d.Retry = busyRetry
	}
	return d
}

// counts returns how much of a policy is in use, and would be.
func (p place) counts(limit policy.Policy) (now, then int) {
	if limit.Name == policy.Filters {
		return p.filters, p.filtersThen
	}
	return p.leases, p.leasesThen
}
