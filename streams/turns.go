package streams

import (
	"runtime"
	"slices"
	"sync"
	"time"
)

// turnTime is how long a turn lasts at most: several times what a batch takes.
// Whoever takes longer waits for the storage or for a client, and need not keep
// others waiting.
const turnTime = 20 * time.Millisecond

// turns are for what costs processor time and is in no hurry: catching up. As many
// goroutines work on it as half the processors could, so that a storm of readers who are far behind leaves the
// tails theirs. Each turn is for one batch. The logs have their turns one after the
// other, and of the readers of one log those who asked first are first: all of them
// get on, and one merchant's storm does not hold up another merchant's readers.
type turns struct {
	mu      sync.Mutex // guards the following, and what a turn has
	free    int
	logs    []string           // of which somebody waits, in the order of their turns
	waiting map[string][]*turn // for each of them: who waits, the longest first
}

// A turn is a place in the queue, and then the right to go on.
type turn struct {
	log  string
	come chan struct{} // closed when it is the turn
	up   *time.Timer   // hands it on when its time is up; nil while it has not come
}

func newTurns() *turns {
	return &turns{free: max(1, runtime.GOMAXPROCS(0)/2), waiting: make(map[string][]*turn)}
}

// ask returns a turn of a reader of this log, which comes some time. The caller ends
// it, whether it has come or not.
func (t *turns) ask(log string) *turn {
	u := &turn{log: log, come: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free > 0 {
		t.free--
		t.grant(u)
		return u
	}
	if len(t.waiting[log]) == 0 {
		t.logs = append(t.logs, log)
	}
	t.waiting[log] = append(t.waiting[log], u)
	return u
}

// end is for who has done what the turn is for, or does not wait for it any more.
func (t *turns) end(u *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case u.up == nil:
		t.leave(u)
	case u.up.Stop():
		t.next()
	}
}

// grant has the turn come. The caller holds t.mu.
func (t *turns) grant(u *turn) {
	u.up = time.AfterFunc(turnTime, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.next()
	})
	close(u.come)
}

// next grants the next turn. The caller holds t.mu.
func (t *turns) next() {
	if len(t.logs) == 0 {
		t.free++
		return
	}
	log := t.logs[0]
	t.logs = t.logs[1:]
	u, rest := t.waiting[log][0], t.waiting[log][1:]
	if len(rest) > 0 {
		t.waiting[log] = rest
		t.logs = append(t.logs, log)
	} else {
		delete(t.waiting, log)
	}
	t.grant(u)
}

// leave takes a turn out of the queue. The caller holds t.mu.
func (t *turns) leave(u *turn) {
	rest := slices.DeleteFunc(t.waiting[u.log], func(w *turn) bool { return w == u })
	if len(rest) > 0 {
		t.waiting[u.log] = rest
		return
	}
	delete(t.waiting, u.log)
	t.logs = slices.DeleteFunc(t.logs, func(l string) bool { return l == u.log })
}

// awaitTurn waits for a turn; the client sees meanwhile that it is alive. It reports
// false if something else came up: then more says whether the subscription may go
// on.
func (s *Subscription) awaitTurn(u *turn) (come, more bool) {
	s.hold(true)
	for !come {
		select {
		case <-u.come:
			come = true
		case <-s.hub.ctx.Done():
			return false, true
		case <-time.After(lookAround):
		}
		// The heartbeat that fell due meanwhile does not say that the client is slow.
		if !s.flush() {
			return false, false // it is not ours any more
		}
		if s.noticed() {
			break
		}
	}
	s.hold(false)
	return come, true
}

// hold notes whether it is this gateway that keeps the subscription back.
func (s *Subscription) hold(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = yes
}
