//go:build linux

package faults

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// floodBytes is more than the sockets between a master and its replica hold.
// With less, the kernel would deliver it after the master's death.
const floodBytes = 40 << 20

// T1. Events that no replica confirmed are lost with their master. None of them was
// accepted, and readers that saw them are reset.
func testRolledBackLog(t *testing.T, s *fixture) {
	tr := s.newTrial(t, setting{limit: 5 * time.Minute})
	tr.begin()
	for range tr.rounds(1, 6) {
		if told := tr.rollBack(s.pick()); told > 0 {
			t.Errorf("%d events were accepted that only a master had", told)
		}
	}
	if v := tr.finish(); v.vanished == 0 {
		t.Error("no event that was delivered vanished: the fault was none")
	}
}

// rollBack rolls back the log of a merchant. It returns how many events were
// accepted that no replica can have confirmed.
func (tr *trial) rollBack(merchant string) (accepted int) {
	tr.t.Helper()
	_, merchants := tr.fixture.shard(merchant)
	var frozen, killed time.Time
	tr.during("log rolled back", func() { frozen, killed = tr.loseTailBetween(merchant) })
	l := tr.publisher.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.attempts {
		if a.accepted() && slices.Contains(merchants, a.Merchant) && a.Began.After(frozen) && a.Ended.Before(killed) {
			accepted++
		}
	}
	return accepted
}

// loseTail freezes the replica of a log's master, publishes more than the sockets
// hold, kills the master and lets the replica take over.
func (tr *trial) loseTail(merchant string) { tr.loseTailBetween(merchant) }

// loseTailBetween is loseTail. It returns between which times no event was replicated.
func (tr *trial) loseTailBetween(merchant string) (frozen, killed time.Time) {
	tr.t.Helper()
	c := tr.fixture.cluster
	master := c.Master(logKey(merchant))
	replica := c.Replica(master)
	replica.Pause()
	frozen = time.Now()
	tr.flood(merchant, floodBytes)
	killed = time.Now()
	master.Kill()
	replica.Resume()
	c.AwaitMaster(logKey(merchant), master)
	master.Restart()
	c.AwaitHealthy()
	return frozen, killed
}

// flood publishes so many bytes for a merchant, each event once.
func (tr *trial) flood(merchant string, size int) {
	const each, senders = 240 << 10, 32
	p := tr.newPublisher(tr.publisher.ledger)
	type letter struct {
		fact
		body []byte
	}
	letters := make(chan letter)
	var sending sync.WaitGroup
	for i := range senders {
		sending.Go(func() {
			for l := range letters {
				p.send(l.fact, l.body, i%len(p.instances))
			}
		})
	}
	for range size / each {
		f, body := p.compose(merchant, each)
		letters <- letter{f, body}
	}
	close(letters)
	sending.Wait()
}

// T2. A master that is paused past its failover may still serve requests before it
// learns that it is no longer a master.
func testPausedMaster(t *testing.T, s *fixture) {
	tr := s.newTrial(t, setting{limit: 5 * time.Minute})
	tr.begin()
	for range tr.rounds(1, 8) {
		tr.during("master paused", func() { tr.pauseMaster(s.pick()) })
	}
	tr.finish()
}

// T3. A master that is killed, and restarted after the failover, loses nothing.
func testKilledMaster(t *testing.T, s *fixture) {
	tr := s.newTrial(t, setting{limit: 5 * time.Minute})
	tr.begin()
	for range tr.rounds(1, 8) {
		tr.during("master killed", func() { tr.killMaster(s.pick()) })
	}
	tr.finish()
}

// rounds returns the number for this kind of run: how often the trial causes its fault.
func (tr *trial) rounds(smoke, full int) int {
	if tr.fixture.full {
		return full
	}
	return smoke
}
