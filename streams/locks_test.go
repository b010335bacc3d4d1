//go:build lockorder

package streams

import (
	"strings"
	"testing"
)

// All suites of this package run with the lock order checker. This test inverts
// two locks on purpose.
func TestInvertedLocksAreCaught(t *testing.T) {
	tests := []struct {
		name  string
		outer func(*Subscription, *Hub) (unlock func())
		inner func(*Subscription, *Hub)
	}{
		{"tail, subscription", func(s *Subscription, _ *Hub) func() { s.feed.tail.mu.Lock(); return s.feed.tail.mu.Unlock },
			func(s *Subscription, _ *Hub) { s.wake() }},
		{"waitlist, subscription", func(_ *Subscription, h *Hub) func() { h.waitlist.mu.Lock(); return h.waitlist.mu.Unlock },
			func(s *Subscription, _ *Hub) { s.Resume() }},
		{"hub, tail", func(_ *Subscription, h *Hub) func() { h.mu.Lock(); return h.mu.Unlock },
			func(s *Subscription, _ *Hub) { s.leave() }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			hub := &Hub{tasks: newTasks(), waitlist: newWaitlist()}
			tail := newTail(hub, "acme")
			sub := &Subscription{hub: hub, cursor: cursor{feed: tail.feed(mustFilter(t)), slot: -1}}
			defer test.outer(sub, hub)()
			defer func() {
				if r, _ := recover().(string); !strings.HasPrefix(r, "lockorder: ") {
					t.Errorf("the panic is %q, want one of the checker", r)
				}
			}()
			test.inner(sub, hub)
		})
	}
}
