package ratelimit

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/rediscluster"
)

// leaseDeadline bounds a round trip about leases. Most run in the background, so
// it is longer than [TakeDeadline].
const leaseDeadline = time.Second

// These bound how long a script holds up its node, how long a pipeline holds up a
// connection, and how many leases wait to be given back.
const (
	mostLeases     = 200
	mostCalls      = 64
	mostUnreleased = 1 << 16
)

// Renew implements [Leases]. It also says that this gateway is alive, and learns
// how many are.
func (r *RedisLimiter) Renew(ctx context.Context, held []Lease) (found Renewal, err error) {
	if r.breaker.expire(time.Now()) {
		r.logRecovery()
	}
	r.releaseLeft(ctx)
	found = r.local.renewAll(held)
	over := map[leaseName]bool{}
	for _, l := range found.Ended {
		over[nameOf(l)] = true
	}
	rest := slices.DeleteFunc(slices.Clone(held), func(l Lease) bool { return over[nameOf(l)] })
	var calls []*call
	for _, group := range groups(rest) {
		c := leaseCall(renewScript, group[0].Key)
		c.Args = append(c.Args, group[0].Limit)
		for _, l := range group {
			l.Gateway = r.gateway
			c.Args = append(c.Args, leaseArgs(&l)...)
		}
		calls = append(calls, c)
	}
	alive := &call{Call: rediscluster.Call{Script: gatewaysScript, Keys: []string{redisGateways}, Args: []any{r.gateway}}}
	err = r.runAll(ctx, append(calls, alive))

	if n, failed := alive.Cmd.Int64(); failed == nil {
		r.gateways.Store(max(1, n))
	}
	byName := make(map[leaseName]Lease, len(rest))
	for _, l := range rest {
		byName[nameOf(l)] = l
	}
	for _, c := range calls {
		lists, _ := c.Cmd.Slice() // without an answer all leases stay
		for i, into := range []*[]Lease{&found.Ended, &found.Surplus} {
			if i >= len(lists) {
				break
			}
			ids, _ := lists[i].([]any)
			for _, id := range ids {
				text, _ := id.(string)
				l := byName[leaseName{c.key, text}]
				*into = append(*into, l)
				r.local.Release(ctx, l)
			}
		}
	}
	if err != nil {
		return found, unavailable("renew leases", err)
	}
	return found, nil
}

// A leaseName identifies a lease among those of all keys.
type leaseName struct{ key, id string }

func nameOf(l Lease) leaseName { return leaseName{l.Key, l.ID} }

// Release implements [Leases]. If Redis does not answer, the next renewal tries
// again.
func (r *RedisLimiter) Release(ctx context.Context, held ...Lease) {
	r.local.Release(ctx, held...)
	var calls []*call
	for _, group := range groups(held) {
		c := leaseCall(endScript, group[0].Key)
		for _, l := range group {
			c.Args = append(c.Args, l.ID)
		}
		calls = append(calls, c)
	}
	if r.runAll(ctx, calls) != nil {
		r.leaveUnreleased(held...)
	}
}

// leaveUnreleased has the next renewal give leases back. Those that are too many
// expire.
func (r *RedisLimiter) leaveUnreleased(leases ...Lease) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range leases {
		if len(r.unreleased) < mostUnreleased {
			l.Info = nil
			r.unreleased = append(r.unreleased, l)
		}
	}
}

// releaseLeft gives back what Redis may hold without a stream: it would count against
// streams that are open.
func (r *RedisLimiter) releaseLeft(ctx context.Context) {
	r.mu.Lock()
	left := r.unreleased
	r.unreleased = nil
	r.mu.Unlock()
	if len(left) > 0 {
		r.Release(ctx, left...)
	}
}

// List implements [Leases].
func (r *RedisLimiter) List(ctx context.Context, key string) ([]Lease, error) {
	c := leaseCall(listScript, key)
	if err := r.runAll(ctx, []*call{c}); err != nil {
		return nil, unavailable("list leases", err)
	}
	records, _ := c.Cmd.Slice()
	leases, err := readLeases(key, records)
	slices.SortFunc(leases, compareLeases)
	return leases, err
}

// End implements [Leases].
func (r *RedisLimiter) End(ctx context.Context, key, id string) (Lease, error) {
	c := leaseCall(endScript, key)
	c.Args = []any{id}
	if err := r.runAll(ctx, []*call{c}); err != nil {
		return Lease{}, unavailable("end a lease", err)
	}
	records, _ := c.Cmd.Slice()
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

func leaseCall(script *redis.Script, key string) *call {
	return &call{key: key, Call: rediscluster.Call{Script: script, Keys: leaseKeys(key)}}
}

// groups splits leases into those that one call can take: of one key, and not too
// many.
func groups(leases []Lease) (all [][]Lease) {
	leases = slices.Clone(leases)
	slices.SortStableFunc(leases, func(a, b Lease) int { return cmp.Compare(a.Key, b.Key) })
	for len(leases) > 0 {
		n := 1
		for n < min(len(leases), mostLeases) && leases[n].Key == leases[0].Key {
			n++
		}
		all = append(all, leases[:n])
		leases = leases[n:]
	}
	return all
}

// runAll makes calls in as many round trips as it takes and returns the first
// error. It asks all nodes at the same time, and a node that does not answer
// nothing more.
func (r *RedisLimiter) runAll(ctx context.Context, calls []*call) (err error) {
	byNode := map[string][]*rediscluster.Call{}
	for _, c := range calls {
		c.Cmd = redis.NewCmd(ctx)
		c.Cmd.SetErr(errOpen)
		if err == nil {
			err = r.route(ctx, c)
		}
		byNode[c.node] = append(byNode[c.node], &c.Call)
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
		if err := c.Cmd.Err(); err != nil {
			r.client.Reload()
			return err
		}
	}
	return nil
}

// runSome makes calls to one node in one round trip, and reports whether it
// answered all.
func (r *RedisLimiter) runSome(ctx context.Context, calls []*rediscluster.Call) bool {
	ctx, cancel := context.WithTimeout(ctx, leaseDeadline)
	defer cancel()
	r.client.Run(ctx, calls...)
	return !slices.ContainsFunc(calls, func(c *rediscluster.Call) bool {
		return c.Cmd.Err() != nil && !rediscluster.IsReply(c.Cmd.Err())
	})
}
