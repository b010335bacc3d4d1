package streams

import (
	"slices"
	"time"
)

// heartbeatParts is how many parts of the heartbeat interval the connections
// are spread over.
const heartbeatParts = 16

// heartbeats hold every subscription of a hub, spread over the parts of the
// heartbeat interval, so that one timer serves all of them.
type heartbeats struct {
	interval time.Duration
	missed   []*Subscription // their mutex was taken at the last tick; only tick uses it

	mu    heartbeatsMutex // guards the following
	next  int             // the part that gets the next subscription
	now   int             // the part that was served last
	parts [heartbeatParts][]*Subscription
}

func (h *heartbeats) add(sub *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	part := &h.parts[h.next]
	sub.part, sub.partSlot = uint8(h.next), int32(len(*part))
	*part = append(*part, sub)
	h.next = (h.next + 1) % heartbeatParts
}

func (h *heartbeats) remove(sub *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	part := h.parts[sub.part]
	last := len(part) - 1
	part[sub.partSlot] = part[last]
	part[sub.partSlot].partSlot = sub.partSlot
	part[last] = nil
	h.parts[sub.part] = part[:last]
}

// tick serves the next part, and the subscriptions that the last tick missed.
func (h *heartbeats) tick() {
	now := monotonic()
	due := append(h.advance(), h.missed...)
	h.missed = nil
	for _, sub := range due {
		if sub.until != 0 && now >= sub.until {
			sub.End(Goodbye{Reason: "max_age", Reconnect: true, Retry: retryTime + jitter(retryTime)})
			continue
		}
		if !sub.tick() {
			h.missed = append(h.missed, sub)
		}
	}
}

func (h *heartbeats) advance() []*Subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = (h.now + 1) % heartbeatParts
	return slices.Clone(h.parts[h.now])
}

func (h *heartbeats) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, part := range h.parts {
		n += len(part)
	}
	return n
}

// all returns a copy: its subscriptions may end meanwhile.
func (h *heartbeats) all() []*Subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Concat(h.parts[:]...)
}

// heartbeatText returns a heartbeat. It says so if the log is silent, or if the
// client is slow. If the filter left out recent events, it moves the client's
// position past them, with a named control event: some clients take a block
// that has an id alone for an empty message. A stalled cursor is not moved.
func (c *cursor) heartbeatText(f Framing, slow, stalled bool) []byte {
	t := c.feed.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	var buf [1]*item
	switch {
	case !t.silentSince.IsZero():
		return f.lag(lagStorage, time.Since(t.silentSince))
	case slow && !c.live && !c.pos.IsOrigin():
		return f.lag(lagReader, time.Since(c.pos.Time()))
	case stalled || !c.live || t.dead || c.seq == t.seq:
		return f.heartbeat()
	}
	if items, ok := c.feed.after(c.seq, buf[:0], false); !ok || len(items) > 0 {
		return f.heartbeat()
	}
	c.moveToEnd()
	return f.control(c.pos, "stream.cursor", 0, struct{}{})
}
