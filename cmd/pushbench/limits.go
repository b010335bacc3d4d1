//go:build linux

package main

import "context"

const limitsRounds = 3 // of each server, in turn

// limits measures what a publish and a connect cost because their key has limits,
// none of which it reaches. Two servers before one cluster do the same in turn, one
// of them without limits; each figure is the median of the rounds.
func (m *measureCommand) limits(ctx context.Context, s *server) ([]figure, error) {
	off, err := s.unlimited(ctx)
	if err != nil {
		return nil, err
	}
	defer off.stop()

	type cost struct {
		name, unit string
		off, on    []float64
	}
	costs := []cost{
		{name: "publish, one after the other", unit: "us"},
		{name: "publishes of many", unit: "/s"},
		{name: "cpu of such a publish", unit: "us"},
		{name: "events in batches", unit: "/s"},
		{name: "cpu of such an event", unit: "us"},
		{name: "connects", unit: "/s"},
		{name: "cpu per connect", unit: "us"},
	}
	for range limitsRounds {
		for _, limited := range []bool{false, true} {
			values, err := m.limited(ctx, map[bool]*server{false: off, true: s}[limited])
			if err != nil {
				return nil, err
			}
			for i := range costs {
				into := &costs[i].off
				if limited {
					into = &costs[i].on
				}
				*into = append(*into, values[i])
			}
		}
	}
	var figures []figure
	for _, c := range costs {
		off, on := median(c.off), median(c.on)
		figures = append(figures,
			figure{c.name + ", limits off", c.unit, off, ""},
			figure{c.name + ", limits on", c.unit, on, ""},
			figure{c.name + ", on to off", "x", on / off, ""})
	}
	return figures, nil
}

// limited returns one server's figures, in the order of limits.
func (m *measureCommand) limited(ctx context.Context, s *server) (values []float64, err error) {
	alone, _, err := m.flood(ctx, s, 1, 1)
	if err != nil {
		return nil, err
	}
	values = append(values, 1e6/alone)
	for _, load := range []struct{ connections, batch int }{{singlePublishers, 1}, {batchPublishers, batchSize}} {
		rate, cpu, err := m.flood(ctx, s, load.connections, load.batch)
		if err != nil {
			return nil, err
		}
		values = append(values, rate, cpu)
	}
	rate, cpu, err := m.connects(ctx, s)
	return append(values, rate, cpu), err
}
