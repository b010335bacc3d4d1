package ratelimit

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// breakAfter is how many failures in a row are not chance.
	breakAfter = 3
	// breakFor is how long a node is left alone between two attempts.
	breakFor = time.Second
	// breakForgets is how long a node is remembered that nobody asks any more,
	// such as one that has left the cluster.
	breakForgets = 30 * time.Second
)

// A breaker keeps calls from waiting for Redis nodes that do not answer: after a
// few failures in a row it lets one through now and then, to see. The zero value
// is ready.
type breaker struct {
	failing atomic.Int64 // len(nodes); while it is 0 nobody waits for mu

	mu    sync.Mutex          // guards the following
	nodes map[string]*failure // by address: those whose last call failed
	open  int                 // those of them that are left alone
}

type failure struct {
	row   int       // failures in a row
	last  time.Time // of them
	until time.Time // left alone until; zero: it is not
}

// admits reports whether a node may be asked. A call that it admits reports how
// it went.
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
	f.until = now.Add(breakFor) // this one tries; the others wait for what comes of it
	return true
}

// succeeded notes that a node answered, and reports whether it was the last that
// was left alone.
func (b *breaker) succeeded(node string) (mended bool) {
	if b.failing.Load() == 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.forget(node)
}

// failed notes that a node did not answer, and reports whether it is the first
// to be left alone.
func (b *breaker) failed(node string, now time.Time) (broken bool) {
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

// expire forgets the nodes that nobody has asked lately, and reports whether the
// last that was left alone is among them.
func (b *breaker) expire(now time.Time) (mended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for node, f := range b.nodes {
		if now.Sub(f.last) >= breakForgets {
			mended = b.forget(node) || mended
		}
	}
	return mended
}

// forget needs b.mu.
func (b *breaker) forget(node string) (mended bool) {
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
