//go:build linux

package faults

import (
	"testing"
	"time"
)

// T19. An answer of Redis that comes when nobody waits for it any more is not
// taken for that to another command. If it were, a publisher would be told the
// position of another event, or a reader would be given another's.
func testLateAnswers(t *testing.T, s *fixture) {
	b := newBorder(t, s.cluster)
	tr := s.newTrial(t, setting{limit: 10 * time.Minute, networks: [2]*netns{b.netns}})
	tr.begin()
	for range tr.rounds(2, 12) {
		by := time.Duration(300+s.dice.IntN(1500)) * time.Millisecond
		tr.during("answers late", func() {
			for _, p := range b.proxies {
				p.late(by)
				if s.dice.IntN(2) == 0 {
					p.cut() // so that connections are made whose first answers are late
				}
			}
			_ = pause(tr.ctx, 5*time.Second)
			b.heal()
		})
		_ = pause(tr.ctx, 3*time.Second) // before the next, so that the figures are of this one
	}
	tr.finish()
}
