//go:build linux

package faults

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/paylogic/pushserver/internal/redistest"
)

// T11. Redis without memory refuses events. Streams go on, and new ones open. When
// there is memory again, events are accepted again.
func testFullMemory(t *testing.T, s *fixture) {
	tr := s.newTrial(t, setting{limit: 5 * time.Minute})
	tr.begin()
	var masters []*redistest.Node
	for _, n := range s.cluster.Nodes() {
		if role, _ := n.Do("ROLE").([]any); role[0] == "master" {
			masters = append(masters, n)
		}
	}
	for range tr.rounds(1, 3) {
		var full, until time.Time
		tr.during("memory full", func() {
			defer func() {
				until = time.Now()
				for _, master := range masters {
					master.Do("CONFIG", "SET", "maxmemory", 0)
				}
			}()
			tr.fillMemory(masters)
			full = time.Now()
			_ = pause(tr.ctx, 5*time.Second)
		})
		tr.checkOpened(full, until)
	}
	tr.finish()
}

func usedMemory(n *redistest.Node) int64 {
	info, _ := n.Do("INFO", "memory").(string)
	for line := range strings.Lines(info) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "used_memory:"); ok {
			used, _ := strconv.ParseInt(text, 10, 64)
			return used
		}
	}
	return 0
}

// fillMemory leaves the masters no memory, and returns when no event was accepted
// for a second. The limit follows what is in use down: buffers of clients shrink.
func (tr *trial) fillMemory(masters []*redistest.Node) {
	tr.t.Helper()
	limits := make(map[*redistest.Node]int64)
	tr.await(settleLimit, "all events to be refused", func() bool {
		for _, master := range masters {
			if limit := usedMemory(master) + 8<<10; limits[master] == 0 || limit < limits[master] {
				master.Do("CONFIG", "SET", "maxmemory", limit)
				limits[master] = limit
			}
		}
		return len(tr.publisher.acceptedSince(time.Now().Add(-time.Second))) == 0
	})
}

// checkOpened fails the test unless streams opened between two times and no stream was
// refused.
func (tr *trial) checkOpened(from, until time.Time) {
	tr.t.Helper()
	opened := 0
	for _, r := range tr.readers {
		for _, n := range r.all() {
			if n.What != noteOpened || n.At.Before(from) || n.At.After(until) {
				continue
			}
			if n.Status != http.StatusOK {
				tr.t.Errorf("%s was refused with %d: %s", r.name, n.Status, n.Text)
			}
			opened++
		}
	}
	tr.t.Logf("%d streams were opened meanwhile", opened)
	if opened == 0 {
		tr.t.Error("no stream was opened meanwhile")
	}
}
