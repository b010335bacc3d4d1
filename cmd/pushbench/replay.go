//go:build linux

package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	replayed    = 50_000 // events; the oldest would be trimmed beyond 100,000
	replayLanes = 4
	replayLimit = time.Minute
)

// replay measures how fast one reader gets history.
func (m *measureCommand) replay(ctx context.Context, s *server) ([]figure, error) {
	count := min(replayed, m.N*5) // fewer in a quick run
	count -= count % (replayLanes * batchSize)
	c, err := newClient(s, replayLanes, 0)
	if err != nil {
		return nil, err
	}
	defer c.close()
	step := c.begin()
	position, err := s.position(marker{step: nextStep(), seq: 1}, m.Size)
	if err != nil {
		return nil, err
	}
	if err := s.fillAll(ctx, step, count, m.Size); err != nil {
		return nil, err
	}

	memory, err := resident(s.pid)
	if err != nil {
		return nil, err
	}
	before, err := cpuTime(s.pid)
	if err != nil {
		return nil, err
	}
	c.last = make([]uint32, replayLanes)
	start := time.Since(began)
	if err := c.dial(s.streamRequest(0, position), 0); err != nil {
		return nil, err
	}
	for c.arrived.events < count && c.refused == nil && c.arrived.closed == 0 && ctx.Err() == nil && time.Since(began)-start < replayLimit {
		if err := c.read(10 * time.Millisecond); err != nil {
			return nil, err
		}
	}
	if c.refused != nil {
		return nil, fmt.Errorf("open the stream: %w", c.refused)
	}
	after, err := cpuTime(s.pid)
	if err != nil {
		return nil, err
	}
	grown, err := resident(s.pid)
	if err != nil {
		return nil, err
	}
	took := c.arrived.last - start
	return []figure{
		{"events expected", "", float64(count), ""},
		{"events received", "", float64(c.arrived.events), ""},
		{"to one reader", "/s", float64(c.arrived.events) / took.Seconds(), ">= 50000"},
		{"cpu per event", "us", microseconds(after-before, c.arrived.events), ""},
		{"memory grown", "MB", float64(grown-memory) / 1e6, ""},
	}, ctx.Err()
}

// fillAll publishes count events over all lanes.
func (s *server) fillAll(ctx context.Context, step uint32, count, size int) error {
	var lanes sync.WaitGroup
	failed := make(chan error, replayLanes)
	for lane := range replayLanes {
		lanes.Go(func() { failed <- s.fill(ctx, marker{step: step, lane: uint32(lane)}, count/replayLanes, size) })
	}
	lanes.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// fill publishes n events in batches.
func (s *server) fill(ctx context.Context, last marker, n, size int) error {
	p, err := s.dialPublisher()
	if err != nil {
		return err
	}
	defer p.close()
	for range n / batchSize {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if _, err := p.postEvents(&last, batchSize, size); err != nil {
			return err
		}
	}
	return nil
}
