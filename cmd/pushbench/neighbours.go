//go:build linux

package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	neighbourRate  = 100    // events a second of the merchant that is looked at
	neighbourViews = 20     // its streams
	noiseRate      = 10_000 // events a second of the one beside it
	noiseBatch     = 100
	noiseFilters   = 1_000
	noiseLanes     = 8
)

// neighbours measures what a merchant's readers notice of another merchant, who
// publishes much or has many filters.
func (m *measureCommand) neighbours(ctx context.Context, s *server) ([]figure, error) {
	if len(s.tenants) < 2 {
		return nil, errors.New("there must be two merchants at least")
	}
	view := func() (*result, error) {
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
	if _, err := view(); err != nil { // so that all is warm
		return nil, err
	}
	alone, err := view()
	if err != nil {
		return nil, err
	}

	loud, quiet := context.WithCancel(ctx)
	defer quiet()
	published := new(atomic.Int64)
	noise := m.noise(loud, s, noiseRate, noiseBatch, published)
	began := time.Now()
	besideEvents, err := view()
	rate := float64(published.Load()) / time.Since(began).Seconds()
	quiet()
	if err = errors.Join(err, <-noise); err != nil {
		return nil, err
	}

	c, err := newClient(s, 1, m.Coalesce)
	if err != nil {
		return nil, err
	}
	defer c.close()
	for k := range noiseFilters {
		group := 1 + k*len(s.tenants) // each another subject of the second merchant
		if err := c.dial(s.streamRequest(group, ""), group); err != nil {
			return nil, err
		}
	}
	loud, quiet = context.WithCancel(ctx)
	defer quiet()
	noise = m.noise(loud, s, neighbourRate, 1, new(atomic.Int64))
	var reading sync.WaitGroup
	var readErr error
	reading.Go(func() {
		for loud.Err() == nil && readErr == nil {
			readErr = c.read(10 * time.Millisecond)
		}
	})
	time.Sleep(time.Second) // until they are in
	besideFilters, err := view()
	quiet()
	reading.Wait()
	if err = errors.Join(err, readErr, c.refused, <-noise); err != nil {
		return nil, err
	}

	figures := []figure{{"events a second of the other", "/s", rate, ""}, {"filters of the other", "", float64(c.opened), ""}}
	for _, phase := range []struct {
		name string
		*result
	}{{"alone", alone}, {"beside many events", besideEvents}, {"beside many filters", besideFilters}} {
		figures = append(figures,
			figure{"p50 " + phase.name, "ms", milliseconds(phase.arrived.latency.quantile(0.5)), ""},
			figure{"p99 " + phase.name, "ms", milliseconds(phase.arrived.latency.quantile(0.99)), ""},
			figure{"lost " + phase.name, "", float64(phase.faults()), "0"},
		)
	}
	return figures, nil
}

// noise has the second merchant's events published until ctx is done, and then
// says what went wrong.
func (m *measureCommand) noise(ctx context.Context, s *server, rate, batch int, published *atomic.Int64) <-chan error {
	done := make(chan error, 1)
	go func() {
		var lanes sync.WaitGroup
		errs := make([]error, noiseLanes)
		pause := time.Duration(noiseLanes*batch) * time.Second / time.Duration(rate)
		for lane := range noiseLanes {
			lanes.Go(func() {
				p, err := s.dialPublisher()
				if err != nil {
					errs[lane] = err
					return
				}
				defer p.close()
				last := marker{step: nextStep(), group: 1, lane: uint32(lane)}
				ticker := time.NewTicker(pause)
				defer ticker.Stop()
				for ctx.Err() == nil {
					n, err := p.postEvents(&last, batch, m.Size)
					if err != nil {
						errs[lane] = err
						return
					}
					published.Add(int64(n))
					select {
					case <-ticker.C:
					case <-ctx.Done():
					}
				}
			})
		}
		lanes.Wait()
		done <- errors.Join(errs...)
	}()
	return done
}
