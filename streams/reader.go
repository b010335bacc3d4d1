package streams

import (
	"time"

	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

// stepItems is how many items a reader takes from memory at once.
const stepItems = 128

// open writes what the subscription says first and reports whether it may go on.
func (s *Subscription) open(preface []byte) bool {
	o := s.opening
	s.opening = nil
	s.states = o.states
	return s.write(o.text(preface)) && (s.rest != nil || len(o.batch) == 0 || s.replay(o.batch))
}

// run writes until there is nothing to write, or the client takes no more.
func (s *Subscription) run() {
	for s.flush() && s.runCommands() && s.advance() {
	}
}

// flush writes what is left of a text and the heartbeat that is due, so that the
// next write begins a new event.
func (s *Subscription) flush() bool {
	for {
		s.mu.Lock()
		rest := s.rest
		if rest == nil && s.heartbeatDue {
			rest, s.heartbeatDue = s.heartbeatText(s.framing, !s.throttled && !s.liveDue, s.states.pending()), false
		}
		s.rest = nil
		s.mu.Unlock()
		if rest == nil {
			return true
		}
		if !s.write(rest) {
			return false
		}
	}
}

// write writes a text and reports whether the subscription may go on.
func (s *Subscription) write(text []byte) bool {
	n, err := s.w.Write(text)
	s.hub.counts.bytes.Add(uint64(n))
	if n < len(text) {
		s.rest = text[n:]
	}
	return s.afterWrite(n, n == len(text), err)
}

// writeStates writes the next states of a snapshot.
func (s *Subscription) writeStates() bool {
	piece := s.states.piece()
	if len(piece) == 0 {
		return true
	}
	n, err := s.w.Write(piece)
	s.hub.counts.bytes.Add(uint64(n))
	s.rest = s.states.wrote(n)
	return s.afterWrite(n, n == len(piece), err)
}

// writeItems writes the first of items in one piece.
func (s *Subscription) writeItems(items []*item) bool {
	piece, n := join(items, s.framing, nil)
	wrote, err := s.w.Write(piece)
	s.afterItems(items, n, wrote)
	return s.afterWrite(wrote, wrote == len(piece), err)
}

// afterWrite handles the result of a write, of which the client took n bytes, or
// all. It reports whether the subscription may go on.
func (s *Subscription) afterWrite(n int, all bool, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		s.finish(err)
		return false
	case all:
		s.blockedSince, s.resumed = 0, false
		return true
	case s.cause != nil:
		s.finish(nil) // in the middle of an event there is no goodbye
		return false
	case s.resumed:
		s.resumed = false
		return true
	}
	s.block(n > 0)
	return false
}

// hasCommands also reports true if the subscription is about to end.
func (s *Subscription) hasCommands() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.commands.empty() || s.cause != nil
}

// runCommands reports whether the subscription may go on. No event is half
// written.
func (s *Subscription) runCommands() bool {
	for {
		s.mu.Lock()
		if s.cause != nil || s.commands.empty() {
			s.mu.Unlock()
			return true
		}
		c := s.commands.pop()
		s.mu.Unlock()
		if c.filter != nil && !s.switchTo(c.filter) {
			return false
		}
		if !s.write(c.text) {
			return false
		}
		if s.rest != nil {
			return true // the rest goes out first
		}
	}
}

// switchTo joins another feed of the log, at the same position.
func (s *Subscription) switchTo(f *filter.Filter) bool {
	t := s.feed.tail
	s.mu.Lock()
	t.mu.Lock()
	s.detach()
	s.feed.leave(s)
	t.mu.Unlock()
	s.mu.Unlock()
	if err := s.hub.join(s.hub.tasks.ctx, s, t.log, f); err != nil {
		// No further event may pass the old filter.
		s.mu.Lock()
		s.finish(err)
		s.mu.Unlock()
		return false
	}
	s.states.refilter(f)
	return true
}

// advance writes the next part of the feed, from memory or from the log, and
// reports whether there is more to do.
func (s *Subscription) advance() bool {
	var buf [stepItems]*item
	next, items, head := s.decide(buf[:0])
	switch next {
	case toConclude:
		s.conclude()
	case toRunCommands:
		return true
	case toRejoin:
		if err := s.hub.rejoin(s.hub.tasks.ctx, s); err != nil {
			return s.stall(s.feed.tail.log, err)
		}
		return true
	case toReadLog:
		return s.readLog(head)
	case toWriteItems:
		n := s.quota.left(len(items))
		if n == 0 {
			s.pause()
			return false
		}
		return s.writeItems(items[:n])
	case toWriteStates:
		return s.writeStates()
	case toSayLive:
		return s.write(s.framing.control(head, "stream.live", 0, struct{}{}))
	}
	return false
}

// A step is what a reader does next.
type step uint8

const (
	toPark step = iota // it is parked already
	toConclude
	toRunCommands
	toWriteStates
	toRejoin
	toReadLog
	toWriteItems
	toSayLive
)

// decide returns the next step with the items to write, which are in buf, and
// the tail's head.
//
// A reader parks while it holds both mutexes, and items are added under the
// tail's. So a goroutine that adds an item finds the reader parked, or the reader
// finds the item.
func (s *Subscription) decide(buf []*item) (next step, items []*item, head eventlog.ID) {
	t := s.feed.tail
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.cause != nil:
		return toConclude, nil, head
	case !s.commands.empty():
		return toRunCommands, nil, head
	case s.states.pending():
		return toWriteStates, nil, head
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead {
		s.detach()
		return toRejoin, nil, head
	}
	items = s.next(buf, s.conflates())
	switch {
	case !s.live:
		return toReadLog, nil, t.pos
	case len(items) > 0:
		return toWriteItems, items, t.pos
	case s.liveDue:
		s.liveDue = false
		s.moveToEnd()
		return toSayLive, nil, t.pos
	}
	s.state = parked
	return toPark, nil, t.pos
}

// conflates reports whether to leave out superseded states. History that the
// client asked for, or needs after a reset, is complete.
func (s *Subscription) conflates() bool { return s.conflate && !s.liveDue }

// readLog writes what follows the position in the log.
func (s *Subscription) readLog(head eventlog.ID) bool {
	t := s.feed.tail
	if s.meter.mustWait() {
		s.pause()
		return false
	}
	turn := s.hub.catchup.acquire(t.log)
	defer s.hub.catchup.release(turn)
	if granted, more := s.awaitTurn(turn); !granted {
		return more
	}
	if t.isSilent() {
		s.pause() // other logs can use the turn
		return false
	}
	batch, err := s.hub.catchup.read(s.hub.tasks.ctx, t.log, s.pos, &t.follower.pace, batchMost)
	switch {
	case err != nil:
		return s.stall(t.log, err)
	case batch.Gap != nil:
		return s.tellGap(t.log, batch.Gap)
	case len(batch.Entries) == 0:
		return s.awaitTail(head)
	}
	return s.replay(batch.Entries)
}

// awaitTurn waits for a turn, and writes heartbeats meanwhile. If it reports
// false, more says whether the subscription may go on with something else.
func (s *Subscription) awaitTurn(turn *turn) (granted, more bool) {
	s.throttle(true)
	for !granted {
		select {
		case <-turn.granted:
			granted = true
		case <-s.hub.tasks.ctx.Done():
			return false, true
		case <-time.After(lookAround):
		}
		// A heartbeat that fell due meanwhile does not say that the client is slow.
		if !s.flush() {
			return false, false // another goroutine may have it
		}
		if s.hasCommands() {
			break
		}
	}
	s.throttle(false)
	return granted, true
}

func (s *Subscription) throttle(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.throttled = on
}

// replay writes the entries that match.
func (s *Subscription) replay(entries []eventlog.Entry) bool {
	var items []*item
	for i := range entries {
		if s.feed.filter.Match(entries[i].Event.Predicate()) { //mutant:always filter
			items = append(items, &item{entry: entries[i]})
		}
	}
	if s.conflates() {
		items = s.feed.conflate(items)
	}
	charged := 0 // of entries
	for len(items) > 0 {
		if s.hasCommands() {
			return true // what is left is read again, perhaps with another filter
		}
		allowed := s.quota.left(len(items))
		if allowed == 0 {
			s.pause()
			return false // what is left is read again
		}
		piece, n := join(items[:allowed], s.framing, nil)
		wrote, err := s.w.Write(piece)
		s.afterItems(items, n, wrote)
		charged = s.meter.chargeUpTo(s.pos, entries, charged)
		if !s.afterWrite(wrote, wrote == len(piece), err) {
			return false
		}
		if wrote < len(piece) {
			return true // what is left is read again
		}
		items = items[n:]
	}
	s.pos = entries[len(entries)-1].ID
	s.meter.chargeUpTo(s.pos, entries, charged)
	return true
}

// tellGap says that events are missing, and moves to where the log goes on.
func (s *Subscription) tellGap(log string, gap *eventlog.Gap) bool {
	reset, err := resetFor(s.hub.tasks.ctx, s.hub.log, log, s.pos, gap)
	if err != nil {
		return s.stall(log, err)
	}
	ctx, cancel := s.hub.tasks.timeout(readTimeout)
	defer cancel()
	if err := s.hub.loadStates(ctx, s); err != nil {
		return s.stall(log, err)
	}
	s.states = s.statesUpTo(reset.After, s.framing)
	s.pos, s.liveDue = reset.After, true
	s.hub.counts.resets.Add(1)
	return s.write(s.framing.control(eventlog.ID{}, "stream.reset", 0, reset))
}

// awaitTail waits until the tail has moved from head. The client comes from a
// gateway that was ahead of this one.
func (s *Subscription) awaitTail(head eventlog.ID) bool {
	t := s.feed.tail
	s.mu.Lock()
	switch {
	case s.cause != nil:
		s.mu.Unlock()
		s.conclude()
		return false
	case s.cancelWait != nil:
		s.cancelWait() // one wait at a time
	}
	// The tail's call needs the mutex, so it finds the subscription stalled.
	cancel, waits := t.await(head, s.wake)
	s.cancelWait = cancel
	if waits {
		s.becomeStalled()
	}
	s.mu.Unlock()
	t.follower.ring()
	return !waits
}

// stall waits until the log can be read again.
func (s *Subscription) stall(log string, err error) bool {
	s.hub.reportUnreadable(log, err)
	s.pause()
	return false
}

// pause lets go of the subscription until the hub looks around, or another
// event wakes it.
func (s *Subscription) pause() {
	s.mu.Lock()
	if s.cause != nil {
		s.mu.Unlock()
		s.conclude()
		return
	}
	defer s.mu.Unlock()
	s.becomeStalled()
}

// becomeStalled lets go of the subscription. The caller holds s.mu.
func (s *Subscription) becomeStalled() {
	s.state, s.blockedSince = stalled, 0
	s.hub.waitlist.stall(s)
}
