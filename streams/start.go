package streams

import (
	"context"
	"time"

	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
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

// A Request says what a subscription gets.
type Request struct {
	Log        string
	Filter     *filter.Filter
	Framing    Framing
	Connection string // the connection's name in stream.open
	Start      Start
	Conflate   bool // when the client lags, skip superseded states

	// Rate bounds the events that are delivered within each RateWindow; 0: no
	// limit. Events that come faster wait in the log. The window is a second if
	// it is 0.
	Rate       int
	RateWindow time.Duration

	// ChargeReplay is called with the number of entries replayed for this
	// subscription; it returns how long to wait before the next read. It may
	// block, and is not called concurrently. Nil: no charge.
	ChargeReplay func(n int) time.Duration
}

// opening is what a subscription says first. It is kept from Subscribe until the
// subscription has a writer.
type opening struct {
	sub        *Subscription
	connection string
	oldest     eventlog.ID
	reset      *Reset         // said next, if the start cannot be proved complete
	pending    bool           // the first position comes with stream.live
	states     snapshotReader // then these
	batch      []eventlog.Entry
}

// begin places the subscription, which no other goroutine knows yet.
func (o *opening) begin(ctx context.Context, log string, start Start) error {
	s := o.sub
	t := s.feed.tail
	t.refreshOldest()
	t.mu.Lock()
	o.oldest = t.oldest
	t.mu.Unlock()

	b, err := start.resolve(ctx, s.hub.log, log, o.present)
	if err != nil {
		return err
	}
	o.reset, o.pending = b.reset, b.reset != nil || b.states
	s.liveDue = b.past || b.states
	if !b.past {
		return nil // present has placed it
	}
	s.moveTo(b.after)
	switch {
	case b.reset != nil:
		return o.resetTo(ctx, b.reset)
	case b.claimed && !s.live:
		return o.firstRead(ctx, log)
	}
	return nil
}

// present puts the subscription at the end of its tail, with the states there.
func (o *opening) present(ctx context.Context, states bool) (eventlog.Bounds, error) {
	s := o.sub
	if states {
		if err := s.hub.loadStates(ctx, s); err != nil {
			return eventlog.Bounds{}, err
		}
		o.states = s.takeSnapshot(s.framing)
	} else {
		t := s.feed.tail
		t.mu.Lock()
		s.moveToEnd()
		t.mu.Unlock()
	}
	return eventlog.Bounds{Head: s.pos, Oldest: o.oldest}, nil
}

// firstRead proves the client's position with a small read, which needs no
// turn.
func (o *opening) firstRead(ctx context.Context, log string) error {
	s := o.sub
	batch, err := s.hub.catchup.read(ctx, log, s.pos, &s.feed.tail.follower.pace, firstReadMost)
	if err != nil {
		return err
	}
	if batch.Gap == nil {
		o.batch = batch.Entries
		return nil
	}
	reset, err := resetFor(ctx, s.hub.log, log, s.pos, batch.Gap)
	if err != nil {
		return err
	}
	s.pos, o.oldest = reset.After, reset.Oldest
	return o.resetTo(ctx, reset)
}

// resetTo announces a gap, with the states that are older than what follows.
func (o *opening) resetTo(ctx context.Context, reset *Reset) error {
	o.reset, o.pending = reset, true
	if err := o.sub.hub.loadStates(ctx, o.sub); err != nil {
		return err
	}
	o.states = o.sub.statesUpTo(reset.After, o.sub.framing)
	return nil
}

// text returns stream.open and what goes into the same write.
func (o *opening) text(preface []byte) []byte {
	s := o.sub
	id := s.pos
	if o.pending {
		id = eventlog.ID{}
	}
	data := openData{o.connection, s.hub.heartbeats.interval.Milliseconds(), ""}
	if !o.oldest.IsZero() {
		data.Oldest = o.oldest.String()
	}
	text := append(preface, s.framing.control(id, "stream.open", retryTime, data)...)
	if o.reset != nil {
		text = append(text, s.framing.control(eventlog.ID{}, "stream.reset", 0, o.reset)...)
		s.hub.counts.resets.Add(1)
	}
	return text
}
