package streams

import (
	"sync/atomic"

	"github.com/paylogic/pushserver/streams/eventlog"
)

// How much is read from a log at once: for a stream's tail what memory can hold
// for its readers, for a single reader what goes into one write, since what its
// client does not take is read again.
const (
	tailBytes  = 1 << 20
	tailMost   = 512
	batchBytes = joinLimit
	batchMost  = 200
)

// firstRead is how many entries are read at once from a log whose entries have an
// unknown size: a few MB at most.
const firstRead = 16

// A pace adapts how many entries of a log are read at once to how large they
// are: a number alone would ask for gigabytes, or for more than can arrive in the
// time that one answer may take. The zero value has seen nothing yet.
type pace struct{ entry atomic.Int64 } // about how many bytes an entry has; 0: unknown

// limit returns how many entries to read in order to get about that many bytes.
func (p *pace) limit(bytes int64, most int) int {
	entry := p.entry.Load()
	if entry == 0 {
		return min(firstRead, most)
	}
	return int(max(1, min(bytes/entry, int64(most))))
}

// learn takes note of what a read brought.
func (p *pace) learn(entries []eventlog.Entry) {
	if len(entries) == 0 {
		return
	}
	var total int64
	for i := range entries {
		total += int64(entries[i].Event.Size())
	}
	p.entry.Store(total / int64(len(entries)))
}

// slow takes note of a read that failed: if it asked for too much, the next one
// asks for less.
func (p *pace) slow() {
	const most = 1 << 20 // more than any event has
	p.entry.Store(min(max(2*p.entry.Load(), tailBytes/firstRead), most))
}
