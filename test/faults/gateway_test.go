//go:build linux

package faults

import (
	"testing"
	"time"
)

// T5. The readers of a killed gateway resume at the other one and lose no event.
func testKilledGateway(t *testing.T, s *fixture) {
	tr := s.newTrial(t, setting{limit: 10 * time.Minute})
	tr.begin()
	period := 4 * time.Second
	if s.full {
		period = 20 * time.Second
	}
	for n := range tr.rounds(3, 9) {
		tr.during("gateway killed", func() { tr.killGateway(n%len(tr.instances), period/2) })
		_ = pause(tr.ctx, period/2)
	}
	tr.finish()
}
