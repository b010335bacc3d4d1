//go:build linux

package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A load is events at a steady rate.
type load struct {
	groups int
	lanes  int // publishing connections
	rate   float64
	count  int // events in all
	size   int // bytes of payload
}

// A result is what a load did.
type result struct {
	expected int // deliveries: accepted events times the streams of their group
	arrived  arrivals
	cpu      time.Duration // of the server
	took     time.Duration // until the last delivery
	behind   time.Duration // how late the publisher was at the end
}

func (r *result) lost() int {
	return r.expected - r.arrived.events - r.arrived.reordered
}

// faults is how many events did not come exactly once, in order, to whom they
// were for.
func (r *result) faults() int {
	return max(r.lost(), 0) + r.arrived.repeated + r.arrived.reordered + r.arrived.misrouted
}

const (
	drainLimit = 5 * time.Second // from the last event on
	lateLimit  = 5 * time.Second // a publisher that is later than this gives up
)

// apply publishes a load to s while c reads.
func (l load) apply(ctx context.Context, s *server, c *client) (*result, error) {
	sizes := make([]int, l.groups)
	for i := range c.conns {
		if c.conns[i].fd >= 0 {
			sizes[c.conns[i].group]++
		}
	}
	publishers := make([]*publisher, l.lanes)
	for i := range publishers {
		p, err := s.dialPublisher()
		if err != nil {
			return nil, err
		}
		defer p.close()
		publishers[i] = p
	}
	step := c.begin()
	before, err := cpuTime(s.pid)
	if err != nil {
		return nil, err
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var expected, behind atomic.Int64
	var lanes sync.WaitGroup
	start := time.Since(began)
	for lane, p := range publishers {
		lanes.Go(func() {
			var body []byte
			for k := lane; k < l.count && ctx.Err() == nil; k += l.lanes {
				due := start + time.Duration(float64(k)/l.rate*float64(time.Second))
				time.Sleep(due - time.Since(began))
				now := time.Since(began)
				behind.Store(int64(now - due))
				if now-due > lateLimit {
					return
				}
				group := k % l.groups
				m := marker{step: step, group: uint32(group), lane: uint32(lane), seq: uint32(k + 1), sent: now}
				body = appendEvent(body[:0], s.tenant(group).merchant, m, l.size)
				if _, err := p.post(oneEvent, body); err != nil {
					cancel(err)
					return
				}
				expected.Add(int64(sizes[group]))
			}
		})
	}
	var published atomic.Bool
	done := make(chan struct{})
	go func() {
		lanes.Wait()
		published.Store(true)
		close(done)
	}()
	var drained time.Duration
	for {
		if err := c.read(10 * time.Millisecond); err != nil {
			cancel(err)
			break
		}
		if !published.Load() {
			continue
		}
		if drained == 0 {
			drained = time.Since(began)
		}
		if c.arrived.events >= int(expected.Load()) || time.Since(began)-drained > drainLimit {
			break
		}
	}
	<-done
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	// One more look, for what comes although it should not.
	if err := c.read(50 * time.Millisecond); err != nil {
		return nil, err
	}
	after, err := cpuTime(s.pid)
	return &result{
		expected: int(expected.Load()), arrived: c.arrived, cpu: after - before,
		took: max(c.arrived.last-start, time.Duration(float64(l.count)/l.rate*float64(time.Second))), behind: time.Duration(behind.Load()),
	}, err
}
