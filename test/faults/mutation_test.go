//go:build linux

package faults

import (
	"testing"
	"time"

	"github.com/paylogic/pushserver/test/stand"
)

// A mutation is a bug that lines of the product are marked for, a run in which it
// must show, and what the oracle must count then. See [mutate] for the marks.
type mutation struct {
	name  string // in the marks
	bug   string
	run   func(*testing.T, *fixture, *mutation) *verdict
	shows func(*verdict) int
}

var mutations = []mutation{
	{"confirmation", "acceptance waits for no replica", runRolledBack, func(v *verdict) int { return v.lost }},
	{"resume", "a stream resumes at the cursor, not after it", runRestless, func(v *verdict) int { return v.repeated }},
	{"continuity", "a cursor need not be in the log", runTrimmed, func(v *verdict) int { return v.lost }},
	{"filter", "a filter is for live events only", runReplay, func(v *verdict) int { return v.leaked }},
}

// testMutations tests the oracle: with each of the bugs the run must be red.
func testMutations(t *testing.T, s *fixture) {
	s.mutant = stand.Build(t, "-overlay", overlay(t))
	for _, m := range mutations {
		t.Run(m.bug, func(t *testing.T) {
			v := m.run(t, s, &m)
			if !v.red() || m.shows(v) == 0 {
				t.Fatalf("the oracle did not see it: %+v", *v)
			}
			t.Logf("%d findings; the first: %s", m.shows(v), v.findings[0])
		})
	}
}

// runRolledBack is the run of T1 for merchants of one master.
func runRolledBack(t *testing.T, s *fixture, m *mutation) *verdict {
	hot := s.pick()
	_, merchants := s.shard(hot)
	tr := s.newTrial(t, setting{mutation: m, merchants: merchants[:min(4, len(merchants))]})
	tr.begin()
	tr.rollBack(tr.merchants[0])
	_, v := tr.conclude()
	return v
}

// runRestless is a run in which the only fault is that readers reconnect.
func runRestless(t *testing.T, s *fixture, m *mutation) *verdict {
	tr := s.newTrial(t, setting{mutation: m, merchants: s.merchants[:4]})
	tr.begin()
	_ = pause(tr.ctx, 4*time.Second)
	_, v := tr.conclude()
	return v
}

// runTrimmed is the run of T7.
func runTrimmed(t *testing.T, s *fixture, m *mutation) *verdict {
	tr := s.newTrial(t, setting{mutation: m, merchants: s.merchants[:1], args: []string{"--retain-events", "200"}, trims: true})
	tr.outstay(tr.merchants[0], 500)
	tr.comeBack()
	_, v := tr.conclude()
	return v
}

// runReplay is a run in which readers come back to a gateway that has nothing in
// memory.
func runReplay(t *testing.T, s *fixture, m *mutation) *verdict {
	tr := s.newTrial(t, setting{mutation: m, merchants: s.merchants[:1]})
	tr.outstay(tr.merchants[0], 50)
	tr.comeBack()
	_, v := tr.conclude()
	return v
}
