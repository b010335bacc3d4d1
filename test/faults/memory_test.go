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
			for _, master := range masters {
				master.Do("CONFIG", "SET", "maxmemory", usedMemory(master)+8<<10)
			}
			tr.awaitRefusals()
			full = time.Now()
			_ = pause(tr.ctx, 5*time.Second)
			until = time.Now()
			for _, master := range masters {
				master.Do("CONFIG", "SET", "maxmemory", 0)
			}
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

// awaitRefusals returns when no event was accepted for a second.
func (tr *trial) awaitRefusals() {
	tr.t.Helper()
	tr.await(settleLimit, "all events to be refused", func() bool {
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
