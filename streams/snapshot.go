package streams

import (
	"slices"
	"sync"
	"weak"

	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

const (
	// pageStates bounds the states that are matched for one page of a snapshot.
	// joinLimit bounds its text.
	pageStates = 1024

	// snapshotsMost bounds the snapshots that a feed keeps for further readers.
	snapshotsMost = 16
)

// A snapshot is the states of a log at one moment, seen through one filter. It
// encodes a page when a reader needs it, and keeps the text as long as a reader
// writes it. Readers that are at the same page share it.
type snapshot struct {
	filter  *filter.Filter
	framing Framing
	entries []*eventlog.Entry // all states, oldest first; they do not change

	mu    sync.Mutex // guards pages
	pages []pageSlot
}

// A pageSlot is where a page is, and where the one after it begins.
type pageSlot struct {
	page weak.Pointer[statePage]
	next int
}

// A statePage is the text of the states that match among some entries.
type statePage struct {
	text []byte
	ends []int // of each state's text
	from []int // the entry of each state
	next int   // the entry after the page
}

// page returns the page with this number, or nil after the last.
func (s *snapshot) page(n int) *statePage {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := 0
	if n > 0 {
		first = s.pages[n-1].next // pages are read in their order
	}
	if first == len(s.entries) {
		return nil
	}
	if n < len(s.pages) {
		if p := s.pages[n].page.Value(); p != nil {
			return p
		}
	}
	p := s.encode(first)
	slot := pageSlot{weak.Make(p), p.next}
	if n < len(s.pages) {
		s.pages[n] = slot
	} else {
		s.pages = append(s.pages, slot)
	}
	return p
}

func (s *snapshot) encode(first int) *statePage {
	p := &statePage{next: first}
	for p.next < len(s.entries) && p.next < first+pageStates {
		if e := s.entries[p.next]; s.filter.Match(e.Event.Predicate()) {
			text := s.framing.state(e)
			if len(p.text) > 0 && len(p.text)+len(text) > joinLimit {
				break
			}
			p.text = append(p.text, text...)
			p.ends, p.from = append(p.ends, len(p.text)), append(p.from, p.next)
		}
		p.next++
	}
	return p
}

// A snapshotReader is a reader's place in a snapshot. The zero value has none.
type snapshotReader struct {
	snapshot *snapshot // nil: every state was begun
	number   int       // of the page
	page     *statePage
	begun    int // the states of the page that were begun to be written
}

func (s *snapshot) reader() snapshotReader { return snapshotReader{snapshot: s} }

func (r *snapshotReader) pending() bool { return r.snapshot != nil }

// piece returns the text of the next states, or nothing at the end.
func (r *snapshotReader) piece() []byte {
	for r.snapshot != nil {
		switch {
		case r.page == nil:
			if r.page = r.snapshot.page(r.number); r.page == nil {
				*r = snapshotReader{}
			}
		case r.begun < len(r.page.ends):
			return r.page.text[r.start():]
		default:
			r.page, r.number, r.begun = nil, r.number+1, 0
		}
	}
	return nil
}

// start returns where the first state begins that was not begun to be written.
func (r *snapshotReader) start() int {
	if r.begun == 0 {
		return 0
	}
	return r.page.ends[r.begun-1]
}

// wrote notes that n bytes of the piece were written. It returns what is left of
// the state that was begun last.
func (r *snapshotReader) wrote(n int) (rest []byte) {
	end := r.start() + n
	for r.start() < end {
		r.begun++
	}
	if r.start() > end {
		return r.page.text[end:r.start()]
	}
	return nil
}

// refilter makes the states that were not begun pass another filter.
func (r *snapshotReader) refilter(f *filter.Filter) {
	if r.snapshot == nil {
		return
	}
	next := 0
	switch {
	case r.page == nil && r.number > 0:
		next = r.snapshot.nextAfter(r.number - 1)
	case r.page != nil && r.begun < len(r.page.from):
		next = r.page.from[r.begun]
	case r.page != nil:
		next = r.page.next
	}
	*r = (&snapshot{filter: f, framing: r.snapshot.framing, entries: r.snapshot.entries[next:]}).reader()
}

func (s *snapshot) nextAfter(page int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pages[page].next
}

// snapshots are those that readers of a feed can share. Its tail's mutex guards
// them.
type snapshots struct {
	version uint64 // of the states
	byKey   map[snapshotKey]*snapshot
}

type snapshotKey struct {
	framing Framing
	upTo    eventlog.ID // zero: all states
}

// take returns a snapshot of the feed's present states up to a position, or of all
// if that is zero. The caller holds the tail's mutex.
func (f *feed) take(framing Framing, upTo eventlog.ID) *snapshot {
	view, key := &f.tail.states, snapshotKey{framing, upTo}
	if f.snapshots.version != view.version || len(f.snapshots.byKey) >= snapshotsMost {
		f.snapshots = snapshots{version: view.version}
	}
	if s := f.snapshots.byKey[key]; s != nil {
		return s
	}
	entries := view.entries()
	if !upTo.IsZero() {
		n, found := slices.BinarySearchFunc(entries, upTo, func(e *eventlog.Entry, id eventlog.ID) int { return e.ID.Compare(id) })
		if found {
			n++
		}
		entries = entries[:n]
	}
	if f.snapshots.byKey == nil {
		f.snapshots.byKey = make(map[snapshotKey]*snapshot)
	}
	s := &snapshot{filter: f.filter, framing: framing, entries: entries}
	f.snapshots.byKey[key] = s
	return s
}

// takeSnapshot moves the cursor to the tail's end and returns the states there,
// which are loaded.
func (c *cursor) takeSnapshot(framing Framing) snapshotReader {
	t := c.feed.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	c.moveToEnd()
	return c.feed.take(framing, eventlog.ID{}).reader()
}

// statesUpTo returns the states that a client needs besides the events after a
// position. They are loaded.
func (c *cursor) statesUpTo(after eventlog.ID, framing Framing) snapshotReader {
	t := c.feed.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	return c.feed.take(framing, after).reader()
}
