//go:build linux

package faults

import (
	"fmt"
	"testing"
	"time"
)

// T7. A reader that was away for longer than the log reaches back gets one reset with
// exact bounds, and then everything that the log has.
func testTrimmedLog(t *testing.T, s *fixture) {
	tr := s.newTrial(t, setting{args: []string{"--retain-events", "200"}, trims: true, merchants: []string{s.pick()}})
	oldest := tr.outstay(tr.merchants[0], 1000)
	cursors := make(map[*reader]string)
	for _, r := range tr.readers {
		cursors[r] = r.cursor
	}
	tr.comeBack()
	for _, r := range tr.readers {
		tr.checkReset(r, cursors[r], oldest)
	}
	tr.finish()
}

// outstay lets readers of every kind read the beginning of a merchant's log and then
// miss n events. It returns the oldest position that the log still has.
func (tr *trial) outstay(merchant string, n int) (oldest string) {
	tr.t.Helper()
	for _, p := range parts {
		for _, inQuery := range []bool{false, true} {
			tr.newReader(merchant, p).inQuery = inQuery
		}
	}
	seen := fmt.Sprintf("%s-seen-%d", merchant, tr.fixture.trials)
	for _, r := range tr.readers {
		r.last = seen
		tr.admit(r)
	}
	publish := func(id string) {
		f, body := tr.publisher.compose(merchant, 0)
		if id != "" {
			f, body = tr.publisher.seal(fact{Merchant: merchant, ID: id, Type: "payment.paid", Amount: 900}, 0)
		}
		tr.publisher.insist(f, body, 0)
	}
	for range 10 {
		publish("")
	}
	publish(seen)
	tr.awaitReaders()
	for range n {
		publish("")
	}
	for _, instance := range tr.instances {
		instance.process().Terminate(30 * time.Second) // a gateway may have more in memory than the log has
		instance.begin()
	}
	tr.publishLast() // which may trim
	return tr.logOf(merchant)[0].Position
}

// comeBack lets the readers that were away read to the end.
func (tr *trial) comeBack() {
	for _, r := range tr.readers {
		r.finished.Store(false)
		r.last = tr.lastOf(r.merchant)
		tr.reading.Go(func() { r.read(tr.readCtx) })
	}
	tr.awaitReaders()
}

// checkReset fails the test unless the first event after a position was a reset with
// exact bounds, and the only one.
func (tr *trial) checkReset(r *reader, at, oldest string) {
	tr.t.Helper()
	resets, events := 0, 0
	for _, n := range r.all() {
		switch {
		case n.What == noteEvent && n.Position == at:
			events = 0
		case n.What == noteEvent:
			events++
		case n.Type == "stream.reset":
			resets++
			got, err := readReset(n.Text)
			if want := (resetNote{"trimmed", at, oldest, oldest}); err != nil || got != want || events > 0 {
				tr.t.Errorf("%s got the reset %+v (%v) after %d events, want %+v before the first", r.name, got, err, events, want)
			}
		}
	}
	if resets != 1 {
		tr.t.Errorf("%s got %d resets, want one", r.name, resets)
	}
}
