package eventlog

import (
	"bytes"
	"container/list"
	"iter"
	"time"
)

// A State is the newest event of each (type, subject) of a log, of those that
// have [Event.State], at one position.
//
// Reading it may have taken a while, in which the log went on from Head to
// Until. What was superseded meanwhile may be missing: whoever needs an exact
// state applies the log's events from Head to Until, at least.
type State struct {
	Head    ID
	Until   ID
	Entries []Entry // oldest first, none newer than Head; Prev may be missing
}

// stateKey is what a state-like event speaks of.
type StateKey struct{ typ, subject string }

func (e *Event) StateKey() StateKey { return StateKey{e.Type, e.Subject} }

// gone reports whether the event takes its subject's state back.
func (e *Event) gone() bool {
	return len(e.Data) == 0 || bytes.Equal(bytes.TrimSpace(e.Data), []byte("null"))
}

// A StateTable holds the newest entry of each state key, in the order of positions.
// The zero value is empty.
type StateTable struct {
	byKey map[StateKey]*list.Element
	order list.List // of *Entry
}

// Apply takes the next entry of the log into account, which the caller keeps
// unchanged. Those that are not state-like change nothing.
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

// Trim drops what is older than a time, and the oldest beyond MaxStates.
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

// Len returns how many entries there are.
func (s *StateTable) Len() int { return s.order.Len() }

// All yields the entries, oldest first.
func (s *StateTable) All() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		for e := s.order.Front(); e != nil && yield(e.Value.(*Entry)); e = e.Next() {
		}
	}
}
