package streams

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/paylogic/pushserver/streams/eventlog"
)

// stateTimeout bounds one read of a log's states, of which there may be many.
const stateTimeout = 20 * time.Second

// errDead says that a tail died while a reader waited for its states. The reader
// joins its successor.
var errDead = errors.New("streams: the tail is dead")

// A stateView is what a tail knows of its log's states. The tail's mutex guards
// it. Most tails are never asked for states, so the first request loads them.
// From then on the tail keeps them.
type stateView struct {
	tail    *tail
	loading *stateRead  // under way; nil if none is
	loaded  bool        // the table is that of the tail's position, once that has reached until
	head    eventlog.ID // the position that the loaded states are of
	until   eventlog.ID // the log's head when they were loaded
	table   eventlog.StateTable
	arrived []*eventlog.Entry // came while states were loading
	version uint64            // counts changes of the table
	list    []*eventlog.Entry // what entries returned last
	listed  uint64            // for which version
}

// A stateRead is one read of a log's states.
type stateRead struct {
	done chan struct{}
	err  error // to be read after done
}

// add keeps the states up to date with the tail.
func (v *stateView) add(e *eventlog.Entry) {
	switch {
	case !e.Event.State:
	case v.loading != nil:
		v.arrived = append(v.arrived, e)
	case v.loaded && e.ID.Compare(v.head) > 0: // older ones were loaded
		kept := *e // without the texts of the tail's item
		v.table.Apply(&kept)
		v.version++
	}
}

func (v *stateView) install(s eventlog.State) {
	v.head, v.until, v.loaded = s.Head, s.Until, true
	for i := range s.Entries {
		v.table.Apply(&s.Entries[i])
	}
	arrived := v.arrived
	v.loading, v.arrived = nil, nil
	for _, e := range arrived {
		v.add(e)
	}
	v.version++
}

func (v *stateView) read(r *stateRead) {
	t := v.tail
	ctx, cancel := t.hub.tasks.timeout(stateTimeout)
	defer cancel()
	state, err := t.hub.log.State(ctx, t.log)
	t.mu.Lock()
	if err != nil {
		r.err = err
		v.loading, v.arrived = nil, nil
	} else {
		v.install(state)
	}
	t.mu.Unlock()
	close(r.done)
}

// load returns when the states are those of a position that the tail has
// reached. Its errors are those of [eventlog.Log], the context's, and errDead.
func (v *stateView) load(ctx context.Context) error {
	t := v.tail
	for {
		t.mu.Lock()
		switch {
		case t.dead:
			t.mu.Unlock()
			return errDead
		case v.loaded && t.pos.Compare(v.until) >= 0:
			t.mu.Unlock()
			return nil
		case v.loaded:
			pos := t.pos
			t.mu.Unlock()
			if err := v.awaitTail(ctx, pos); err != nil {
				return err
			}
			continue
		case v.loading == nil:
			r := &stateRead{done: make(chan struct{})}
			v.loading = r
			t.hub.tasks.spawn(func() { v.read(r) })
		}
		r := v.loading
		t.mu.Unlock()
		if err := t.hub.tasks.waitFor(ctx, r.done); err != nil {
			return err
		}
		if r.err != nil {
			return r.err
		}
	}
}

// awaitTail waits until the tail has moved from pos.
func (v *stateView) awaitTail(ctx context.Context, pos eventlog.ID) error {
	t := v.tail
	t.follower.ring()
	moved := make(chan struct{})
	cancel, waits := t.await(pos, func() { close(moved) })
	if !waits {
		return nil
	}
	defer cancel()
	return t.hub.tasks.waitFor(ctx, moved)
}

// entries returns the states, oldest first. The slice is shared and does not
// change. The caller holds the tail's mutex.
func (v *stateView) entries() []*eventlog.Entry {
	if v.list == nil || v.listed != v.version {
		v.list = slices.AppendSeq(make([]*eventlog.Entry, 0, v.table.Len()), v.table.All())
		v.listed = v.version
	}
	return v.list
}
