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

// faults returns how many events did not arrive exactly once, in order, at their
// readers.
func (r *result) faults() int {
	return max(r.lost(), 0) + r.arrived.repeated + r.arrived.reordered + r.arrived.misrouted
}

const (
	drainLimit = 5 * time.Second // from the last event on
	lateLimit  = 5 * time.Second // a publisher that is later than this gives up
)

// apply publishes a load to s while c reads.
func (l load) apply(ctx context.Context, s *server, c *client) (*result, error) {
	publishers, err := l.dial(s)
	for _, p := range publishers {
		defer p.close()
	}
	if err != nil {
		return nil, err
	}
	step := c.begin()
	before, err := cpuTime(s.pid)
	if err != nil {
		return nil, err
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := session{load: l, server: s, step: step, sizes: l.sizes(c), start: time.Since(began), fail: cancel}
	for lane, p := range publishers {
		r.publishers.Go(func() { r.publish(ctx, lane, p) })
	}
	if err := r.read(c); err != nil {
		cancel(err)
	}
	r.publishers.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	// Read once more, to catch events that should not arrive.
	if err := c.read(50 * time.Millisecond); err != nil {
		return nil, err
	}
	after, err := cpuTime(s.pid)
	return &result{
		expected: int(r.expected.Load()), arrived: c.arrived, cpu: after - before,
		took: max(c.arrived.last-r.start, l.due(l.count)), behind: time.Duration(r.behind.Load()),
	}, err
}

// dial opens the publishing connections, and returns those it has on an error too.
func (l load) dial(s *server) ([]*publisher, error) {
	var publishers []*publisher
	for range l.lanes {
		p, err := s.dialPublisher()
		if err != nil {
			return publishers, err
		}
		publishers = append(publishers, p)
	}
	return publishers, nil
}

// sizes returns the number of open streams by group.
func (l load) sizes(c *client) []int {
	sizes := make([]int, l.groups)
	for i := range c.conns {
		if c.conns[i].fd >= 0 {
			sizes[c.conns[i].group]++
		}
	}
	return sizes
}

// due returns when event k is published, counted from the start.
func (l load) due(k int) time.Duration {
	return time.Duration(float64(k) / l.rate * float64(time.Second))
}

// A session is a load while it is published.
type session struct {
	load
	server *server
	step   uint32
	sizes  []int
	start  time.Duration
	fail   context.CancelCauseFunc

	publishers       sync.WaitGroup
	expected, behind atomic.Int64
}

// publish publishes one lane's events.
func (r *session) publish(ctx context.Context, lane int, p *publisher) {
	var body []byte
	for k := lane; k < r.count && ctx.Err() == nil; k += r.lanes {
		due := r.start + r.due(k)
		time.Sleep(due - time.Since(began))
		now := time.Since(began)
		r.behind.Store(int64(now - due))
		if now-due > lateLimit {
			return
		}
		group := k % r.groups
		m := marker{step: r.step, group: uint32(group), lane: uint32(lane), seq: uint32(k + 1), sent: now}
		body = appendEvent(body[:0], r.server.tenant(group).merchant, m, r.size)
		if _, err := p.post(oneEvent, body); err != nil {
			r.fail(err)
			return
		}
		r.expected.Add(int64(r.sizes[group]))
	}
}

// read reads until all published events arrived, or drainLimit after the last.
func (r *session) read(c *client) error {
	var published atomic.Bool
	go func() {
		r.publishers.Wait()
		published.Store(true)
	}()
	var drained time.Duration
	for {
		if err := c.read(10 * time.Millisecond); err != nil {
			return err
		}
		if !published.Load() {
			continue
		}
		if drained == 0 {
			drained = time.Since(began)
		}
		if c.arrived.events >= int(r.expected.Load()) || time.Since(began)-drained > drainLimit {
			return nil
		}
	}
}
