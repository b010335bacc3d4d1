package streams

import (
	"runtime"
	"slices"
	"sync"
	"time"
)

// turnTime is how long a turn lasts at most. Whoever takes longer waits for the
// storage or for a client, which costs nothing here.
const turnTime = 20 * time.Millisecond

// turns are for what costs processor time and is in no hurry: catching up. At
// most half the processors work on it, so that a storm of readers who are far
// behind leaves the tails theirs. Who asks first is first; each turn is one batch,
// so that all of them get on.
type turns struct {
	mu      sync.Mutex
	free    int
	waiting []chan struct{} // the longest first
}

func newTurns() *turns { return &turns{free: max(1, runtime.GOMAXPROCS(0)/2)} }

// ask returns a channel that is closed when it is the caller's turn. The caller
// gives it back, also if it has given up waiting.
func (t *turns) ask() <-chan struct{} {
	turn := make(chan struct{})
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free > 0 {
		t.free--
		close(turn)
	} else {
		t.waiting = append(t.waiting, turn)
	}
	return turn
}

// give hands a turn to the one who waits longest.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		t.free++
		t.waiting = nil // with the array that it has grown to
		return
	}
	close(t.waiting[0])
	t.waiting = t.waiting[1:]
}

// leave is for who asked and waits no more.
func (t *turns) leave(turn <-chan struct{}) {
	t.mu.Lock()
	i := slices.IndexFunc(t.waiting, func(w chan struct{}) bool { return w == turn })
	if i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
	t.mu.Unlock()
	if i < 0 {
		t.give() // it has come just now
	}
}

// begin is for whoever's turn it is. The turn is given back when end is called, or
// before, when its time is up.
func (t *turns) begin() (end func()) {
	up := time.AfterFunc(turnTime, t.give)
	return func() {
		if up.Stop() {
			t.give()
		}
	}
}

// turn waits until the subscription may read the log; the client sees meanwhile
// that it is alive. It reports false if something else came up: then more says
// whether the subscription may go on.
func (s *Subscription) turn() (ok, more bool) {
	turns := s.hub.turns
	turn := turns.ask()
	for {
		more = true
		select {
		case <-turn:
			return true, true
		case <-s.hub.ctx.Done():
		case <-time.After(lookAround):
			if more = s.flush(); more && !s.noticed() {
				continue
			}
		}
		turns.leave(turn)
		return false, more
	}
}
