package streams

import (
	"context"
	"time"

	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

// A Subscription is a cursor on a feed, bound to one connection.
//
// It has a goroutine only while it is behind. Most connections are quiet most
// of the time, and then a subscription is this struct and an entry in two
// lists.
//
// The package's documentation draws its states. This file has what other
// goroutines do with it, and reader.go what its own does.
type Subscription struct {
	hub     *Hub
	w       Writer
	notify  chan struct{} // wakes Serve; nil if the writer does not wait
	framing Framing

	cursor
	conflate bool
	until    time.Duration // the monotonic time of its maximal age; 0: never
	meter    replayMeter
	quota    quota
	opening  *opening       // what it says first; nil once it was said
	states   snapshotReader // given out before events

	part     uint8 // in the hub's heartbeats, which guard these two
	partSlot int32

	mu           subscriptionMutex // guards the following
	state        state
	resumed      bool          // the client took more while the subscription was busy
	heartbeatDue bool          // its goroutine writes a heartbeat
	throttled    bool          // the gateway keeps it back: that it lags is not its client's doing
	liveDue      bool          // stream.live is written when the head is reached
	cancelWait   func()        // ends a wait for the tail; nil if there is none
	rest         []byte        // what is left of the text that was begun
	commands     commands      // run before the next event
	blockedSince time.Duration // the monotonic time when the client last took something; 0 unless blocked
	cause        error         // why it ends; nil while it is open
}

// state says who may touch a subscription; the table in doc.go lists it.
type state uint8

const (
	fresh   state = iota // it has not begun
	busy                 // its goroutine runs
	parked               // it is at its feed's head
	blocked              // the client takes nothing
	stalled              // it must not or cannot read the log now
	ended
)

// Start begins to write to w, which must not wait, and returns soon. Preface
// goes out first, in the same write as stream.open.
func (s *Subscription) Start(w Writer, preface []byte) {
	switch {
	case !s.begin(w, nil) || !s.open(preface):
	case s.live:
		s.run()
	default:
		s.hub.tasks.spawn(s.run)
	}
}

// Serve writes to w, which may wait, until the subscription has ended or ctx
// is done. It returns why the subscription ended: a [Goodbye], one of this
// package's errors, or the writer's.
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
		switch state {
		case ended:
			return cause
		case busy: // dispatched
			s.run()
		default:
			<-s.notify // of the end, too
		}
	}
}

// begin gives the subscription its writer. It reports false if the subscription
// has ended.
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

// Say writes a control event with this data, which has a JSON form, soon and
// between two events. It returns at once.
func (s *Subscription) Say(event string, data any) {
	s.command(command{text: s.framing.control(eventlog.ID{}, event, 0, data)})
}

// Rescope replaces the filter, and says so with stream.scope and this data,
// which has a JSON form. Every event whose writing has not begun passes
// the new filter alone, whether it is live or from the log. Rescope returns at
// once.
func (s *Subscription) Rescope(f *filter.Filter, data any) {
	s.command(command{text: s.framing.control(eventlog.ID{}, "stream.scope", 0, data), filter: f})
}

func (s *Subscription) command(c command) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == ended || s.cause != nil {
		return
	}
	s.commands.push(c)
	if c.filter != nil {
		abortLate(s)
	}
	switch s.state {
	case parked, stalled, blocked:
		s.dispatch()
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

// Progress returns the position up to which every match was begun to be
// written, and whether the client is behind. While the subscription is busy the
// position is unknown: zero.
func (s *Subscription) Progress() (pos eventlog.ID, behind bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == busy {
		return eventlog.ID{}, !s.live
	}
	return s.pos, s.state == blocked || s.state == stalled
}

// wake lets a waiting subscription look for something to do.
func (s *Subscription) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == parked || s.state == stalled {
		s.dispatch()
	}
}

// retry tries to write to a blocked client, which may have taken too little for
// the kernel to say so. It ends a client that is stuck.
func (s *Subscription) retry(now time.Duration) {
	s.mu.Lock()
	if s.state == blocked && s.w.Progress() {
		s.blockedSince = now
	}
	if s.state == blocked && now-s.blockedSince < stuckAfter {
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
		s.hub.waitlist.unblock(s)
	}
	s.state = busy
	if s.notify == nil {
		s.hub.tasks.spawn(s.run)
	} else {
		s.wakeServe()
	}
}

// wakeServe makes Serve look at the state.
func (s *Subscription) wakeServe() {
	select {
	case s.notify <- struct{}{}:
	default:
	}
}

// offer writes a delivery of the feed f to a parked subscription: piece is the
// text of the first n items. It holds the mutex over the write, which does not
// wait. A subscription that left the feed since the delivery was made may not get
// what that feed's filter matches.
func (s *Subscription) offer(f *feed, items []*item, piece []byte, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != parked || s.feed != f || s.seq >= items[len(items)-1].seq {
		return
	}
	if s.notify != nil || s.seq >= items[0].seq || s.quota.left(n) < n {
		s.dispatch()
		return
	}
	wrote, err := s.w.Write(piece)
	s.afterItems(items, n, wrote)
	switch {
	case err != nil:
		s.finish(err)
	case wrote < len(piece):
		s.block(wrote > 0)
	case n < len(items):
		s.dispatch()
	}
}

// afterItems notes that wrote bytes of the first n items were written. The
// state lets the caller touch the cursor.
func (s *Subscription) afterItems(items []*item, n, wrote int) {
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
	s.hub.counts.delivered.Add(uint64(begun))
	s.quota.sent += uint32(begun)
	s.pass(items, begun)
}

// tick writes a heartbeat, unless other text shows that the connection lives. It
// reports false, and does nothing, while another goroutine has the mutex: that
// may be a long write.
func (s *Subscription) tick() bool {
	if !s.mu.TryLock() {
		return false
	}
	defer s.mu.Unlock()
	if s.state != fresh && s.state != ended && s.w.Lost() {
		s.end(ErrGone)
		return true
	}
	switch s.state {
	case parked, stalled:
	case busy, blocked:
		s.heartbeatDue = true
		return true
	default:
		return true
	}
	if s.notify != nil {
		s.heartbeatDue, s.throttled = true, s.state == stalled
		s.dispatch()
		return true
	}
	text := s.heartbeatText(s.framing, false, s.state == stalled)
	n, err := s.w.Write(text)
	s.hub.counts.bytes.Add(uint64(n))
	switch {
	case err != nil:
		s.finish(err)
	case n < len(text):
		s.rest = text[n:]
		s.block(n > 0)
	}
	return true
}

// block notes that the client takes no more. The caller holds s.mu.
func (s *Subscription) block(progress bool) {
	if progress || s.blockedSince == 0 {
		s.blockedSince = monotonic()
	}
	s.state = blocked
	s.hub.waitlist.block(s)
}

// Close ends the subscription without a goodbye and returns at once. The first
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
		s.cause = cause // its goroutine sees it
		abortLate(s)
	default:
		s.finish(cause)
	}
}

// End ends the subscription with a goodbye, which is left out if the client has
// not taken the whole event before it. The first cause wins.
func (s *Subscription) End(g Goodbye) {
	s.mu.Lock()
	if s.cause != nil || s.state == ended {
		s.mu.Unlock()
		return
	}
	s.cause = g
	switch {
	case s.state == fresh, s.state == busy:
		abortLate(s)
		s.mu.Unlock() // its goroutine sees it
		return
	case s.notify != nil:
		s.dispatch() // Serve says it
		s.mu.Unlock()
		return
	case s.state == blocked:
		s.hub.waitlist.unblock(s)
	}
	s.state = busy
	s.mu.Unlock()
	s.conclude()
}

// conclude ends the subscription, which has a cause and is busy with the
// caller, and says goodbye if that is the cause.
func (s *Subscription) conclude() {
	s.mu.Lock()
	g, ok := s.cause.(Goodbye)
	s.mu.Unlock()
	if ok && s.rest == nil && s.w != nil {
		s.w.Write(g.text(s.framing)) // a client that misses it reconnects at once
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish(nil)
}

// finish ends the subscription, whatever the state. The caller holds s.mu, and
// may touch the writer.
func (s *Subscription) finish(cause error) {
	if s.state == ended {
		return
	}
	if s.state == blocked {
		s.hub.waitlist.unblock(s)
	}
	s.state = ended
	if s.cause == nil {
		s.cause = cause
	}
	s.rest, s.states = nil, snapshotReader{}
	if s.cancelWait != nil {
		s.cancelWait()
	}
	s.leave()
	s.hub.heartbeats.remove(s)
	if s.w != nil {
		s.w.Close()
	}
	if s.notify != nil {
		s.wakeServe()
	}
}

// leave ends what [Hub.join] began.
func (s *Subscription) leave() {
	if f := s.feed; f != nil {
		f.tail.mu.Lock()
		f.leave(s)
		f.tail.mu.Unlock()
	}
}
