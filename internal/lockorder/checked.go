//go:build lockorder

package lockorder

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
)

// A Mutex is a [sync.Mutex] with a rank, which every Lock checks.
type Mutex[R Ranked] struct{ mu sync.Mutex }

// Lock panics if the goroutine holds a mutex of the same or a higher rank.
func (m *Mutex[R]) Lock() {
	id, rank := goroutine(), rankOf[R]()
	if highest, ok := held.highest(id); ok && highest >= rank {
		panic(fmt.Sprintf("lockorder: rank %d (%T) is taken while rank %d is held", rank, *new(R), highest))
	}
	m.mu.Lock()
	held.add(id, rank)
}

// TryLock checks no order, since it does not wait.
func (m *Mutex[R]) TryLock() bool {
	if !m.mu.TryLock() {
		return false
	}
	held.add(goroutine(), rankOf[R]())
	return true
}

// Unlock is called by the goroutine that holds the mutex.
func (m *Mutex[R]) Unlock() {
	held.remove(goroutine(), rankOf[R]())
	m.mu.Unlock()
}

func rankOf[R Ranked]() int {
	var r R
	return r.Rank()
}

// ranks are those that each goroutine holds.
type ranks struct {
	mu sync.Mutex // guards the following
	of map[uint64][]int
}

var held = ranks{of: make(map[uint64][]int)}

func (h *ranks) highest(id uint64) (rank int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.of[id]) == 0 {
		return 0, false
	}
	return slices.Max(h.of[id]), true
}

func (h *ranks) add(id uint64, rank int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.of[id] = append(h.of[id], rank)
}

func (h *ranks) remove(id uint64, rank int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.Index(h.of[id], rank)
	if i < 0 {
		panic(fmt.Sprintf("lockorder: rank %d is released by a goroutine that does not hold it", rank))
	}
	if h.of[id] = slices.Delete(h.of[id], i, i+1); len(h.of[id]) == 0 {
		delete(h.of, id)
	}
}

// goroutine returns the number of the calling goroutine, which the runtime
// tells only in a stack trace.
func goroutine() uint64 {
	var buf [64]byte
	text := buf[:runtime.Stack(buf[:], false)]
	text, _, _ = bytes.Cut(bytes.TrimPrefix(text, []byte("goroutine ")), []byte(" "))
	id, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil {
		panic("lockorder: a stack trace begins in an unknown way: " + err.Error())
	}
	return id
}
