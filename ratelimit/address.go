package ratelimit

import (
	"cmp"
	"container/list"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/paylogic/pushserver/ratelimit/policy"
)

const (
	defaultFailures = 30      // failed authentications a minute
	defaultTable    = 1 << 16 // addresses remembered, about 200 bytes each
)

// AddressOptions of [NewAddresses]. The zero value works.
type AddressOptions struct {
	Failures    int            // failed authentications a minute, all at once if need be; 30 if zero
	Connections int            // open at the same time; zero: any number
	Trusted     []netip.Prefix // proxies, which serve many clients: they have no limits
	Table       int            // how many addresses' failures are remembered; 65,536 if zero
}

// Addresses limits addresses on one gateway alone: how often they fail to
// authenticate, and how many connections they hold open.
//
// An IPv4 address counts by itself. An IPv6 address counts as its /64, because one
// customer has all of it. Memory is bounded: the table of failures forgets the
// oldest, and connections count only while they are open.
type Addresses struct {
	failures    int
	connections int
	table       int
	trusted     []netip.Prefix

	mu       sync.Mutex                     // guards the following
	limiters map[netip.Prefix]*list.Element // of *failing
	recent   list.List                      // latest first
	open     map[netip.Prefix]int
}

// failing is a network that failed, and how often it may again.
type failing struct {
	network netip.Prefix
	limiter *rate.Limiter
}

// NewAddresses returns unused limits.
func NewAddresses(o AddressOptions) *Addresses {
	return &Addresses{
		failures:    cmp.Or(max(0, o.Failures), defaultFailures),
		connections: max(0, o.Connections),
		table:       cmp.Or(max(0, o.Table), defaultTable),
		trusted:     slices.Clone(o.Trusted),
		limiters:    map[netip.Prefix]*list.Element{},
		open:        map[netip.Prefix]int{},
	}
}

// Fail notes a failed authentication from an address. It returns zero, or, after too
// many failures, how long to wait. Requests from the address with a valid key must
// not be refused for that.
func (a *Addresses) Fail(addr netip.Addr) (wait time.Duration) {
	addr = plain(addr)
	if contains(a.trusted, addr) {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.limiter(network(addr)).Reserve()
	if wait = r.Delay(); wait > 0 {
		r.Cancel()
	}
	return wait
}

// limiter returns the limiter of a network. The caller holds a.mu.
func (a *Addresses) limiter(network netip.Prefix) *rate.Limiter {
	if e, ok := a.limiters[network]; ok {
		a.recent.MoveToFront(e)
		return e.Value.(*failing).limiter
	}
	if len(a.limiters) >= a.table {
		oldest := a.recent.Back()
		delete(a.limiters, oldest.Value.(*failing).network)
		a.recent.Remove(oldest)
	}
	l := policy.Policy{Quota: a.failures, Window: time.Minute}.Local()
	a.limiters[network] = a.recent.PushFront(&failing{network, l})
	return l
}

// Open reports whether an address may open one more connection, and if so counts
// it. The caller then calls Close with the same address when the connection ends.
func (a *Addresses) Open(addr netip.Addr) bool {
	addr = plain(addr)
	if a.connections == 0 || contains(a.trusted, addr) {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	n := network(addr)
	if a.open[n] >= a.connections {
		return false
	}
	a.open[n]++
	return true
}

// Close ends the count of a connection that Open allowed.
func (a *Addresses) Close(addr netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := network(plain(addr))
	if a.open[n]--; a.open[n] <= 0 {
		delete(a.open, n)
	}
}

// network returns the addresses that share the limits of a plain address. All
// invalid addresses share one.
func network(addr netip.Addr) netip.Prefix {
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits) // it fails for an invalid address
	return p
}
