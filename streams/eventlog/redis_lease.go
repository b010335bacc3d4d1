package eventlog

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/rediscluster"
)

// A lease lets one gateway at a time do something. A gateway that stops renewing
// it, for example because it died, loses it within leaseLife.
type lease struct {
	client *rediscluster.Client
	key    string
	owner  string // unique
	until  time.Time
}

const (
	leaseLife  = 2500 * time.Millisecond
	leaseRenew = 800 * time.Millisecond // between renewals, or attempts to take it
)

func newLease(client *rediscluster.Client, key string) *lease {
	return &lease{client: client, key: key, owner: rand.Text()}
}

var renewLease = redis.NewScript(`
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)

var releaseLease = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`)

// renew takes or extends the lease, and reports whether it is held. If Redis does
// not answer, a held lease stays held until it expires.
func (l *lease) renew(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, leaseRenew)
	defer cancel()
	asked := time.Now()
	held, err := renewLease.Run(ctx, l.client, []string{l.key}, l.owner, leaseLife.Milliseconds()).Bool()
	switch {
	case err == nil && held:
		l.until = asked.Add(leaseLife)
	case err == nil:
		l.until = time.Time{} // another gateway has it
	}
	return time.Now().Before(l.until.Add(-leaseRenew))
}

// hold calls do whenever the lease is held, until ctx is done. The context of do
// ends as soon as the lease may be lost.
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

// work calls do once, and renews the lease until do returns.
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
		_ = releaseLease.Run(ctx, l.client, []string{l.key}, l.owner).Err() // after a failure it expires
	}
}
