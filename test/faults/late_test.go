//go:build linux

package faults

import (
	"testing"
	"time"
)

// T19. An answer of Redis that comes after the time-out is not taken for the answer to
// another command. Otherwise a publisher would get the position of another event, or
// a reader the event of another merchant.
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
					p.cut() // so that new connections get late answers, too
				}
			}
			_ = pause(tr.ctx, 5*time.Second)
			b.heal()
		})
		_ = pause(tr.ctx, 3*time.Second) // so that the figures do not include the next fault
	}
	tr.finish()
}
