package ratelimit

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"

	"github.com/paylogic/pushserver/internal/rediscluster"
	"github.com/paylogic/pushserver/ratelimit/policy"
)

// All Redis keys of one API key share its hash tag, so that one script sees all
// its limits; each expires when it says no more than its absence. The gateways
// that are alive are counted under a tag of their own.
const (
	redisPrefix   = "ps:{limit:"
	redisGateways = "ps:{limit}:gateways"
)

// TakeDeadline is how long [RedisLimiter.Take] waits for Redis. Under heavy load a
// healthy Redis answers later than 50 ms often enough to matter, and callers
// notice a quarter of a second only while Redis is away.
const TakeDeadline = 250 * time.Millisecond

// RedisOptions of a [RedisLimiter].
type RedisOptions struct {
	Gateway string       // the name of this one, unlike all others'; random if empty
	Logger  *slog.Logger // nil: slog.Default()
}

// A RedisLimiter is a [Limiter] and its [Leases] in a Redis Cluster, or in a
// standalone Redis. Any number of processes may share one.
//
// If a node does not answer within [TakeDeadline], this gateway decides alone: it
// counts the limits of the node's keys itself, divided by the number of gateways
// that were alive when Redis last answered. [RedisLimiter.Fallbacks] counts these
// verdicts. After three failures in a row the node is asked once a second, and
// only one caller waits for it. The log says when this begins and ends.
//
// A call that Redis executes after its deadline is charged in both places. A lease
// that was granted here alone is reported at the next renewal; see [Leases].
type RedisLimiter struct {
	client   *rediscluster.Client
	gateway  string
	logger   *slog.Logger
	local    *MemoryLimiter // this gateway's leases and rates, for deciding alone
	deadline time.Duration
	breaker  breaker
	refusals refusals

	gateways  atomic.Int64 // alive, as Redis last said
	fallbacks atomic.Uint64

	warnings rate.Sometimes // that nodes do not answer
	news     atomic.Bool    // a node does not answer, and no warning was logged yet
	warned   atomic.Bool    // a warning was logged, and its end was not

	mu         sync.Mutex // guards the following
	unreleased []Lease    // that Redis may still hold
}

// NewRedisLimiter returns the limiter that counts in client's Redis. It sends
// nothing yet, and does not close the client.
func NewRedisLimiter(client *rediscluster.Client, o RedisOptions) *RedisLimiter {
	gateway := cmp.Or(o.Gateway, "gw_"+strings.ToLower(rand.Text()[:12]))
	r := &RedisLimiter{
		client:   client,
		gateway:  gateway,
		logger:   cmp.Or(o.Logger, slog.Default()),
		local:    NewMemoryLimiter(gateway),
		deadline: TakeDeadline,
		warnings: rate.Sometimes{Interval: breakForgets},
	}
	r.gateways.Store(1)
	return r
}

// Gateway returns the name under which the limiter holds leases.
func (r *RedisLimiter) Gateway() string { return r.gateway }

// Fallbacks returns how many verdicts were given without Redis because it did
// not answer.
func (r *RedisLimiter) Fallbacks() uint64 { return r.fallbacks.Load() }

// Gateways returns how many gateways are alive, as far as this one knows.
func (r *RedisLimiter) Gateways() int { return int(r.gateways.Load()) }

// Take implements [Limiter].
func (r *RedisLimiter) Take(ctx context.Context, ask Ask) Verdict {
	ask = ask.sign(r.gateway)
	start := time.Now()
	if v, ok := r.refusals.find(ask, start); ok {
		return v
	}
	c := takeCall(ask)
	if err := r.call(ctx, c); err != nil {
		return r.takeAlone(ctx, ask, c)
	}
	v, err := readVerdict(ask, c.Cmd)
	if err != nil {
		return r.takeAlone(ctx, ask, c)
	}
	r.refusals.note(ask, v, start)
	r.local.follow(withoutInfo(ask), v)
	return v
}

// takeAlone decides an ask without Redis, which may execute its call later.
func (r *RedisLimiter) takeAlone(ctx context.Context, ask Ask, c *call) Verdict {
	if ctx.Err() == nil {
		r.fallbacks.Add(1)
	}
	v := r.local.take(withoutInfo(ask), r.Gateways())
	v.Local = true
	r.leaveUnreleased(v.Ended...)
	if !v.Allowed && ask.Lease != nil && c.Cmd != nil {
		go r.Release(context.Background(), *ask.Lease)
	}
	return v
}

// withoutInfo returns the ask without what its lease says of itself: Redis keeps
// that, and there are many.
func withoutInfo(ask Ask) Ask {
	if ask.Lease != nil && ask.Lease.Info != nil {
		lease := *ask.Lease
		lease.Info = nil
		ask.Lease = &lease
	}
	return ask
}

// A call is one call of a script. Its Cmd is nil until it is sent.
type call struct {
	rediscluster.Call
	key  string // of the limits or leases
	node string // that is asked
}

// ratesKey is the Redis key of an API key's rates. It routes all its calls.
func ratesKey(key string) string { return redisPrefix + key + "}:rates" }

// leaseKeys are in the order in which the scripts expect them.
func leaseKeys(key string) []string {
	tag := redisPrefix + key + "}:"
	return []string{tag + "leases", tag + "order", tag + "held", tag + "ended"}
}

// takeCall returns the call that decides an ask.
func takeCall(ask Ask) *call {
	c := &call{key: ask.Key}
	c.Script, c.Keys = takeRatesScript, []string{ratesKey(ask.Key)}
	touchesLeases := ask.Lease != nil
	for _, charge := range ask.Charges {
		touchesLeases = touchesLeases || charge.Policy.Concurrent()
	}
	if touchesLeases {
		c.Script = takeScript
		c.Keys = append(c.Keys, leaseKeys(ask.Key)...)
	}
	c.Args = append(make([]any, 0, 7+5*len(ask.Charges)),
		mostInTheWay, ask.TakeOver, min(ask.most(1), math.MaxInt32))
	c.Args = append(c.Args, leaseArgs(ask.Lease)...)
	for _, charge := range ask.Charges {
		p := charge.Policy
		c.Args = append(c.Args, kindOf(p), p.Name, p.Quota, p.Window.Microseconds(), max(0, charge.N))
	}
	return c
}

// leaseArgs are a lease's id, since, filter and record.
func leaseArgs(l *Lease) []any {
	if l == nil {
		return []any{"", 0, "", ""}
	}
	return []any{l.ID, l.Since.UnixMilli(), l.Filter, encodeLease(*l)}
}

// kindOf returns how the scripts count a policy.
func kindOf(p policy.Policy) string {
	switch {
	case !p.Concurrent():
		return "rate"
	case p.Name == policy.Filters:
		return "filters"
	}
	return "leases"
}

var errShape = errors.New("ratelimit: an answer of another shape")

// readVerdict reads the answer of the take script.
func readVerdict(ask Ask, cmd *redis.Cmd) (v Verdict, err error) {
	reply, err := cmd.Slice()
	if err != nil {
		return Verdict{}, err
	}
	const each = 5
	records := 1 + each*len(ask.Charges)
	if len(reply) < records {
		return Verdict{}, errShape
	}
	v.Allowed = reply[0] == int64(1)
	v.Decisions = make([]Decision, len(ask.Charges))
	for i, c := range ask.Charges {
		var n [each]int64
		for k := range n {
			n[k], _ = reply[1+each*i+k].(int64)
		}
		v.Decisions[i] = decide(c.Policy, passage{ok: n[0] == 1, left: n[1], more: n[2], future: n[3], never: n[4] == 1})
		if n[0] == 0 && c.Policy.Concurrent() {
			v.Decisions[i].Retry = busyRetry
		}
	}
	leases, err := readLeases(ask.Key, reply[records:])
	if v.Allowed {
		v.Ended = leases
	} else {
		v.InTheWay = leases
	}
	return v, err
}

func readLeases(key string, records []any) (leases []Lease, err error) {
	for _, r := range records {
		text, _ := r.(string)
		l, err := decodeLease(key, text)
		if err != nil {
			return nil, err
		}
		leases = append(leases, l)
	}
	return leases, nil
}
