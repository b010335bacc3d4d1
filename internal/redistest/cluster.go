// Package redistest runs a throwaway Redis Cluster with three masters and three
// replicas, and breaks it on request: it kills, pauses, restarts and fails over
// nodes, and moves slots under load. It needs redis-server 7.0 or newer on the
// machine.
//
// The servers listen on 127.0.0.1 only, keep their files in their own folders, and
// do not outlive the program that started them: [Cluster.Close] ends them, and on
// Linux the kernel does so if the program dies first.
//
// Tests call [Shared], or [Start] if they need a cluster of their own; a program
// calls [Open]. Every error ends the test after Start, and panics after Open or
// Shared, because a test that could not cause its fault cannot continue.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/paylogic/pushserver/internal/reaper"
)

const (
	masters    = 3
	nodes      = 2 * masters
	startLimit = 30 * time.Second // a start takes 3 s on an idle machine
	faultLimit = 30 * time.Second // a failover takes two node timeouts
	bindTries  = 3                // a free port may be gone when the server binds it
)

// A Cluster is three masters and three replicas, each in its own process. Its
// methods may be called from several goroutines, but only one at a time should
// kill, pause or restart a node.
type Cluster struct {
	dir     string
	server  string
	options Options
	reaper  *reaper.Reaper
	fatal   func(error)
	close   sync.Once

	mu    sync.Mutex // guards the following
	nodes []*Node
}

// Open starts a cluster and returns it when it is healthy, in the sense of
// [Cluster.AwaitHealthy]. The context bounds the start only; Close ends the
// cluster.
func Open(ctx context.Context, options Options) (*Cluster, error) {
	for try := 1; ; try++ {
		c, err := open(ctx, options)
		if err == nil || try == bindTries || !errors.Is(err, errPortTaken) {
			return c, err
		}
	}
}

func open(ctx context.Context, options Options) (*Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	server, err := findServer()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(options.Dir, "redistest-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the cluster: %w", err)
	}
	c := &Cluster{
		dir: dir, server: server, options: options,
		reaper: reaper.New(), fatal: func(err error) { panic(err) },
	}
	if err := c.boot(ctx); err != nil {
		err = fmt.Errorf("start a cluster: %w\n%s", err, c.logs())
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Cluster) boot(ctx context.Context) error {
	ports, err := freePorts(2 * nodes)
	if err != nil {
		return err
	}
	for i := range nodes {
		n := c.newNode(ports[2*i], ports[2*i+1])
		if i < masters && c.options.Disk > 0 {
			n.disk = newDisk(c.options.Disk)
			n.reaper = n.disk.reaper
		}
		if err := n.create(c.dir, c.options); err != nil {
			return err
		}
	}
	for _, n := range c.Nodes() {
		if err := n.awaitAnswer(ctx); err != nil {
			return err
		}
	}
	if err := c.join(ctx); err != nil {
		return err
	}
	return await(ctx, c.unhealthy)
}

// newNode adds a node to the cluster. The caller creates its files and starts it.
func (c *Cluster) newNode(port, busPort int) *Node {
	n := &Node{
		server:  c.server,
		reaper:  c.reaper,
		fatal:   func(err error) { c.fatal(err) },
		port:    port,
		busPort: busPort,
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = append(c.nodes, n)
	return n
}

// join turns six separate nodes into one cluster. It assigns epochs, to save the
// time of resolving collisions, and introduces each node to every other, to save
// the time of gossip.
func (c *Cluster) join(ctx context.Context) error {
	all := c.Nodes()
	for i, n := range all {
		if err := n.tell(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1); err != nil {
			return err
		}
		if i < masters {
			first, last := slots*i/masters, slots*(i+1)/masters-1
			if err := n.tell(ctx, "CLUSTER", "ADDSLOTSRANGE", first, last); err != nil {
				return err
			}
		}
	}
	for i, n := range all {
		for _, other := range all[i+1:] {
			if err := n.tell(ctx, "CLUSTER", "MEET", host, other.port, other.busPort); err != nil {
				return err
			}
		}
	}
	for i, n := range all[masters:] {
		master, err := all[i].identity(ctx)
		if err != nil {
			return err
		}
		// Refused until the handshake with that master is done.
		if err := await(ctx, func(ctx context.Context) error {
			return n.tell(ctx, "CLUSTER", "REPLICATE", master)
		}); err != nil {
			return err
		}
	}
	return nil
}

// Close kills every node, waits for it to exit and removes its files. Later calls do
// nothing.
func (c *Cluster) Close() {
	c.close.Do(func() {
		for _, n := range c.Nodes() {
			n.Kill()
			if n.disk != nil {
				n.disk.reaper.Close()
			}
		}
		c.reaper.Close()
		os.RemoveAll(c.dir)
	})
}

// Addrs returns the addresses of all nodes, whatever their state.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, n := range c.Nodes() {
		addrs = append(addrs, n.Addr())
	}
	return addrs
}

// Nodes returns all nodes, whatever their state; the first three were the
// masters at the start.
func (c *Cluster) Nodes() []*Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.nodes)
}

// Do sends one command to one node, as [Node.Do] does.
func (c *Cluster) Do(n *Node, args ...any) any { return n.Do(args...) }

// running returns the nodes that are neither killed nor paused.
func (c *Cluster) running() []*Node {
	var running []*Node
	for _, n := range c.Nodes() {
		if n.running() {
			running = append(running, n)
		}
	}
	return running
}

func (c *Cluster) must(doing string, err error) {
	if err != nil {
		c.fatal(fmt.Errorf("redistest: %s: %w\n%s", doing, err, c.logs()))
	}
}

func (c *Cluster) logs() string {
	var b strings.Builder
	for _, n := range c.Nodes() {
		b.WriteString(n.logTail())
	}
	return b.String()
}

// await calls unmet until it returns nil or the context ends. The error includes
// the last reason.
func await(ctx context.Context, unmet func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var reason error
	for {
		probe, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := unmet(probe)
		cancel()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errExited):
			return err // waiting longer changes nothing
		case reason == nil || ctx.Err() == nil:
			reason = err // unless it only says that the wait ended
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last: %w", ctx.Err(), reason)
		case <-tick.C:
		}
	}
}
