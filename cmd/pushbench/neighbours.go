//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"time"
)

const (
	neighbourRate   = 100    // events per second of the measured merchant
	neighbourViews  = 20     // its streams
	neighbourRounds = 5      // of all phases, one after the other
	noiseRate       = 10_000 // events per second of the load
	noiseBatch      = 100
	noiseFilters    = 1_000
)

// A phase is the load beside the measured merchant. begin returns once the load
// runs, with a function that ends it.
type phase struct {
	name  string
	goal  string // for its p99 as a multiple of the first phase's
	begin func(context.Context) (end func() error, err error)
	views []*result

	rate     string  // goal for the accepted events of the load
	accepted float64 // events of the load
	seconds  float64 // that the load ran
}

// alone is the phase in which nothing else happens.
func alone() *phase {
	return &phase{name: "alone", begin: func(context.Context) (func() error, error) {
		return func() error { return nil }, nil
	}}
}

// beside looks at the first merchant's streams in each phase, several times in
// turn, for these machines have good and bad minutes. It returns the figures of
// each phase, and its p99 as a multiple of the first's: medians of the rounds.
func (m *measureCommand) beside(ctx context.Context, s *server, phases ...*phase) ([]figure, error) {
	if len(s.tenants) < 2 {
		return nil, errors.New("there must be two merchants at least")
	}
	// Readers at low priority must not delay the view in this program's runtime.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4 * runtime.NumCPU()))
	if _, err := m.view(ctx, s); err != nil { // so that all is warm
		return nil, err
	}
	for range neighbourRounds {
		for _, p := range phases {
			end, err := p.begin(ctx)
			if err != nil {
				return nil, err
			}
			v, err := m.view(ctx, s)
			if err = errors.Join(err, end()); err != nil {
				return nil, err
			}
			p.views = append(p.views, v)
		}
	}
	var figures []figure
	for i, p := range phases {
		lost := 0
		p50, p99, ratio := make([]float64, neighbourRounds), make([]float64, neighbourRounds), make([]float64, neighbourRounds)
		for round, v := range p.views {
			p50[round] = milliseconds(v.arrived.latency.quantile(0.5))
			p99[round] = milliseconds(v.arrived.latency.quantile(0.99))
			ratio[round] = p99[round] / milliseconds(phases[0].views[round].arrived.latency.quantile(0.99))
			lost += v.faults()
		}
		figures = append(figures, figure{"p50 " + p.name, "ms", median(p50), ""}, figure{"p99 " + p.name, "ms", median(p99), ""})
		if i > 0 {
			figures = append(figures, figure{"p99 " + p.name + " to " + phases[0].name, "x", median(ratio), p.goal})
		}
		figures = append(figures, figure{"lost " + p.name, "", float64(lost), "0"})
		if p.seconds > 0 {
			figures = append(figures, figure{"events a second " + p.name, "/s", p.accepted / p.seconds, p.rate})
		}
	}
	return figures, nil
}

func median[T cmp.Ordered](values []T) T {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

// view has a few streams of the first merchant get a few events.
func (m *measureCommand) view(ctx context.Context, s *server) (*result, error) {
	c, err := newClient(s, 1, 0)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.open(ctx, s, neighbourViews, 1); err != nil {
		return nil, err
	}
	l := load{groups: 1, lanes: 1, rate: neighbourRate, count: int(neighbourRate * m.Duration.Seconds()), size: m.Size}
	return l.apply(ctx, s, c)
}

// neighbours measures how a merchant that publishes much, or has many filters,
// affects another merchant's readers. Over a cluster both have the same master.
//
// Many events to a second server, which shares only the machine, show the machine's
// part of the effect.
func (m *measureCommand) neighbours(ctx context.Context, s *server) ([]figure, error) {
	const goal, rate = "<= 1.5", ">= 9500" // at a lower rate the noise is a different one
	phases := []*phase{alone(), m.publishing("beside many events", goal, s, s.publisher, rate)}
	if s.limited != "" {
		phases = append(phases, m.publishing("beside one over its limit", goal, s, s.limited, ""))
	}
	quiet := func() {}
	if s.another != nil {
		other, err := s.another(ctx)
		if err != nil {
			return nil, err
		}
		phases = append(phases, m.publishing("beside another server", "", other, other.publisher, rate))
		quiet = other.stop
	}
	figures, err := m.beside(ctx, s, phases...)
	quiet()
	if err != nil {
		return nil, err
	}
	// Filters come last: a server keeps them for half a minute after their readers
	// left, and many events would still meet all of them.
	again := alone()
	again.name = "alone again"
	filtered, err := m.beside(ctx, s, again, m.filters(s, goal))
	if err != nil {
		return nil, err
	}
	return append(figures, filtered...), nil
}

// publishing is the phase in which key publishes to s.
func (m *measureCommand) publishing(name, goal string, s *server, key, rate string) *phase {
	p := &phase{name: name, goal: goal, rate: rate}
	p.begin = func(ctx context.Context) (func() error, error) {
		end, err := m.noise(ctx, s, key, noiseRate, noiseBatch)
		if err != nil {
			return nil, err
		}
		return func() error {
			accepted, seconds, err := end()
			p.accepted, p.seconds = p.accepted+accepted, p.seconds+seconds
			return err
		}, nil
	}
	return p
}

// filters is the phase in which the second merchant has many filters.
func (m *measureCommand) filters(s *server, goal string) *phase {
	return &phase{name: "beside many filters", goal: goal, begin: func(ctx context.Context) (func() error, error) {
		c, err := newClient(s, 1, m.Coalesce)
		if err != nil {
			return nil, err
		}
		for k := range noiseFilters {
			group := 1 + k*len(s.tenants) // each a different subject of the second merchant
			if err := c.dial(s.streamRequest(group, ""), group); err != nil {
				c.close()
				return nil, err
			}
		}
		end, err := m.noise(ctx, s, s.publisher, neighbourRate, 1)
		if err != nil {
			c.close()
			return nil, err
		}
		ctx, quiet := context.WithCancel(ctx)
		readers := c.inBackground(ctx)
		time.Sleep(time.Second) // until the readers are connected
		return func() error {
			quiet()
			defer c.close()
			_, _, failed := end()
			if err := errors.Join(<-readers, failed, c.refused); err != nil || c.opened == noiseFilters {
				return err
			}
			return errors.New("not all filters were open")
		}, nil
	}}
}

// inBackground reads until ctx is done, and then sends its error. Until then no
// other code may use the client.
func (c *client) inBackground(ctx context.Context) <-chan error {
	done := make(chan error, 1)
	go func() {
		stepBack()
		var err error
		for ctx.Err() == nil && err == nil {
			err = c.read(10 * time.Millisecond)
		}
		done <- err
	}()
	return done
}
