package streams

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"slices"
	"sync"
	"time"
)

// pulseBeats is how many parts of a heartbeat's interval the connections are
// spread over.
const pulseBeats = 16

// A pulse holds every subscription of a hub, spread over the parts of the
// heartbeat's interval, so that one timer serves all of them.
type pulse struct {
	mu    sync.Mutex // guards the following
	next  int        // the part that gets the next subscription
	now   int        // the part whose turn it is
	parts [pulseBeats][]*Subscription
}

func (p *pulse) add(sub *Subscription) {
	p.mu.Lock()
	defer p.mu.Unlock()
	part := &p.parts[p.next]
	sub.part, sub.partSlot = uint8(p.next), int32(len(*part))
	*part = append(*part, sub)
	p.next = (p.next + 1) % pulseBeats
}

func (p *pulse) remove(sub *Subscription) {
	p.mu.Lock()
	defer p.mu.Unlock()
	part := p.parts[sub.part]
	last := len(part) - 1
	part[sub.partSlot] = part[last]
	part[sub.partSlot].partSlot = sub.partSlot
	part[last] = nil
	p.parts[sub.part] = part[:last]
}

// turn returns the subscriptions of the next part.
func (p *pulse) turn() []*Subscription {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = (p.now + 1) % pulseBeats
	return slices.Clone(p.parts[p.now])
}

func (p *pulse) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, part := range p.parts {
		n += len(part)
	}
	return n
}

// all returns every subscription of now.
func (p *pulse) all() []*Subscription {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Concat(p.parts[:]...)
}

// beat gives a sign of life to the connections whose turn it is.
func (h *Hub) beat() {
	now := time.Now()
	for _, sub := range h.pulse.turn() {
		if sub.until != 0 && now.Unix() >= sub.until {
			sub.End(Goodbye{Reason: "max_age", Reconnect: true, Retry: retryTime + jitter(retryTime)})
			continue
		}
		sub.beat()
	}
}

// beat writes a sign of life, unless the connection shows one anyway.
func (s *Subscription) beat() {
	if !s.mu.TryLock() {
		return // it is being written to
	}
	defer s.mu.Unlock()
	if s.state != fresh && s.state != ended && s.w.Lost() {
		s.end(ErrGone)
		return
	}
	switch s.state {
	case parked, stalled:
	case busy, blocked:
		s.due = true
		return
	default:
		return
	}
	if s.notify != nil {
		s.due, s.held = true, s.state == stalled
		s.dispatch()
		return
	}
	text := s.sign()
	n, err := s.w.Write(text)
	s.hub.counts.bytes.Add(uint64(n))
	switch {
	case err != nil:
		s.finish(err)
	case n < len(text):
		s.rest = text[n:]
		s.block(n > 0)
	}
}

// Why a client gets events later than they happen.
const (
	lagStorage = "storage" // the log cannot be read at the moment
	lagReader  = "reader"  // the client takes them more slowly than they come
)

// lag returns the text of stream.lag. Behind is how old what comes next is at
// least.
func (f Framing) lag(reason string, behind time.Duration) []byte {
	return f.control(eventlog.ID{}, "stream.lag", 0, struct {
		Reason string `json:"reason"`
		Behind int64  `json:"behind_ms"`
	}{reason, max(0, behind.Milliseconds())})
}

// sign returns a heartbeat. If the client is behind through no wish of its own
// it says so. If events went by that the filter left out, it moves the client's
// position past them: a named control event with an id, for a block with an id
// alone is an empty message to some clients. The caller holds s.mu.
func (s *Subscription) sign() []byte {
	st := s.feed.tail
	st.mu.Lock()
	defer st.mu.Unlock()
	var buf [1]*item
	switch {
	case !st.silent.IsZero():
		return s.framing.lag(lagStorage, time.Since(st.silent))
	case !s.live && !s.owes && s.state == busy && !s.held && !s.pos.IsOrigin():
		return s.framing.lag(lagReader, time.Since(s.pos.Time()))
	case s.state == stalled || !s.live || st.dead || s.seq == st.seq:
		return s.framing.heartbeat()
	}
	if items, ok := s.feed.after(s.seq, buf[:0], false); !ok || len(items) > 0 {
		return s.framing.heartbeat()
	}
	s.seq, s.pos = st.seq, st.pos
	return s.framing.control(st.pos, "stream.cursor", 0, struct{}{})
}
