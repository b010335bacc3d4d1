package streams

import (
	"maps"
	"slices"

	"github.com/paylogic/pushserver/streams/eventlog"
)

// A waiter is called once.
type waiter struct{ call func() }

// await has call called once when the tail has moved from pos, or the stream
// has ended, and not after cancel. It reports false, and does not call, if that
// is so already.
func (st *tail) await(pos eventlog.ID, call func()) (cancel func(), waits bool) {
	w := &waiter{call}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.dead || st.pos != pos {
		return func() {}, false
	}
	st.waiting[w] = true
	return func() {
		st.mu.Lock()
		defer st.mu.Unlock()
		delete(st.waiting, w)
	}, true
}

// awaited returns who waits, and forgets them. The caller holds st.mu.
func (st *tail) awaited() []*waiter {
	waiting := slices.Collect(maps.Keys(st.waiting))
	clear(st.waiting)
	return waiting
}
