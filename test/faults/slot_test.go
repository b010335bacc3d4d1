//go:build linux

package faults

import (
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	// moveLimit is how long 99 of 100 publishes may take while a slot moves.
	moveLimit = 500 * time.Millisecond
	// preloaded is how many events are in the log that moves in a full run: a short
	// log has moved before a publish could wait for it. A smoke run has a tenth.
	preloaded = 20_000
)

// T6. An operator moves a slot, adds and removes a replica, and fails over. No reader
// loses an event or is reset, and publishers wait only shortly.
func testMovedSlot(t *testing.T, s *fixture) {
	tr := s.newTrial(t, setting{limit: 10 * time.Minute})
	hot := s.pick()
	tr.preload(hot, tr.rounds(preloaded/10, preloaded))
	tr.begin()
	rush := tr.newPublisher(tr.publisher.ledger)
	rush.merchants = []string{hot} // beside the publisher for all merchants
	rush.begin()
	c := s.cluster
	from := c.Master(logKey(hot))
	to := anotherMaster(t, c, from)
	for range tr.rounds(1, 25) {
		tr.during("slot moved away", func() { c.MigrateSlot(logKey(hot), to) })
		tr.during("slot moved back", func() { c.MigrateSlot(logKey(hot), from) })
	}
	moves := len(tr.windows)
	added := c.AddReplica(from)
	tr.during("failover to an added replica", func() { c.Failover(added) })
	tr.during("failover back", func() { c.Failover(from) })
	c.AwaitHealthy()
	tr.during("replica removed", func() { c.Remove(added) })
	rush.halt()
	if v := tr.finish(); v.sent > 0 {
		t.Errorf("%d resets, want none", v.sent)
	}
	took := tr.publishTimes(hot, tr.windows[:moves])
	if len(took) == 0 {
		t.Fatal("nothing was published while the slot moved")
	}
	p99 := took[len(took)*99/100]
	t.Logf("while its slot moved, %d publishes for %s took p50 %d ms, p99 %d ms, at most %d ms", len(took), hot,
		took[len(took)/2].Milliseconds(), p99.Milliseconds(), took[len(took)-1].Milliseconds())
	if s.full && p99 > moveLimit {
		t.Errorf("p99 is %v, want at most %v", p99, moveLimit)
	}
}

// preload publishes n small events for a merchant.
func (tr *trial) preload(merchant string, n int) {
	tr.t.Helper()
	p := tr.newPublisher(tr.publisher.ledger)
	var sending sync.WaitGroup
	free := make(chan struct{}, 32)
	for range n {
		f, body := p.compose(merchant, 0)
		free <- struct{}{}
		sending.Go(func() {
			p.insist(f, body, 0)
			<-free
		})
	}
	sending.Wait()
}

// publishTimes returns how long events of a merchant took from their first attempt to
// their acceptance, sorted. It counts those that were under way in one of the windows.
func (tr *trial) publishTimes(merchant string, windows []window) []time.Duration {
	l := tr.publisher.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	began := make(map[string]time.Time)
	var took []time.Duration
	for _, a := range l.attempts {
		if a.Merchant != merchant {
			continue
		}
		if first, ok := began[a.ID]; !ok || a.Began.Before(first) {
			began[a.ID] = a.Began
		}
		overlaps := func(w window) bool { return a.Ended.After(w.from) && began[a.ID].Before(w.healed) }
		if a.accepted() && slices.ContainsFunc(windows, overlaps) {
			took = append(took, a.Ended.Sub(began[a.ID]))
		}
	}
	slices.Sort(took)
	return took
}
