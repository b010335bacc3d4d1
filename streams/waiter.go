package streams

import (
	"maps"
	"slices"
)

// A waiter is called once.
type waiter struct{ call func() }

// waiters are called when something happens. A tail's mutex guards them.
type waiters map[*waiter]bool

// add returns what removes the waiter again, under the mutex of t.
func (w waiters) add(t *tail, call func()) (cancel func()) {
	added := &waiter{call}
	w[added] = true
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(w, added)
	}
}

// takeAll empties the set. The caller calls them without the mutex.
func (w waiters) takeAll() []*waiter {
	all := slices.Collect(maps.Keys(w))
	clear(w)
	return all
}
