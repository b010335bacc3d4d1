//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	neighbourRate   = 100    // events a second of the merchant that is looked at
	neighbourViews  = 20     // its streams
	neighbourRounds = 3      // of all phases, one after the other
	noiseRate       = 10_000 // events a second of the one beside it
	noiseBatch      = 100
	noiseFilters    = 1_000
	noiseLanes      = 8
)

// A phase is what happens beside the merchant that is looked at: it returns once
// it has begun, with what ends it.
type phase struct {
	name  string
	goal  string // for its p99 as a multiple of the first phase's
	begin func(context.Context) (end func() error, err error)
	views []*result

	published atomic.Int64 // by whoever is beside
	took      time.Duration
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
	// The kernel tells noise and view apart by their priority; they must not wait for
	// each other in this program's runtime.
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

// neighbours measures what a merchant's readers notice of another merchant, who
// publishes much or has many filters. Over a cluster both have the same master.
//
// With many events to a server beside this one, which shares nothing with it but
// the machine, it measures what of that is the machine's.
func (m *measureCommand) neighbours(ctx context.Context, s *server) ([]figure, error) {
	const goal = "<= 1.5"
	publishing := func(name, goal string, s *server, key string) *phase {
		p := &phase{name: name, goal: goal}
		p.begin = func(ctx context.Context) (func() error, error) {
			ctx, quiet := context.WithCancel(ctx)
			start := time.Now()
			noise := m.noise(ctx, s, key, noiseRate, noiseBatch, &p.published)
			return func() error {
				p.took += time.Since(start)
				quiet()
				return <-noise
			}, nil
		}
		return p
	}
	filters := &phase{name: "beside many filters", goal: goal, begin: func(ctx context.Context) (func() error, error) {
		c, err := newClient(s, 1, m.Coalesce)
		if err != nil {
			return nil, err
		}
		for k := range noiseFilters {
			group := 1 + k*len(s.tenants) // each another subject of the second merchant
			if err := c.dial(s.streamRequest(group, ""), group); err != nil {
				c.close()
				return nil, err
			}
		}
		ctx, quiet := context.WithCancel(ctx)
		noise, readers := m.noise(ctx, s, s.publisher, neighbourRate, 1, new(atomic.Int64)), c.inBackground(ctx)
		time.Sleep(time.Second) // until they are in
		return func() error {
			quiet()
			defer c.close()
			if err := errors.Join(<-readers, <-noise, c.refused); err != nil || c.opened == noiseFilters {
				return err
			}
			return errors.New("not all filters were there")
		}, nil
	}}
	many := publishing("beside many events", goal, s, s.publisher)
	phases := []*phase{alone(), many}
	if s.limited != "" {
		phases = append(phases, publishing("beside one over its limit", goal, s, s.limited))
	}
	if s.another != nil {
		other, err := s.another(ctx)
		if err != nil {
			return nil, err
		}
		defer other.stop()
		phases = append(phases, publishing("beside another server", "", other, other.publisher))
	}
	figures, err := m.beside(ctx, s, phases...)
	if err != nil {
		return nil, err
	}
	// For half a minute after they left, a server has filters ready for those who come
	// back, so many events would still meet all of them.
	again := alone()
	again.name = "alone again"
	filtered, err := m.beside(ctx, s, again, filters)
	if err != nil {
		return nil, err
	}
	figures = append(figures, filtered...)
	return append(figures, figure{"events a second of the other", "/s", float64(many.published.Load()) / many.took.Seconds(), ""}), nil
}

// inBackground reads until ctx is done, and then says what went wrong. Until
// then the client is not for anyone else.
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

// stepBack has the calling goroutine, until it ends, wait for processors that
// nobody else wants so much: noise comes from other machines in practice, and makes
// work for the server alone.
func stepBack() {
	runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 10)
}

// noise has the second merchant's events published until ctx is done, and then
// says what went wrong. To be over a limit is not wrong.
func (m *measureCommand) noise(ctx context.Context, s *server, key string, rate, batch int, published *atomic.Int64) <-chan error {
	done := make(chan error, 1)
	go func() {
		var lanes sync.WaitGroup
		errs := make([]error, noiseLanes)
		pause := time.Duration(noiseLanes*batch) * time.Second / time.Duration(rate)
		for lane := range noiseLanes {
			lanes.Go(func() {
				stepBack()
				p, err := s.dialPublisher()
				if err != nil {
					errs[lane] = err
					return
				}
				defer p.close()
				p.key = key
				last := marker{step: nextStep(), group: 1, lane: uint32(lane)}
				time.Sleep(pause * time.Duration(lane) / noiseLanes) // a rate, not a burst of all lanes
				ticker := time.NewTicker(pause)
				defer ticker.Stop()
				for ctx.Err() == nil {
					n, err := p.postEvents(&last, batch, m.Size)
					switch {
					case errors.Is(err, errQuota):
						n = 0
					case err != nil:
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
