package eventlog

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/rediscluster"
)

// A lease lets one gateway at a time do something. Who stops renewing it, as by
// dying, loses it within leaseLife.
type lease struct {
	client *rediscluster.Client
	key    string
	owner  string // unlike all others'
	until  time.Time
}

const (
	leaseLife  = 2500 * time.Millisecond
	leaseRenew = 800 * time.Millisecond // how often it is renewed, or tried for
)

func newLease(client *rediscluster.Client, key string) *lease {
	return &lease{client: client, key: key, owner: rand.Text()}
}

// renewLease takes a lease that nobody has, or keeps one that the caller has.
var renewLease = redis.NewScript(`
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)

// releaseLease gives a lease back, if the caller has it.
var releaseLease = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`)

// renew takes or keeps the lease, and reports whether it is held. Without an answer
// from Redis that is as it was.
func (l *lease) renew(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, leaseRenew)
	defer cancel()
	asked := time.Now()
	held, err := renewLease.Run(ctx, l.client, []string{l.key}, l.owner, leaseLife.Milliseconds()).Bool()
	switch {
	case err == nil && held:
		l.until = asked.Add(leaseLife)
	case err == nil:
		l.until = time.Time{} // somebody else has it
	}
	return time.Now().Before(l.until.Add(-leaseRenew))
}

// hold calls do whenever the lease is held, with a context that ends when that is
// no longer sure, until ctx is done.
func (l *lease) hold(ctx context.Context, do func(context.Context)) {
	ticker := time.NewTicker(leaseRenew)
	defer ticker.Stop()
	for ctx.Err() == nil {
		if l.renew(ctx) {
			l.work(ctx, ticker.C, do)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// work calls do while the lease is held.
func (l *lease) work(ctx context.Context, tick <-chan time.Time, do func(context.Context)) {
	held, end := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		do(held)
	}()
	for ended := false; !ended; {
		select {
		case <-tick:
			ended = !l.renew(ctx)
		case <-done:
			ended = true
		case <-ctx.Done():
			ended = true
		}
	}
	end()
	<-done
	if ctx.Err() != nil { // a successor need not wait
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseRenew)
		defer cancel()
		_ = releaseLease.Run(ctx, l.client, []string{l.key}, l.owner).Err() // it ends by itself
	}
}
