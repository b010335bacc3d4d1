//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

const (
	publishLanes = 8
	groupLanes   = 40          // so that the rate is held although each waits for its answers
	mostLate     = time.Second // p99, or the publisher: what comes later is overload
	stepFactor   = 2
	mostSteps    = 12
)

// crowd opens all streams.
func (m *measureCommand) crowd(ctx context.Context, s *server, groups, lanes int) (*client, error) {
	c, err := newClient(s, lanes, m.Coalesce)
	if err != nil {
		return nil, err
	}
	if err := c.open(ctx, s, m.N, groups); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (r *result) figures(costGoal string) []figure {
	return []figure{
		{"deliveries expected", "", float64(r.expected), ""},
		{"deliveries received", "", float64(r.arrived.events), ""},
		{"lost, repeated or astray", "", float64(r.faults()), "0"},
		{"cpu per delivery", "us", microseconds(r.cpu, r.arrived.events), costGoal},
		{"p50", "ms", milliseconds(r.arrived.latency.quantile(0.5)), ""},
		{"p99", "ms", milliseconds(r.arrived.latency.quantile(0.99)), ""},
		{"ms the publisher was late", "", milliseconds(r.behind), ""},
	}
}

// fanout measures one event to everyone, five times a second.
func (m *measureCommand) fanout(ctx context.Context, s *server) ([]figure, error) {
	c, err := m.crowd(ctx, s, 1, 1)
	if err != nil {
		return nil, err
	}
	defer c.close()
	const rate = 5
	r, err := load{groups: 1, lanes: 1, rate: rate, count: max(int(rate*m.Duration.Seconds()), 1), size: m.Size}.apply(ctx, s, c)
	if err != nil {
		return nil, err
	}
	return r.figures("<= 7.5"), nil
}

// groups measures many events, each to a few.
func (m *measureCommand) groups(ctx context.Context, s *server) ([]figure, error) {
	c, err := m.crowd(ctx, s, m.Groups, groupLanes)
	if err != nil {
		return nil, err
	}
	defer c.close()
	const rate = 2000
	r, err := load{groups: m.Groups, lanes: groupLanes, rate: rate, count: int(rate * m.Duration.Seconds()), size: m.Size}.apply(ctx, s, c)
	if err != nil {
		return nil, err
	}
	return r.figures("<= 12"), nil
}

// saturated raises the rate of events to everyone until the server, or the
// machine, cannot follow, and reports the last step before that.
func (m *measureCommand) saturated(ctx context.Context, s *server) ([]figure, error) {
	c, err := m.crowd(ctx, s, 1, publishLanes)
	if err != nil {
		return nil, err
	}
	defer c.close()
	var best *result
	duration := max(m.Duration/2, 100*time.Millisecond)
	rate := 5.0
	for range mostSteps {
		r, err := load{groups: 1, lanes: publishLanes, rate: rate, count: max(int(rate*duration.Seconds()), 1), size: m.Size}.apply(ctx, s, c)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(os.Stderr, "  %.0f events/s: %.0f deliveries/s, %.2f us each, p99 %s, publisher late by %s, %d lost\n",
			rate, float64(r.arrived.events)/r.took.Seconds(), microseconds(r.cpu, r.arrived.events),
			r.arrived.latency.quantile(0.99).Round(time.Millisecond), r.behind.Round(time.Millisecond), r.lost())
		if best == nil || !r.overloaded() {
			best = r
		}
		if r.overloaded() {
			break
		}
		rate *= stepFactor
	}
	perSecond := figure{"deliveries", "/s", float64(best.arrived.events) / best.took.Seconds(), ""}
	return append([]figure{perSecond}, best.figures("<= 1")...), nil
}

func (r *result) overloaded() bool {
	return r.arrived.latency.quantile(0.99) > mostLate || r.behind > mostLate || r.arrived.closed > 0 ||
		r.lost() > r.expected/10_000
}

// latency measures publish to receive with one reader, who reads at once.
func (m *measureCommand) latency(ctx context.Context, s *server) ([]figure, error) {
	c, err := newClient(s, 1, 0)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.open(ctx, s, 1, 1); err != nil {
		return nil, err
	}
	const rate = 200
	l := load{groups: 1, lanes: 1, rate: rate, count: int(rate * m.Duration.Seconds()), size: m.Size}
	r, err := l.apply(ctx, s, c)
	if err != nil {
		return nil, err
	}
	return []figure{
		{"deliveries expected", "", float64(r.expected), ""},
		{"deliveries received", "", float64(r.arrived.events), ""},
		{"lost, repeated or astray", "", float64(r.faults()), "0"},
		{"p50", "ms", milliseconds(r.arrived.latency.quantile(0.5)), "<= 0.7"},
		{"p99", "ms", milliseconds(r.arrived.latency.quantile(0.99)), "<= 5"},
	}, nil
}
