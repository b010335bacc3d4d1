//go:build linux

package faults

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	fastReaders    = 50
	slowReaders    = 200
	stalledReaders = 50
	slowRate       = 2 << 10 // bytes a second

	// slowFactor is how much later the p99 of fast readers may be beside slow ones.
	// slowJitter is how much two runs may differ anyway.
	slowFactor = 1.5
	slowJitter = time.Millisecond

	// slowMemory is what one slow reader may cost, in the process and in the
	// kernel's buffers.
	slowMemory = 400 << 10
)

// Slowness is how fast a reader reads. Nil reads at once.
type slowness struct {
	rate int           // bytes a second; 0: it does not read
	over chan struct{} // closed when the reader becomes fast
}

// buffer returns the size of the socket's buffer for what comes.
func (s *slowness) buffer() int {
	if s == nil {
		return 0
	}
	return 4 << 10
}

// gulp returns how many bytes are read in one go, at most.
func (s *slowness) gulp(most int) int {
	if s == nil {
		return most
	}
	return 512
}

// digest returns when the next bytes may be read.
func (s *slowness) digest(ctx context.Context, n int) {
	if s == nil {
		return
	}
	late := make(<-chan time.Time)
	if s.rate > 0 {
		late = time.After(time.Duration(n) * time.Second / time.Duration(s.rate))
	}
	select {
	case <-late:
	case <-s.over:
	case <-ctx.Done():
	}
}

// T15. Slow and stalled readers cost the others no time and the gateway little memory.
// In the end they miss nothing.
func testSlowReaders(t *testing.T, s *fixture) {
	tr := s.newTrial(t, setting{limit: 5 * time.Minute, merchants: s.merchants[:5]})
	admit := func(n int, slow *slowness) {
		var some []*reader
		for i := range n {
			r := tr.newReader(tr.merchants[i%len(tr.merchants)], parts[0])
			r.slow = slow
			some = append(some, r)
		}
		tr.admit(some...)
	}
	admit(fastReaders, nil)
	fast := slices.Clone(tr.readers)
	tr.publisher.begin()
	tr.settle(5, time.Now())

	began := time.Now()
	_ = pause(tr.ctx, 15*time.Second)
	alone := tr.latencies(fast, began)
	memory, kernel := tr.memory(0)+tr.memory(1), kernelMemory(t)

	over := make(chan struct{})
	admit(slowReaders, &slowness{slowRate, over})
	admit(stalledReaders, &slowness{0, over})
	began = time.Now()
	_ = pause(tr.ctx, 30*time.Second)
	beside := tr.latencies(fast, began)
	memory, kernel = tr.memory(0)+tr.memory(1)-memory, kernelMemory(t)-kernel
	streams := 0
	for _, instance := range tr.instances {
		r, err := instance.read(tr.ctx)
		if err != nil {
			t.Fatal(err)
		}
		streams += r.streams
	}
	close(over)
	tr.finish()

	p99 := func(all []time.Duration) time.Duration { return all[len(all)*99/100] }
	t.Logf("fast readers get 1 in 100 events later than %v alone, %v beside slow ones (%d and %d events)", p99(alone), p99(beside), len(alone), len(beside))
	if limit := time.Duration(slowFactor*float64(p99(alone))) + slowJitter; p99(beside) > limit {
		t.Errorf("beside slow readers fast ones have p99 %v, want at most %v", p99(beside), limit)
	}
	each := (memory + kernel) / (slowReaders + stalledReaders)
	t.Logf("a slow reader costs %d KB in the process and %d KB in the kernel", memory/(slowReaders+stalledReaders)>>10, kernel/(slowReaders+stalledReaders)>>10)
	if each > slowMemory {
		t.Errorf("a slow reader costs %d KB, want at most %d KB", each>>10, slowMemory>>10)
	}
	if most := fastReaders + slowReaders; streams > most {
		t.Errorf("%d streams are open, want at most %d: clients that take nothing are ended", streams, most)
	}
}

// latencies returns how long each event since a time took to each of the readers,
// sorted.
func (tr *trial) latencies(readers []*reader, since time.Time) []time.Duration {
	tr.t.Helper()
	l := tr.publisher.ledger
	sent := make(map[string]time.Time)
	l.mu.Lock()
	for _, a := range l.attempts {
		sent[a.ID] = a.Began
	}
	l.mu.Unlock()
	var all []time.Duration
	for _, r := range readers {
		for _, n := range r.all() {
			if began, ok := sent[n.ID]; ok && n.What == noteEvent && began.After(since) {
				all = append(all, n.At.Sub(began))
			}
		}
	}
	if len(all) == 0 {
		tr.t.Fatal("nothing was received")
	}
	slices.Sort(all)
	return all
}

// memory returns the resident memory of a gateway.
func (tr *trial) memory(i int) int {
	tr.t.Helper()
	r, err := tr.instances[i].read(tr.ctx)
	if err != nil {
		tr.t.Fatal(err)
	}
	return r.memory
}

// kernelMemory returns what all TCP sockets of this machine hold.
func kernelMemory(t *testing.T) int {
	t.Helper()
	stat, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(stat)) {
		if _, text, ok := strings.Cut(strings.TrimSpace(line), " mem "); ok && strings.HasPrefix(line, "TCP:") {
			pages, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			return pages * os.Getpagesize()
		}
	}
	t.Fatalf("/proc/net/sockstat has no memory of TCP:\n%s", stat)
	return 0
}
