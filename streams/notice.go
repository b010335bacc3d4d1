package streams

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"github.com/paylogic/pushserver/streams/filter"
)

// A notice is what a subscription has to say or do between two events.
type notice struct {
	text   []byte         // a control event
	filter *filter.Filter // the one that holds from here on; nil: as before
	next   *notice
}

// Say writes a control event with this data, which has a JSON form, soon and
// between two events. It returns at once.
func (s *Subscription) Say(event string, data any) {
	s.add(notice{text: s.framing.control(eventlog.ID{}, event, 0, data)})
}

// Rescope has the subscription go on with another filter, and says so with
// stream.scope and this data, which has a JSON form. What was not begun to be
// written passes the new filter alone, live and from the log alike. It returns
// at once.
func (s *Subscription) Rescope(f *filter.Filter, data any) {
	s.add(notice{text: s.framing.control(eventlog.ID{}, "stream.scope", 0, data), filter: f})
}

func (s *Subscription) add(n notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == ended || s.cause != nil {
		return
	}
	last := &s.notices
	for *last != nil {
		last = &(*last).next
	}
	*last = &n
	switch s.state {
	case parked, stalled, blocked:
		s.dispatch()
	}
}

// noticed reports whether there is something to heed, or the subscription is to end.
func (s *Subscription) noticed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.notices != nil || s.cause != nil
}

// heed does what notices want. It reports whether the subscription may go on.
// The state is busy, and nothing that was begun is left to be written.
func (s *Subscription) heed() bool {
	for {
		s.mu.Lock()
		n := s.notices
		if n == nil || s.cause != nil {
			s.mu.Unlock()
			return true
		}
		s.notices = n.next
		s.mu.Unlock()
		if n.filter != nil && !s.switchTo(n.filter) {
			return false
		}
		if !s.write(n.text) {
			return false
		}
		if s.rest != nil {
			return true // the rest goes out first
		}
	}
}

// switchTo makes the subscription a reader of another feed of its log, at the
// position that it has.
func (s *Subscription) switchTo(f *filter.Filter) bool {
	st := s.feed.tail
	s.mu.Lock()
	st.mu.Lock()
	s.detach(st)
	s.feed.remove(s)
	st.mu.Unlock()
	s.mu.Unlock()
	if err := s.hub.join(s.hub.ctx, s, st.log, f); err != nil {
		// Whatever comes, not through the old filter.
		s.mu.Lock()
		s.finish(err)
		s.mu.Unlock()
		return false
	}
	return true
}
