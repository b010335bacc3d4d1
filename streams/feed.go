package streams

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"maps"
	"slices"
	"time"

	"github.com/paylogic/pushserver/streams/filter"
)

// A feed is a stream seen through one filter. Its stream's mutex guards it.
type feed struct {
	tail   *tail
	filter *filter.Filter

	floor uint64  // everything that matches after this number is in items
	items []*item // what matched, oldest first
	// newest is the newest of items for each state among them: a reader that
	// lags skips those before it.
	newest    map[eventlog.StateKey]*item
	snapshots [framings]*snapshot
	subs      []*Subscription
	waiting   map[*waiter]bool // who wants to know when something matches
	idle      time.Time        // since when nobody reads it; zero while somebody does
}

// take adds items, which have matched.
func (f *feed) take(items []*item) {
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

// awaited returns who waits for a match, and forgets them.
func (f *feed) awaited() []*waiter {
	waiting := slices.Collect(maps.Keys(f.waiting))
	clear(f.waiting)
	return waiting
}

// trim drops what the stream has dropped, up to the number base.
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

// after appends to buf what matched after the number seq, as much as its
// capacity has room for; with conflate without what was superseded since. ok is
// false if the feed does not remember that far back.
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

// supersedes reports whether the feed has a newer state of what e speaks of.
func (f *feed) supersedes(e *eventlog.Entry) bool {
	if !e.Event.State {
		return false
	}
	newer := f.newest[e.Event.StateKey()]
	return newer != nil && newer.entry.ID.Compare(e.ID) > 0
}

// conflate returns those of items, which are older than or among the feed's own,
// that nothing newer supersedes. The caller does not hold the stream's mutex.
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

// add makes sub a reader of the feed.
func (f *feed) add(sub *Subscription) {
	sub.slot = len(f.subs)
	f.subs = append(f.subs, sub)
	f.idle = time.Time{}
}

// remove ends what add began; it may be called again.
func (f *feed) remove(sub *Subscription) {
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

// unread reports whether the feed has had no reader for the linger time.
func (f *feed) unread(now time.Time) bool {
	switch {
	case len(f.subs) > 0, len(f.waiting) > 0:
		f.idle = time.Time{}
		return false
	case f.idle.IsZero():
		f.idle = now
	}
	return now.Sub(f.idle) >= linger
}
