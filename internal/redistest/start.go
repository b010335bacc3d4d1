package redistest

import (
	"context"
	"errors"
	"testing"

	"github.com/paylogic/pushserver/internal/reaper"
)

// Start returns a healthy cluster, in the sense of [Cluster.AwaitHealthy], and
// closes it when the test ends. A missing redis-server fails the test.
func Start(tb testing.TB, opts ...Option) *Cluster {
	tb.Helper()
	c, err := Open(tb.Context(), gather(tb, opts))
	if err != nil {
		tb.Fatalf("redistest: %v", err)
	}
	tb.Cleanup(c.Close)
	c.fatal = func(err error) { tb.Helper(); tb.Fatal(err) }
	return c
}

// StartStandalone returns a server without cluster mode, with the other settings of
// a node from [Start], and kills it when the test ends.
func StartStandalone(tb testing.TB, opts ...Option) *Node {
	tb.Helper()
	options := gather(tb, opts)
	for try := 1; ; try++ {
		n, err := startStandalone(tb, options)
		if err == nil {
			n.fatal = func(err error) { tb.Helper(); tb.Fatal(err) }
			return n
		}
		if try == bindTries || !errors.Is(err, errPortTaken) {
			tb.Fatalf("redistest: start a server: %v\n%s", err, n.logTail())
		}
	}
}

func startStandalone(tb testing.TB, options Options) (*Node, error) {
	n := &Node{fatal: func(err error) { tb.Fatal(err) }}
	server, err := findServer()
	if err != nil {
		return n, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return n, err
	}
	n.server, n.port, n.reaper = server, ports[0], reaper.New()
	tb.Cleanup(func() {
		n.Kill()
		n.reaper.Close()
	})
	if err := n.create(options.Dir, options); err != nil {
		return n, err
	}
	ctx, cancel := context.WithTimeout(tb.Context(), startLimit)
	defer cancel()
	return n, n.awaitAnswer(ctx)
}

func gather(tb testing.TB, opts []Option) Options {
	var options Options
	for _, o := range opts {
		o(&options)
	}
	if options.Dir == "" {
		options.Dir = tb.TempDir()
	}
	return options
}
