//go:build linux

package main

import (
	"context"
	"strconv"
	"time"
)

const (
	stormConnects = 2_000
	stormTime     = time.Second // in which they connect
	stormLimit    = 10 * time.Second
	stormBehind   = 10_000 // events that each has missed
)

// storm measures what a merchant's readers notice when all of another's come back
// at once, each with a cursor far behind.
func (m *measureCommand) storm(ctx context.Context, s *server) ([]figure, error) {
	position, err := s.position(marker{step: nextStep(), group: 1, seq: 1}, m.Size)
	if err != nil {
		return nil, err
	}
	missed := nextStep()
	if err := s.fill(ctx, marker{step: missed, group: 1}, stormBehind, m.Size); err != nil {
		return nil, err
	}
	connects := min(stormConnects, m.N) // fewer in a quick run
	var open, faults int
	var replayed, took float64
	storm := &phase{name: "in the storm", begin: func(ctx context.Context) (func() error, error) {
		c, err := newClient(s, 1, m.Coalesce)
		if err != nil {
			return nil, err
		}
		c.step, c.last = missed, make([]uint32, connects)
		ctx, calm := context.WithCancel(ctx)
		done := make(chan error, 1)
		start := time.Now()
		go func() { done <- c.reconnect(ctx, s, connects, position) }()
		return func() error {
			calm()
			err := <-done
			took += time.Since(start).Seconds()
			open += c.opened - c.arrived.closed
			replayed += float64(c.arrived.events)
			faults += c.arrived.repeated + c.arrived.reordered + c.arrived.misrouted
			c.close()
			time.Sleep(time.Second) // until the server has done with them
			return err
		}, nil
	}}
	figures, err := m.beside(ctx, s, alone(), storm)
	if err != nil {
		return nil, err
	}
	return append(figures,
		figure{"streams open after a storm", "", float64(open) / neighbourRounds, strconv.Itoa(connects)},
		figure{"events they have read", "/s", replayed / took, ""},
		figure{"repeated, reordered or astray", "", float64(faults), "0"}), nil
}

// reconnect connects n clients of the second merchant within a second, each to
// resume after a position, and reads until ctx is done and all streams are open.
// It does not wait longer than stormLimit for them.
func (c *client) reconnect(ctx context.Context, s *server, n int, position string) error {
	stepBack()
	start := time.Now()
	request := s.streamRequest(1, position)
	for ctx.Err() == nil || c.opened < n && time.Since(start) < stormLimit {
		due := int(time.Since(start) * time.Duration(n) / stormTime)
		for len(c.conns) < min(due, n) {
			if err := c.dial(request, 1); err != nil {
				return err
			}
		}
		if err := c.read(time.Millisecond); err != nil {
			return err
		}
		if c.refused != nil {
			return c.refused
		}
	}
	return nil
}
