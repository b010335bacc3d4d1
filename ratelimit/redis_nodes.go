package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// nobody stands for the nodes of a cluster together, when it cannot be found out
// which of them has a key.
const nobody = "nobody"

var errLeftAlone = errors.New("ratelimit: the node has not answered lately")

// locate sets whom a call is for. It fails if that cannot be found out, or if
// that node is left alone.
func (r *RedisLimiter) locate(parent context.Context, c *call) (err error) {
	if err := parent.Err(); err != nil {
		return err
	}
	if !r.breaker.admits(nobody, time.Now()) {
		return errLeftAlone
	}
	ctx, cancel := context.WithTimeout(parent, r.patience)
	defer cancel()
	c.node, err = r.nodeOf(ctx, c.keys[0])
	if parent.Err() != nil {
		return parent.Err()
	}
	r.noteAnswer(nobody, err)
	if err == nil && !r.breaker.admits(c.node, time.Now()) {
		err = errLeftAlone
	}
	return err
}

// nodeOf returns the address of the node that should have a key of Redis.
func (r *RedisLimiter) nodeOf(ctx context.Context, key string) (string, error) {
	switch c := r.client.(type) {
	case *redis.ClusterClient:
		master, err := c.MasterForKey(ctx, key)
		if err != nil {
			return "", err
		}
		return master.Options().Addr, nil
	case *redis.Client:
		return c.Options().Addr, nil
	}
	return "", nil // all that a client of another kind asks is one node to us
}

// noteAnswer notes how a node answered. The first node that is left alone is worth
// a line now and then, and when none is any more.
func (r *RedisLimiter) noteAnswer(node string, err error) {
	if err == nil {
		if r.breaker.succeeded(node) {
			r.logMended()
		}
		return
	}
	r.reload()
	if r.breaker.failed(node, time.Now()) {
		r.news.Store(true)
	}
	if r.news.Load() {
		r.warnings.Do(func() {
			r.news.Store(false)
			r.warned.Store(true)
			r.logger.Warn("Redis does not answer: limits are counted by each gateway alone",
				"gateways", r.Gateways(), "error", unaddressed(err))
		})
	}
}

func (r *RedisLimiter) logMended() {
	r.news.Store(false)
	if r.warned.CompareAndSwap(true, false) {
		r.logger.Info("Redis answers: limits are counted across gateways", "fallbacks", r.Fallbacks())
	}
}

// reload has a cluster client look at the cluster again: left alone it may ask a
// dead master for long.
func (r *RedisLimiter) reload() {
	if cluster, ok := r.client.(*redis.ClusterClient); ok {
		cluster.ReloadState(context.Background())
	}
}

// unavailable says that Redis could not be asked.
func unavailable(what string, err error) error {
	return fmt.Errorf("ratelimit: %s: %w: %w", what, ErrUnavailable, unaddressed(err))
}

// unaddressed returns err without the addresses of Redis nodes: errors are
// logged.
func unaddressed(err error) error {
	var op *net.OpError
	switch {
	case errors.As(err, &op):
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	case redis.HasErrorPrefix(err, "MOVED "), redis.HasErrorPrefix(err, "ASK "):
		return errors.New("redirected")
	}
	return err
}
