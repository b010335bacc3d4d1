package streams

import "github.com/paylogic/pushserver/streams/eventlog"

// A cursor is a place in a feed: a number in the tail's memory, or a position
// in the log. Its subscription's state says who may touch it.
type cursor struct {
	feed *feed
	slot int32       // in feed.subs, -1 if not there; the tail's mutex guards it
	live bool        // seq is a number in memory; otherwise pos counts
	seq  uint64      // every match up to this number was begun to be written
	pos  eventlog.ID // every match up to this position was begun to be written
}

// moveToEnd passes all that the tail has. The caller holds the tail's mutex.
func (c *cursor) moveToEnd() {
	t := c.feed.tail
	c.pos, c.seq, c.live = t.pos, t.seq, true
}

// moveTo takes the cursor to a position, which need not exist.
func (c *cursor) moveTo(pos eventlog.ID) {
	t := c.feed.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	c.pos, c.live = pos, false
	c.find()
}

// find looks for the position in memory. The caller holds the tail's mutex.
func (c *cursor) find() {
	if c.live {
		return
	}
	if seq, ok := c.feed.tail.find(c.pos); ok && seq >= c.feed.floor {
		c.seq, c.live = seq, true
	}
}

// next appends to buf what follows in memory. If memory no longer reaches back
// to the cursor, the log does. The caller holds the tail's mutex.
func (c *cursor) next(buf []*item, conflate bool) (items []*item) {
	c.find()
	if c.live {
		items, c.live = c.feed.after(c.seq, buf, conflate)
	}
	return items
}

// pass moves the cursor past the first n of items.
func (c *cursor) pass(items []*item, n int) {
	if n > 0 {
		c.seq, c.pos = items[n-1].seq, items[n-1].entry.ID
	}
	if n < len(items) {
		// Everything before the next match is passed too. With a filter that
		// seldom matches, the log may have trimmed the previous match.
		c.pos = items[n].entry.Prev
	}
}

// detach turns the cursor into a position of the log, for another feed. The
// caller holds the tail's mutex.
func (c *cursor) detach() {
	if !c.live {
		return
	}
	var buf [1]*item
	items, ok := c.feed.after(c.seq, buf[:0], false)
	switch {
	case !ok: // pos is what it was
	case len(items) > 0:
		c.pos = items[0].entry.Prev
	default:
		c.pos = c.feed.tail.pos
	}
	c.live = false
}
