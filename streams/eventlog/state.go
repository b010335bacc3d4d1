package eventlog

import (
	"bytes"
	"container/list"
	"iter"
	"time"
)

// A State is the newest event of each type and subject with [Event.State], at
// position Head.
//
// The log may grow from Head to Until during the read, and a state superseded
// in that time may be missing. For an exact state, apply the log's events from
// Head to Until, or further.
type State struct {
	Head    ID
	Until   ID
	Entries []Entry // oldest first, none newer than Head; Prev may be zero
}

// A StateKey is the type and subject of a state.
type StateKey struct{ typ, subject string }

// StateKey returns the key of the state that the event sets or ends.
func (e *Event) StateKey() StateKey { return StateKey{e.Type, e.Subject} }

// gone reports whether the event ends its subject's state.
func (e *Event) gone() bool {
	return len(e.Data) == 0 || bytes.Equal(bytes.TrimSpace(e.Data), []byte("null"))
}

// A StateTable holds the newest entry of each state key, in the order of
// positions. The zero value is empty.
type StateTable struct {
	byKey map[StateKey]*list.Element
	order list.List // of *Entry
}

// Apply applies the next entry of the log. It keeps e, which must not change.
// It ignores entries that are not states.
func (s *StateTable) Apply(e *Entry) {
	if !e.Event.State {
		return
	}
	key := e.Event.StateKey()
	was := s.byKey[key]
	switch {
	case e.Event.gone():
		s.remove(was)
	case was != nil:
		was.Value = e
		s.order.MoveToBack(was)
	default:
		if s.byKey == nil {
			s.byKey = make(map[StateKey]*list.Element)
		}
		s.byKey[key] = s.order.PushBack(e)
	}
}

// Trim removes states older than oldest, and the oldest beyond MaxStates.
func (s *StateTable) Trim(oldest time.Time) {
	for first := s.order.Front(); first != nil; first = s.order.Front() {
		if s.order.Len() <= MaxStates && !first.Value.(*Entry).ID.Time().Before(oldest) {
			return
		}
		s.remove(first)
	}
}

func (s *StateTable) remove(e *list.Element) {
	if e != nil {
		s.order.Remove(e)
		delete(s.byKey, e.Value.(*Entry).Event.StateKey())
	}
}

// Len returns the number of states.
func (s *StateTable) Len() int { return s.order.Len() }

// All yields the states, oldest first.
func (s *StateTable) All() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		for e := s.order.Front(); e != nil && yield(e.Value.(*Entry)); e = e.Next() {
		}
	}
}
