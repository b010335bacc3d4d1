package streams

import (
	"context"
	"fmt"
	"time"
)

// batchLimit is how many entries a single reader takes from the log at once:
// about what a send buffer holds.
const batchLimit = 200

// stepItems is how many items a reader takes from memory at once.
const stepItems = 128

// opening is what a subscription says first.
type opening struct {
	connection string
	oldest     ID
	gap        *Reset // said next, if its start cannot be proved complete
	batch      []Entry
}

// locate finds where the subscription starts. Nobody else knows it yet.
func (s *Subscription) locate(ctx context.Context, req Request) error {
	st := s.feed.stream
	s.opening = &opening{connection: req.Connection}
	st.mu.Lock()
	s.opening.oldest = st.oldest
	s.pos, s.seq, s.live = st.pos, st.seq, true
	if !req.After.IsZero() {
		s.pos = req.After
		s.seq, s.live = st.find(req.After)
		s.live = s.live && s.seq >= s.feed.floor
	}
	st.mu.Unlock()

	switch {
	case req.Foreign != "":
		s.opening.gap = &Reset{Reason: Unknown, Requested: excerpt(req.Foreign), ResumeFrom: s.pos, Oldest: s.opening.oldest, After: s.pos}
		s.owes = true
	case !req.After.IsZero():
		s.owes = true
		if !s.live {
			return s.prove(ctx, req.Log)
		}
	case !req.Since.IsZero():
		s.owes = true
		return s.seek(ctx, req)
	}
	return nil
}

// prove reads what follows the cursor for the first time.
func (s *Subscription) prove(ctx context.Context, log string) error {
	batch, err := s.hub.read(ctx, log, s.pos)
	if err != nil {
		return err
	}
	if batch.Gap == nil {
		s.opening.batch = batch.Entries
		return nil
	}
	reset, err := s.hub.reset(ctx, log, s.pos, batch.Gap)
	if err != nil {
		return err
	}
	s.opening.gap, s.pos, s.opening.oldest = reset, reset.After, reset.Oldest
	return nil
}

// seek starts at a time of the log.
func (s *Subscription) seek(ctx context.Context, req Request) error {
	after, reset, err := s.hub.seek(ctx, req.Log, req.Since)
	s.pos, s.live, s.opening.gap = after, false, reset
	return err
}

// open writes what a subscription says first and reports whether it may go on.
func (s *Subscription) open(preface []byte) bool {
	o := s.opening
	s.opening = nil
	id := s.pos
	if o.gap != nil {
		id = ID{}
	}
	data := openData{o.connection, s.hub.heartbeat.Milliseconds(), ""}
	if !o.oldest.IsZero() {
		data.Oldest = o.oldest.String()
	}
	text := append(preface, s.framing.control(id, "stream.open", retryTime, data)...)
	if o.gap != nil {
		text = append(text, s.framing.control(ID{}, "stream.reset", 0, o.gap)...)
		s.hub.counts.resets.Add(1)
	}
	return s.write(text) && (s.rest != nil || len(o.batch) == 0 || s.replay(o.batch))
}

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
	for s.flush() && s.advance() {
	}
}

// flush writes all that is left of a text that was begun, and the heartbeat
// that is due: whoever writes next begins a new event.
func (s *Subscription) flush() bool {
	for {
		s.mu.Lock()
		rest := s.rest
		if rest == nil && s.due {
			rest = s.sign()
		}
		s.rest, s.due = nil, false
		s.mu.Unlock()
		if rest == nil {
			return true
		}
		if !s.write(rest) {
			return false
		}
	}
}

// write writes one text and reports whether the subscription may go on.
func (s *Subscription) write(text []byte) bool {
	n, err := s.w.Write(text)
	s.hub.counts.bytes.Add(uint64(n))
	if n < len(text) {
		s.rest = text[n:]
	}
	return s.settle(n, n == len(text), err)
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
		s.since, s.resumed = time.Time{}, false
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
	st := s.feed.stream
	var buf [stepItems]*item

	// A reader parks while it holds both mutexes, and items are added under
	// the stream's: whoever adds one finds the reader parked, or the reader
	// finds the item.
	s.mu.Lock()
	if s.cause != nil {
		s.mu.Unlock()
		s.conclude()
		return false
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
		items, s.live = s.feed.after(s.seq, buf[:0])
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
func (s *Subscription) readLog(st *stream, head ID) bool {
	batch, err := s.hub.read(s.hub.ctx, st.log, s.pos)
	switch {
	case err != nil:
		return s.stall(st.log, err)
	case batch.Gap != nil:
		reset, err := s.hub.reset(s.hub.ctx, st.log, s.pos, batch.Gap)
		if err != nil {
			return s.stall(st.log, err)
		}
		s.pos, s.owes = reset.After, true
		s.hub.counts.resets.Add(1)
		return s.write(s.framing.control(ID{}, "stream.reset", 0, reset))
	case len(batch.Entries) == 0:
		return s.await(st, head)
	}
	return s.replay(batch.Entries)
}

// await waits until the stream's tail has moved from head: it is behind this
// reader, who comes from a gateway that was ahead.
func (s *Subscription) await(st *stream, head ID) bool {
	if s.forget != nil {
		s.forget() // one wait at a time
	}
	if s.pause() {
		s.forget = st.await(head, s.wake)
		st.ring()
	}
	return false
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
	s.state, s.since = stalled, time.Time{}
	s.hub.stall(s)
	return true
}

// stall has the subscription woken at the next look around.
func (h *Hub) stall(s *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stalled[s] = true
}

// replay writes those of entries that match.
func (s *Subscription) replay(entries []Entry) bool {
	var items []*item
	for i := range entries {
		if s.feed.filter.Match(entries[i].Event.predicate()) {
			items = append(items, &item{entry: entries[i]})
		}
	}
	for len(items) > 0 {
		piece, n := join(items, s.framing, nil)
		wrote, err := s.w.Write(piece)
		s.account(items, n, wrote)
		if !s.settle(wrote, wrote == len(piece), err) {
			return false
		}
		if wrote < len(piece) {
			return true // what is left is read again
		}
		items = items[n:]
	}
	s.pos = entries[len(entries)-1].ID
	return true
}

// detach notes the position that a reader has reached in a stream that ended.
// The caller holds both mutexes.
func (s *Subscription) detach(st *stream) {
	if !s.live {
		return
	}
	var buf [1]*item
	items, ok := s.feed.after(s.seq, buf[:0])
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
func (s *Subscription) rejoin(old *stream) bool {
	s.leave()
	if err := s.hub.join(s.hub.ctx, s, old.log, s.feed.filter); err != nil {
		return s.stall(old.log, err)
	}
	return true
}

// read reads the log for one reader.
func (h *Hub) read(ctx context.Context, log string, after ID) (Batch, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	select {
	case h.reads <- struct{}{}:
		defer func() { <-h.reads }()
	case <-ctx.Done():
		return Batch{}, fmt.Errorf("wait to read %q: %w: %w", log, ErrUnavailable, ctx.Err())
	}
	h.counts.reads.Add(1)
	return h.log.Read(ctx, log, after, batchLimit)
}
