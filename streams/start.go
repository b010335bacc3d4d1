package streams

import (
	"context"
	"time"

	"github.com/paylogic/pushserver/streams/eventlog"
)

// A Start says where a reader begins. The first field that is set decides; the
// zero value begins now.
type Start struct {
	Invalid  string      // what the client sent as a position, if it is malformed: a reset answers it
	After    eventlog.ID // the position to go on after
	Snapshot bool        // now, after the states of now; a page has no states
	Since    time.Time   // the log time to begin at
	Oldest   bool        // the oldest retained event
}

// A beginning is what a Start means in a log.
type beginning struct {
	after   eventlog.ID // the position to read after
	reset   *Reset      // set if completeness cannot be proved
	states  bool        // the states of that position come first
	past    bool        // what follows is history
	claimed bool        // the position is the client's word: reading must prove it
}

// resolve finds the beginning in a log. Present returns where the log ends now;
// a reader that can tell states has loaded them if states is true.
func (s Start) resolve(ctx context.Context, log eventlog.Log, name string,
	present func(ctx context.Context, states bool) (eventlog.Bounds, error)) (beginning, error) {
	switch {
	case s.Invalid != "":
		now, err := present(ctx, true)
		reset := &Reset{Reason: eventlog.Unknown, Requested: excerpt(s.Invalid), ResumeFrom: now.Head, Oldest: now.Oldest, After: now.Head}
		return beginning{after: now.Head, reset: reset, states: true}, err
	case !s.After.IsZero():
		return beginning{after: s.After, past: true, claimed: true}, nil
	case s.Snapshot:
		now, err := present(ctx, true)
		return beginning{after: now.Head, states: true}, err
	case !s.Since.IsZero():
		after, reset, err := seek(ctx, log, name, s.Since)
		return beginning{after: after, reset: reset, past: true}, err
	}
	now, err := present(ctx, false)
	if s.Oldest {
		return beginning{after: now.Floor(), past: true}, err
	}
	return beginning{after: now.Head}, err
}

// seek returns the position before the first event of a time, and a reset if
// events of that time are gone.
func seek(ctx context.Context, log eventlog.Log, name string, since time.Time) (eventlog.ID, *Reset, error) {
	after, first, err := log.Seek(ctx, name, since)
	if err != nil || after.IsOrigin() || after.Time().Before(since) {
		return after, nil, err
	}
	// The event before the first one is of that time too, and it is gone.
	reset := &Reset{Reason: eventlog.Trimmed, Requested: since.UTC().Format(time.RFC3339), ResumeFrom: first, Oldest: first, After: after}
	if first.IsZero() {
		reset.ResumeFrom = after
	}
	return after, reset, nil
}

// opening is what a subscription says first.
type opening struct {
	connection string
	oldest     eventlog.ID
	reset      *Reset // said next, if the start cannot be proved complete
	pending    bool   // the first position comes with stream.live
	states     []byte // then these
	batch      []eventlog.Entry
}

// start places the subscription, which no one else knows yet.
func (s *Subscription) start(ctx context.Context, req Request) error {
	st := s.feed.tail
	o := &opening{connection: req.Connection}
	s.opening = o
	st.refresh()
	st.mu.Lock()
	o.oldest = st.oldest
	st.mu.Unlock()

	b, err := req.Start.resolve(ctx, s.hub.log, req.Log, s.present)
	if err != nil {
		return err
	}
	o.reset, o.pending = b.reset, b.reset != nil || b.states
	s.owes = b.past || b.states
	if !b.past {
		return nil // present has placed it
	}
	s.moveTo(b.after)
	switch {
	case b.reset != nil:
		o.states, err = s.before(ctx, b.after)
	case b.claimed && !s.live:
		err = s.firstRead(ctx, req.Log)
	}
	return err
}

// present puts the subscription at the end of its tail, with the states there.
func (s *Subscription) present(ctx context.Context, states bool) (eventlog.Bounds, error) {
	if states {
		if err := s.know(ctx); err != nil {
			return eventlog.Bounds{}, err
		}
		s.opening.states = s.takeSnapshot()
	} else {
		st := s.feed.tail
		st.mu.Lock()
		s.pos, s.seq, s.live = st.pos, st.seq, true
		st.mu.Unlock()
	}
	return eventlog.Bounds{Head: s.pos, Oldest: s.opening.oldest}, nil
}

// moveTo puts the subscription at a position, in memory if it is there.
func (s *Subscription) moveTo(pos eventlog.ID) {
	st := s.feed.tail
	st.mu.Lock()
	defer st.mu.Unlock()
	s.pos = pos
	s.seq, s.live = st.find(pos)
	s.live = s.live && s.seq >= s.feed.floor
}

// firstRead proves the client's position with a small read, outside the queue
// of readers that catch up.
func (s *Subscription) firstRead(ctx context.Context, log string) error {
	batch, err := s.hub.read(ctx, log, s.pos, &s.feed.tail.pace, firstRead)
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
	s.pos, s.opening.oldest = reset.After, reset.Oldest
	s.opening.reset, s.opening.pending = reset, true
	s.opening.states, err = s.before(ctx, reset.After)
	return err
}

// open writes what a subscription says first and reports whether it may go on.
func (s *Subscription) open(preface []byte) bool {
	o := s.opening
	s.opening = nil
	id := s.pos
	if o.pending {
		id = eventlog.ID{}
	}
	data := openData{o.connection, s.hub.heartbeat.Milliseconds(), ""}
	if !o.oldest.IsZero() {
		data.Oldest = o.oldest.String()
	}
	text := append(preface, s.framing.control(id, "stream.open", retryTime, data)...)
	if o.reset != nil {
		text = append(text, s.framing.control(eventlog.ID{}, "stream.reset", 0, o.reset)...)
		s.hub.counts.resets.Add(1)
	}
	if len(o.states) <= joinLimit {
		text, o.states = append(text, o.states...), nil
	}
	return s.write(text, o.states) && (s.rest != nil || len(o.batch) == 0 || s.replay(o.batch))
}
