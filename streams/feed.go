package streams

import (
	"slices"
	"time"

	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

// A feed is a tail seen through one filter. Its tail's mutex guards it.
type feed struct {
	tail   *tail
	filter *filter.Filter

	floor uint64  // every match after this number is in items
	items []*item // the matches, oldest first
	// newest is the newest of items for each state. A reader that lags skips
	// older ones.
	newest    map[eventlog.StateKey]*item
	snapshots snapshots
	subs      []*Subscription
	pages     int       // pages that hold it
	lingers   bool      // a subscription has read it
	waiting   waiters   // called when something matches
	idleSince time.Time // when the last reader left; zero while there is one
}

// add appends items that match.
func (f *feed) add(items []*item) {
	f.items = append(f.items, items...)
	for _, it := range items {
		if it.entry.Event.State {
			if f.newest == nil {
				f.newest = make(map[eventlog.StateKey]*item)
			}
			f.newest[it.entry.Event.StateKey()] = it
		}
	}
}

// trim drops the items up to the number base, which the tail has dropped.
func (f *feed) trim(base uint64) {
	n := 0
	for n < len(f.items) && f.items[n].seq <= base {
		if key := f.items[n].entry.Event.StateKey(); f.newest[key] == f.items[n] {
			delete(f.newest, key)
		}
		n++
	}
	if n > 0 {
		f.floor = f.items[n-1].seq
		clear(f.items[:n])
		f.items = f.items[n:]
	}
}

// after appends to buf the matches after the number seq, up to buf's capacity.
// With conflate it leaves out superseded states. ok is false if memory does not
// reach back that far.
func (f *feed) after(seq uint64, buf []*item, conflate bool) (items []*item, ok bool) {
	if seq < f.floor {
		return nil, false
	}
	i := len(f.items) // nearly always little is left: search from the end
	for i > 0 && f.items[i-1].seq > seq {
		i--
	}
	for ; i < len(f.items) && len(buf) < cap(buf); i++ {
		if !conflate || !f.supersedes(&f.items[i].entry) {
			buf = append(buf, f.items[i])
		}
	}
	return buf, true
}

// quietSince reports whether memory proves that nothing after pos matched.
func (f *feed) quietSince(pos eventlog.ID) bool {
	seq, known := f.tail.find(pos)
	var buf [1]*item
	items, ok := f.after(seq, buf[:0], false)
	return known && ok && len(items) == 0
}

// passed returns the position up to which nothing after pos matched. The caller
// does not hold the tail's mutex.
func (f *feed) passed(pos eventlog.ID) eventlog.ID {
	t := f.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead || !f.quietSince(pos) {
		return pos
	}
	return t.pos
}

// supersedes reports whether the feed has a newer value of the state in e.
func (f *feed) supersedes(e *eventlog.Entry) bool {
	if !e.Event.State {
		return false
	}
	newer := f.newest[e.Event.StateKey()]
	return newer != nil && newer.entry.ID.Compare(e.ID) > 0
}

// conflate removes superseded states from items, which come from the log. The
// caller does not hold the tail's mutex.
func (f *feed) conflate(items []*item) []*item {
	newest := make(map[eventlog.StateKey]*item)
	for _, it := range items {
		if it.entry.Event.State {
			newest[it.entry.Event.StateKey()] = it
		}
	}
	f.tail.mu.Lock()
	defer f.tail.mu.Unlock()
	return slices.DeleteFunc(items, func(it *item) bool {
		return it.entry.Event.State && newest[it.entry.Event.StateKey()] != it || f.supersedes(&it.entry)
	})
}

func (f *feed) join(sub *Subscription) {
	sub.slot = int32(len(f.subs))
	f.subs = append(f.subs, sub)
	f.lingers = true
	f.idleSince = time.Time{}
}

// leave ends what join began. It may be called again.
func (f *feed) leave(sub *Subscription) {
	if sub.slot < 0 {
		return
	}
	last := len(f.subs) - 1
	f.subs[sub.slot] = f.subs[last]
	f.subs[sub.slot].slot = sub.slot
	f.subs[last] = nil
	f.subs = f.subs[:last]
	sub.slot = -1
}

// isIdle reports whether the feed has had no reader for the linger time.
func (f *feed) isIdle(now time.Time) bool {
	switch {
	case len(f.subs) > 0, f.pages > 0:
		f.idleSince = time.Time{}
		return false
	case f.idleSince.IsZero():
		f.idleSince = now
	}
	return now.Sub(f.idleSince) >= linger
}

// watch has call called once when the feed has something after pos or the tail
// is dead, and not after cancel. If pos is ahead of the tail, a match up to pos
// counts too. If that is so already, cancel is nil and it does not call.
func (f *feed) watch(pos eventlog.ID, call func()) (cancel func()) {
	t := f.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead || pos.Compare(t.pos) <= 0 && !f.quietSince(pos) {
		return nil
	}
	return f.waiting.add(t, call)
}

// A heldFeed is the feed that a waiting page keeps from one look to the next. The
// feed remembers what did not match, so that a page on a busy log need not read
// it again each time.
type heldFeed struct{ feed *feed }

// take holds the filter's feed in t, and reports false if t is dead.
func (h *heldFeed) take(t *tail, f *filter.Filter) bool {
	if h.feed != nil && h.feed.tail == t {
		return true
	}
	h.release()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead {
		return false
	}
	h.feed = t.feed(f)
	h.feed.pages++
	return true
}

// release lets the feed go. The tail matches every event against every feed, so a
// feed for pages alone must not outlive them.
func (h *heldFeed) release() {
	f := h.feed
	if f == nil {
		return
	}
	h.feed = nil
	t := f.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.pages--; f.pages == 0 && !f.lingers {
		delete(t.feeds, f.filter.Key())
	}
}
