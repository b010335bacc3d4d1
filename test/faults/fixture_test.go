//go:build linux

package faults

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylogic/pushserver/internal/redistest"
	"github.com/paylogic/pushserver/test/stand"
)

// merchantCount is how many merchants the publisher publishes for.
const merchantCount = 20

// A fixture is what the rows of a run share: a cluster, the program, and keys.
type fixture struct {
	full      bool // all rows, and longer ones
	soak      bool // one row, until -timeout is near
	seed      uint64
	dice      *rand.Rand // of the nemesis
	program   stand.Program
	mutant    stand.Program      // see testMutations
	cluster   *redistest.Cluster // nil: events are kept in data
	data      string             // a directory for one gateway
	merchants []string
	keys      map[string]string // by merchant
	publisher string            // the publisher's key
	serial    atomic.Int64      // see publisher
	facts     map[string]fact   // of all events ever published here
	trials    int
	report    *report
}

// openFixture starts a cluster, until the test ends, and makes the keys.
func openFixture(t *testing.T, seed uint64) *fixture {
	t.Helper()
	s := &fixture{seed: seed, dice: rand.New(rand.NewPCG(seed, 0)), program: stand.Pushserver(t), report: new(report)}
	return s.at(t, redistest.Start(t))
}

// at returns a fixture over another cluster, with new keys.
func (s *fixture) at(t *testing.T, c *redistest.Cluster) *fixture {
	t.Helper()
	s = s.empty()
	s.cluster = c
	for _, m := range s.merchants {
		s.keys[m] = stand.CreateKey(t, "--redis", s.redis(), "--kind", "live", "--merchant", m)
	}
	s.publisher = stand.CreateKey(t, "--redis", s.redis(), "--kind", "pub")
	return s
}

// empty returns a fixture without a cluster, a directory or keys.
func (s *fixture) empty() *fixture {
	e := &fixture{
		full: s.full, soak: s.soak, seed: s.seed, dice: s.dice, program: s.program, report: s.report,
		keys: make(map[string]string), facts: make(map[string]fact),
	}
	for i := range merchantCount {
		e.merchants = append(e.merchants, fmt.Sprintf("merchant-%02d", i))
	}
	return e
}

func (s *fixture) redis() string { return strings.Join(s.cluster.Addrs(), ",") }

// storage returns the arguments of serve that say where events are.
func (s *fixture) storage() []string {
	if s.cluster == nil {
		return []string{"--data", s.data}
	}
	return []string{"--redis", s.redis()}
}

// pick returns a random merchant.
func (s *fixture) pick() string { return s.merchants[s.dice.IntN(len(s.merchants))] }

// shard returns the master of a merchant's log, and all merchants whose logs it
// serves.
func (s *fixture) shard(of string) (master *redistest.Node, merchants []string) {
	master = s.cluster.Master(logKey(of))
	for _, m := range s.merchants {
		if s.cluster.Master(logKey(m)) == master {
			merchants = append(merchants, m)
		}
	}
	return master, merchants
}

// logKey returns the key in Redis of a merchant's log.
func logKey(merchant string) string {
	h := fnv.New32a()
	io.WriteString(h, merchant)
	return fmt.Sprintf("ps:{%02d}:%s:log", h.Sum32()%64, merchant)
}

func anotherMaster(t *testing.T, c *redistest.Cluster, than *redistest.Node) *redistest.Node {
	t.Helper()
	for _, n := range c.Nodes() {
		if role, _ := n.Do("ROLE").([]any); n != than && len(role) > 0 && role[0] == "master" {
			return n
		}
	}
	t.Fatal("there is no other master")
	return nil
}

// pause waits, and returns an error if ctx is done before.
func pause(ctx context.Context, wait time.Duration) error {
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
