package streams

import (
	"sync/atomic"
)

// A follower reads the end of a log into its tail, in at most one goroutine.
type follower struct {
	tail  *tail
	state atomic.Int32
	pace  pace
}

// States of a follower.
const (
	followerIdle  = iota
	followerReads // a goroutine reads
	followerAgain // and will read once more, because a bell rang since it began
)

// ring makes the follower read the log soon. It does not block.
func (f *follower) ring() {
	for {
		switch state := f.state.Load(); state {
		case followerIdle:
			if f.state.CompareAndSwap(followerIdle, followerReads) {
				f.tail.hub.tasks.spawn(f.drain)
				return
			}
		case followerReads:
			if f.state.CompareAndSwap(followerReads, followerAgain) {
				return
			}
		default:
			return
		}
	}
}

// rest ends a reading, unless a bell rang meanwhile.
func (f *follower) rest() {
	if !f.state.CompareAndSwap(followerReads, followerIdle) {
		f.state.Store(followerReads)
		f.tail.hub.tasks.spawn(f.drain)
	}
}

// drain reads the log to its end and delivers the entries. Events that arrive
// during a delivery wait in the log and then go out together: bursts become
// batches.
func (f *follower) drain() {
	defer f.rest()
	for f.readOnce() {
	}
}

// readOnce reports whether there may be more to read.
func (f *follower) readOnce() bool {
	t := f.tail
	pos, dead := t.end()
	if dead {
		return false
	}
	ctx, cancel := t.hub.tasks.timeout(readTimeout)
	defer cancel()
	limit := f.pace.limit(tailBytes, tailMost)
	batch, err := t.hub.log.Read(ctx, t.log, pos, limit)
	switch {
	case err != nil:
		// The comparison of heads rings again when the log is back.
		f.pace.slow()
		t.noteAnswer(false)
		t.hub.reportUnreadable(t.log, err)
		return false
	case batch.Gap != nil:
		t.hub.logger.Warn("the tail of a log has a gap", "log", t.log,
			"reason", string(batch.Gap.Reason), "after", pos.String())
		t.retire()
		return false
	case len(batch.Entries) == 0:
		t.noteAnswer(true)
		return false
	}
	f.pace.learn(batch.Entries)
	t.noteAnswer(true)
	fanOut(t.add(batch.Entries))
	return len(batch.Entries) == limit
}
