package streams

import (
	"maps"
	"slices"
	"time"
)

// A waitlist holds the subscriptions that cannot go on. Nothing may tell when
// they can, so the hub lets them retry whenever it looks around.
type waitlist struct {
	mu      waitlistMutex          // guards the following
	blocked map[*Subscription]bool // the client takes nothing
	stalled map[*Subscription]bool // the log cannot or must not be read
}

func newWaitlist() *waitlist {
	return &waitlist{blocked: make(map[*Subscription]bool), stalled: make(map[*Subscription]bool)}
}

func (w *waitlist) block(s *Subscription) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.blocked[s] = true
}

func (w *waitlist) unblock(s *Subscription) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.blocked, s)
}

func (w *waitlist) stall(s *Subscription) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stalled[s] = true
}

// wakeStalled lets stalled subscriptions retry.
func (w *waitlist) wakeStalled() {
	w.mu.Lock()
	stalled := slices.Collect(maps.Keys(w.stalled))
	clear(w.stalled)
	w.mu.Unlock()
	for _, sub := range stalled {
		sub.wake()
	}
}

// retryBlocked lets blocked subscriptions retry, and ends those whose client is
// stuck.
func (w *waitlist) retryBlocked(now time.Duration) {
	w.mu.Lock()
	blocked := slices.Collect(maps.Keys(w.blocked))
	w.mu.Unlock()
	for _, sub := range blocked {
		sub.retry(now)
	}
}
