package ratelimit

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// breakAfter is how many failures in a row open the breaker for a node.
	breakAfter = 3
	// breakFor is the time between two attempts while it is open.
	breakFor = time.Second
	// breakForgets is when a failed node is forgotten that no call needs any more,
	// such as one that left the cluster.
	breakForgets = 30 * time.Second
)

// A breaker keeps calls from waiting for Redis nodes that do not answer: after a few
// failures in a row it opens for the node and admits one call a second. The zero
// value is ready.
type breaker struct {
	failing atomic.Int64 // len(nodes); while it is 0 no call needs mu

	mu    sync.Mutex          // guards the following
	nodes map[string]*failure // by address: those whose last call failed
	open  int                 // for how many of them it is open
}

type failure struct {
	row   int       // failures in a row
	last  time.Time // of them
	until time.Time // the next attempt; zero: the breaker is closed
}

// admits reports whether to call a node. The result of such a call must be
// reported to succeeded or failed.
func (b *breaker) admits(node string, now time.Time) bool {
	if b.failing.Load() == 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.nodes[node]
	if f == nil || f.until.IsZero() {
		return true
	}
	if now.Before(f.until) {
		return false
	}
	f.until = now.Add(breakFor) // this call tries; the others see its result
	return true
}

// succeeded notes that a node answered, and reports whether the breaker is now
// closed for all nodes, and was not before.
func (b *breaker) succeeded(node string) (closed bool) {
	if b.failing.Load() == 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.forget(node)
}

// failed notes that a node did not answer, and reports whether the breaker is now
// open for a node, and was for none before.
func (b *breaker) failed(node string, now time.Time) (opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.nodes[node]
	if f == nil {
		f = &failure{}
		if b.nodes == nil {
			b.nodes = map[string]*failure{}
		}
		b.nodes[node] = f
		b.failing.Store(int64(len(b.nodes)))
	}
	f.row++
	f.last = now
	if f.row < breakAfter {
		return false
	}
	opens := f.until.IsZero()
	if opens {
		b.open++
	}
	f.until = now.Add(breakFor)
	return opens && b.open == 1
}

// expire forgets failed nodes that were not called lately. It reports the same as
// succeeded.
func (b *breaker) expire(now time.Time) (closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for node, f := range b.nodes {
		if now.Sub(f.last) >= breakForgets {
			closed = b.forget(node) || closed
		}
	}
	return closed
}

// forget needs b.mu.
func (b *breaker) forget(node string) (closed bool) {
	f := b.nodes[node]
	if f == nil {
		return false
	}
	delete(b.nodes, node)
	b.failing.Store(int64(len(b.nodes)))
	if f.until.IsZero() {
		return false
	}
	b.open--
	return b.open == 0
}
