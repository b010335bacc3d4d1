package streams

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paylogic/pushserver/streams/filter"
)

// What a stream keeps in memory. A reader that is further behind reads the log.
const (
	keepItems = 1024
	keepBytes = 1 << 20
)

// A stream is the recent end of one log, in memory, shared by all its readers
// on this gateway.
//
// It never skips: when its next read finds a gap, it ends, and each of its
// readers asks the log whether its own position still stands.
type tail struct {
	hub *Hub
	log string

	ready chan struct{} // closed when the bounds are known, or opening failed
	err   error         // why it failed; to be read after ready

	reader atomic.Int32 // what the goroutine that reads the tail is doing
	pace   pace

	mu      sync.Mutex  // guards the following
	oldest  eventlog.ID // the oldest retained entry when we last asked
	asked   time.Time
	pos     eventlog.ID // the newest position
	seq     uint64      // its number in this stream
	floor   eventlog.ID // the position before the first of items
	base    uint64      // its number
	items   []*item
	bytes   int
	feeds   map[string]*feed // by the filter's key
	waiting map[*waiter]bool // who wants to know when the tail moves
	present present
	silent  time.Time // since when the log's storage does not answer; zero while it does
	dead    bool
	idle    time.Time // since when it has no feed; zero while it has
}

// States of a stream's tail.
const (
	readerIdle  = iota
	readerReads // a goroutine reads
	readerAgain // and will read once more, as a bell rang since it began
)

// open loads the stream's bounds and starts its tail. It is called once.
func (st *tail) open(ctx context.Context) error {
	defer close(st.ready)
	bounds, err := st.hub.log.Bounds(ctx, st.log)
	if err != nil {
		st.err = err
		return err
	}
	st.mu.Lock()
	st.oldest, st.asked = bounds.Oldest, time.Now()
	st.pos, st.floor = bounds.Head, bounds.Head
	st.mu.Unlock()
	st.rest()
	return nil
}

// ring makes the tail read the log soon. It does not block.
func (st *tail) ring() {
	for {
		switch state := st.reader.Load(); state {
		case readerIdle:
			if st.reader.CompareAndSwap(readerIdle, readerReads) {
				st.hub.spawn(st.drain)
				return
			}
		case readerReads:
			if st.reader.CompareAndSwap(readerReads, readerAgain) {
				return
			}
		default:
			return
		}
	}
}

// rest ends a reading of the tail, unless a bell rang meanwhile.
func (st *tail) rest() {
	if !st.reader.CompareAndSwap(readerReads, readerIdle) {
		st.reader.Store(readerReads)
		st.hub.spawn(st.drain)
	}
}

// drain reads the log until there is no more and hands it to the feeds.
// Events that arrive while others are handed out wait in the log, and then go
// out together: bursts become batches.
func (st *tail) drain() {
	defer st.rest()
	for {
		st.mu.Lock()
		pos, dead := st.pos, st.dead
		st.mu.Unlock()
		if dead {
			return
		}
		ctx, cancel := context.WithTimeout(st.hub.ctx, readTimeout)
		limit := st.pace.limit(tailBytes, tailMost)
		batch, err := st.hub.log.Read(ctx, st.log, pos, limit)
		cancel()
		switch {
		case err != nil:
			// The comparison of heads rings again when the log is back.
			st.pace.slow()
			st.answers(false)
			st.hub.unreadable(st.log, err)
			return
		case batch.Gap != nil:
			st.hub.logger.Warn("the tail of a log has a gap", "log", st.log,
				"reason", string(batch.Gap.Reason), "after", pos.String())
			st.end()
			return
		case len(batch.Entries) == 0:
			st.answers(true)
			return
		}
		st.pace.learn(batch.Entries)
		st.answers(true)
		st.hub.fanOut(st.take(batch.Entries))
		if len(batch.Entries) < limit {
			return
		}
	}
}

// answers notes whether the log's storage has answered, and reports whether that is
// news.
func (st *tail) answers(yes bool) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if yes == st.silent.IsZero() {
		return false
	}
	if yes {
		st.silent = time.Time{}
	} else {
		st.silent = time.Now()
	}
	return true
}

// isSilent reports whether the log could not be read when that was last tried.
func (st *tail) isSilent() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return !st.silent.IsZero()
}

// take adds entries to the stream and returns what is to be handed out.
func (st *tail) take(entries []eventlog.Entry) []delivery {
	items := make([]*item, len(entries))
	events := make([]*filter.Event, len(entries))
	for i := range entries {
		items[i] = &item{entry: entries[i]}
		events[i] = entries[i].Event.Predicate()
	}

	matched := st.match(items, events)
	for _, it := range items {
		st.seq++
		it.seq = st.seq
		st.bytes += it.size()
	}
	st.items = append(st.items, items...)
	st.pos = entries[len(entries)-1].ID
	for _, it := range items {
		st.present.take(&it.entry)
	}
	if st.oldest.IsZero() {
		st.oldest = entries[0].ID
	}
	var deliveries []delivery
	waiting := st.awaited()
	for _, f := range st.feeds {
		if len(matched[f]) == 0 {
			continue
		}
		f.take(matched[f])
		waiting = append(waiting, f.awaited()...)
		if len(f.subs) > 0 {
			deliveries = append(deliveries, delivery{f, matched[f], slices.Clone(f.subs)})
		}
	}
	st.trim()
	st.mu.Unlock()

	for _, w := range waiting {
		w.call()
	}
	return deliveries
}

// match returns which of items each feed lets through, and locks st.mu. Filters
// run without it: there may be many, and whoever connects or leaves needs it.
// Nobody else adds items meanwhile.
func (st *tail) match(items []*item, events []*filter.Event) map[*feed][]*item {
	matched := make(map[*feed][]*item)
	st.mu.Lock()
	for {
		var fresh []*feed // all at first, then those that came meanwhile
		for _, f := range st.feeds {
			if _, done := matched[f]; !done {
				fresh = append(fresh, f)
			}
		}
		if len(fresh) == 0 {
			return matched
		}
		st.mu.Unlock()
		for _, f := range fresh {
			matched[f] = nil
			for i, it := range items {
				if f.filter.Match(events[i]) {
					matched[f] = append(matched[f], it)
				}
			}
		}
		st.mu.Lock()
	}
}

// trim drops what the stream need not keep. The caller holds st.mu.
func (st *tail) trim() {
	n := 0
	for len(st.items)-n > keepItems || st.bytes > keepBytes && len(st.items)-n > 1 {
		st.bytes -= st.items[n].size()
		st.floor, st.base = st.items[n].entry.ID, st.items[n].seq
		n++
	}
	if n == 0 {
		return
	}
	st.present.states.Trim(time.Time{})
	clear(st.items[:n]) // append leaves them behind with their array
	st.items = st.items[n:]
	for _, f := range st.feeds {
		f.trim(st.base)
	}
}

// find returns the number of a position that the stream has in memory. The
// caller holds st.mu.
func (st *tail) find(pos eventlog.ID) (seq uint64, ok bool) {
	switch pos {
	case st.pos:
		return st.seq, true
	case st.floor:
		return st.base, true
	}
	i, found := slices.BinarySearchFunc(st.items, pos, func(it *item, pos eventlog.ID) int {
		return it.entry.ID.Compare(pos)
	})
	if !found || st.items[i].entry.ID != pos {
		return 0, false
	}
	return st.items[i].seq, true //mutant:less-one resume
}

// end gives the stream up. Its readers find a new one.
func (st *tail) end() {
	st.hub.forget(st)
	var subs []*Subscription
	st.mu.Lock()
	st.dead = true
	waiting := st.awaited()
	for _, f := range st.feeds {
		subs = append(subs, f.subs...)
		waiting = append(waiting, f.awaited()...)
	}
	st.mu.Unlock()

	for _, sub := range subs {
		sub.wake()
	}
	for _, w := range waiting {
		w.call()
	}
}

// join returns the stream's feed for the filter, made if need be.
// It returns nil if the stream has ended.
func (st *tail) join(sub *Subscription, f *filter.Filter) *feed {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.dead {
		return nil
	}
	fd := st.feed(f)
	fd.add(sub)
	return fd
}

// feed returns the stream's feed for the filter, made if need be. The caller
// holds st.mu.
func (st *tail) feed(f *filter.Filter) *feed {
	fd := st.feeds[f.Key()]
	if fd == nil {
		fd = &feed{tail: st, filter: f, floor: st.seq, waiting: make(map[*waiter]bool)}
		st.feeds[f.Key()] = fd
	}
	st.idle = time.Time{}
	return fd
}

// sweep drops feeds that nobody reads and reports whether the stream itself
// has had no reader for the linger time.
func (st *tail) sweep(now time.Time) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	for key, f := range st.feeds {
		if f.unread(now) {
			delete(st.feeds, key)
		}
	}
	if len(st.feeds) > 0 || len(st.waiting) > 0 {
		st.idle = time.Time{}
		return false
	}
	if st.idle.IsZero() {
		st.idle = now
	}
	if now.Sub(st.idle) < linger {
		return false
	}
	st.dead = true // whoever holds it still looks for another
	return true
}

// refresh asks for the oldest retained entry if that was long ago. It does not
// block.
func (st *tail) refresh() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.dead || time.Since(st.asked) < linger {
		return
	}
	st.asked = time.Now()
	st.hub.spawn(func() {
		ctx, cancel := context.WithTimeout(st.hub.ctx, readTimeout)
		defer cancel()
		if bounds, err := st.hub.log.Bounds(ctx, st.log); err == nil {
			st.mu.Lock()
			defer st.mu.Unlock()
			st.oldest = bounds.Oldest
		}
	})
}

// head returns the stream's newest position.
func (st *tail) head() eventlog.ID {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.pos
}
