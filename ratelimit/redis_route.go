package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paylogic/pushserver/internal/rediscluster"
)

// unrouted stands in the breaker for all nodes, when the client cannot tell which
// of them serves a key.
const unrouted = "unrouted"

var errOpen = errors.New("ratelimit: the node has not answered lately")

// call makes a call within the deadline, unless the breaker is open for its node.
func (r *RedisLimiter) call(caller context.Context, c *call) error {
	if err := caller.Err(); err != nil {
		return err
	}
	if !r.breaker.admits(unrouted, time.Now()) {
		return errOpen
	}
	ctx, cancel := context.WithTimeout(caller, r.deadline)
	defer cancel()
	err := r.route(ctx, c)
	if caller.Err() != nil {
		return caller.Err()
	}
	r.noteAnswer(unrouted, err)
	if err != nil {
		return err
	}
	if !r.breaker.admits(c.node, time.Now()) {
		return errOpen
	}
	r.client.Run(ctx, &c.Call)
	if err = c.Cmd.Err(); err == nil || caller.Err() == nil {
		r.noteAnswer(c.node, err)
	}
	return err
}

// route sets the address of the node that serves the call's keys.
func (r *RedisLimiter) route(ctx context.Context, c *call) error {
	master, err := r.client.Master(ctx, c.Keys[0])
	if err == nil {
		c.node = master.Options().Addr
	}
	return err
}

// noteAnswer tells the breaker how a node answered, and logs when the first node
// stops answering and when the last one answers again.
func (r *RedisLimiter) noteAnswer(node string, err error) {
	if err == nil {
		if r.breaker.succeeded(node) {
			r.logRecovery()
		}
		return
	}
	r.client.Reload()
	if r.breaker.failed(node, time.Now()) {
		r.news.Store(true)
	}
	if r.news.Load() {
		r.warnings.Do(func() {
			r.news.Store(false)
			r.warned.Store(true)
			r.logger.Warn("Redis does not answer: each gateway counts limits alone",
				"gateways", r.Gateways(), "error", rediscluster.WithoutAddress(err))
		})
	}
}

func (r *RedisLimiter) logRecovery() {
	r.news.Store(false)
	if r.warned.CompareAndSwap(true, false) {
		r.logger.Info("Redis answers: limits are counted across gateways", "fallbacks", r.Fallbacks())
	}
}

// unavailable says that Redis could not be asked.
func unavailable(what string, err error) error {
	return fmt.Errorf("ratelimit: %s: %w: %w", what, ErrUnavailable, rediscluster.WithoutAddress(err))
}
