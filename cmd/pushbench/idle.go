//go:build linux

package main

import (
	"context"
	"time"
)

const settle = 3 * time.Second

func microseconds(d time.Duration, n int) float64 {
	return float64(d.Nanoseconds()) / 1e3 / float64(max(n, 1))
}

func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// idle measures what a stream costs to open, and then to have.
func (m *measureCommand) idle(ctx context.Context, s *server) ([]figure, error) {
	c, err := newClient(s, 1, m.Coalesce)
	if err != nil {
		return nil, err
	}
	defer c.close()
	// The first stream allocates shared parts, which are not the cost of a stream.
	if err := c.open(ctx, s, 1, 1); err != nil {
		return nil, err
	}
	memory, err := resident(s.pid)
	if err != nil {
		return nil, err
	}
	cpu, err := cpuTime(s.pid)
	if err != nil {
		return nil, err
	}
	if err := c.open(ctx, s, m.N, 1); err != nil {
		return nil, err
	}
	cpuOpen, err := cpuTime(s.pid)
	if err != nil {
		return nil, err
	}
	// The runtime returns temporary memory gradually.
	hold := max(m.Duration, settle)
	if m.N < 1000 {
		hold = m.Duration
	}
	for end := time.Now().Add(hold); time.Now().Before(end) && ctx.Err() == nil; {
		if err := c.read(50 * time.Millisecond); err != nil {
			return nil, err
		}
	}
	memoryNow, err := resident(s.pid)
	if err != nil {
		return nil, err
	}
	open := c.opened - c.arrived.closed
	return []figure{
		{"streams open", "", float64(open - 1), ""},
		{"memory per stream", "B", float64(memoryNow-memory) / float64(max(open-1, 1)), "<= 1024"},
		{"cpu per accept", "us", microseconds(cpuOpen-cpu, m.N), "<= 120"},
	}, ctx.Err()
}

// churn measures a connection that is closed as soon as it has its first event.
func (m *measureCommand) churn(ctx context.Context, s *server) ([]figure, error) {
	rate, cost, err := m.connects(ctx, s)
	return []figure{
		{"connects", "/s", rate, ""},
		{"cpu per connect", "us", cost, ""},
	}, err
}

// connects opens and closes streams with no pause and returns how many a second
// were open, and what one cost the server.
func (m *measureCommand) connects(ctx context.Context, s *server) (rate, cost float64, err error) {
	c, err := newClient(s, 1, m.Coalesce)
	if err != nil {
		return 0, 0, err
	}
	defer c.close()
	c.churn = true
	before, err := cpuTime(s.pid)
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	for time.Since(start) < m.Duration {
		if err := c.open(ctx, s, 10*window, 1); err != nil {
			return 0, 0, err
		}
	}
	took := time.Since(start)
	after, err := cpuTime(s.pid)
	return float64(c.opened) / took.Seconds(), microseconds(after-before, c.opened), err
}
