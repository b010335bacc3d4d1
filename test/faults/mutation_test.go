//go:build linux

package faults

import (
	"testing"
	"time"

	"github.com/paylogic/pushserver/test/stand"
)

// A plant is a bug, a run in which it must show, and how it shows.
type mutation struct {
	name  string
	bugs  []bug
	run   func(*testing.T, *fixture, *stand.Program) *verdict
	shows func(*verdict) int
}

var mutations = []mutation{
	{
		"acceptance waits for no replica",
		[]bug{
			{"streams/eventlog/redis_commit.go", "if l.durability == Replicated {", "if false {"},
			{"streams/eventlog/redis_commit.go", "return outcome{replies: replies}", "return outcome{replies: replies, confirmed: true}"},
		},
		runRolledBack, func(v *verdict) int { return v.lost },
	},
	{
		"a stream resumes at the cursor, not after it",
		[]bug{{"streams/start.go", "s.seq, s.live = st.find(pos)\n", "s.seq, s.live = st.find(pos)\n\t\tif s.seq > 0 {\n\t\t\ts.seq--\n\t\t}\n"}},
		runRestless, func(v *verdict) int { return v.repeated },
	},
	{
		"a cursor need not be in the log",
		[]bug{
			{"streams/eventlog/redis_read.go", "if e.Prev != prev && i == 0 {", "if false {"},
			{"streams/eventlog/redis_read.go", "if e.Prev != prev || i == limit {", "if e.Prev != prev && i > 0 || i == limit {"},
		},
		runTrimmed, func(v *verdict) int { return v.lost },
	},
	{
		"a filter is for live events only",
		[]bug{{"streams/reader.go", "if s.feed.filter.Match(entries[i].Event.Predicate()) {", "if true {"}},
		runReplay, func(v *verdict) int { return v.leaked },
	},
}

// The oracle is worth what it finds: each of these bugs, and the run is red.
func testPlantedBugs(t *testing.T, s *fixture) {
	for _, p := range mutations {
		t.Run(p.name, func(t *testing.T) {
			spoiled := build(t, p.bugs...)
			v := p.run(t, s, &spoiled)
			if !v.red() || p.shows(v) == 0 {
				t.Fatalf("the oracle saw nothing of it: %+v", *v)
			}
			t.Logf("%d findings; the first: %s", p.shows(v), v.findings[0])
		})
	}
}

// runRolledBack is the run of T1 for the merchants of one master.
func runRolledBack(t *testing.T, s *fixture, e *stand.Program) *verdict {
	hot := s.pick()
	_, merchants := s.shard(hot)
	tr := s.newTrial(t, setting{program: e, merchants: merchants[:min(4, len(merchants))]})
	tr.begin()
	tr.rollBack(tr.merchants[0])
	_, v := tr.conclude()
	return v
}

// runRestless is a run without any fault but that readers reconnect.
func runRestless(t *testing.T, s *fixture, e *stand.Program) *verdict {
	tr := s.newTrial(t, setting{program: e, merchants: s.merchants[:4]})
	tr.begin()
	_ = pause(tr.ctx, 4*time.Second)
	_, v := tr.conclude()
	return v
}

// runTrimmed is the run of T7.
func runTrimmed(t *testing.T, s *fixture, e *stand.Program) *verdict {
	tr := s.newTrial(t, setting{program: e, merchants: s.merchants[:1], args: []string{"--retain-events", "200"}, trims: true})
	tr.outstay(tr.merchants[0], 500)
	tr.comeBack()
	_, v := tr.conclude()
	return v
}

// runReplay is a run in which readers come back to a gateway that has nothing in
// memory.
func runReplay(t *testing.T, s *fixture, e *stand.Program) *verdict {
	tr := s.newTrial(t, setting{program: e, merchants: s.merchants[:1]})
	tr.outstay(tr.merchants[0], 50)
	tr.comeBack()
	_, v := tr.conclude()
	return v
}
