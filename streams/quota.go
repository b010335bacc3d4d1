package streams

import (
	"time"

	"github.com/paylogic/pushserver/streams/eventlog"
)

// A quota bounds how many events a subscription delivers within each window of
// time. The zero value has no limit. Every subscription has one, so it is
// small, and it costs nothing where there is no limit.
type quota struct {
	rate   uint32 // events in a window; 0: no limit
	sent   uint32 // in the present window
	length time.Duration
	window int64 // the number of the present window
}

// left returns how many of n events may go out now.
func (q *quota) left(n int) int {
	if q.rate == 0 {
		return n
	}
	if now := int64(monotonic() / q.length); now != q.window {
		q.window, q.sent = now, 0
	}
	return min(n, int(q.rate-min(q.sent, q.rate)))
}

// A replayMeter charges for entries that were read from the log for one
// subscription. Re-reading for a slow client is free.
type replayMeter struct {
	charge      func(n int) time.Duration // nil: no charge
	replayAfter time.Duration             // the monotonic time before which the log is not read
}

func (m *replayMeter) mustWait() bool { return monotonic() < m.replayAfter }

// chargeUpTo charges for the entries that pos has passed. The first charged of
// them are already paid for. It returns how many are now.
func (m *replayMeter) chargeUpTo(pos eventlog.ID, entries []eventlog.Entry, charged int) int {
	n := charged
	for n < len(entries) && entries[n].ID.Compare(pos) <= 0 {
		n++
	}
	if m.charge != nil && n > charged {
		if wait := m.charge(n - charged); wait > 0 {
			m.replayAfter = monotonic() + wait
		}
	}
	return n
}
