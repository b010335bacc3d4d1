//go:build linux

package faults

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

const (
	// drainStreams is how many streams the gateway has that drains.
	drainStreams = 2000
	// drainLimit is how long the drain may take.
	drainLimit = 30 * time.Second
)

// T16. A gateway that drains says goodbye to every stream. It tells them to come back
// at different times. No reader misses an event.
func testDrain(t *testing.T, s *fixture) {
	tr := s.newTrial(t, setting{limit: 5 * time.Minute, rate: 60})
	ending := tr.instances[0]
	var crowd []*reader
	for i := range drainStreams {
		r := tr.newReader(tr.merchants[i%len(tr.merchants)], parts[i/len(tr.merchants)%len(parts)])
		r.turn, r.obeys, r.inQuery = 0, true, i%2 == 1 // to the one that ends first, then to the other
		crowd = append(crowd, r)
	}
	for some := range slices.Chunk(crowd, 100) {
		tr.admit(some...)
	}
	tr.begin()
	tr.during("drain", func() {
		took := ending.process().Terminate(drainLimit)
		t.Logf("ended %d ms after SIGTERM under %d streams", took.Milliseconds(), drainStreams)
	})
	v := tr.finish()
	if v.sent > 0 {
		t.Errorf("%d resets in a drain, want none", v.sent)
	}
	tr.checkGoodbyes(crowd)
}

// A goodbye is the data of stream.goodbye.
type goodbye struct {
	Reason    string `json:"reason"`
	Reconnect bool   `json:"reconnect"`
	RetryMS   int64  `json:"retry_ms"`
}

// checkGoodbyes fails the test unless the first connection of each reader ended with
// a goodbye, and the times to come back are spread.
func (tr *trial) checkGoodbyes(crowd []*reader) {
	tr.t.Helper()
	var retries []int64
	without := 0
	for _, r := range crowd {
		notes := r.all()
		end := slices.IndexFunc(notes, func(n note) bool { return n.What == noteEnded })
		if end < 1 || notes[end-1].Type != "stream.goodbye" {
			without++
			continue
		}
		var g goodbye
		last := notes[end-1]
		if err := json.Unmarshal([]byte(last.Text), &g); err != nil || !g.Reconnect || g.Reason == "" || last.Retry.Milliseconds() != g.RetryMS {
			tr.t.Errorf("%s got the goodbye %s with retry: %d", r.name, last.Text, last.Retry.Milliseconds())
		}
		retries = append(retries, g.RetryMS)
	}
	if without > 0 {
		tr.t.Errorf("%d of %d streams ended without a goodbye", without, len(crowd))
	}
	if len(retries) == 0 {
		return
	}
	slices.Sort(retries)
	first, last := retries[0], retries[len(retries)-1]
	busiest, window := 0, (last-first)/10
	for i := range retries {
		n := 0
		for n+i < len(retries) && retries[n+i] <= retries[i]+window {
			n++
		}
		busiest = max(busiest, n)
	}
	tr.t.Logf("come back after %d to %d ms, at most %d%% of all in a tenth of that time", first, last, 100*busiest/len(retries))
	if last-first < 1000 || busiest > len(retries)/5 {
		tr.t.Errorf("the times to come back are not spread over a second or more: %d to %d ms, %d in a tenth of it", first, last, busiest)
	}
}
