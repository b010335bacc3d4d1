package streams

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"context"
	"fmt"
	"slices"
	"time"
)

// stepItems is how many items a reader takes from memory at once.
const stepItems = 128

// step works on the subscription where it is called, unless that takes the log.
func (s *Subscription) step() {
	if s.live {
		s.run()
	} else {
		s.hub.spawn(s.run)
	}
}

// run writes until there is nothing to write, or the client takes no more. The
// state is busy, and its own.
func (s *Subscription) run() {
	for s.flush() && s.heed() && s.advance() {
	}
}

// flush writes all that is left of a text that was begun, and the heartbeat
// that is due: whoever writes next begins a new event.
func (s *Subscription) flush() bool {
	for {
		s.mu.Lock()
		rest := s.rest
		if rest == nil && s.due {
			rest, s.due = s.sign(), false
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

// write writes texts and reports whether the subscription may go on.
func (s *Subscription) write(texts ...[]byte) bool {
	for i, text := range texts {
		if len(text) == 0 {
			continue
		}
		n, err := s.w.Write(text)
		s.hub.counts.bytes.Add(uint64(n))
		if n < len(text) {
			s.rest = text[n:]
			if further := slices.Concat(texts[i+1:]...); len(further) > 0 {
				s.rest = slices.Concat(s.rest, further)
			}
		}
		if !s.settle(n, n == len(text), err) {
			return false
		}
		if n < len(text) {
			break // what is left goes out first
		}
	}
	return true
}

// settle looks at how a write ended: n bytes were taken, of all or not. It
// reports whether the subscription may go on.
func (s *Subscription) settle(n int, all bool, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		s.finish(err)
		return false
	case all:
		s.since, s.resumed = 0, false
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

// advance writes the next part of the feed, from memory or from the log, and
// reports whether there is more to do.
func (s *Subscription) advance() bool {
	st := s.feed.tail
	var buf [stepItems]*item

	// A reader parks while it holds both mutexes, and items are added under
	// the stream's: whoever adds one finds the reader parked, or the reader
	// finds the item.
	s.mu.Lock()
	switch {
	case s.cause != nil:
		s.mu.Unlock()
		s.conclude()
		return false
	case s.notices != nil:
		s.mu.Unlock()
		return true // they come first
	}
	st.mu.Lock()
	if st.dead {
		s.detach(st)
		st.mu.Unlock()
		s.mu.Unlock()
		return s.rejoin(st)
	}
	if !s.live {
		if seq, ok := st.find(s.pos); ok && seq >= s.feed.floor {
			s.seq, s.live = seq, true
		}
	}
	var items []*item
	if s.live {
		items, s.live = s.feed.after(s.seq, buf[:0], s.conflates())
	}
	head := st.pos
	live, owes := s.live, s.owes
	if live && len(items) == 0 {
		if owes {
			s.owes, s.seq, s.pos = false, st.seq, head
		} else {
			s.state = parked
		}
	}
	st.mu.Unlock()
	s.mu.Unlock()

	switch {
	case !live:
		return s.readLog(st, head)
	case len(items) > 0:
		if n := s.quota.left(len(items)); n < len(items) {
			if items = items[:n]; n == 0 {
				s.pause()
				return false
			}
		}
		return s.writeItems(items)
	case owes:
		return s.write(s.framing.control(head, "stream.live", 0, struct{}{}))
	}
	return false
}

// writeItems writes the first of items in one piece.
func (s *Subscription) writeItems(items []*item) bool {
	piece, n := join(items, s.framing, nil)
	wrote, err := s.w.Write(piece)
	s.account(items, n, wrote)
	return s.settle(wrote, wrote == len(piece), err)
}

// readLog writes what follows the position in the log.
func (s *Subscription) readLog(st *tail, head eventlog.ID) bool {
	if time.Now().UnixMilli() < s.idleTo {
		s.pause()
		return false
	}
	turn := s.hub.turns.ask(st.log)
	defer s.hub.turns.end(turn)
	if come, more := s.awaitTurn(turn); !come {
		return more
	}
	if st.isSilent() {
		s.pause() // others can make use of the turn
		return false
	}
	batch, err := s.hub.read(s.hub.ctx, st.log, s.pos, &st.pace, batchMost)
	switch {
	case err != nil:
		return s.stall(st.log, err)
	case batch.Gap != nil:
		return s.tellGap(st.log, batch.Gap)
	case len(batch.Entries) == 0:
		return s.await(st, head)
	}
	return s.replay(batch.Entries)
}

// count has somebody count what was read from the log and is done with: what a slow
// client makes us read again is not counted again.
func (s *Subscription) count(n int) {
	if s.replayed == nil || n == 0 {
		return
	}
	if wait := s.replayed(n); wait > 0 {
		s.idleTo = time.Now().Add(wait).UnixMilli()
	}
}

// tellGap says that events are missing, and what the client can go on from.
func (s *Subscription) tellGap(log string, gap *eventlog.Gap) bool {
	reset, err := s.hub.reset(s.hub.ctx, log, s.pos, gap)
	if err != nil {
		return s.stall(log, err)
	}
	ctx, cancel := context.WithTimeout(s.hub.ctx, readTimeout)
	defer cancel()
	states, err := s.before(ctx, reset.After)
	if err != nil {
		return s.stall(log, err)
	}
	s.pos, s.owes = reset.After, true
	s.hub.counts.resets.Add(1)
	return s.write(append(s.framing.control(eventlog.ID{}, "stream.reset", 0, reset), states...))
}

// conflates reports whether the client wants to skip what was superseded.
// History that it asked for, or needs after a reset, comes whole.
func (s *Subscription) conflates() bool { return s.conflate && !s.owes }

// await waits until the stream's tail has moved from head: it is behind this
// reader, who comes from a gateway that was ahead.
func (s *Subscription) await(st *tail, head eventlog.ID) bool {
	s.mu.Lock()
	switch {
	case s.cause != nil:
		s.mu.Unlock()
		s.conclude()
		return false
	case s.forget != nil:
		s.forget() // one wait at a time
	}
	// Who wakes it needs the mutex, so finds it stalled and not still busy.
	forget, waits := st.await(head, s.wake)
	s.forget = forget
	if waits {
		s.stalls()
	}
	s.mu.Unlock()
	st.ring()
	return !waits
}

// stall waits until the log can be read again.
func (s *Subscription) stall(log string, err error) bool {
	s.hub.unreadable(log, err)
	s.pause()
	return false
}

// pause lets go of the subscription until the hub looks around, or somebody
// wakes it before. It reports whether it has not ended instead.
func (s *Subscription) pause() bool {
	s.mu.Lock()
	if s.cause != nil {
		s.mu.Unlock()
		s.conclude()
		return false
	}
	defer s.mu.Unlock()
	s.stalls()
	return true
}

// stalls has the subscription woken at the next look around, if not before. The
// caller holds s.mu.
func (s *Subscription) stalls() {
	s.state, s.since = stalled, 0
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.stalled[s] = true
}

// replay writes those of entries that match.
func (s *Subscription) replay(entries []eventlog.Entry) bool {
	done := 0 // of entries
	var items []*item
	for i := range entries {
		if s.feed.filter.Match(entries[i].Event.Predicate()) { //mutant:always filter
			items = append(items, &item{entry: entries[i]})
		}
	}
	if s.conflates() {
		items = s.feed.conflate(items)
	}
	for len(items) > 0 {
		if s.noticed() {
			return true // what is left is read again, by another filter perhaps
		}
		allowed := s.quota.left(len(items))
		if allowed == 0 {
			s.pause()
			return false // what is left is read again
		}
		piece, n := join(items[:allowed], s.framing, nil)
		wrote, err := s.w.Write(piece)
		s.account(items, n, wrote)
		done = s.countDone(entries, done)
		if !s.settle(wrote, wrote == len(piece), err) {
			return false
		}
		if wrote < len(piece) {
			return true // what is left is read again
		}
		items = items[n:]
	}
	s.pos = entries[len(entries)-1].ID
	s.countDone(entries, done)
	return true
}

// countDone counts those of entries that the position has passed, of which so many
// were counted before, and returns how many that are now. Only who works on the
// subscription may call it.
func (s *Subscription) countDone(entries []eventlog.Entry, before int) int {
	n := before
	for n < len(entries) && entries[n].ID.Compare(s.pos) <= 0 {
		n++
	}
	s.count(n - before)
	return n
}

// detach notes the position that a reader has reached in a stream that ended.
// The caller holds both mutexes.
func (s *Subscription) detach(st *tail) {
	if !s.live {
		return
	}
	var buf [1]*item
	items, ok := s.feed.after(s.seq, buf[:0], false)
	switch {
	case !ok: // pos is what it was
	case len(items) > 0:
		s.pos = items[0].entry.Prev
	default:
		s.pos = st.pos
	}
	s.live = false
}

// rejoin finds the stream that took the place of one that ended.
func (s *Subscription) rejoin(old *tail) bool {
	s.leave()
	if err := s.hub.join(s.hub.ctx, s, old.log, s.feed.filter); err != nil {
		return s.stall(old.log, err)
	}
	return true
}

// read reads the log for one reader, as much as goes into one write and no more than
// most entries.
func (h *Hub) read(ctx context.Context, log string, after eventlog.ID, p *pace, most int) (eventlog.Batch, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	select {
	case h.reads <- struct{}{}:
		defer func() { <-h.reads }()
	case <-ctx.Done():
		return eventlog.Batch{}, fmt.Errorf("wait to read %q: %w: %w", log, eventlog.ErrUnavailable, ctx.Err())
	}
	h.counts.reads.Add(1)
	batch, err := h.log.Read(ctx, log, after, p.limit(batchBytes, most))
	if err != nil {
		p.slow()
		return eventlog.Batch{}, err
	}
	p.learn(batch.Entries)
	return batch, nil
}
