//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// measureCommand is the command line of a measurement.
type measureCommand struct {
	Mode string `arg:"" help:"What to measure: ${enum}. limits needs --cluster." enum:"idle,fanout,groups,saturated,replay,publish,latency,churn,limits,neighbours,storm,all"`

	URL          string            `name:"url" help:"A running server, on loopback. Without it one is started." placeholder:"http://127.0.0.1:PORT"`
	PublisherKey string            `help:"Key that may publish to the merchants of --key." placeholder:"KEY"`
	Key          map[string]string `help:"A merchant and its key. Several spread the groups." placeholder:"MERCHANT=KEY"`
	PID          int               `name:"pid" help:"Process ID of the running server."`
	Server       string            `help:"The pushserver to start; built from this module by default." placeholder:"PATH"`
	Cluster      bool              `help:"Start a Redis Cluster of 3 masters and 3 replicas, and the server over it."`
	Merchants    int               `help:"With --cluster: number of merchants for the groups. Without it, the two of dev, or those of --key." default:"1000"`

	N          int           `short:"n" help:"Streams." default:"10000"`
	Groups     int           `help:"Number of groups, for groups." default:"1000"`
	Size       int           `help:"Bytes of an event's payload." default:"200"`
	Duration   time.Duration `help:"Approximate duration of each measurement." default:"5s"`
	Coalesce   time.Duration `help:"Pause of the reader between two rounds; not for latency." default:"1ms"`
	References bool          `help:"Measure the references too." default:"true" negatable:""`
	JSON       bool          `name:"json" help:"Print JSON."`
}

// Validate is called by kong after parsing.
func (m *measureCommand) Validate() error {
	switch {
	case m.URL != "" && (m.PublisherKey == "" || len(m.Key) == 0 || m.PID == 0):
		return errors.New("--url needs --publisher-key, --key and --pid")
	case m.URL != "" && (m.Cluster || m.Server != ""):
		return errors.New("--url is for a server that runs; --cluster and --server start one")
	case m.Mode == "limits" && !m.Cluster:
		return errors.New("limits needs --cluster: it measures what asking Redis costs")
	case m.N < 1 || m.Groups < 1 || m.Merchants < 1:
		return errors.New("-n, --groups and --merchants must be 1 or more")
	case m.Size < markerSize || m.Size > 100_000:
		return fmt.Errorf("--size must be %d to 100000", markerSize)
	case m.Duration < 100*time.Millisecond || m.Duration > time.Minute:
		return errors.New("--duration must be 100ms to 1m")
	}
	return nil
}

// A measurement is a part of the table.
type measurement struct {
	name      string
	reference bool // the references can do it too
	clustered bool // it is about Redis
	run       func(*measureCommand, context.Context, *server) ([]figure, error)
}

var measurements = []measurement{
	{name: "idle", reference: true, run: (*measureCommand).idle},
	{name: "fanout", reference: true, run: (*measureCommand).fanout},
	{name: "groups", reference: true, run: (*measureCommand).groups},
	{name: "saturated", reference: true, run: (*measureCommand).saturated},
	{name: "latency", reference: true, run: (*measureCommand).latency},
	{name: "churn", reference: true, run: (*measureCommand).churn},
	{name: "replay", run: (*measureCommand).replay},
	{name: "publish", reference: true, run: (*measureCommand).publish},
	{name: "limits", clustered: true, run: (*measureCommand).limits},
	{name: "neighbours", run: (*measureCommand).neighbours},
	{name: "storm", run: (*measureCommand).storm},
}

// Run measures and prints.
func (m *measureCommand) Run(ctx context.Context) error {
	t, err := m.measure(ctx)
	if t != nil {
		if m.JSON {
			err = errors.Join(err, t.writeJSON(os.Stdout, m))
		} else {
			err = errors.Join(err, t.write(os.Stdout))
		}
	}
	return err
}

// A starter runs a fresh server, or returns the one that runs.
type starter func(context.Context) (*server, error)

// measure returns the figures it has, even after an error.
func (m *measureCommand) measure(ctx context.Context) (*table, error) {
	product, stop, err := m.product(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	starters := map[string]starter{column[0]: product}
	if m.References {
		for _, name := range column[1:] {
			starters[name] = func(ctx context.Context) (*server, error) { return startReference(ctx, name) }
		}
	}
	t := new(table)
	for _, measurement := range measurements {
		if m.Mode != "all" && m.Mode != measurement.name || measurement.clustered && !m.Cluster {
			continue
		}
		for i, name := range column {
			start := starters[name]
			if start == nil || i > 0 && !measurement.reference {
				continue
			}
			fmt.Fprintf(os.Stderr, "%s: %s\n", measurement.name, name)
			// A server that earlier measurements used is larger and warmer than a new one.
			s, err := start(ctx)
			if err != nil {
				return t, err
			}
			figures, err := measurement.run(m, ctx, s)
			s.stop()
			t.add(measurement.name, i, figures)
			if err != nil {
				return t, fmt.Errorf("%s, %s: %w\n%s", measurement.name, name, err, s.log())
			}
		}
	}
	return t, nil
}

// product returns what runs the server that this is about.
func (m *measureCommand) product(ctx context.Context) (starter, func(), error) {
	if m.URL != "" {
		return func(context.Context) (*server, error) {
			return attach(m.URL, m.PublisherKey, m.Key, m.PID)
		}, func() {}, nil
	}
	program, dir := m.Server, ""
	if program == "" {
		var err error
		if dir, err = os.MkdirTemp("", "pushbench-"); err != nil {
			return nil, nil, err
		}
		if program, err = build(ctx, dir); err != nil {
			os.RemoveAll(dir)
			return nil, nil, err
		}
	}
	clean := func() {
		if dir != "" {
			os.RemoveAll(dir)
		}
	}
	if !m.Cluster {
		return func(ctx context.Context) (*server, error) { return startDev(ctx, program) }, clean, nil
	}
	b, err := openBackend(ctx, m.Merchants)
	if err != nil {
		clean()
		return nil, nil, err
	}
	return func(ctx context.Context) (*server, error) { return b.serve(ctx, program) },
		func() { b.cluster.Close(); clean() }, nil
}
