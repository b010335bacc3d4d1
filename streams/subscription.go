package streams

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"context"
	"sync"
	"time"

	"github.com/paylogic/pushserver/streams/filter"
)

// A Request says what a subscription is to get.
type Request struct {
	Log        string
	Filter     *filter.Filter
	Framing    Framing
	Connection string // names the connection to its client, in stream.open

	Start Start

	Conflate bool // when the client lags, skip states that were superseded

	// Rate is how many events are delivered within a second at most; 0: as many as
	// there are. What comes faster waits in the log.
	Rate int
	// Replayed is called when so many entries that were read from the log for this
	// subscription alone are done with, and returns how long it must not read more. It may wait
	// itself, and is not called twice at the same time. Nil: nobody counts.
	Replayed func(n int) time.Duration
}

// A Subscription is a cursor on a feed, bound to one connection.
//
// It has a goroutine only while it is behind. Most connections are quiet most
// of the time, and then a subscription is this struct and an entry in two
// lists.
type Subscription struct {
	hub     *Hub
	w       Writer
	notify  chan struct{} // wakes Serve; nil if the writer does not wait
	feed    *feed         // owned by whoever has the state at busy
	slot    int           // in feed.subs, -1 if not there; the stream's mutex guards it
	framing Framing

	conflate bool
	until    int64 // when it has lasted long enough, in Unix seconds; 0: never
	replayed func(n int) time.Duration
	idleTo   int64 // the log is not read for it before, in Unix ms; owned as feed is
	quota    quota

	part     uint8 // in the hub's pulse, which guards these two
	partSlot int32

	mu      sync.Mutex // guards the following
	state   state
	resumed bool        // the client took more while the state was busy
	due     bool        // a heartbeat is to be written by whoever works on it
	live    bool        // seq is a position in memory; otherwise pos is one in the log
	held    bool        // it is kept back by us: that it is behind is not its client's doing
	owes    bool        // stream.live is to be written when the head is reached
	seq     uint64      // everything that matched up to this number was begun to be written
	pos     eventlog.ID // everything that matched up to here was begun to be written
	forget  func()      // ends a wait for the stream's tail; nil if there is none
	rest    []byte      // what is left of the text that was begun
	notices *notice     // what is to be said and done before the next event
	since   int64       // when the client last took something, in Unix nanoseconds; 0 unless blocked
	cause   error       // why it ended; nil while it is open

	opening *opening // what is to be said first; nil once it was
}

// state says who may touch a subscription's cursor and writer.
type state uint8

const (
	fresh   state = iota // it has not begun: whoever holds the mutex
	busy                 // the one goroutine that works on it
	parked               // it is at its feed's head: whoever holds the mutex
	blocked              // the client takes nothing: whoever holds the mutex
	stalled              // it must not or cannot read the log now: whoever holds the mutex
	ended                // nobody
)

// Subscribe prepares a subscription and finds out from where it starts, so
// that a failure can still be answered as one. It wraps the errors of [Log], or
// is ErrDraining. The subscription begins with Start or Serve; without either
// it must be closed.
func (h *Hub) Subscribe(ctx context.Context, req Request) (*Subscription, error) {
	if h.Draining() {
		return nil, ErrDraining
	}
	s := &Subscription{hub: h, framing: req.Framing, conflate: req.Conflate, until: h.until(), slot: -1,
		replayed: req.Replayed, quota: quota{rate: uint32(max(0, req.Rate))}}
	if err := h.join(ctx, s, req.Log, req.Filter); err != nil {
		return nil, err
	}
	if err := s.start(ctx, req); err != nil {
		s.leave()
		return nil, err
	}
	h.pulse.add(s)
	if h.Draining() { // since we asked; whoever drains may have missed it
		s.Close(ErrDraining)
		return nil, ErrDraining
	}
	return s, nil
}

// Start begins to write to w, which must not wait, and returns soon. Preface
// goes out before anything else, in the same write as stream.open.
func (s *Subscription) Start(w Writer, preface []byte) {
	if s.begin(w, nil) && s.open(preface) {
		s.step()
	}
}

// begin gives the subscription its writer. It reports false if it was closed
// before.
func (s *Subscription) begin(w Writer, notify chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == ended {
		w.Close()
		return false
	}
	s.w, s.notify, s.state = w, notify, busy
	return true
}

// Serve writes to w, which may wait, until the subscription has ended or ctx
// is done, and returns why it ended: a [Goodbye], one of the errors above, or the
// writer's.
func (s *Subscription) Serve(ctx context.Context, w Writer) error {
	stop := context.AfterFunc(ctx, func() { s.Close(ErrGone) })
	defer stop()
	if s.begin(w, make(chan struct{}, 1)) && s.open(nil) {
		s.run()
	}
	for {
		s.mu.Lock()
		cause, state := s.cause, s.state
		s.mu.Unlock()
		if state == ended {
			return cause
		}
		<-s.notify // also of the end
		s.serve()
	}
}

// serve works on the subscription if it was dispatched.
func (s *Subscription) serve() {
	s.mu.Lock()
	dispatched := s.state == busy
	s.mu.Unlock()
	if dispatched {
		s.run()
	}
}

// Resume tells the subscription that its client takes more again.
func (s *Subscription) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state {
	case busy:
		s.resumed = true
	case blocked:
		s.dispatch()
	}
}

// wake has a subscription that waits look where it stands.
func (s *Subscription) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == parked || s.state == stalled {
		s.dispatch()
	}
}

// retry tries to write to a blocked client, which may have taken too little
// for the kernel to say so, and ends one that took nothing for too long.
func (s *Subscription) retry(now time.Time) {
	s.mu.Lock()
	if s.state == blocked && s.w.Progress() {
		s.since = now.UnixNano()
	}
	if s.state == blocked && now.Sub(time.Unix(0, s.since)) < stuckAfter {
		s.dispatch()
	}
	stuck := s.state == blocked
	s.mu.Unlock()
	if stuck {
		s.Close(ErrStuck)
	}
}

// dispatch makes the subscription busy. The caller holds s.mu.
func (s *Subscription) dispatch() {
	if s.state == blocked {
		s.hub.unblock(s)
	}
	s.state = busy
	if s.notify == nil {
		s.hub.spawn(s.run)
		return
	}
	select {
	case s.notify <- struct{}{}:
	default:
	}
}

// offer writes a delivery to a subscription that waits for it: piece is the
// text of the first n items. The mutex is held over the write, which does not
// wait.
func (s *Subscription) offer(items []*item, piece []byte, n int) {
	s.mu.Lock()
	if s.state != parked || s.seq >= items[len(items)-1].seq {
		s.mu.Unlock()
		return
	}
	if s.notify != nil || s.seq >= items[0].seq || s.quota.left(n) < n {
		s.dispatch()
		s.mu.Unlock()
		return
	}
	wrote, err := s.w.Write(piece)
	s.account(items, n, wrote)
	switch {
	case err != nil:
		s.finish(err)
	case wrote < len(piece):
		s.block(wrote > 0)
	case n < len(items):
		s.dispatch()
	}
	s.mu.Unlock()
}

// account notes that wrote bytes of the first n of items were written. The
// caller holds s.mu or has the state at busy.
func (s *Subscription) account(items []*item, n, wrote int) {
	s.hub.counts.bytes.Add(uint64(wrote))
	begun := 0
	for wrote > 0 && begun < n {
		text := items[begun].text(s.framing)
		if wrote < len(text) {
			s.rest = text[wrote:]
		}
		wrote -= len(text)
		begun++
	}
	if begun > 0 {
		s.hub.counts.delivered.Add(uint64(begun))
		s.quota.sent += uint32(begun)
		s.seq, s.pos = items[begun-1].seq, items[begun-1].entry.ID
	}
	if begun < len(items) {
		// All before the next one is done with, matched or not: with a filter
		// that seldom matches, the last one that did may be long forgotten.
		s.pos = items[begun].entry.Prev
	}
}

// Progress returns the position up to which everything that matched was begun to
// be written, and whether there is more that the client has not taken yet. While it
// is being worked on the position is not known: zero.
func (s *Subscription) Progress() (pos eventlog.ID, behind bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == busy {
		return eventlog.ID{}, !s.live
	}
	return s.pos, s.state == blocked || s.state == stalled
}

// block notes that the client takes no more. The caller holds s.mu.
func (s *Subscription) block(progress bool) {
	if progress || s.since == 0 {
		s.since = time.Now().UnixNano()
	}
	s.state = blocked
	s.hub.mu.Lock()
	s.hub.blocked[s] = true
	s.hub.mu.Unlock()
}

func (h *Hub) unblock(s *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.blocked, s)
}

// Close ends the subscription without a word and returns at once. The first
// cause wins.
func (s *Subscription) Close(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(cause)
}

// end is Close. The caller holds s.mu.
func (s *Subscription) end(cause error) {
	switch {
	case s.state == fresh:
		s.finish(cause)
	case s.cause != nil:
	case s.state == busy:
		s.cause = cause // the goroutine that works on it will see
	default:
		s.finish(cause)
	}
}

// End ends the subscription with a goodbye, which is left out if the client is
// in the middle of an event that it does not take. The first cause wins.
func (s *Subscription) End(g Goodbye) {
	s.mu.Lock()
	if s.cause != nil || s.state == ended {
		s.mu.Unlock()
		return
	}
	s.cause = g
	switch {
	case s.state == fresh, s.state == busy:
		s.mu.Unlock() // it will see
		return
	case s.notify != nil:
		s.dispatch() // Serve says it
		s.mu.Unlock()
		return
	case s.state == blocked:
		s.hub.unblock(s)
	}
	s.state = busy
	s.mu.Unlock()
	s.conclude()
}

// conclude ends the subscription, which has a cause and is busy with the
// caller, and says goodbye if there is one to say.
func (s *Subscription) conclude() {
	s.mu.Lock()
	g, ok := s.cause.(Goodbye)
	s.mu.Unlock()
	if ok && s.rest == nil && s.w != nil {
		s.w.Write(g.text(s.framing)) // a client that misses it just connects again
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish(nil)
}

// finish ends the subscription. The caller holds s.mu, and is the one whom the
// state allows to.
func (s *Subscription) finish(cause error) {
	if s.state == ended {
		return
	}
	if s.state == blocked {
		s.hub.unblock(s)
	}
	s.state = ended
	if s.cause == nil {
		s.cause = cause
	}
	s.rest = nil
	if s.forget != nil {
		s.forget()
	}
	s.leave()
	s.hub.pulse.remove(s)
	if s.w != nil {
		s.w.Close()
	}
	if s.notify != nil {
		select {
		case s.notify <- struct{}{}:
		default:
		}
	}
}

// leave ends what join began.
func (s *Subscription) leave() {
	if f := s.feed; f != nil {
		f.tail.mu.Lock()
		f.remove(s)
		f.tail.mu.Unlock()
	}
}
