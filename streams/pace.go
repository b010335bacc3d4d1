package streams

import (
	"sync/atomic"

	"github.com/paylogic/pushserver/streams/eventlog"
)

// How much is read from a log at once. A tail reads what memory can hold for its
// readers. A single reader reads what fits one write, because what its client
// does not take is read again.
const (
	tailBytes  = 1 << 20
	tailMost   = 512
	batchBytes = joinLimit
	batchMost  = 200
)

// firstReadMost is how many entries are read at once from a log whose entries
// have an unknown size: a few MB at most.
const firstReadMost = 16

// A pace adapts the number of entries that are read at once to their size. A
// fixed number could ask for gigabytes, or for more than one answer can carry in
// time. The zero value has seen no entry yet.
type pace struct{ entry atomic.Int64 } // the mean size of an entry in bytes; 0: unknown

// limit returns how many entries make about that many bytes.
func (p *pace) limit(bytes int64, most int) int {
	entry := p.entry.Load()
	if entry == 0 {
		return min(firstReadMost, most)
	}
	return int(max(1, min(bytes/entry, int64(most))))
}

// learn adapts to the entries of a read.
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

// slow adapts to a failed read: it may have asked for too much, so the next one
// asks for less.
func (p *pace) slow() {
	const most = 1 << 20 // more than any event has
	p.entry.Store(min(max(2*p.entry.Load(), tailBytes/firstReadMost), most))
}
