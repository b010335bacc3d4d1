package streams

import (
	"slices"
	"time"

	"github.com/paylogic/pushserver/streams/filter"
)

// A feed is a stream seen through one filter. Its stream's mutex guards it.
type feed struct {
	stream *stream
	filter *filter.Filter

	floor uint64  // everything that matches after this number is in items
	items []*item // what matched, oldest first
	subs  []*Subscription
	idle  time.Time // since when nobody reads it; zero while somebody does
}

// take adds those of items that match and returns them.
func (f *feed) take(items []*item, events []*filter.Event) []*item {
	n := len(f.items)
	for i, it := range items {
		if f.filter.Match(events[i]) {
			f.items = append(f.items, it)
		}
	}
	return slices.Clone(f.items[n:])
}

// trim drops what the stream has dropped, up to the number base.
func (f *feed) trim(base uint64) {
	n := 0
	for n < len(f.items) && f.items[n].seq <= base {
		n++
	}
	if n > 0 {
		f.floor = f.items[n-1].seq
		clear(f.items[:n])
		f.items = f.items[n:]
	}
}

// after appends to buf what matched after the number seq, as much as its
// capacity has room for. ok is false if the feed does not remember that far back.
func (f *feed) after(seq uint64, buf []*item) (items []*item, ok bool) {
	if seq < f.floor {
		return nil, false
	}
	i := len(f.items) // nearly always little is left: search from the end
	for i > 0 && f.items[i-1].seq > seq {
		i--
	}
	n := min(len(f.items)-i, cap(buf)-len(buf))
	return append(buf, f.items[i:i+n]...), true
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
	case len(f.subs) > 0:
		return false
	case f.idle.IsZero():
		f.idle = now
	}
	return now.Sub(f.idle) >= linger
}
