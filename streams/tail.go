package streams

import (
	"context"
	"slices"
	"time"

	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

// What a tail keeps in memory. A reader that is further behind reads the log.
const (
	keepItems = 1024
	keepBytes = 1 << 20
)

// A tail is the recent end of one log, in memory, shared by all its readers on
// this gateway.
//
// It never skips. If its next read finds a gap, the tail is dead, and each
// reader asks the log whether its own position still holds.
type tail struct {
	hub      *Hub
	log      string
	follower follower

	ready chan struct{} // closed when the bounds are known, or opening failed
	err   error         // why opening failed; to be read after ready

	mu          tailMutex   // guards the following
	oldest      eventlog.ID // the oldest retained entry at oldestAsked
	oldestAsked time.Time
	pos         eventlog.ID // the newest position
	seq         uint64      // its number in this tail
	floor       eventlog.ID // the position before the first of items
	base        uint64      // its number
	items       []*item
	bytes       int
	feeds       map[string]*feed // by the filter's key
	waiting     waiters          // called when the tail moves
	states      stateView
	silentSince time.Time // when the log's storage stopped answering; zero while it answers
	dead        bool
	idleSince   time.Time // when the last feed left; zero while there is one
}

func newTail(hub *Hub, log string) *tail {
	t := &tail{
		hub: hub, log: log,
		ready:   make(chan struct{}),
		feeds:   make(map[string]*feed),
		waiting: make(waiters),
	}
	t.follower.tail, t.states.tail = t, t
	t.follower.state.Store(followerReads) // a bell that rings from now on is not lost
	return t
}

// open loads the log's bounds and starts the follower. It is called once.
func (t *tail) open(ctx context.Context) error {
	defer close(t.ready)
	bounds, err := t.hub.log.Bounds(ctx, t.log)
	if err != nil {
		t.err = err
		return err
	}
	t.mu.Lock()
	t.oldest, t.oldestAsked = bounds.Oldest, time.Now()
	t.pos, t.floor = bounds.Head, bounds.Head
	t.mu.Unlock()
	t.follower.rest()
	return nil
}

// end returns the newest position, and whether the tail is dead.
func (t *tail) end() (pos eventlog.ID, dead bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pos, t.dead
}

// noteAnswer notes whether the log's storage has answered, and reports whether
// that is a change.
func (t *tail) noteAnswer(answered bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if answered == t.silentSince.IsZero() {
		return false
	}
	if answered {
		t.silentSince = time.Time{}
	} else {
		t.silentSince = time.Now()
	}
	return true
}

// isSilent reports whether the last read of the log failed.
func (t *tail) isSilent() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.silentSince.IsZero()
}

// add appends entries to the tail and returns what to deliver. Only the
// follower calls it.
func (t *tail) add(entries []eventlog.Entry) []delivery {
	items := make([]*item, len(entries))
	events := make([]*filter.Event, len(entries))
	for i := range entries {
		items[i] = &item{entry: entries[i]}
		events[i] = entries[i].Event.Predicate()
	}

	matched := t.matchAndLock(items, events)
	for _, it := range items {
		t.seq++
		it.seq = t.seq
		t.bytes += it.size()
		t.states.add(&it.entry)
	}
	t.items = append(t.items, items...)
	t.pos = entries[len(entries)-1].ID
	if t.oldest.IsZero() {
		t.oldest = entries[0].ID
	}
	var deliveries []delivery
	waiting := t.waiting.takeAll()
	for _, f := range t.feeds {
		if len(matched[f]) == 0 {
			continue
		}
		f.add(matched[f])
		waiting = append(waiting, f.waiting.takeAll()...)
		if len(f.subs) > 0 {
			deliveries = append(deliveries, delivery{f, matched[f], slices.Clone(f.subs)})
		}
	}
	t.trim()
	t.mu.Unlock()

	for _, w := range waiting {
		w.call()
	}
	return deliveries
}

// matchAndLock returns the items that match each feed, and locks t.mu. Filters
// run without the mutex: there may be many, and readers that join or leave need
// it. Only one goroutine adds items.
func (t *tail) matchAndLock(items []*item, events []*filter.Event) map[*feed][]*item {
	matched := make(map[*feed][]*item)
	t.mu.Lock()
	for {
		var unmatched []*feed // all at first, then the feeds that were made meanwhile
		for _, f := range t.feeds {
			if _, done := matched[f]; !done {
				unmatched = append(unmatched, f)
			}
		}
		if len(unmatched) == 0 {
			return matched
		}
		t.mu.Unlock()
		for _, f := range unmatched {
			matched[f] = nil
			for i, it := range items {
				if f.filter.Match(events[i]) {
					matched[f] = append(matched[f], it)
				}
			}
		}
		t.mu.Lock()
	}
}

// trim drops what exceeds the bounds. The caller holds t.mu.
func (t *tail) trim() {
	n := 0
	for len(t.items)-n > keepItems || t.bytes > keepBytes && len(t.items)-n > 1 {
		t.bytes -= t.items[n].size()
		t.floor, t.base = t.items[n].entry.ID, t.items[n].seq
		n++
	}
	if n == 0 {
		return
	}
	t.states.table.Trim(time.Time{})
	clear(t.items[:n]) // append keeps the array
	t.items = t.items[n:]
	for _, f := range t.feeds {
		f.trim(t.base)
	}
}

// find returns the number of a position that is in memory. The caller holds
// t.mu.
func (t *tail) find(pos eventlog.ID) (seq uint64, ok bool) {
	switch pos {
	case t.pos:
		return t.seq, true
	case t.floor:
		return t.base, true
	}
	i, found := slices.BinarySearchFunc(t.items, pos, func(it *item, pos eventlog.ID) int {
		return it.entry.ID.Compare(pos)
	})
	if !found || t.items[i].entry.ID != pos {
		return 0, false
	}
	return t.items[i].seq, true //mutant:less-one resume
}

// retire makes the tail dead. Its readers find a new one.
func (t *tail) retire() {
	t.hub.forget(t)
	var subs []*Subscription
	t.mu.Lock()
	t.dead = true
	waiting := t.waiting.takeAll()
	for _, f := range t.feeds {
		subs = append(subs, f.subs...)
		waiting = append(waiting, f.waiting.takeAll()...)
	}
	t.mu.Unlock()

	for _, sub := range subs {
		sub.wake()
	}
	for _, w := range waiting {
		w.call()
	}
}

// join makes sub a reader of the filter's feed. It returns nil if the tail is
// dead.
func (t *tail) join(sub *Subscription, f *filter.Filter) *feed {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead {
		return nil
	}
	fd := t.feed(f)
	fd.join(sub)
	return fd
}

// feed returns the filter's feed, which it creates if needed. The caller holds
// t.mu.
func (t *tail) feed(f *filter.Filter) *feed {
	fd := t.feeds[f.Key()]
	if fd == nil {
		fd = &feed{tail: t, filter: f, floor: t.seq, waiting: make(waiters)}
		t.feeds[f.Key()] = fd
	}
	t.idleSince = time.Time{}
	return fd
}

// sweep drops feeds that are idle, and reports whether the tail itself has been
// idle for the linger time.
func (t *tail) sweep(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, f := range t.feeds {
		if f.isIdle(now) {
			delete(t.feeds, key)
		}
	}
	if len(t.feeds) > 0 || len(t.waiting) > 0 {
		t.idleSince = time.Time{}
		return false
	}
	if t.idleSince.IsZero() {
		t.idleSince = now
	}
	if now.Sub(t.idleSince) < linger {
		return false
	}
	t.dead = true // a reader that is about to join looks for another tail
	return true
}

// refreshOldest asks for the oldest retained entry if the last answer is old.
// It does not block.
func (t *tail) refreshOldest() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead || time.Since(t.oldestAsked) < linger {
		return
	}
	t.oldestAsked = time.Now()
	t.hub.tasks.spawn(func() {
		ctx, cancel := t.hub.tasks.timeout(readTimeout)
		defer cancel()
		if bounds, err := t.hub.log.Bounds(ctx, t.log); err == nil {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.oldest = bounds.Oldest
		}
	})
}

// await has call called once when the tail has moved from pos or is dead, and
// not after cancel. If that is so already, it does not call and reports false.
func (t *tail) await(pos eventlog.ID, call func()) (cancel func(), waits bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead || t.pos != pos {
		return func() {}, false
	}
	return t.waiting.add(t, call), true
}
