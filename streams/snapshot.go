package streams

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"context"
	"errors"
	"time"

	"github.com/paylogic/pushserver/streams/filter"
)

// stateTimeout bounds one reading of a log's states, of which there may be many.
const stateTimeout = 20 * time.Second

// errEnded says that a stream has ended while something waited for it. Its
// readers find the one that took its place.
var errEnded = errors.New("streams: the stream has ended")

// A present is what a stream knows of its log's states. Its stream's mutex
// guards it. It is loaded when somebody first asks, since most streams are
// never asked, and kept by the tail from then on.
type present struct {
	loading *reading    // under way; nil if none is
	loaded  bool        // states are those of the stream's position, once that has reached until
	head    eventlog.ID // the position whose states were loaded
	until   eventlog.ID // the log's head when they were
	states  eventlog.StateTable
	arrived []*eventlog.Entry // what the tail took while states were loading
	version uint64            // counts changes of states
}

// A reading is one reading of a log's states.
type reading struct {
	done chan struct{}
	err  error // to be read after done
}

// take keeps the states with the tail.
func (p *present) take(e *eventlog.Entry) {
	switch {
	case !e.Event.State:
	case p.loading != nil:
		p.arrived = append(p.arrived, e)
	case p.loaded && e.ID.Compare(p.head) > 0: // what is older was loaded
		p.states.Apply(e)
		p.version++
	}
}

// install makes what was loaded the present.
func (p *present) install(s eventlog.State) {
	p.head, p.until, p.loaded = s.Head, s.Until, true
	for i := range s.Entries {
		p.states.Apply(&s.Entries[i])
	}
	arrived := p.arrived
	p.loading, p.arrived = nil, nil
	for _, e := range arrived {
		p.take(e)
	}
	p.version++
}

// load reads the log's states.
func (st *tail) load(l *reading) {
	ctx, cancel := context.WithTimeout(st.hub.ctx, stateTimeout)
	defer cancel()
	state, err := st.hub.log.State(ctx, st.log)
	st.mu.Lock()
	if err != nil {
		l.err = err
		st.present.loading, st.present.arrived = nil, nil
	} else {
		st.present.install(state)
	}
	st.mu.Unlock()
	close(l.done)
}

// know returns when the stream knows its states, of a position that it has
// reached. Its errors are those of [Log], the context's, and errEnded.
func (st *tail) know(ctx context.Context) error {
	for {
		st.mu.Lock()
		p := &st.present
		switch {
		case st.dead:
			st.mu.Unlock()
			return errEnded
		case p.loaded && st.pos.Compare(p.until) >= 0:
			st.mu.Unlock()
			return nil
		case p.loaded:
			pos := st.pos
			st.mu.Unlock()
			st.ring()
			moved := make(chan struct{})
			forget, waits := st.await(pos, func() { close(moved) })
			if !waits {
				continue
			}
			err := st.hub.waitFor(ctx, moved)
			forget()
			if err != nil {
				return err
			}
			continue
		case p.loading == nil:
			l := &reading{done: make(chan struct{})}
			p.loading = l
			st.hub.spawn(func() { st.load(l) })
		}
		l := p.loading
		st.mu.Unlock()
		if err := st.hub.waitFor(ctx, l.done); err != nil {
			return err
		}
		if l.err != nil {
			return l.err
		}
	}
}

// waitFor waits for done, ctx, or the end of the hub.
func (h *Hub) waitFor(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-h.ctx.Done():
		return ErrDraining
	}
}

// current returns the states up to a position, or all if that is zero. The
// caller holds st.mu.
func (st *tail) current(upTo eventlog.ID) []*eventlog.Entry {
	entries := make([]*eventlog.Entry, 0, st.present.states.Len())
	for e := range st.present.states.All() {
		if !upTo.IsZero() && e.ID.Compare(upTo) > 0 {
			break
		}
		entries = append(entries, e)
	}
	return entries
}

// A snapshot is a feed's states, encoded.
type snapshot struct {
	version uint64 // of the stream's present
	text    []byte
}

// encodeStates returns those of entries that pass the filter.
func encodeStates(entries []*eventlog.Entry, f *filter.Filter, framing Framing) []byte {
	var text []byte
	for _, e := range entries {
		if f.Match(e.Event.Predicate()) {
			text = append(text, framing.state(e)...)
		}
	}
	return text
}

// takeSnapshot puts the subscription at the stream's position, and returns the
// states of that position.
func (s *Subscription) takeSnapshot() []byte {
	f, st := s.feed, s.feed.tail
	st.mu.Lock()
	s.pos, s.seq, s.live = st.pos, st.seq, true
	version, cached := st.present.version, f.snapshots[s.framing]
	if cached != nil && cached.version == version {
		st.mu.Unlock()
		return cached.text
	}
	entries := st.current(eventlog.ID{})
	st.mu.Unlock()

	// Filters may look into every state: not under the stream's mutex.
	fresh := &snapshot{version, encodeStates(entries, f.filter, s.framing)}
	st.mu.Lock()
	f.snapshots[s.framing] = fresh
	st.mu.Unlock()
	return fresh.text
}

// before returns the states that a client which has forgotten everything does
// not learn from what follows a position.
func (s *Subscription) before(ctx context.Context, after eventlog.ID) ([]byte, error) {
	if err := s.know(ctx); err != nil {
		return nil, err
	}
	st := s.feed.tail
	st.mu.Lock()
	entries := st.current(after)
	st.mu.Unlock()
	return encodeStates(entries, s.feed.filter, s.framing), nil
}

// know has the subscription's stream know its states, whichever stream that is
// then.
func (s *Subscription) know(ctx context.Context) error {
	for {
		st := s.feed.tail
		err := st.know(ctx)
		if !errors.Is(err, errEnded) {
			return err
		}
		s.leave()
		if err := s.hub.join(ctx, s, st.log, s.feed.filter); err != nil {
			return err
		}
	}
}

// State returns the present of a feed: the newest events of state-like types
// that pass the filter, oldest first, and the position to go on after. Its
// errors wrap those of [Log].
func (h *Hub) State(ctx context.Context, log string, f *filter.Filter) (eventlog.State, error) {
	for {
		st, err := h.tail(ctx, log)
		if err != nil {
			return eventlog.State{}, err
		}
		switch err := st.know(ctx); {
		case errors.Is(err, errEnded):
			continue
		case err != nil:
			return eventlog.State{}, err
		}
		st.mu.Lock()
		entries, head := st.current(eventlog.ID{}), st.pos
		st.mu.Unlock()
		s := eventlog.State{Head: head, Until: head}
		for _, e := range entries {
			if f.Match(e.Event.Predicate()) {
				s.Entries = append(s.Entries, *e)
			}
		}
		return s, nil
	}
}
