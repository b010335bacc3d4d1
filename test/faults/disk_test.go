//go:build linux

package faults

import (
	"net/http"
	"testing"
	"time"

	"github.com/paylogic/pushserver/internal/redistest"
)

const (
	fullDisk  = 6 << 20
	roomyDisk = 128 << 20
)

// T10. A master with a full disk refuses events. It recovers by itself when there is
// room again. Nothing that it accepted is missing after it was killed.
func testFullDisk(t *testing.T, s *fixture) {
	s = s.at(t, redistest.Start(t, redistest.Disk(fullDisk)))
	tr := s.newTrial(t, setting{limit: 5 * time.Minute})
	tr.begin()
	for range tr.rounds(1, 3) {
		hot := s.pick()
		master, _ := s.shard(hot) // one of the first three nodes, which have the disks
		master.ResizeDisk(fullDisk)
		tr.during("disk full", func() {
			tr.fill(hot)
			master.ResizeDisk(roomyDisk)
		})
		master.ResizeDisk(fullDisk) // it holds more, so it is full at once
		tr.during("disk full, then killed", func() {
			tr.fill(hot)
			master.Kill()
			s.cluster.AwaitMaster(logKey(hot), master)
			master.ResizeDisk(roomyDisk)
			master.Wipe()
			master.Restart()
			s.cluster.AwaitHealthy()
			s.cluster.Failover(master)
			s.cluster.AwaitHealthy()
		})
	}
	tr.finish()
}

// fill publishes for a merchant until five events were refused.
func (tr *trial) fill(merchant string) {
	tr.t.Helper()
	p := tr.newPublisher(tr.publisher.ledger)
	for n, refused := 0, 0; refused < 5; n++ {
		f, body := p.compose(merchant, 200<<10)
		a := p.send(f, body, n%2)
		switch {
		case a.Status == http.StatusServiceUnavailable:
			refused++
		case !a.accepted():
			tr.t.Fatalf("on a disk that fills up, %s was answered with %d %s", a.ID, a.Status, a.Answer)
		}
		if tr.ctx.Err() != nil {
			tr.t.Fatal("the disk never was full")
		}
	}
}
