//go:build linux

package main

import (
	"context"
	"fmt"
)

const limitsRounds = 3 // of each server, in turn

// limits measures what a publish and a connect cost because their key has limits,
// none of which it reaches. Two servers before one cluster do the same in turn, one
// of them without limits; each figure is the median of the rounds. The one without
// limits still reports its open streams to Redis.
func (m *measureCommand) limits(ctx context.Context, s *server) ([]figure, error) {
	off, err := s.unlimited(ctx)
	if err != nil {
		return nil, err
	}
	defer off.stop()
	var without, with [][]figure // of each round
	for range limitsRounds {
		figures, err := m.limited(ctx, off)
		if err != nil {
			return nil, fmt.Errorf("limits off: %w\n%s", err, off.log())
		}
		without = append(without, figures)
		if figures, err = m.limited(ctx, s); err != nil {
			return nil, err
		}
		with = append(with, figures)
	}
	var all []figure
	for i, f := range with[0] {
		var off, on []float64
		for round := range limitsRounds {
			off, on = append(off, without[round][i].value), append(on, with[round][i].value)
		}
		all = append(all,
			figure{f.name + ", limits off", f.unit, median(off), ""},
			figure{f.name + ", limits on", f.unit, median(on), ""},
			figure{f.name + ", on to off", "x", median(on) / median(off), ""})
	}
	return all, nil
}

// limited returns one server's figures.
func (m *measureCommand) limited(ctx context.Context, s *server) ([]figure, error) {
	alone, _, err := m.flood(ctx, s, 1, 1)
	if err != nil {
		return nil, err
	}
	single, singleCPU, err := m.flood(ctx, s, singlePublishers, 1)
	if err != nil {
		return nil, err
	}
	batched, batchedCPU, err := m.flood(ctx, s, batchPublishers, batchSize)
	if err != nil {
		return nil, err
	}
	connects, connectCPU, err := m.connects(ctx, s)
	return []figure{
		{"publish, one after the other", "us", 1e6 / alone, ""},
		{"publishes of many", "/s", single, ""},
		{"cpu of such a publish", "us", singleCPU, ""},
		{"events in batches", "/s", batched, ""},
		{"cpu of such an event", "us", batchedCPU, ""},
		{"connects", "/s", connects, ""},
		{"cpu per connect", "us", connectCPU, ""},
	}, err
}
