package ratelimit

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"
)

// All Redis keys of one key share its hash tag, so that one script can see all
// its limits; each expires when it says no more than its absence. Gateways that
// are alive are counted under a tag of their own.
const (
	redisPrefix   = "ps:{limit:"
	redisGateways = "ps:{limit}:gateways"
)

// RedisOptions of a [RedisLimiter].
type RedisOptions struct {
	Gateway string       // the name of this one, unlike all others'; random if empty
	Logger  *slog.Logger // nil: slog.Default()
}

// A RedisLimiter is a [Limiter] and its [Leases] in a Redis Cluster, or in a
// Redis that stands alone. Any number of processes may share one.
//
// While a node of Redis says nothing to anybody here for 50 ms, the limits of the
// keys on it are counted here alone, divided by the number of gateways that were
// alive when Redis last said; one that is busy and answers others is waited for,
// half a second at most. [RedisLimiter.Fallbacks] counts such verdicts. After a few
// of them a node is asked once a second, and not by everybody; that it begins and
// that it ends is logged. A call that Redis took too late to be heard is charged in
// both places. A lease that was given here is to be confirmed, and one that Redis
// gave to nobody is given back, or over in [LeaseLife].
//
// A call's deadline is kept by the client only with ContextTimeoutEnabled. The
// client must read from masters, as it does by default.
type RedisLimiter struct {
	client   redis.UniversalClient
	gateway  string
	logger   *slog.Logger
	local    *MemoryLimiter // what this gateway holds, and how it counts by itself
	patience time.Duration
	breaker  breaker
	pulses   pulses
	doubts   doubts
	refusals refusals

	gateways  atomic.Int64 // alive, as Redis last said
	fallbacks atomic.Uint64

	warnings rate.Sometimes // that nodes are left alone
	news     atomic.Bool    // they are, and nobody was warned yet
	warned   atomic.Bool    // and not told yet that none is
}

// NewRedisLimiter returns the limiter that counts in client's Redis. It asks
// Redis for nothing yet, and does not close the client.
func NewRedisLimiter(client redis.UniversalClient, o RedisOptions) *RedisLimiter {
	gateway := cmp.Or(o.Gateway, "gw_"+strings.ToLower(rand.Text()[:12]))
	r := &RedisLimiter{
		client:   client,
		gateway:  gateway,
		logger:   cmp.Or(o.Logger, slog.Default()),
		local:    NewMemoryLimiter(gateway),
		patience: takePatience,
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
	if err := r.locate(ctx, c); err != nil {
		return r.takeAlone(ctx, ask)
	}
	over := r.send(c)
	if err := r.await(ctx, c, over); err != nil {
		if ctx.Err() == nil {
			r.noteAnswer(c.node, err)
		}
		v := r.takeAlone(ctx, ask)
		go r.late(ask, c, over)
		return v
	}
	r.noteAnswer(c.node, c.cmd.Err())
	v, err := readVerdict(ask, c.cmd)
	if err != nil {
		v = r.takeAlone(ctx, ask)
		r.late(ask, c, over)
		return v
	}
	r.refusals.note(ask, v, start)
	r.local.follow(bare(ask), v)
	return v
}

// takeAlone decides an ask without Redis.
func (r *RedisLimiter) takeAlone(ctx context.Context, ask Ask) Verdict {
	if ctx.Err() == nil {
		r.fallbacks.Add(1)
	}
	v := r.local.take(ask, r.Gateways())
	v.Local = true
	if v.Allowed {
		r.doubts.add(ask)
	}
	return v
}

// bare returns the ask without what its lease says of itself: Redis keeps that,
// and there are many.
func bare(ask Ask) Ask {
	if ask.Lease != nil && ask.Lease.Info != nil {
		lease := *ask.Lease
		lease.Info = nil
		ask.Lease = &lease
	}
	return ask
}
