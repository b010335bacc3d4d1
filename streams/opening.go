package streams

import (
	"context"

	"github.com/paylogic/pushserver/streams/eventlog"
)

// opening is what a subscription says first.
type opening struct {
	connection string
	oldest     eventlog.ID
	gap        *Reset // said next, if its start cannot be proved complete
	pending    bool   // stream.live will have the first position
	states     []byte // then these
	batch      []eventlog.Entry
}

// locate finds where the subscription starts. Nobody else knows it yet.
func (s *Subscription) locate(ctx context.Context, req Request) error {
	st := s.feed.tail
	s.opening = &opening{connection: req.Connection}
	st.refresh()
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
		if err := s.beginWithPresent(ctx); err != nil {
			return err
		}
		s.opening.gap = &Reset{Reason: eventlog.Unknown, Requested: excerpt(req.Foreign), ResumeFrom: s.pos, Oldest: s.opening.oldest, After: s.pos}
	case !req.After.IsZero():
		s.owes = true
		if !s.live {
			return s.prove(ctx, req.Log)
		}
	case req.Snapshot:
		return s.beginWithPresent(ctx)
	case !req.Since.IsZero():
		s.owes = true
		return s.seek(ctx, req)
	}
	return nil
}

// prove reads what follows the cursor for the first time: little, for it is not this
// reader's turn.
func (s *Subscription) prove(ctx context.Context, log string) error {
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
	return s.forgetAll(ctx, reset)
}

// forgetAll has the client begin anew: it is told of the gap, and gets the states
// that are older than all that follows.
func (s *Subscription) forgetAll(ctx context.Context, reset *Reset) (err error) {
	s.opening.gap, s.opening.pending = reset, true
	s.opening.states, err = s.before(ctx, reset.After)
	return err
}

// seek starts at a time of the log.
func (s *Subscription) seek(ctx context.Context, req Request) error {
	after, reset, err := s.hub.seek(ctx, req.Log, req.Since)
	s.pos, s.live = after, false
	if err != nil || reset == nil {
		return err
	}
	return s.forgetAll(ctx, reset)
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
	if o.gap != nil {
		text = append(text, s.framing.control(eventlog.ID{}, "stream.reset", 0, o.gap)...)
		s.hub.counts.resets.Add(1)
	}
	if len(o.states) <= joinLimit {
		text, o.states = append(text, o.states...), nil
	}
	return s.write(text, o.states) && (s.rest != nil || len(o.batch) == 0 || s.replay(o.batch))
}
