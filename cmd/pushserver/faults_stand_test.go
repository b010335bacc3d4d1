//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylogic/pushserver/internal/redistest"
)

// merchantCount is how many merchants the publisher publishes for.
const merchantCount = 20

// A stand is what the rows of a run have in common: a cluster, the program, and
// keys for everyone.
type stand struct {
	full      bool // all rows, and each for longer
	soak      bool // one row, for very long
	seed      uint64
	dice      *rand.Rand // of the nemesis
	program   executable
	cluster   *redistest.Cluster // nil: the events lie in data
	data      string             // a directory for one gateway
	merchants []string
	keys      map[string]string // by merchant
	publisher string            // the publisher's key
	serial    atomic.Int64      // see publisher
	facts     map[string]fact   // of all events ever published here
	trials    int
	report    *report
}

// openStand starts a cluster, until the test ends, and makes the keys.
func openStand(t *testing.T, seed uint64) *stand {
	t.Helper()
	s := &stand{seed: seed, dice: rand.New(rand.NewPCG(seed, 0)), program: build(t), report: new(report)}
	return s.at(t, redistest.Start(t))
}

// at returns the same stand at another cluster, with keys for everyone there.
func (s *stand) at(t *testing.T, c *redistest.Cluster) *stand {
	t.Helper()
	s = s.empty()
	s.cluster = c
	for _, m := range s.merchants {
		s.keys[m] = createKey(t, "--redis", s.redis(), "--kind", "live", "--merchant", m)
	}
	s.publisher = createKey(t, "--redis", s.redis(), "--kind", "pub")
	return s
}

// empty returns the same stand without a place for events, and without keys.
func (s *stand) empty() *stand {
	e := &stand{
		full: s.full, soak: s.soak, seed: s.seed, dice: s.dice, program: s.program, report: s.report,
		keys: make(map[string]string), facts: make(map[string]fact),
	}
	for i := range merchantCount {
		e.merchants = append(e.merchants, fmt.Sprintf("merchant-%02d", i))
	}
	return e
}

func (s *stand) redis() string { return strings.Join(s.cluster.Addrs(), ",") }

// storage returns the arguments of serve that say where events are.
func (s *stand) storage() []string {
	if s.cluster == nil {
		return []string{"--data", s.data}
	}
	return []string{"--redis", s.redis()}
}

// pick returns one merchant, by chance.
func (s *stand) pick() string { return s.merchants[s.dice.IntN(len(s.merchants))] }

// shard returns the merchants whose logs the same master serves as that of one.
func (s *stand) shard(of string) (master *redistest.Node, merchants []string) {
	master = s.cluster.Master(hotKey(of))
	for _, m := range s.merchants {
		if s.cluster.Master(hotKey(m)) == master {
			merchants = append(merchants, m)
		}
	}
	return master, merchants
}

// awaitThat returns when it holds, or fails the test.
func awaitThat(ctx context.Context, t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(limit)
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("out of time waiting for %s", what)
		case <-late:
			t.Fatalf("waited %v for %s", limit, what)
		}
	}
}
