//go:build linux

package faults

import (
	"sync"
	"testing"
	"time"
)

// Each of these faults returns when everything runs again.

// pauseMaster stops the master of a merchant's log until its replica has taken over.
func (tr *trial) pauseMaster(merchant string) {
	c := tr.fixture.cluster
	master := c.Master(logKey(merchant))
	master.Pause()
	c.AwaitMaster(logKey(merchant), master)
	master.Resume()
	c.AwaitHealthy()
}

// killMaster kills the master of a merchant's log and restarts it when its
// replica has taken over.
func (tr *trial) killMaster(merchant string) {
	c := tr.fixture.cluster
	master := c.Master(logKey(merchant))
	master.Kill()
	c.AwaitMaster(logKey(merchant), master)
	master.Restart()
	c.AwaitHealthy()
}

// killGateway kills a gateway, which is away for a while.
func (tr *trial) killGateway(i int, away time.Duration) {
	instance := tr.instances[i]
	instance.process().Kill()
	_ = pause(tr.ctx, away) // its readers use the other gateway
	instance.begin()
}

// failOver makes a planned failover to a replica.
func (tr *trial) failOver(merchant string) {
	c := tr.fixture.cluster
	c.Failover(c.Replica(c.Master(logKey(merchant))))
	c.AwaitHealthy()
}

// moveSlot moves the slot of a merchant's log to another master.
func (tr *trial) moveSlot(merchant string) {
	c := tr.fixture.cluster
	c.MigrateSlot(logKey(merchant), anotherMaster(tr.t, c, c.Master(logKey(merchant))))
	c.AwaitHealthy()
}

// T21. Random faults of Redis follow each other. A gateway is killed during every
// second one.
func testNemesis(t *testing.T, s *fixture) {
	limit := 15 * time.Minute
	end := time.Now().Add(5 * time.Minute)
	if deadline, ok := t.Deadline(); ok && s.soak {
		limit = time.Until(deadline) - time.Minute
		end = deadline.Add(-3 * time.Minute)
	}
	tr := s.newTrial(t, setting{limit: limit})
	tr.begin()
	faults := []struct {
		name  string
		cause func(merchant string)
	}{
		{"log rolled back", tr.loseTail},
		{"master paused", tr.pauseMaster},
		{"master killed", tr.killMaster},
		{"planned failover", tr.failOver},
		{"slot moved", tr.moveSlot},
	}
	for n := 0; time.Now().Before(end); n++ {
		fault, merchant := faults[s.dice.IntN(len(faults))], s.pick()
		gateway, late, away := s.dice.IntN(2), s.dice.IntN(3000), s.dice.IntN(3000)
		name := fault.name
		if n%2 == 1 {
			name += ", and a gateway killed"
		}
		tr.during(name, func() {
			var killing sync.WaitGroup
			if n%2 == 1 {
				killing.Go(func() {
					_ = pause(tr.ctx, time.Duration(late)*time.Millisecond)
					tr.killGateway(gateway, time.Duration(away)*time.Millisecond)
				})
			}
			fault.cause(merchant)
			killing.Wait()
		})
		_ = pause(tr.ctx, time.Duration(s.dice.IntN(3000))*time.Millisecond)
	}
	tr.finish()
}
