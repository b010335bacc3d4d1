package ratelimit

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// leasePatience is how long a round trip about leases may take: nobody waits for
// most of them.
const leasePatience = time.Second

// No script about the leases of one key holds up its node for longer than these
// take, and no pipeline a connection.
const (
	mostLeases = 200
	mostCalls  = 64
)

// Renew implements [Leases]. It says, too, that this gateway is alive, and learns
// how many are.
func (r *RedisLimiter) Renew(ctx context.Context, held []Lease) (ended []Lease, err error) {
	if r.breaker.expire(time.Now()) {
		r.logMended()
	}
	kept := slices.Clone(held)
	for i := range kept {
		kept[i].Info = nil // Redis keeps it
	}
	ended, _ = r.local.Renew(ctx, kept) // it does not fail
	over := names(ended)
	stands := r.doubts.settled(slices.DeleteFunc(slices.Clone(held), func(l Lease) bool { return over[nameOf(l)] }))
	calls := batches(renewScript, stands, func(l Lease) []any {
		l.Gateway = r.gateway
		return leaseArgs(&l)
	})
	alive := &call{script: gatewaysScript, keys: []string{redisGateways}, args: []any{r.gateway}}
	err = r.runAll(ctx, append(calls, alive))

	if n, failed := alive.cmd.Int64(); failed == nil {
		r.gateways.Store(max(1, n))
	}
	for _, c := range calls {
		ids, _ := c.cmd.StringSlice() // without an answer nothing is over
		for _, id := range ids {
			over[leaseName{c.owner, id}] = true
		}
	}
	for _, l := range stands {
		if over[nameOf(l)] {
			ended = append(ended, l)
			r.local.Release(ctx, l)
		}
	}
	if err != nil {
		r.doubts.mistrust()
		return ended, unavailable("renew leases", err)
	}
	return ended, nil
}

// A leaseName tells a lease from all others.
type leaseName struct{ key, id string }

func nameOf(l Lease) leaseName { return leaseName{l.Key, l.ID} }

func names(leases []Lease) map[leaseName]bool {
	all := make(map[leaseName]bool, len(leases))
	for _, l := range leases {
		all[nameOf(l)] = true
	}
	return all
}

// Release implements [Leases].
func (r *RedisLimiter) Release(ctx context.Context, held ...Lease) {
	r.local.Release(ctx, held...)
	for _, l := range held {
		r.doubts.remove(l)
	}
	if err := r.runAll(ctx, batches(endScript, held, func(l Lease) []any { return []any{l.ID} })); err != nil {
		r.doubts.mistrust() // they are not renewed any more
	}
}

// List implements [Leases].
func (r *RedisLimiter) List(ctx context.Context, key string) ([]Lease, error) {
	c := &call{script: listScript, keys: leaseKeys(key), owner: key}
	if err := r.runAll(ctx, []*call{c}); err != nil {
		return nil, unavailable("list leases", err)
	}
	records, _ := c.cmd.Slice()
	leases, err := readLeases(key, records)
	slices.SortFunc(leases, compareLeases)
	return leases, err
}

// End implements [Leases].
func (r *RedisLimiter) End(ctx context.Context, key, id string) (Lease, error) {
	c := &call{script: endScript, keys: leaseKeys(key), args: []any{id}, owner: key}
	if err := r.runAll(ctx, []*call{c}); err != nil {
		return Lease{}, unavailable("end a lease", err)
	}
	records, _ := c.cmd.Slice()
	leases, err := readLeases(key, records)
	if err != nil {
		return Lease{}, err
	}
	if len(leases) == 0 {
		return Lease{}, ErrNoLease
	}
	r.local.Release(ctx, leases...)
	return leases[0], nil
}

// batches returns calls of a script, each with what it takes of some leases of
// one key.
func batches(script *redis.Script, leases []Lease, args func(Lease) []any) []*call {
	leases = slices.Clone(leases)
	slices.SortStableFunc(leases, func(a, b Lease) int { return cmp.Compare(a.Key, b.Key) })
	var calls []*call
	n := 0 // leases in the last call
	for i, l := range leases {
		if i == 0 || l.Key != leases[i-1].Key || n == mostLeases {
			calls = append(calls, &call{script: script, keys: leaseKeys(l.Key), owner: l.Key})
			n = 0
		}
		c := calls[len(calls)-1]
		c.args = append(c.args, args(l)...)
		n++
	}
	return calls
}

// runAll makes calls in as many round trips as it takes and returns the first
// error. Nodes do not wait for each other, and one that does not answer is asked
// nothing more.
func (r *RedisLimiter) runAll(ctx context.Context, calls []*call) (err error) {
	byNode := map[string][]*call{}
	for _, c := range calls {
		c.cmd = redis.NewCmd(ctx)
		c.cmd.SetErr(errLeftAlone)
		if err == nil {
			c.node, err = r.nodeOf(ctx, c.keys[0])
		}
		byNode[c.node] = append(byNode[c.node], c)
	}
	if err != nil {
		return err
	}
	var nodes sync.WaitGroup
	for _, group := range byNode {
		nodes.Go(func() {
			for part := range slices.Chunk(group, mostCalls) {
				if !r.runSome(ctx, part) {
					return
				}
			}
		})
	}
	nodes.Wait()
	for _, c := range calls {
		if err := c.cmd.Err(); err != nil {
			r.reload()
			return err
		}
	}
	return nil
}

// runSome makes calls to one node in one round trip, and reports whether it
// answered all.
func (r *RedisLimiter) runSome(ctx context.Context, calls []*call) bool {
	ctx, cancel := context.WithTimeout(ctx, leasePatience)
	defer cancel()
	r.run(ctx, calls)
	for _, c := range calls {
		r.pulses.beat(c)
	}
	return !slices.ContainsFunc(calls, func(c *call) bool {
		var reply redis.Error
		return c.cmd.Err() != nil && !errors.As(c.cmd.Err(), &reply)
	})
}
