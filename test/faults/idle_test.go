//go:build linux

package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// connectionSlack is by how many connections a node may differ for other reasons:
// a pool that grew, or a monitor.
const connectionSlack = 8

// T20. The number of connections to Redis does not depend on the number of readers.
func testIdleReaders(t *testing.T, s *fixture) {
	tr := s.newTrial(t, setting{})
	quiet := tr.settledConnections()
	tr.admitAll()
	watched := tr.settledConnections()
	t.Logf("connections by node: %v without readers, %v with %d", quiet, watched, len(tr.readers))
	for addr, n := range watched {
		if n > quiet[addr]+connectionSlack {
			t.Errorf("%s has %d connections with %d readers, %d without", addr, n, len(tr.readers), quiet[addr])
		}
	}
	tr.finish()
}

// settledConnections returns how many connections of gateways each node has, after
// every gateway follows every bell and the numbers stand still.
func (tr *trial) settledConnections() map[string]int {
	tr.t.Helper()
	const partitions = 64
	var count map[string]int
	last := ""
	tr.await(settleLimit, "the connections to settle", func() bool {
		time.Sleep(300 * time.Millisecond) // between two counts that must be equal
		count = make(map[string]int)
		bells := 0
		for _, n := range tr.fixture.cluster.Nodes() {
			list, _ := n.Do("CLIENT", "LIST").(string)
			count[n.Addr()] = strings.Count(list, " name=pushserver")
			bells += strings.Count(list, " name=pushserver-bells")
		}
		before := last
		last = fmt.Sprint(count)
		return bells >= len(tr.instances)*partitions && last == before
	})
	return count
}
